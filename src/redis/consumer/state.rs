//! [`State`]: what the threads of a consumer know together, behind one lock.
//!
//! It decides what is next and what there is room for; it wakes nobody and asks nobody.

use std::{collections::HashMap, sync::Arc, time::Instant};

use super::{
    board::{Board, Plan},
    delivery::{Delivery, Key},
    outcome::{End, Outcome},
    scripts::{Caller, Held},
    seen::Seen,
    setup::Setup,
    source::Place,
    status::{ConsumerCounts, ConsumerState, ConsumerStatus},
};
use crate::{
    error::Error,
    redis::{EntryId, dead_letters::DeadLetterReason},
};

/// The most outcomes that wait for Redis before nothing more is read.
const OUTCOMES_MAX: usize = 10_000;

/// What the threads know together.
#[derive(Debug)]
pub(super) struct State {
    pub(super) board: Board,
    pub(super) places: Vec<Place>,
    /// As whom the threads speak to Redis.
    pub(super) caller: Arc<Caller>,
    pub(super) counts: ConsumerCounts,
    pub(super) seen: Seen,
    pub(super) outcomes: Vec<Outcome>,
    /// How many outcomes the keeper has taken and not settled yet.
    pub(super) settling: usize,
    /// The deliveries that are with handlers: since when, and whether they were reported.
    pub(super) running: HashMap<Key, (Instant, bool), foldhash::fast::RandomState>,
    /// How many deliveries were given back.
    pub(super) released: usize,
    /// How many workers wait for something to do.
    pub(super) idle_workers: usize,
    pub(super) is_begun: bool,
    /// The reader may still bring something.
    pub(super) is_reading: bool,
    pub(super) is_stopping: bool,
    pub(super) is_given_up: bool,
    pub(super) is_stopped: bool,
    /// What went wrong last, by the thread that it happened to.
    pub(super) troubles: [Option<Error>; Thread::COUNT],
}

/// Who has trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thread {
    Reader,
    Keeper,
    Inbox,
}

impl Thread {
    const COUNT: usize = 3;
}

/// What becomes of an entry that has come.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It is to be handled.
    Handle { delivery: Box<Delivery>, plan: Option<Plan>, is_retry: bool },
    /// It waits for its time, and its plan with it.
    Wait { key: Key, plan: Plan },
    /// It needs no handler.
    Settle(Outcome),
}

/// What becomes of an entry here once Redis was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is done with, or another's.
    Gone,
    /// It waits for its time.
    Waits,
}

/// What a consumer that stops waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// Deliveries with handlers.
    pub(super) running: usize,
    /// Outcomes that Redis was not told of.
    pub(super) unsettled: usize,
    /// What is still to be given back, or may come yet.
    unread: usize,
}

impl Left {
    pub(super) fn is_nothing(self) -> bool {
        self.running + self.unsettled + self.unread == 0
    }
}

impl State {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            board: Board::new(setup.limits),
            places: Vec::new(),
            caller: Arc::new(setup.caller.clone()),
            counts: ConsumerCounts::default(),
            seen: Seen::new(setup.dedupe),
            outcomes: Vec::new(),
            settling: 0,
            running: HashMap::default(),
            released: 0,
            idle_workers: 0,
            is_begun: false,
            is_reading: true,
            is_stopping: false,
            is_given_up: false,
            is_stopped: false,
            troubles: [const { None }; Thread::COUNT],
        }
    }

    pub(super) fn status(&self, setup: &Setup) -> ConsumerStatus {
        let trouble = self.troubles.iter().flatten().next().cloned();
        let now = Instant::now();
        ConsumerStatus {
            state: match &trouble {
                _ if self.is_stopped => ConsumerState::Stopped,
                _ if self.is_stopping => ConsumerState::Stopping,
                Some(error) if error.is_transient() => ConsumerState::Retrying,
                Some(_) => ConsumerState::Blocked,
                None if self.is_begun => ConsumerState::Live,
                None => ConsumerState::Starting,
            },
            group: setup.caller.group.clone(),
            consumer: setup.caller.consumer.clone(),
            streams: self.places.iter().filter(|place| place.is_there && !place.source.is_replay).count(),
            leases: self
                .places
                .iter()
                .filter(|place| !place.source.is_replay && place.leased_until > Some(now))
                .count(),
            ready: self.board.ready(),
            busy: self.running.len() + self.outcomes.len() + self.settling,
            parked: self.board.in_line(),
            counts: self.counts,
            last_error: trouble,
        }
    }

    /// The next delivery; what was handled before is settled on the way.
    pub(super) fn next_of_board(&mut self, setup: &Setup) -> Option<Box<Delivery>> {
        loop {
            let delivery = self.board.next()?;
            if !self.places[delivery.key.source].is_open(setup.ordering) {
                // The stream is another's, or will be, and this with it.
                self.board.leave(&delivery.key);
                self.forget_source(delivery.key.source);
                continue;
            }
            if delivery.is_replay || !self.seen.has(delivery.key.source, delivery.event.event_id()) {
                self.running.insert(delivery.key, (Instant::now(), false));
                return Some(delivery);
            }
            self.counts.duplicates += 1;
            self.outcomes.push(Outcome::of(&delivery, End::Done));
        }
    }

    /// Takes entries in, in their order.
    pub(super) fn take_in(&mut self, arrivals: Vec<Arrival>) {
        for arrival in arrivals {
            match arrival {
                Arrival::Handle { mut delivery, plan, is_retry } => {
                    if let (Some(store), Some(seq)) = (&delivery.store, delivery.event.seq()) {
                        let place = &mut self.places[delivery.key.source];
                        delivery.comes_again = place.comes_again(store, seq);
                    }
                    self.board.arrive(delivery, plan, is_retry);
                }
                Arrival::Wait { key, plan } => self.board.wait_for(key, plan),
                Arrival::Settle(outcome) => self.settle_at_once(outcome),
            }
        }
    }

    /// The lease of a source is ours until then, or another's; whether it became ours.
    pub(super) fn note_lease(&mut self, number: usize, held: Held, until: Instant) -> bool {
        let place = &mut self.places[number];
        let was_ours = place.leased_until.is_some();
        let is_ours = held != Held::Anothers;
        place.leased_until = is_ours.then_some(until);
        let is_new = is_ours && (!was_ours || matches!(held, Held::Ours { is_new: true, .. }));
        if is_new || !is_ours {
            self.forget_source(number);
        }
        is_new
    }

    /// Forgets what no worker has of a source. All of it is searched for before anything new is read.
    pub(super) fn forget_source(&mut self, number: usize) {
        self.board.forget_source(number);
        let place = &mut self.places[number];
        (place.search_after, place.last_read) = (Some(EntryId::ZERO), EntryId::ZERO);
        place.term += 1;
    }

    /// Nobody has to handle it.
    pub(super) fn settle_at_once(&mut self, outcome: Outcome) {
        if !self.board.hold(outcome.key) {
            return;
        }
        match &outcome.end {
            End::Bury(grave) if grave.reason == DeadLetterReason::Undecodable => self.counts.undecodable += 1,
            End::Done => self.counts.filtered += 1,
            _ => {}
        }
        self.outcomes.push(outcome);
    }

    /// Whether anything of a source is with a handler, or not told yet.
    pub(super) fn is_busy_with(&self, source: usize) -> bool {
        !self.board.in_hand(source).is_empty()
    }

    /// How many entries may come.
    pub(super) fn room(&self, setup: &Setup) -> usize {
        self.room_to_search(setup).min(self.board.room())
    }

    /// How many entries may come that were delivered before. That many wait behind others is no reason
    /// to leave them: what those wait for may be among them.
    pub(super) fn room_to_search(&self, setup: &Setup) -> usize {
        if self.outcomes.len() >= OUTCOMES_MAX || self.is_stuck(setup) {
            0
        } else {
            self.board.room_in_full()
        }
    }

    /// Every worker has been with its handler for as long as others wait for a sign of life.
    pub(super) fn is_stuck(&self, setup: &Setup) -> bool {
        let is_long = |(since, _): &(Instant, bool)| since.elapsed() > setup.claim_idle;
        setup.workers > 0 && self.running.len() >= setup.workers && self.running.values().all(is_long)
    }

    pub(super) fn release_unbegun(&mut self) {
        for key in self.board.take_unbegun() {
            self.released += 1;
            self.outcomes.push(Outcome { key, has_traces: false, end: End::Release });
        }
    }

    /// Nothing is left to settle, or nobody waits for it any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_given_up || (self.is_stopping && self.left().is_nothing())
    }

    /// What a consumer that stops waits for.
    pub(super) fn left(&self) -> Left {
        Left {
            running: self.running.len(),
            unsettled: self.outcomes.len() + self.settling,
            unread: usize::from(self.is_reading) + self.board.ready(),
        }
    }
}
