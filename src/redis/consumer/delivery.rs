//! [`Delivery`]: one entry on its way to a handler, and what is known of its earlier attempts.

use std::{fmt, sync::Arc};

use crate::{
    event::Event,
    redis::{EntryId, failures::FailureRecord},
};

/// Which entry of which source is meant, in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The source's number.
    pub(super) source: usize,
    pub(super) id: EntryId,
}

/// An event that a group has to handle, with what is known of earlier attempts.
pub struct Delivery {
    pub(super) key: Key,
    pub(super) event: Event,
    pub(super) stream: Arc<str>,
    pub(super) id: EntryId,
    pub(super) group: Arc<str>,
    pub(super) deliveries: u64,
    pub(super) record: FailureRecord,
    pub(super) is_replay: bool,
    /// The store that the event comes from, where planbus wrote the entry and an inbox asks for it.
    pub(super) store: Option<Box<str>>,
    /// Its stream is being filled again with what the group has handled.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "an inbox asks for it"))]
    pub(super) comes_again: bool,
    /// About how much memory it takes.
    pub(super) bytes: usize,
}

impl Delivery {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The key of the stream that the entry stands in; of a replay, the one that it stood in.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The entry's id there.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The group that it is delivered to.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Which attempt this is, from 1: one more than have failed.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.record.attempts.saturating_add(1)
    }

    /// How often the entry was delivered to a consumer, this time included. More than
    /// [`attempt`](Self::attempt) where a consumer ended before its handler did.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Why the attempt before failed; `None` at the first.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.record.error.as_deref()
    }

    /// Whether it was a dead letter that somebody sent back.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.is_replay
    }

    /// Whether it was delivered so often without a word of how it ended that it may end the process: one
    /// more than claim.lua takes for a suspect, since this is a delivery too.
    pub(super) fn is_suspect(&self) -> bool {
        self.deliveries.saturating_sub(u64::from(self.record.attempts)) > 3
    }

    /// Whether Redis keeps more of it than its place in the pending list.
    pub(super) fn has_traces(&self) -> bool {
        self.is_replay || self.record.attempts > 0
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("stream", &self.stream)
            .field("id", &format_args!("{}", self.id))
            .field("attempt", &self.attempt())
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
