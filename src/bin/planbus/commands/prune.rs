//! `planbus prune`: removes old events from the log's beginning, for a store that nobody has open.
//!
//! Never creates a store, and asks nothing: what a rule would remove shows with `--dry-run`. Ctrl-C
//! ends it between two steps, and what was removed by then stays removed; so does a row that is not
//! as planbus wrote it, which is not removed.

use std::{
    io::{self, Write},
    sync::atomic::Ordering,
    time::Duration,
};

use clap::{ArgGroup, Args};
use planbus::{Cursor, Error, ErrorKind, EventStore, PruneReport, Retention};
use serde_json::json;

use super::{open, unopened};
use crate::{
    agent_runtime::units::{bytes, counted, number},
    cli::{Form, Global},
    failure::{Exit, Failure},
    interrupt,
    output::Output,
    style::Style,
    terminal,
    text::escape,
    when,
};

/// After how many removed events Ctrl-C is looked at and the progress is shown.
const STEP_EVENTS: u64 = 20_000;

/// The options of `prune`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("rule").required(true).multiple(true))]
pub(crate) struct PruneOptions {
    /// Remove events that were recorded longer ago than this: `90s`, `12h`, `30d`, `8w`
    #[arg(long, value_name = "AGE", group = "rule", value_parser = when::age)]
    older_than: Option<Duration>,

    /// Keep the last N events of the log, whatever their age
    #[arg(long, value_name = "N", group = "rule", value_parser = crate::cli::whole_number::<1, { u64::MAX }>)]
    keep: Option<u64>,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Go past the cursor of this reader, which must have one; may be repeated
    #[arg(long, value_name = "READER")]
    force: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(options: &PruneOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("prune")?;
    // For reading first: a store that is missing must not be created.
    let store = open(global)?;
    let foretold = store.prune(rule(options)?.dry_run())?;
    if options.dry_run {
        return write(&foretold, form, out);
    }
    // Not only closed: as long as it is there, SQLite takes the store for one that is still in use.
    drop(store);
    let stop = interrupt::flag()?;
    let store = EventStore::open(&global.db).map_err(|error| {
        let is_locked = error.kind() == ErrorKind::Locked;
        let failure = unopened(&error);
        if is_locked {
            failure.hint("a program that has it open prunes with EventStore::prune")
        } else {
            failure
        }
    })?;
    let mut done = PruneReport::default();
    let shows = !global.quiet && terminal::can_redraw();
    while !done.is_complete && !stop.load(Ordering::Relaxed) {
        let mut step =
            store.prune(rule(options)?.limit(STEP_EVENTS)).map_err(|error| stopped(&error, &done))?;
        step.removed += done.removed;
        step.freed_bytes += done.freed_bytes;
        step.last_removed = step.last_removed.or(done.last_removed);
        done = step;
        if shows {
            let (done, all) = (number(done.removed), number(foretold.removed));
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(io::stderr(), "\r\x1b[Kremoved {done} of {all} events");
        }
    }
    if shows {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    store.close()?;
    write(&done, form, out)?;
    if done.is_complete {
        return Ok(());
    }
    let told = format!("interrupted: {} were removed; run it again to go on", counted(done.removed, "event"));
    Err(Failure::new(Exit::Interrupted, told))
}

/// Why it went no further; what was removed until then stays removed.
fn stopped(error: &Error, done: &PruneReport) -> Failure {
    let failure = Failure::from(error.clone());
    let failure = match error.kind() {
        ErrorKind::Unsound => failure.hint("keep the file as evidence, or restore a backup"),
        _ => failure,
    };
    match done.last_removed {
        Some(last) => failure.hint(&format!("what was removed before ends at seq {last}")),
        None => failure,
    }
}

fn rule(options: &PruneOptions) -> Result<Retention, Failure> {
    let rule = match (options.older_than, options.keep) {
        (Some(age), Some(keep)) => Retention::older_than(age).but_keep_last(keep),
        (Some(age), None) => Retention::older_than(age),
        (None, Some(keep)) => Retention::keep_last(keep),
        (None, None) => return Err(Failure::new(Exit::Usage, "give --older-than, --keep, or both")),
    };
    Ok(options.force.iter().fold(rule, |rule, reader| rule.force(reader)))
}

fn write(report: &PruneReport, form: Form, out: &mut Output) -> Result<(), Failure> {
    match form {
        Form::Json => out.json(&to_json(report).to_string()),
        Form::Table | Form::Tree => write_lines(report, out),
    }
}

fn to_json(report: &PruneReport) -> serde_json::Value {
    let held_by = report
        .held_by
        .as_ref()
        .map(|Cursor { reader, stream, seq, .. }| json!({"reader": reader, "stream": stream, "seq": seq}));
    json!({
        "is_dry_run": report.is_dry_run, "removed": report.removed, "last_removed": report.last_removed,
        "first_seq": report.first_seq, "held_by": held_by, "freed_bytes": report.freed_bytes,
        "is_complete": report.is_complete,
    })
}

fn write_lines(report: &PruneReport, out: &mut Output) -> Result<(), Failure> {
    let mut removed = counted(report.removed, "event");
    if let Some(last) = report.last_removed {
        removed.push_str(&format!(", up to seq {last}"));
    }
    let mut facts = vec![(if report.is_dry_run { "would remove" } else { "removed" }, removed)];
    facts.extend(report.first_seq.map(|first| ("log begins at", format!("seq {first}"))));
    if !report.is_dry_run {
        facts.push(("given back", bytes(report.freed_bytes)));
    }
    if let Some(Cursor { reader, seq, .. }) = &report.held_by {
        facts.push((
            "held by",
            format!("the cursor of {reader}, at seq {seq}; --force {reader} goes past it"),
        ));
    }
    for (name, value) in facts {
        out.line(&format!("{}  {}", out.paint(Style::Faint, &format!("{name:<13}")), escape(&value)))?;
    }
    Ok(())
}
