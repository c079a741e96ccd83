//! [`Delivery`]: one entry on its way to a handler, and what is known of its earlier attempts.

use std::{fmt, sync::Arc};

use crate::{event::Event, redis::EntryId};

/// Which entry of which source is meant, in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    /// The source's number.
    pub(super) source: usize,
    pub(super) id: EntryId,
}

/// What Redis keeps of the failures of a pending entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// How many attempts failed.
    pub(super) attempts: u32,
    /// When the first one did, by the server's clock.
    pub(super) first_failed_ms: Option<u64>,
    /// What the last one said.
    pub(super) error: Option<Box<str>>,
}

impl Record {
    /// Reads `consumer \n attempts \n first \n last \n error`. What somebody else put there counts as
    /// nothing.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut parts = text.splitn(5, '\n');
        let (_, attempts, first, _, error) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next());
        Self {
            attempts: attempts.and_then(|text| text.parse().ok()).unwrap_or_default(),
            first_failed_ms: first.and_then(|text| text.parse().ok()),
            error: error.map(Into::into),
        }
    }
}

/// An event that a group has to handle, with what is known of earlier attempts.
pub struct Delivery {
    pub(super) key: Key,
    pub(super) event: Event,
    pub(super) stream: Arc<str>,
    pub(super) id: EntryId,
    pub(super) group: Arc<str>,
    pub(super) deliveries: u64,
    pub(super) record: Record,
    pub(super) is_replay: bool,
    /// The store that the event comes from, where planbus wrote the entry and an inbox asks for it.
    pub(super) store: Option<Box<str>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_what_is_none_counts_as_nothing() {
        let record = Record::parse(b"worker.1\n3\n1700000000000\n1700000005000\nfirst line\nsecond");
        assert_eq!(record.attempts, 3);
        assert_eq!(record.first_failed_ms, Some(1_700_000_000_000));
        assert_eq!(record.error.as_deref(), Some("first line\nsecond"));
        for text in [&b""[..], b"\xff", b"a\nb\nc", b"w\n-1\n\n\n", b"w\n99999999999\n1"] {
            assert_eq!(Record::parse(text).attempts, 0, "{}", text.escape_ascii());
        }
    }
}
