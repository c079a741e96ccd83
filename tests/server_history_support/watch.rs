//! [`Watch`]: how far a history is, for the clients that wait for it to go on.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::store_support::LIMIT;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stage {
    /// The last seq that is known to be in the log.
    pub(crate) head: u64,
    /// Nobody breaks anything any more.
    pub(crate) is_calm: bool,
}

/// How far a history is.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Watch {
    pub(crate) fn set_head(&self, head: u64) {
        self.lock().head = head;
        self.changed.notify_all();
    }

    pub(crate) fn calm(&self) {
        self.lock().is_calm = true;
        self.changed.notify_all();
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.lock()
    }

    /// Waits until the log has gone on by so many events, or is calm.
    pub(crate) fn wait_for_more(&self, events: u64) {
        let stage = self.lock();
        let until = stage.head + events;
        let waited =
            self.changed.wait_timeout_while(stage, LIMIT, |stage| stage.head < until && !stage.is_calm);
        let is_late = waited.unwrap_or_else(PoisonError::into_inner).1.timed_out();
        assert!(!is_late, "the log does not go on");
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
