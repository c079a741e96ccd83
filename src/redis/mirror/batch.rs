//! [`Batch`]: the next part of the log, sorted into the streams that it belongs to.
//!
//! Made without a server and without knowing how far streams have come, so that it can be made
//! while the server is still busy with the one before.

use std::collections::HashMap;

use super::{position::Position, script::Append};
use crate::{
    error::Result,
    event::Event,
    filter::CompiledFilter,
    redis::profile::{Entry, Inexpressible, Profile},
    store::{Chained, EventStore},
};

/// How many events and bytes a batch holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) entry_bytes: usize,
}

/// What a mirror does with an event that its profile cannot express.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnInexpressible {
    /// Leaves it out, counts it with the reason in the store, and goes on.
    #[default]
    Skip,
    /// Stops before it as [`Blocked`](super::MirrorState::Blocked), and says why.
    Stop,
}

/// How the log is turned into entries.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) store: EventStore,
    pub(super) profile: Profile,
    pub(super) filter: CompiledFilter,
    pub(super) group: String,
    pub(super) limits: Limits,
    pub(super) on_inexpressible: OnInexpressible,
    pub(super) entry: Entry,
}

/// A part of the log.
#[derive(Debug)]
pub(super) struct Batch {
    /// The log was read after this seq.
    pub(super) after: u64,
    /// All events up to here are in `appends`, or were left out.
    pub(super) end: u64,
    pub(super) appends: Vec<(String, Append)>,
    /// Events that the profile cannot express: their seq, and why.
    pub(super) skipped: Vec<(u64, Inexpressible)>,
    /// The event that ended the batch, which nobody may skip.
    pub(super) stopped: Option<(u64, Inexpressible)>,
}

impl Batch {
    /// Whether there was nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.end == self.after && self.stopped.is_none()
    }
}

impl Encoder {
    /// Reads the log after a seq.
    pub(super) fn next(&mut self, after: u64) -> Result<Batch> {
        let page = match self.store.head()? > after {
            true => self.store.chained_after(after, self.limits.events, self.limits.bytes)?,
            false => Vec::new(),
        };
        let mut batch = Batch { after, end: after, appends: Vec::new(), skipped: Vec::new(), stopped: None };
        let mut places = HashMap::new();
        for Chained { event, seq, bits } in page {
            if self.filter.matches(&event) {
                match self.encode(&event) {
                    Ok(()) => {
                        let appends = &mut batch.appends;
                        let at = place(&mut places, appends, self.entry.key(), &self.group);
                        appends[at].1.push(Position { seq, bits }, &self.entry);
                    }
                    Err(why) if self.on_inexpressible == OnInexpressible::Stop => {
                        batch.stopped = Some((seq, why));
                        break;
                    }
                    Err(why) => batch.skipped.push((seq, why)),
                }
            }
            batch.end = seq;
        }
        Ok(batch)
    }

    fn encode(&mut self, event: &Event) -> Result<(), Inexpressible> {
        self.profile.encode(event, self.store.store_id(), self.limits.entry_bytes, &mut self.entry)
    }

    /// The event of this seq; `None` where the log does not hold it.
    pub(super) fn event_at(&self, seq: u64) -> Result<Option<Event>> {
        let page = match self.store.chained_after(seq.saturating_sub(1), 1, 1) {
            Err(error) if error.kind() == crate::ErrorKind::Pruned => return Ok(None),
            page => page?,
        };
        Ok(page.into_iter().find(|found| found.seq == seq).map(|found| found.event))
    }

    /// Whether an event goes into this stream.
    pub(super) fn belongs(&mut self, event: &Event, stream: &str) -> bool {
        self.filter.matches(event) && self.encode(event).is_ok() && self.entry.key() == stream
    }
}

/// Where the entries for a stream are collected.
fn place(
    places: &mut HashMap<String, usize>,
    appends: &mut Vec<(String, Append)>,
    stream: &str,
    group: &str,
) -> usize {
    // Neighbours in the log are most often neighbours in a stream.
    if let Some((last, _)) = appends.last()
        && last == stream
    {
        return appends.len() - 1;
    }
    if let Some(at) = places.get(stream) {
        return *at;
    }
    appends.push((stream.to_owned(), Append::new(stream, group)));
    places.insert(stream.to_owned(), appends.len() - 1);
    appends.len() - 1
}
