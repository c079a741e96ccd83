//! The commands, one file each, and what they share: opening the store.

pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod consume;
pub(crate) mod demo;
pub(crate) mod dlq;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod mirror;
pub(crate) mod pending;
pub(crate) mod plans;
pub(crate) mod prune;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod stats;
mod stream_events;
pub(crate) mod streams;
pub(crate) mod verify;
pub(crate) mod watch;

use std::io::{self, Write};

use planbus::{Error, ErrorKind, EventStore, StoreOptions, Timestamp};

use crate::{
    cli::Global,
    failure::{Exit, Failure},
    terminal,
};

/// Opens the store for reading, for the tenant that was asked for. Creates nothing, and works
/// beside the owner.
fn open(global: &Global) -> Result<EventStore, Failure> {
    let opened = EventStore::open_read_only(&global.db).and_then(|store| store.for_tenant(global.tenant()));
    opened.map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        let failure = unopened(&error);
        if is_missing {
            failure.hint("run `planbus demo` first, or name a store with --db FILE")
        } else {
            failure
        }
    })
}

/// Opens the store as its owner, and creates it where there is none.
fn open_as_owner(options: StoreOptions, global: &Global) -> Result<EventStore, Failure> {
    let opened = options.open(&global.db).and_then(|store| store.for_tenant(global.tenant()));
    opened.map_err(|error| {
        let is_locked = error.kind() == ErrorKind::Locked;
        let failure = unopened(&error);
        if is_locked { failure.hint("wait for it, or use another store with --db FILE") } else { failure }
    })
}

/// Refuses a stretch of time in which nothing can be.
pub(crate) fn check_times(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), Failure> {
    match (since, until) {
        (Some(since), Some(until)) if since >= until => {
            Err(Failure::new(Exit::Usage, format!("--since {since}: must be before --until {until}")))
        }
        _ => Ok(()),
    }
}

/// Tells a person who looks at an empty table that it is meant so.
fn note_nothing(what: &str, global: &Global) {
    if terminal::is_stdout() && !global.quiet {
        // Where nobody can read it, nobody is told.
        let _ = writeln!(io::stderr(), "no {what} matches");
    }
}

fn unopened(error: &Error) -> Failure {
    match error.kind() {
        // A directory, a device, a link: whatever it is, it is no store.
        ErrorKind::InvalidInput => Failure::of(Exit::NoStore, "open the store", error),
        _ => Failure::from(error.clone()),
    }
}
