//! `planbus export`: the log, or a part of it, for other programs.
//!
//! Reads beside the owner, in pages, and never leaves out an event in silence: where retention is
//! faster, it says so and fails.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::atomic::Ordering,
};

use clap::{Args, ValueHint};
use planbus::{
    Event, EventQuery, EventStore, PLAN_TREE_MAX_DEPTH, PLAN_TREE_MAX_PLANS, PlanId, PlanTree, Timestamp,
    TypePattern,
};

use super::{open, show};
use crate::{
    agent_runtime::units::counted,
    cli::Global,
    export::{Choice, Format, Selection, Target},
    failure::{Exit, Failure},
    interrupt,
    output::Output,
    plan_view::preorder,
    when,
};

/// The options of `export`.
#[derive(Args, Debug)]
pub(crate) struct ExportOptions {
    /// The form
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "jsonl")]
    format: Format,

    /// Only events of this plan
    #[arg(long, value_name = "PLAN")]
    plan: Option<PlanId>,

    /// With the plan, its subplans, theirs, and so on, as `planbus show` has them
    #[arg(long, requires = "plan")]
    subplans: bool,

    /// Only these types, or families like `workflow.*`; may be repeated, or separated by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<TypePattern>,

    /// Only events from this time on: `90s`, `1h`, `2d` ago, `2026-03-01`, `2026-03-01T09:30` (UTC)
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    since: Option<Timestamp>,

    /// Only events before this time, given as for --since
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    until: Option<Timestamp>,

    /// Only events after this place in the log; to go on where another export ended
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,

    /// Write to this file, which is there as a whole or not at all; must not be there before
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    to: Option<PathBuf>,

    /// Replace the file if it is there
    #[arg(long, requires = "to")]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(options: &ExportOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    if global.output.is_some() {
        return Err(Failure::new(Exit::Usage, "export has forms of its own; use --format instead of -o"));
    }
    super::check_times(options.since, options.until)?;
    let store = open(global)?;
    let tree = check(options, &store)?;
    // A file that was begun is removed; of lines on stdout those that are out are out.
    let stop = options.to.as_ref().map(|_| interrupt::flag()).transpose()?;
    let choice = Choice {
        plan: options.plan.as_ref(),
        subplans: tree.as_ref(),
        types: &options.types,
        since: options.since,
        until: options.until,
        after: options.after,
    };
    let mut events = Selection::new(&store, &choice)?;
    let mut target = Target::open(options.to.as_deref(), options.force, store.path(), out)?;
    if let Some(head) = options.format.head() {
        target.line(options.format, &head)?;
    }
    let mut exported = Exported::default();
    while let Some(event) = events.next()? {
        target.line(options.format, &options.format.line(&event, store.store_id())?)?;
        exported.add(&event);
        if stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Failure::new(Exit::Interrupted, "interrupted: nothing was exported"));
        }
    }
    target.finish()?;
    if !global.quiet {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr(), "{exported}");
    }
    Ok(())
}

/// Refuses what can match nothing, and finds the subplans.
fn check(options: &ExportOptions, store: &EventStore) -> Result<Option<PlanTree>, Failure> {
    let head = store.head()?;
    if let Some(after) = options.after.filter(|after| *after > head) {
        return Err(Failure::new(Exit::Usage, format!("--after {after}: the log ends at {head}")));
    }
    let Some(plan) = &options.plan else { return Ok(None) };
    if store.query(EventQuery::new().plan(plan).limit(1))?.is_empty() {
        return Err(show::unknown(store, plan)?);
    }
    if !options.subplans {
        return Ok(None);
    }
    let tree = store.plan_tree(plan)?;
    if preorder(&tree).iter().any(|(_, tree)| tree.is_cut) {
        let limits = format!(
            "export {plan}: its subplans are more than {PLAN_TREE_MAX_PLANS} or nested deeper than {PLAN_TREE_MAX_DEPTH}"
        );
        return Err(Failure::new(Exit::Failed, limits).hint("export them plan by plan"));
    }
    Ok(Some(tree))
}

/// What was exported, to say so.
#[derive(Default)]
struct Exported {
    events: u64,
    seqs: Option<(u64, u64)>,
}

impl Exported {
    fn add(&mut self, event: &Event) {
        self.events += 1;
        let seq = event.seq().unwrap_or_default();
        self.seqs = Some((self.seqs.map_or(seq, |(first, _)| first), seq));
    }
}

impl std::fmt::Display for Exported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} exported", counted(self.events, "event"))?;
        match self.seqs {
            Some((first, last)) => write!(f, ", seq {first} to {last}"),
            None => Ok(()),
        }
    }
}
