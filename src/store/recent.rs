//! [`Recent`]: the newest events as they were committed, for the tails of the owner's process.
//!
//! A tail that keeps up is handed what it would read. Kept only while there is a tail, and never the
//! only place of anything: what is not here is read from the log. It drops no event under a lock, nor
//! while its thread commits for others: a payload that ends may publish.

use std::{
    collections::VecDeque,
    mem,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;

use crate::event::Event;

/// The most events that are kept.
const EVENTS_MAX: usize = 256;
/// The most bytes of their payloads together.
const BYTES_MAX: usize = 1 << 20;

/// The newest events, without a hole between them.
#[derive(Debug, Default)]
pub(super) struct Recent {
    tails: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Event>,
    bytes: usize,
    /// No longer kept, and not dropped yet.
    gone: Vec<Event>,
}

impl Recent {
    /// Whether there is a tail that may want what is committed next.
    pub(super) fn is_wanted(&self) -> bool {
        self.tails.load(Ordering::Relaxed) > 0
    }

    pub(super) fn tail_opened(&self) {
        self.tails.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn tail_closed(&self) {
        if self.tails.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.forget();
        }
    }

    /// Keeps what was committed, in the order of seq; to be done before a tail hears of it.
    pub(super) fn keep(&self, events: impl IntoIterator<Item = Event>) {
        let mut kept = self.kept.lock();
        events.into_iter().for_each(|event| kept.push(event));
    }

    /// Drops what [`keep`](Self::keep) had no more room for; to be done by a thread that commits no longer.
    pub(super) fn let_go(&self) {
        if self.is_wanted() {
            let gone = mem::take(&mut self.kept.lock().gone);
            drop(gone);
        }
    }

    /// What comes after a seq; `None` where it is to be read from the log.
    pub(super) fn after(&self, seq: u64) -> Option<Vec<Event>> {
        let kept = self.kept.lock();
        let first = kept.events.front()?.seq()?;
        let begin = usize::try_from(seq.checked_add(1)?.checked_sub(first)?).ok()?;
        let events: Vec<_> = kept.events.iter().skip(begin).cloned().collect();
        (!events.is_empty()).then_some(events)
    }

    /// Keeps nothing of what was: it may have left the log.
    pub(super) fn forget(&self) {
        let gone = mem::take(&mut *self.kept.lock());
        drop(gone);
    }
}

impl Kept {
    fn push(&mut self, event: Event) {
        let follows = |last: &Event| last.seq().map(|seq| seq + 1) == event.seq();
        if !self.events.back().is_none_or(follows) {
            self.gone.extend(self.events.drain(..));
            self.bytes = 0;
        }
        self.bytes += payload_bytes(&event);
        self.events.push_back(event);
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= payload_bytes(&oldest);
            self.gone.push(oldest);
        }
    }
}

fn payload_bytes(event: &Event) -> usize {
    event.payload_json().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(seq: u64, bytes: usize) -> Event {
        let mut event = Event::untyped("plan", "note", json!({"text": "x".repeat(bytes)}));
        event.envelope_mut().seq = Some(seq);
        event
    }

    fn after(recent: &Recent, seq: u64) -> Option<Vec<u64>> {
        recent.after(seq).map(|events| events.iter().filter_map(Event::seq).collect())
    }

    #[test]
    fn p6_what_follows_a_place_is_there_without_a_hole_or_not_at_all() {
        let recent = Recent::default();
        assert_eq!(after(&recent, 0), None);
        recent.keep((4..=6).map(|seq| event(seq, 1)));
        let (whole, end) = (Some(vec![4, 5, 6]), Some(vec![6]));
        assert_eq!([after(&recent, 3), after(&recent, 5)], [whole, end]);
        for place in [0, 2, 6, 7, u64::MAX] {
            assert_eq!(after(&recent, place), None, "after {place}");
        }
        // Nobody kept what came in between.
        recent.keep([event(9, 1)]);
        assert_eq!([after(&recent, 5), after(&recent, 8)], [None, Some(vec![9])]);
    }

    #[test]
    fn what_is_kept_is_bounded_by_events_and_by_bytes_and_ends_with_the_last_tail() {
        let recent = Recent::default();
        recent.tail_opened();
        recent.keep((1..=EVENTS_MAX as u64 + 5).map(|seq| event(seq, 1)));
        assert_eq!(recent.kept.lock().events.len(), EVENTS_MAX);
        assert_eq!(after(&recent, 4), None);
        let last = EVENTS_MAX as u64 + 6;
        recent.keep([event(last, BYTES_MAX)]);
        assert_eq!(recent.kept.lock().bytes, 0, "a payload that is too large is read from the log");
        recent.keep([event(last + 1, 1)]);
        assert_eq!(after(&recent, last), Some(vec![last + 1]));
        recent.tail_closed();
        assert!(recent.kept.lock().events.is_empty() && !recent.is_wanted());
    }
}
