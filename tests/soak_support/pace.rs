//! [`Pace`]: when a publisher publishes, so that all of them together keep a rate.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How much of what a publisher could not do in time it does later.
const DEBT_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Order {
    /// So many events are to come at once.
    burst: u64,
    /// Between one publisher's events; without it nobody publishes.
    gap: Option<Duration>,
    is_over: bool,
}

/// When publishers publish.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    order: Mutex<Order>,
    changed: Condvar,
}

impl Pace {
    /// Lets so many events come at once.
    pub(crate) fn burst(&self, events: u64) {
        self.lock().burst += events;
        self.changed.notify_all();
    }

    /// Lets each publisher publish at this distance from now on.
    pub(crate) fn keep(&self, gap: Option<Duration>) {
        self.lock().gap = gap;
        self.changed.notify_all();
    }

    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Waits until so many events may be published; `false` when no more are to be. `due` is the
    /// publisher's own, and moves on with each call.
    pub(crate) fn next(&self, events: u64, due: &mut Instant) -> bool {
        let mut order = self.lock();
        loop {
            let now = Instant::now();
            if order.is_over {
                return false;
            }
            if order.burst > 0 {
                order.burst = order.burst.saturating_sub(events);
                return true;
            }
            let Some(gap) = order.gap else {
                order = self.changed.wait(order).unwrap_or_else(PoisonError::into_inner);
                *due = Instant::now();
                continue;
            };
            let Some(left) = due.checked_duration_since(now).filter(|left| !left.is_zero()) else {
                let oldest = now.checked_sub(DEBT_MAX).unwrap_or(now);
                *due = oldest.max(*due) + gap * events.try_into().unwrap_or(u32::MAX);
                return true;
            };
            order = self.changed.wait_timeout(order, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
