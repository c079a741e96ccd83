//! [`Source`]: one stream that a consumer reads, and how it stands there.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{delivery::Key, scripts::Kept, setup::Ordering};
use crate::{
    error::{Error, ErrorKind},
    redis::{EntryId, group_keys::GroupKeys},
};

/// The term in which a source begins.
pub(super) const FIRST_TERM: u64 = 0;

/// One stream that a consumer reads.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) number: usize,
    pub(super) keys: GroupKeys,
    /// The stream, as deliveries name it.
    pub(super) stream: Arc<str>,
    pub(super) group: Arc<str>,
    /// It holds the dead letters that were sent back to the group.
    pub(super) is_replay: bool,
}

impl Source {
    /// What may be kept of an entry besides its place in the pending list.
    pub(super) fn kept(&self) -> Kept {
        if self.is_replay { Kept::Replay } else { Kept::Failures }
    }

    /// Which entry of this source is meant.
    pub(super) fn key_of(&self, id: EntryId) -> Key {
        Key { source: self.number, id }
    }

    /// Who needs no lease has found one.
    pub(super) fn conflict(&self) -> Error {
        let told = format!(
            "consume {}: another consumer of the group {} keeps its plans in order: all of a group must say the same",
            self.keys.stream, self.group
        );
        Error::new(ErrorKind::Conflict, told)
    }
}

/// A source, and how the consumer stands there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    /// The stream and the group are there.
    pub(super) is_there: bool,
    /// They were there once: a group that is made then is made again.
    pub(super) was_there: bool,
    /// Where the search for entries goes on that were delivered before and are not in hand; nothing
    /// new is read before it has ended.
    pub(super) search_after: Option<EntryId>,
    /// Until when the lease is the consumer's; always, where plans need not keep their order.
    pub(super) leased_until: Option<Instant>,
    /// It is being given away: what was begun ends, and until then nobody takes it.
    pub(super) drained_until: Option<Instant>,
    /// Up to which seq of each store the stream is being filled again with what the group has handled, as
    /// its inbox says.
    pub(super) refill: BTreeMap<String, u64>,
    /// The last entry that was read.
    pub(super) last_read: EntryId,
    /// How often what was in hand of it was forgotten. What was asked for before is searched for again,
    /// and must not come between.
    pub(super) term: u64,
}

impl Place {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source: Arc::new(source),
            is_there: false,
            was_there: false,
            search_after: None,
            leased_until: None,
            drained_until: None,
            refill: BTreeMap::new(),
            last_read: EntryId::ZERO,
            term: FIRST_TERM,
        }
    }

    /// Whether an event of this store and seq comes again; the one that ends the refill is the last.
    pub(super) fn comes_again(&mut self, store: &str, seq: u64) -> bool {
        let Some(&last) = self.refill.get(store) else { return false };
        if seq >= last {
            self.refill.remove(store);
        }
        seq <= last
    }

    /// Whether the consumer may read it, and handle what it has of it.
    pub(super) fn is_open(&self, ordering: Ordering) -> bool {
        ordering == Ordering::Shared
            || (self.drained_until.is_none() && self.leased_until > Some(Instant::now()))
    }
}

/// Adds a source, which is not known to be there.
pub(super) fn add(places: &mut Vec<Place>, keys: GroupKeys, stream: &str, group: &str, is_replay: bool) {
    let number = places.len();
    let source = Source { number, keys, stream: stream.into(), group: group.into(), is_replay };
    places.push(Place::new(source));
}
