//! The queue of the group commit: leader and followers.
//!
//! Whoever comes while nobody commits leads: it commits its own request with all that wait, in
//! one transaction. Whoever comes while somebody commits waits, and is either served by the next
//! leader or becomes it. Only those whose request was answered are woken, and the next leader.
//!
//! No SQLite here: the work is a trait, so that loom can check every interleaving.

use std::{collections::VecDeque, mem, sync::Arc};

use crate::sync::{Condvar, Mutex};

/// What the leader does, alone at any time.
pub(super) trait Work<T, R> {
    /// Serves the requests; one answer for each, in their order.
    fn serve(&self, batch: Vec<T>) -> Vec<R>;
    /// Whether there is something left to do that no request waits for.
    fn has_chore(&self) -> bool {
        false
    }
    /// Does it.
    fn chore(&self) {}
}

/// How much a request adds to a transaction; also the limit of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    /// The queue was closed before.
    Closed,
    /// The leader panicked with the request in its hands: nobody knows what became of it.
    Abandoned,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<T, R> {
    state: Mutex<State<T, R>>,
    /// Nobody leads any more.
    idle: Condvar,
    /// The most that one transaction takes; a single request may be larger.
    limit: Weight,
}

#[derive(Debug)]
struct State<T, R> {
    /// Empty while nobody leads.
    waiting: VecDeque<Entry<T, R>>,
    is_led: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Entry<T, R> {
    request: T,
    weight: Weight,
    waiter: Arc<Waiter<R>>,
}

/// A publisher that waits.
#[derive(Debug)]
struct Waiter<R> {
    turn: Mutex<Turn<R>>,
    changed: Condvar,
}

#[derive(Debug)]
enum Turn<R> {
    Wait,
    Lead,
    Served(R),
    Abandoned,
}

impl<R> Waiter<R> {
    fn new() -> Self {
        Self { turn: Mutex::new(Turn::Wait), changed: Condvar::default() }
    }

    fn give(&self, turn: Turn<R>) {
        *self.turn.lock() = turn;
        self.changed.notify_all();
    }

    fn wait(&self) -> Turn<R> {
        let mut turn = self.turn.lock();
        loop {
            match mem::replace(&mut *turn, Turn::Wait) {
                Turn::Wait => turn = self.changed.wait(turn),
                given => return given,
            }
        }
    }
}

impl<T, R> Queue<T, R> {
    pub(super) fn new(limit: Weight) -> Self {
        let state = State { waiting: VecDeque::new(), is_led: false, is_closed: false };
        Self { state: Mutex::new(state), idle: Condvar::default(), limit }
    }

    /// Has a request served, by this thread or another, and returns its answer.
    pub(super) fn submit(&self, request: T, weight: Weight, work: &impl Work<T, R>) -> Result<R, Unserved> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(Unserved::Closed);
        }
        if !state.is_led {
            state.is_led = true;
            drop(state);
            return self.lead(vec![request], Vec::new(), work);
        }
        let waiter = Arc::new(Waiter::new());
        state.waiting.push_back(Entry { request, weight, waiter: Arc::clone(&waiter) });
        drop(state);
        match waiter.wait() {
            Turn::Served(answer) => Ok(answer),
            Turn::Lead => {
                let (batch, followers) = self.take_batch();
                self.lead(batch, followers, work)
            }
            Turn::Abandoned | Turn::Wait => Err(Unserved::Abandoned),
        }
    }

    /// Refuses requests from now on, and waits until those that were accepted are served.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        while state.is_led {
            state = self.idle.wait(state);
        }
    }

    /// Takes the new leader's own request, which is the first, and what fits beside it.
    fn take_batch(&self) -> (Vec<T>, Vec<Arc<Waiter<R>>>) {
        let mut state = self.state.lock();
        let mut batch = Vec::with_capacity(state.waiting.len());
        let mut followers = Vec::with_capacity(state.waiting.len());
        let mut left = self.limit;
        while let Some(entry) = state.waiting.front() {
            let fits = entry.weight.rows <= left.rows && entry.weight.bytes <= left.bytes;
            if !fits && !batch.is_empty() {
                break;
            }
            left.rows = left.rows.saturating_sub(entry.weight.rows);
            left.bytes = left.bytes.saturating_sub(entry.weight.bytes);
            if let Some(entry) = state.waiting.pop_front() {
                if !batch.is_empty() {
                    followers.push(entry.waiter);
                }
                batch.push(entry.request);
            }
        }
        (batch, followers)
    }

    /// Serves a batch whose first request is the leader's own.
    fn lead(
        &self,
        batch: Vec<T>,
        followers: Vec<Arc<Waiter<R>>>,
        work: &impl Work<T, R>,
    ) -> Result<R, Unserved> {
        let mut leadership = Leadership { queue: self, followers: followers.into(), is_over: false };
        let mut answers = work.serve(batch).into_iter();
        let own = answers.next();
        if work.has_chore() {
            leadership.answer(answers);
            work.chore();
            leadership.hand_over();
        } else {
            // The next commit begins while this thread wakes the ones that were served.
            leadership.hand_over();
            leadership.answer(answers);
        }
        own.ok_or(Unserved::Abandoned)
    }
}

/// The duty to answer the followers and to find a successor, which a panic does not end.
struct Leadership<'a, T, R> {
    queue: &'a Queue<T, R>,
    followers: VecDeque<Arc<Waiter<R>>>,
    is_over: bool,
}

impl<T, R> Leadership<'_, T, R> {
    fn answer(&mut self, answers: impl Iterator<Item = R>) {
        for answer in answers {
            if let Some(follower) = self.followers.pop_front() {
                follower.give(Turn::Served(answer));
            }
        }
    }

    fn hand_over(&mut self) {
        self.is_over = true;
        let mut state = self.queue.state.lock();
        match state.waiting.front() {
            Some(next) => {
                let next = Arc::clone(&next.waiter);
                drop(state);
                next.give(Turn::Lead);
            }
            None => {
                state.is_led = false;
                drop(state);
                self.queue.idle.notify_all();
            }
        }
    }
}

impl<T, R> Drop for Leadership<'_, T, R> {
    fn drop(&mut self) {
        if !self.is_over {
            self.hand_over();
        }
        for follower in self.followers.drain(..) {
            follower.give(Turn::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests;
