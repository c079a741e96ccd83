//! What the mirror's thread and its handles share: requests in one direction, news in the other.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::status::{MirrorState, StreamTrouble};
use crate::{error::Error, redis::ServerInfo, store::Skipped};

/// What is shared.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    news: News,
    /// The first request that nobody has made yet; [`News::answered`] counts up to it.
    requests: u64,
    /// The seq that the requests wait for.
    wanted: u64,
    /// How many requests the thread knows of while it waits to try again.
    heard: u64,
    is_stopped: bool,
}

/// What the thread has to tell.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) state: MirrorState,
    pub(super) seq: u64,
    pub(super) is_compared: bool,
    pub(super) appended: u64,
    pub(super) streams: usize,
    pub(super) skipped: Vec<Skipped>,
    pub(super) troubled: Vec<StreamTrouble>,
    pub(super) trim_held_by: Vec<(String, String)>,
    pub(super) last_error: Option<Error>,
    pub(super) server: Option<ServerInfo>,
    /// How many requests have been looked at, since they were made.
    pub(super) looked: u64,
    /// How many requests were answered: Redis equalled the log up to what they wanted.
    pub(super) answered: u64,
}

/// A request to see that Redis has all events up to a seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    number: u64,
    pub(super) wanted: u64,
}

impl Shared {
    pub(super) fn new(seq: u64) -> Self {
        let news = News {
            state: MirrorState::CatchingUp,
            seq,
            is_compared: false,
            appended: 0,
            streams: 0,
            skipped: Vec::new(),
            troubled: Vec::new(),
            trim_held_by: Vec::new(),
            last_error: None,
            server: None,
            looked: 0,
            answered: 0,
        };
        let state = State { news, requests: 0, wanted: 0, heard: 0, is_stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn news(&self) -> News {
        self.state.lock().news.clone()
    }

    pub(super) fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.state.lock().news);
        self.changed.notify_all();
    }

    /// Asks for a check that Redis has all up to `seq`.
    pub(super) fn request(&self, seq: u64) -> Request {
        let mut state = self.state.lock();
        state.requests += 1;
        state.wanted = state.wanted.max(seq);
        self.changed.notify_all();
        Request { number: state.requests, wanted: state.wanted }
    }

    /// The last request, unless it was answered, be it that it cannot be done now.
    pub(super) fn open_request(&self) -> Option<Request> {
        let state = self.state.lock();
        let is_open = state.requests > state.news.answered.max(state.news.looked);
        is_open.then_some(Request { number: state.requests, wanted: state.wanted })
    }

    /// As [`open_request`](Self::open_request), and it is no longer [new](Self::has_new_request).
    pub(super) fn hear(&self) -> Option<Request> {
        let mut state = self.state.lock();
        state.heard = state.requests;
        drop(state);
        self.open_request()
    }

    /// A request was looked at, and so were all that came before it; `is_answered` when Redis has
    /// what they want.
    pub(super) fn answer(&self, request: Request, is_answered: bool) {
        self.tell(|news| {
            news.looked = news.looked.max(request.number);
            if is_answered {
                news.answered = news.answered.max(request.number);
            }
        });
    }

    /// Waits until the request is answered, the mirror is in a state that it does not leave by
    /// itself, or the deadline passes; says how it stands.
    pub(super) fn wait_for(&self, request: Request, deadline: Option<Instant>) -> (bool, News) {
        let mut state = self.state.lock();
        loop {
            let is_answered = state.news.answered >= request.number;
            let is_stuck = match state.news.state {
                MirrorState::Blocked | MirrorState::Forked => state.news.looked >= request.number,
                state => state == MirrorState::Stopped,
            };
            if is_answered || is_stuck {
                return (is_answered, state.news.clone());
            }
            match deadline {
                Some(deadline) => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() {
                        return (state.news.answered >= request.number, state.news.clone());
                    }
                }
                None => self.changed.wait(&mut state),
            }
        }
    }

    pub(super) fn stop(&self) {
        self.state.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Waits until the deadline, unless somebody stops the mirror or asks before.
    pub(super) fn wait_until(&self, deadline: Instant) {
        let mut state = self.state.lock();
        if !state.is_stopped && state.requests == state.heard {
            self.changed.wait_until(&mut state, deadline);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.lock().is_stopped
    }

    /// Whether somebody asked since the thread last [heard](Self::hear).
    pub(super) fn has_new_request(&self) -> bool {
        let state = self.state.lock();
        state.requests > state.heard
    }
}
