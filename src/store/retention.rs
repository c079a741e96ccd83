//! [`Retention`]: the rule that says which events may leave the log.
//!
//! Decides nothing about readers (`prune` does), and touches no store.

use std::time::Duration;

use super::cursors::Cursor;
use crate::{
    error::{Error, Result},
    event::{Timestamp, check_name},
};

/// How many readers the error of a wrong name lists.
const READERS_LISTED_MAX: usize = 20;

/// Which events may leave the log, always from its beginning on, for
/// [`EventStore::prune`](crate::EventStore::prune).
///
/// An event goes when every rule that was given lets it go: with an age and a count, the last
/// events stay however old they are. The newest event of the log always stays.
///
/// ```
/// use std::time::Duration;
/// use planbus::Retention;
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// let month = Retention::older_than(30 * DAY).but_keep_last(10_000);
/// let by_count = Retention::keep_last(5_000_000).force("old-dashboard");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until a store is pruned by it"]
pub struct Retention {
    max_age: Option<Duration>,
    kept: Option<u64>,
    forced: Vec<String>,
    limit: u64,
    is_dry_run: bool,
    fault: Option<Error>,
}

impl Retention {
    /// Lets events go that were recorded longer ago than this. The log's own clock counts,
    /// `recorded_at`, which never goes back; not the time that a publisher gave.
    pub fn older_than(age: Duration) -> Self {
        Self { max_age: Some(age), ..Self::nothing() }
    }

    /// Lets all events go but the last `events`, at least 1, of all tenants together.
    pub fn keep_last(events: u64) -> Self {
        Self::nothing().but_keep_last(events)
    }

    /// Keeps the last `events`, at least 1, whatever else the rule says.
    pub fn but_keep_last(mut self, events: u64) -> Self {
        if events == 0 {
            self.fault.get_or_insert(Error::invalid("keep_last", "must be at least 1, got 0"));
        }
        self.kept = Some(events);
        self
    }

    /// Goes past the cursor of this reader, which is told `Pruned` when it reads on; called again,
    /// past further ones. A reader that has no cursor is refused: its name is most likely wrong.
    pub fn force(mut self, reader: impl Into<String>) -> Self {
        let reader = reader.into();
        if let Err(fault) = check_name("force", &reader) {
            self.fault.get_or_insert(fault);
        }
        self.forced.push(reader);
        self
    }

    /// Removes at most this many events, at least 1, in one call: for callers that want to look up
    /// in between. [`PruneReport::is_complete`](crate::PruneReport) says whether more would go.
    pub fn limit(mut self, events: u64) -> Self {
        if events == 0 {
            self.fault.get_or_insert(Error::invalid("limit", "must be at least 1, got 0"));
        }
        self.limit = events;
        self
    }

    /// Removes nothing, and reports what would be removed. Works on a store opened for reading.
    pub fn dry_run(mut self) -> Self {
        self.is_dry_run = true;
        self
    }

    fn nothing() -> Self {
        Self {
            max_age: None,
            kept: None,
            forced: Vec::new(),
            limit: u64::MAX,
            is_dry_run: false,
            fault: None,
        }
    }

    /// The first option that was given wrong.
    pub(super) fn check(&self) -> Result<()> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// The first reader to go past that has no cursor is a mistake.
    pub(super) fn check_forced(&self, cursors: &[Cursor]) -> Result<()> {
        let has_cursor = |reader: &String| cursors.iter().any(|cursor| cursor.reader == *reader);
        let Some(unknown) = self.forced.iter().find(|reader| !has_cursor(reader)) else { return Ok(()) };
        let mut readers: Vec<&str> = cursors.iter().map(|cursor| cursor.reader.as_str()).collect();
        readers.dedup();
        let listed = match readers.get(..READERS_LISTED_MAX) {
            _ if readers.is_empty() => "the store has none".to_owned(),
            Some(first) if readers.len() > first.len() => format!("there are {}, and more", first.join(", ")),
            _ => format!("there are {}", readers.join(", ")),
        };
        Err(Error::invalid("force", format!("{unknown} has no cursor; {listed}")))
    }

    /// The time before which events may go; `None` where their age does not matter. An age from
    /// before the calendar lets nothing go.
    pub(super) fn cutoff(&self, now: Timestamp) -> Option<Timestamp> {
        let age = i64::try_from(self.max_age?.as_micros()).unwrap_or(i64::MAX);
        Some(Timestamp::from_micros(now.as_micros().saturating_sub(age)).unwrap_or(Timestamp::MIN))
    }

    /// How many events stay whatever their age.
    pub(super) fn kept(&self) -> u64 {
        self.kept.unwrap_or(1)
    }

    pub(super) fn is_forced(&self, reader: &str) -> bool {
        self.forced.iter().any(|forced| forced == reader)
    }

    pub(super) fn limit_events(&self) -> u64 {
        self.limit
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }
}
