//! Wakes the tails of the owner's process when the log grows.
//!
//! Holds the last committed seq. It never reads the log.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// The head of the log as this process committed it, to wait for.
#[derive(Debug)]
pub(super) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    head: u64,
    calls: Calls,
}

/// How often [`Signal::wake`] was called; a waiter compares it with what it saw last, so that a
/// call between two waits is not lost.
pub(super) type Calls = u64;

impl Signal {
    pub(super) fn new(head: u64) -> Self {
        Self { state: Mutex::new(State { head, calls: 0 }), changed: Condvar::new() }
    }

    pub(super) fn head(&self) -> u64 {
        self.state.lock().head
    }

    pub(super) fn calls(&self) -> Calls {
        self.state.lock().calls
    }

    pub(super) fn advance(&self, head: u64) {
        let mut state = self.state.lock();
        if state.head < head {
            state.head = head;
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Ends the present or next wait of everybody.
    pub(super) fn wake(&self) {
        self.state.lock().calls += 1;
        self.changed.notify_all();
    }

    /// Waits until the log is longer than `seq`, or there was a call after `seen`, or the deadline
    /// passes.
    pub(super) fn wait(&self, seq: u64, seen: Calls, deadline: Option<Instant>) {
        let mut state = self.state.lock();
        while state.head <= seq && state.calls == seen {
            match deadline {
                Some(deadline) => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() {
                        return;
                    }
                }
                None => self.changed.wait(&mut state),
            }
        }
    }
}
