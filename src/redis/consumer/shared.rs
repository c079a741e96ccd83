//! [`Shared`]: what the threads of a consumer share: what is in hand, what is to be settled, and what
//! there is to tell.
//!
//! One lock, held for moments, never while a handler runs or Redis is asked.

use std::{sync::Arc, time::Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{
    delivery::{Delivery, Key},
    leases::Wish,
    outcome::{End, Outcome},
    scripts::{Caller, Held},
    setup::Setup,
    source::{Place, Source},
    state::{Arrival, Left, Settled, State, Thread},
    status::{ConsumerCounts, ConsumerStatus},
};
use crate::{error::Error, redis::EntryId};

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) setup: Setup,
    state: Mutex<State>,
    /// There is something for a worker.
    work: Condvar,
    /// There is room, or something else for the reader.
    room: Condvar,
    /// There is something to settle.
    settled: Condvar,
    /// A thread has ended, or the last delivery was settled.
    ended: Condvar,
}

impl Shared {
    pub(super) fn new(setup: Setup) -> Self {
        let state = State::new(&setup);
        Self {
            setup,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            settled: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Takes entries in, in their order.
    pub(super) fn take_in(&self, arrivals: Vec<Arrival>) {
        if arrivals.is_empty() {
            return;
        }
        self.take(&mut self.state.lock(), arrivals);
    }

    /// As [`take_in`](Self::take_in), of what was asked for in a term of the source, unless that is over.
    pub(super) fn take_in_term(
        &self,
        (source, term): (&Source, u64),
        arrivals: Vec<Arrival>,
        note: impl FnOnce(&mut Place),
    ) {
        let mut state = self.state.lock();
        if state.places[source.number].term == term {
            note(&mut state.places[source.number]);
            self.take(&mut state, arrivals);
        }
    }

    fn take(&self, state: &mut State, arrivals: Vec<Arrival>) {
        let outcomes_before = state.outcomes.len();
        state.take_in(arrivals);
        self.call_workers(state);
        if state.outcomes.len() > outcomes_before {
            self.settled.notify_all();
        }
    }

    /// Wakes as many workers as have something to do.
    fn call_workers(&self, state: &State) {
        for _ in 0..state.board.ready().min(state.idle_workers) {
            self.work.notify_one();
        }
    }

    /// The next delivery for a worker, who waits for it until the deadline; `None` then, and when the
    /// consumer stops.
    pub(super) fn next(&self, deadline: Option<Instant>) -> Option<Box<Delivery>> {
        let mut state = self.state.lock();
        loop {
            if state.is_stopping {
                return None;
            }
            let next = state.next_of_board(&self.setup);
            // What was handled before was passed over, and is to be acked.
            if !state.outcomes.is_empty() {
                self.settled.notify_one();
            }
            if next.is_some() {
                return next;
            }
            state.idle_workers += 1;
            let is_over = match deadline {
                Some(deadline) => self.work.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.work.wait(&mut state);
                    false
                }
            };
            state.idle_workers -= 1;
            if is_over {
                return state.next_of_board(&self.setup).filter(|_| !state.is_stopping);
            }
        }
    }

    /// Another delivery for a worker that has one already: none that it would have to wait for.
    #[cfg(feature = "sqlite")]
    pub(super) fn next_ready(&self) -> Option<Box<Delivery>> {
        let mut state = self.state.lock();
        if state.is_stopping { None } else { state.next_of_board(&self.setup) }
    }

    /// A worker is done with a delivery.
    pub(super) fn settle(
        &self,
        delivery: &Delivery,
        outcome: Outcome,
        count: impl FnOnce(&mut ConsumerCounts),
    ) {
        let mut state = self.state.lock();
        count(&mut state.counts);
        state.running.remove(&delivery.key);
        state.released += usize::from(matches!(outcome.end, End::Release));
        if let End::Done = outcome.end
            && !delivery.is_replay
        {
            state.seen.note(delivery.key.source, delivery.event.event_id());
        }
        state.outcomes.push(outcome);
        if state.outcomes.len() == 1 {
            self.settled.notify_one();
        }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut ConsumerCounts)) {
        change(&mut self.state.lock().counts);
    }

    /// Waits for outcomes until the deadline, and takes all that there are.
    pub(super) fn wait_for_outcomes(&self, deadline: Instant) -> Vec<Outcome> {
        let mut state = self.state.lock();
        loop {
            if state.is_stopping {
                state.release_unbegun();
            }
            let is_wanted = !state.outcomes.is_empty() || state.is_over();
            if is_wanted || self.settled.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        let outcomes = std::mem::take(&mut state.outcomes);
        state.settling += outcomes.len();
        if !outcomes.is_empty() {
            self.room.notify_all();
        }
        outcomes
    }

    /// Outcomes were settled: what becomes of their entries here.
    pub(super) fn note_settled(&self, settled: &[(Key, Settled)]) {
        if settled.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        for (key, how) in settled {
            match how {
                Settled::Gone => state.board.leave(key),
                Settled::Waits => state.board.fail(key),
            }
        }
        state.settling = state.settling.saturating_sub(settled.len());
        self.call_workers(&state);
        self.room.notify_all();
        self.ended.notify_all();
    }

    /// Entries left that were only waited for.
    pub(super) fn leave(&self, gone: &[Key]) {
        let mut state = self.state.lock();
        for key in gone {
            if !state.board.knows(key) {
                state.board.leave(key);
            }
        }
        self.call_workers(&state);
    }

    /// Entries are another's now, or were deleted: what no worker has of them is let go, and counted.
    pub(super) fn lose(&self, keys: &[Key], count: impl Fn(&mut ConsumerCounts) -> &mut u64) {
        let mut state = self.state.lock();
        for key in keys {
            let is_let_go = state.board.lose(key);
            *count(&mut state.counts) += u64::from(is_let_go);
        }
        self.call_workers(&state);
        self.room.notify_all();
    }

    /// An entry was deleted while it was pending: it is acked, so that nobody looks for it again.
    pub(super) fn settle_deleted(&self, key: Key) {
        let mut state = self.state.lock();
        state.counts.trimmed += 1;
        state.outcomes.push(Outcome { key, has_traces: true, end: End::Done });
    }

    /// As whom the threads speak to Redis now.
    pub(super) fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.state.lock().caller)
    }

    /// A connection was lost, and the server may do yet what was sent over it. Where plans keep their
    /// order that must not happen behind our back: the leases are taken anew, with other tokens. Else
    /// entries that were handed over on it, and never came, are looked for.
    pub(super) fn lose_connection(&self) {
        let mut state = self.state.lock();
        let is_per_plan = self.setup.is_per_plan();
        if is_per_plan {
            state.caller = Arc::new(state.caller.with_next_tokens());
        }
        for place in &mut state.places {
            match is_per_plan {
                true => place.leased_until = None,
                false => place.search_after = Some(EntryId::ZERO),
            }
        }
    }

    /// What to do about the lease of a source now.
    pub(super) fn lease_wish(&self, number: usize, now: Instant) -> Wish {
        let mut state = self.state.lock();
        let is_busy = state.is_busy_with(number);
        let place = &mut state.places[number];
        match place.drained_until {
            None => Wish::Hold,
            // What was begun is told under the lease.
            Some(_) if is_busy => Wish::Hold,
            Some(_) if place.leased_until.take().is_some() => Wish::Free,
            Some(until) if until > now => Wish::Nothing,
            Some(_) => {
                place.drained_until = None;
                Wish::Hold
            }
        }
    }

    /// A source is to be given away: what no handler has begun is left to whoever has it next.
    pub(super) fn drain(&self, number: usize, until: Instant) {
        let mut state = self.state.lock();
        let place = &mut state.places[number];
        if place.drained_until.is_none() {
            place.drained_until = Some(until);
            state.forget_source(number);
        }
    }

    /// The lease of a source is ours until then, or another's.
    pub(super) fn note_lease(&self, number: usize, held: Held, until: Instant) {
        let is_new = self.state.lock().note_lease(number, held, until);
        if is_new {
            self.room.notify_all();
            self.ended.notify_all();
        }
    }

    /// What waits behind handlers that do not end is given back: others of the group may be free.
    pub(super) fn release_stuck(&self) {
        let mut state = self.state.lock();
        if state.is_stuck(&self.setup) && !self.setup.is_per_plan() {
            state.release_unbegun();
        }
    }

    /// Waits until there is room for entries, at most until the deadline; how many. `room` says for what.
    pub(super) fn wait_for_room(&self, deadline: Instant, room: fn(&State, &Setup) -> usize) -> usize {
        let mut state = self.state.lock();
        loop {
            let room = room(&state, &self.setup);
            if room > 0 || state.is_stopping || self.room.wait_until(&mut state, deadline).timed_out() {
                return room;
            }
        }
    }

    /// Waits until the deadline, unless the consumer stops before.
    pub(super) fn pause(&self, deadline: Instant) {
        let mut state = self.state.lock();
        while !state.is_stopping && !self.ended.wait_until(&mut state, deadline).timed_out() {}
    }

    /// Waits until the deadline, unless all is settled before, or nobody waits for it any more.
    pub(super) fn pause_settling(&self, deadline: Instant) {
        let mut state = self.state.lock();
        while !state.is_over() && !self.ended.wait_until(&mut state, deadline).timed_out() {}
    }

    /// The sources that are there.
    pub(super) fn sources(&self) -> Vec<Arc<Source>> {
        let state = self.state.lock();
        let there = state.places.iter().filter(|place| place.is_there);
        there.map(|place| Arc::clone(&place.source)).collect()
    }

    /// What a thread has to say of Redis, or of the inbox: that it is well, or what is wrong.
    pub(super) fn tell(&self, thread: Thread, trouble: Option<Error>) {
        let mut state = self.state.lock();
        state.is_begun |= trouble.is_none() && thread == Thread::Reader;
        let known = &mut state.troubles[thread as usize];
        if let Some(error) = &trouble {
            let is_news = known.as_ref().is_none_or(|known| known.to_string() != error.to_string());
            if is_news {
                let consumer = self.setup.caller.consumer.as_str();
                tracing::warn!(consumer, %error, cause = ?error, "planbus.consume");
            }
        }
        *known = trouble;
    }

    pub(super) fn status(&self) -> ConsumerStatus {
        self.state.lock().status(&self.setup)
    }

    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.work.notify_all();
        self.room.notify_all();
        self.settled.notify_all();
        self.ended.notify_all();
    }

    /// The reader has ended: nothing comes any more that would have to be given back.
    pub(super) fn note_read(&self) {
        self.state.lock().is_reading = false;
        self.settled.notify_all();
        self.ended.notify_all();
    }

    /// The deadline has passed: what is not settled now stays as it is.
    pub(super) fn give_up(&self) {
        self.state.lock().is_given_up = true;
        self.settled.notify_all();
        self.ended.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    /// Whether nothing is left to settle, or nobody waits for it any more.
    pub(super) fn is_settled(&self) -> bool {
        self.state.lock().is_over()
    }

    /// Waits until all is settled or the deadline passes: what is left then.
    pub(super) fn wait_until_settled(&self, deadline: Instant) -> Left {
        let mut state = self.state.lock();
        while !state.left().is_nothing() && !self.ended.wait_until(&mut state, deadline).timed_out() {}
        state.left()
    }

    /// How many deliveries were given back.
    pub(super) fn released(&self) -> usize {
        self.state.lock().released
    }

    pub(super) fn note_stopped(&self) {
        self.state.lock().is_stopped = true;
    }

    /// Lets the reader look again, and threads that wait for an end.
    pub(super) fn call_all(&self) {
        self.room.notify_all();
        self.ended.notify_all();
        self.work.notify_all();
    }
}
