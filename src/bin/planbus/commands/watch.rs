//! `planbus watch [PLAN]`: what runs, live, and how the plan ended that was waited for.
//!
//! Reads beside the owner of the store, and never in its way.

use std::time::Duration;

use clap::Args;
use planbus::{EventStore, PlanId, PlanStatus, PlanSummary};

use super::{open, show};
use crate::{
    cli::{Form, Global},
    failure::{Exit, Failure},
    family::PlanEnd,
    interrupt::CtrlC,
    output::Output,
    serving,
    store_file::StoreFile,
    terminal,
    watch::{Watched, lines, picture},
};

/// How often it is looked whether the store is there that is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// The options of `watch`.
#[derive(Args, Debug)]
pub(crate) struct WatchOptions {
    /// The plan to watch, with its subplans, until it ends [default: all plans that run]
    #[arg(value_name = "PLAN")]
    plan: Option<PlanId>,

    /// Wait for the plan, and for the store, where they are not there yet
    #[arg(long, requires = "plan")]
    wait: bool,
}

/// Runs the command.
pub(crate) fn run(options: &WatchOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form(Form::Tree);
    let is_drawn = form == Form::Tree && terminal::can_redraw_stdout() && global.wants_pictures();
    let ctrl_c = picture::ctrl_c()?;
    let store = store(options, global, &ctrl_c)?;
    let file = StoreFile::of(&global.db);
    let known = options.plan.as_ref().map(|plan| look_up(plan, &store, options)).transpose()?.flatten();
    if let Some(plan) = known.filter(|plan| plan.status != PlanStatus::Running && form != Form::Json) {
        show::write_tree(&store, &plan.plan_id, out)?;
        return PlanEnd::from(&plan).outcome(&plan.plan_id);
    }
    let mut watched = Watched::begin(&store, file, options.plan.as_ref(), global)?;
    if !is_drawn {
        lines::write(&mut watched, &ctrl_c, global, out)?;
        return watched.outcome();
    }
    picture::show(&mut watched, &ctrl_c, global)?;
    if let Some(plan) = options.plan.as_ref().filter(|_| watched.has_begun()) {
        // The terminal may have another size now.
        *out = Output::new(global);
        show::write_tree(&store, plan, out)?;
    }
    watched.outcome()
}

/// Opens the store, and waits for it where it may come.
fn store(options: &WatchOptions, global: &Global, ctrl_c: &CtrlC) -> Result<EventStore, Failure> {
    let mut is_told = false;
    loop {
        match open(global) {
            Err(Failure::Told { exit: Exit::NotFound, .. }) if options.wait => {}
            opened => return opened,
        }
        if !std::mem::replace(&mut is_told, true) {
            serving::tell(global, &format!("waiting for the store {}", global.db.display()));
        }
        if ctrl_c.wait(LOOK) {
            let told = format!("interrupted: there is no store {} yet", global.db.display());
            return Err(Failure::new(Exit::Interrupted, told));
        }
    }
}

/// What the log says of the plan, which may be missing only where it is waited for.
fn look_up(
    plan: &PlanId,
    store: &EventStore,
    options: &WatchOptions,
) -> Result<Option<PlanSummary>, Failure> {
    match store.plan(plan)? {
        None if !options.wait => Err(show::unknown(store, plan)?.hint("--wait waits for it")),
        known => Ok(known),
    }
}
