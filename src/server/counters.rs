//! [`Counters`]: what the server itself has done: streams, deliveries, gaps, cuts, answers.
//!
//! Whoever streams or answers counts here; only `metrics` reads. No count ever falls, save for the
//! number of clients that are there now. Nothing here waits for anything but a short lock.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

/// The most pairs of a route and a status that are counted apart. Routes are templates, so that a
/// server has a few dozen; behind the limit all others count as one.
const ANSWERS_MAX: usize = 1_000;

/// The route of requests for which there is none, and of those beyond [`ANSWERS_MAX`].
pub(super) const OTHER_ROUTE: &str = "other";

/// How a client follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Sse,
    WebSocket,
    A2a,
    AgUi,
}

impl Transport {
    pub(super) const ALL: [Self; 4] = [Self::Sse, Self::WebSocket, Self::A2a, Self::AgUi];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
            Self::A2a => "a2a",
            Self::AgUi => "agui",
        }
    }
}

/// Why the server ended a client's stream that had more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutReason {
    /// The client took nothing for too long.
    Slow,
    /// Its token no longer holds.
    Revoked,
    /// The server stops.
    Stopped,
    /// The log could not be read.
    Failed,
}

impl CutReason {
    pub(super) const ALL: [Self; 4] = [Self::Slow, Self::Revoked, Self::Stopped, Self::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Revoked => "revoked",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

/// The server's own figures.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// By [`Transport`], as are the next two.
    clients: [AtomicU64; Transport::ALL.len()],
    opened: [AtomicU64; Transport::ALL.len()],
    delivered: [AtomicU64; Transport::ALL.len()],
    gaps: AtomicU64,
    cuts: [AtomicU64; CutReason::ALL.len()],
    answers: Mutex<Answers>,
}

/// How often each route gave each status.
type Answers = BTreeMap<(String, u16), u64>;

/// A client's stream that is open; counted as gone when this is dropped.
#[must_use = "a stream counts as open for as long as this lives"]
#[derive(Debug)]
pub(super) struct OpenStream {
    counters: Arc<Counters>,
    transport: Transport,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.counters.clients[self.transport as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// Counts a client that begins to follow.
    pub(super) fn stream_opened(self: &Arc<Self>, transport: Transport) -> OpenStream {
        self.clients[transport as usize].fetch_add(1, Ordering::Relaxed);
        add(&self.opened[transport as usize], 1);
        OpenStream { counters: Arc::clone(self), transport }
    }

    /// Counts events that were handed to a client's connection.
    pub(super) fn delivered(&self, transport: Transport, events: u64) {
        add(&self.delivered[transport as usize], events);
    }

    /// Counts a client that was told that events were missing.
    pub(super) fn gap(&self) {
        add(&self.gaps, 1);
    }

    /// Counts a stream that the server ended.
    pub(super) fn cut(&self, reason: CutReason) {
        add(&self.cuts[reason as usize], 1);
    }

    /// Counts an answer. `route` is the template that matched, never a path as it was asked for:
    /// [`OTHER_ROUTE`] where none did.
    pub(super) fn answered(&self, route: &str, status: u16) {
        let mut answers = self.answers.lock();
        let mut answer = (route.to_owned(), status);
        if answers.len() >= ANSWERS_MAX && !answers.contains_key(&answer) {
            answer.0 = OTHER_ROUTE.to_owned();
        }
        *answers.entry(answer).or_default() += 1;
    }

    pub(super) fn clients(&self, transport: Transport) -> u64 {
        get(&self.clients[transport as usize])
    }

    pub(super) fn opened_total(&self, transport: Transport) -> u64 {
        get(&self.opened[transport as usize])
    }

    pub(super) fn delivered_total(&self, transport: Transport) -> u64 {
        get(&self.delivered[transport as usize])
    }

    pub(super) fn gaps_total(&self) -> u64 {
        get(&self.gaps)
    }

    pub(super) fn cuts_total(&self, reason: CutReason) -> u64 {
        get(&self.cuts[reason as usize])
    }

    /// How often each route gave each status, in their order.
    pub(super) fn answers(&self) -> Vec<((String, u16), u64)> {
        self.answers.lock().iter().map(|(answer, count)| (answer.clone(), *count)).collect()
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_counts_as_open_until_it_is_dropped_and_as_opened_for_good() {
        let counters = Arc::new(Counters::default());
        let first = counters.stream_opened(Transport::Sse);
        let second = counters.stream_opened(Transport::Sse);
        let other = counters.stream_opened(Transport::A2a);
        drop(first);
        assert_eq!((counters.clients(Transport::Sse), counters.opened_total(Transport::Sse)), (1, 2));
        drop((second, other));
        assert_eq!((counters.clients(Transport::Sse), counters.clients(Transport::A2a)), (0, 0));
        assert_eq!((counters.opened_total(Transport::Sse), counters.opened_total(Transport::A2a)), (2, 1));
    }

    #[test]
    fn every_transport_and_reason_has_a_place_and_a_name_of_its_own() {
        let counters = Counters::default();
        counters.gap();
        assert_eq!((counters.gaps_total(), counters.answers()), (1, Vec::new()));
        for (place, transport) in Transport::ALL.into_iter().enumerate() {
            counters.delivered(transport, 10 + place as u64);
        }
        for (place, reason) in CutReason::ALL.into_iter().enumerate() {
            (0..=place).for_each(|_| counters.cut(reason));
        }
        assert_eq!(Transport::ALL.map(|transport| counters.delivered_total(transport)), [10, 11, 12, 13]);
        assert_eq!(CutReason::ALL.map(|reason| counters.cuts_total(reason)), [1, 2, 3, 4]);
        let mut names = Transport::ALL.map(Transport::as_str).to_vec();
        names.extend(CutReason::ALL.map(CutReason::as_str));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 8);
    }

    #[test]
    fn routes_beyond_the_limit_count_as_one_and_no_answer_is_lost() {
        let counters = Counters::default();
        for number in 0..ANSWERS_MAX + 50 {
            counters.answered(&format!("/route-{number:04}"), 200);
        }
        counters.answered("/route-0000", 200);
        let answers = counters.answers();
        assert_eq!(answers.len(), ANSWERS_MAX + 1);
        assert_eq!(answers.iter().map(|(_, count)| count).sum::<u64>(), ANSWERS_MAX as u64 + 51);
        let count =
            |route: &str| answers.iter().find(|((name, _), _)| name == route).map(|(_, count)| *count);
        assert_eq!((count("/route-0000"), count(OTHER_ROUTE)), (Some(2), Some(50)));
    }
}
