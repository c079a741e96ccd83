//! [`ConsumerStatus`]: how a consumer is doing, for programs and people.
//!
//! A snapshot; it never changes and holds nothing open.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::error::Error;

/// What a consumer is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConsumerState {
    /// It has not reached Redis yet.
    #[default]
    Starting,
    /// It reads and handles, or waits for entries to come.
    Live,
    /// Redis, or the inbox, cannot be reached or refuses for now: it tries again by itself.
    Retrying,
    /// Redis refuses in a way that somebody has to mend, see
    /// [`last_error`](ConsumerStatus::last_error); it goes on by itself then.
    Blocked,
    /// It was told to stop and handles what it has begun.
    Stopping,
    /// It has ended.
    Stopped,
}

impl ConsumerState {
    /// The state's name, as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Blocked => "blocked",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ConsumerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What has happened since a consumer started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsumerCounts {
    /// Deliveries whose handler succeeded.
    pub handled: u64,
    /// Attempts that failed, panics among them.
    pub failed: u64,
    /// Attempts that panicked.
    pub panicked: u64,
    /// Attempts that took longer than the handler's timeout.
    pub overdue: u64,
    /// Entries that were moved to the dead letters, those that hold no event among them.
    pub dead_lettered: u64,
    /// Entries that hold no event of the profile.
    pub undecodable: u64,
    /// Events that had been handled before: acked without a call.
    pub duplicates: u64,
    /// Events that the filter did not want: acked without a call.
    pub filtered: u64,
    /// Entries that were taken over from consumers that had left them.
    pub claimed: u64,
    /// Entries that others took over while they were in hand here.
    pub lost: u64,
    /// Entries that were deleted from their stream before they were handled.
    pub trimmed: u64,
    /// How often a group that was gone was made again.
    pub healed: u64,
}

/// How a consumer is doing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// What it is doing.
    pub state: ConsumerState,
    /// Its group.
    pub group: String,
    /// Its name in Redis: the one that it was given, and an id of this run.
    pub consumer: String,
    /// How many streams it reads.
    pub streams: usize,
    /// How many of them it alone may read for its group, where plans keep their order.
    pub leases: usize,
    /// How many deliveries wait for a worker.
    pub ready: usize,
    /// How many are with a handler, or on their way to be settled.
    pub busy: usize,
    /// How many entries wait behind others of their plan.
    pub parked: usize,
    /// What has happened so far.
    pub counts: ConsumerCounts,
    /// Why Redis cannot be used now; `None` while it can. In JSON a text.
    #[serde(serialize_with = "as_text")]
    pub last_error: Option<Error>,
}

fn as_text<S: Serializer>(error: &Option<Error>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(Error::to_string).serialize(serializer)
}

/// What became of the deliveries in hand when a consumer was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StopReport {
    /// How many were given back, before a handler began or by
    /// [`ManualDelivery::release`](super::ManualDelivery::release): any consumer of the group may take
    /// them at once.
    pub released: usize,
    /// How many were with a handler still at the deadline: they stay pending, and are taken over by
    /// another consumer after the claim time.
    pub abandoned: usize,
    /// How many were handled, but Redis could not be told: they stay pending as well, and come again.
    pub unsettled: usize,
}
