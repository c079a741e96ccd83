//! [`Visits`]: how often all the subscribers of a list took an event, counted once for all of them.
//!
//! The thread that counts writes with plain stores; others only read. What was counted is settled with
//! the subscriptions when the thread no longer uses the registry that it was counted for.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;

use super::{
    registry::{LISTS, Registry},
    slot::Slot,
};

/// What one thread counted of one state of the registry.
pub(super) struct Visits {
    registry: Arc<Registry>,
    by_list: [AtomicU64; LISTS],
}

impl Visits {
    pub(super) fn of(registry: &Arc<Registry>) -> Arc<Self> {
        Arc::new(Self { registry: Arc::clone(registry), by_list: Default::default() })
    }

    /// Counts that every subscriber of a list took an event.
    #[inline]
    pub(super) fn count(&self, list: usize) {
        let counter = &self.by_list[list];
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn of_slot(&self, slot: &Slot) -> u64 {
        let counts = self.by_list.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        let visited = counts.filter(|&(list, count)| count > 0 && self.registry.list(list).contains(slot.id));
        visited.map(|(_, count)| count).sum()
    }

    /// Gives each subscription what was counted for it. Nobody counts meanwhile.
    fn settle(&self) {
        for (list, count) in self.by_list.iter().enumerate() {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                self.registry.list(list).each(|slot| slot.settle_delivered(count));
            }
        }
    }
}

/// The visits of one thread that are not settled yet: of the registry as it is, and of those that
/// publishes still use which began before.
#[derive(Default)]
pub(super) struct Unsettled(Mutex<Vec<Arc<Visits>>>);

impl Unsettled {
    pub(super) fn add(&self, visits: &Arc<Visits>) {
        self.0.lock().push(Arc::clone(visits));
    }

    /// Settles what the thread no longer uses. Only that thread does it.
    pub(super) fn settle_unused(&self) {
        let settled: Vec<_> = {
            let mut unsettled = self.0.lock();
            let unused = |visits: &mut Arc<Visits>| Arc::strong_count(visits) == 1;
            unsettled.extract_if(.., unused).inspect(|visits| visits.settle()).collect()
        };
        // Dropped here, outside the lock: a closure that ends may publish or subscribe.
        drop(settled);
    }

    /// Settles everything, while no thread publishes and none will.
    pub(super) fn settle_all(&self) {
        self.0.lock().iter().for_each(|visits| visits.settle());
    }

    /// How often the subscription was visited, and `f` of that, while nothing is settled.
    pub(super) fn with<R>(all: &[&Self], slot: &Slot, f: impl FnOnce(u64) -> R) -> R {
        let held: Vec<_> = all.iter().map(|unsettled| unsettled.0.lock()).collect();
        f(held.iter().flat_map(|visits| visits.iter()).map(|visits| visits.of_slot(slot)).sum())
    }
}
