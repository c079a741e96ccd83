//! [`Core`]: what all handles of a bus share, and the only place that changes the registry.

use std::{
    collections::BTreeMap,
    fmt,
    panic::Location,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    barrier,
    dispatch::Policy,
    lane::{Lanes, Running},
    registry::Registry,
    slot::{Handler, Slot, SubscriptionId},
    snapshot::{Sealed, Snapshot},
};
#[cfg(feature = "sqlite")]
use crate::store::EventStore;
use crate::{
    error::{Error, ErrorKind, Result},
    event::Draft,
    filter::CompiledFilter,
};

pub(super) type RedactHook = Box<dyn Fn(&mut Draft<'_>) -> Result<()> + Send + Sync>;

static NEXT_BUS: AtomicU64 = AtomicU64::new(1);

/// The shared part of a bus.
pub(super) struct Core {
    /// Names the bus in the lanes of threads.
    id: u64,
    registry: Snapshot<Registry>,
    lanes: Lanes,
    slots: Mutex<Slots>,
    pub(super) options: Options,
}

/// What a builder decided.
pub(super) struct Options {
    pub(super) policy: Policy,
    pub(super) redact: Option<RedactHook>,
    pub(super) depth_max: usize,
    #[cfg(feature = "sqlite")]
    pub(super) store: Option<EventStore>,
}

/// All subscriptions by id.
#[derive(Default)]
struct Slots {
    next_id: u64,
    by_id: BTreeMap<SubscriptionId, Arc<Slot>>,
}

impl Core {
    pub(super) fn new(options: Options) -> Self {
        barrier::prepare();
        Self {
            id: NEXT_BUS.fetch_add(1, Ordering::Relaxed),
            registry: Snapshot::new(Registry::default()),
            lanes: Lanes::default(),
            slots: Mutex::default(),
            options,
        }
    }

    /// Begins a publish of this thread.
    #[inline]
    pub(super) fn enter(&self) -> Result<Running<'_>> {
        self.lanes.enter(self.id, &self.registry).map_err(|Sealed| closed("publish"))
    }

    pub(super) fn subscribe(
        &self,
        filter: CompiledFilter,
        handler: Handler,
        location: &'static Location<'static>,
        on_end: Option<Box<dyn FnOnce() + Send>>,
    ) -> Result<Arc<Slot>> {
        // Ids and the registry change together, so that lists stay in the order of ids.
        let mut slots = self.slots.lock();
        slots.next_id += 1;
        let slot = Arc::new(Slot::new(SubscriptionId(slots.next_id), filter, handler, location, on_end));
        self.registry.update(|registry| registry.insert(&slot)).map_err(|Sealed| closed("subscribe"))?;
        slots.by_id.insert(slot.id, Arc::clone(&slot));
        Ok(slot)
    }

    /// Ends a subscription; says whether it was there.
    pub(super) fn unsubscribe(&self, id: SubscriptionId) -> bool {
        let Some(slot) = self.slots.lock().by_id.remove(&id) else { return false };
        slot.end();
        // Sealed: the registry is empty already.
        let _ = self.registry.update(|registry| registry.remove(&slot));
        self.lanes.refresh(self.id, &self.registry);
        // The slot, and with it the closure, is dropped last, outside every lock.
        true
    }

    /// Ends the bus: no publish begins, those that run are waited for, then all subscriptions end.
    pub(super) fn close(&self) {
        let Some(registry) = self.registry.seal(Registry::default()) else {
            self.lanes.wait_idle(self.id);
            return;
        };
        self.lanes.wait_idle(self.id);
        let slots = std::mem::take(&mut self.slots.lock().by_id);
        for slot in slots.values() {
            slot.end();
        }
        drop(registry);
        #[cfg(feature = "sqlite")]
        if let Some(store) = &self.options.store {
            store.wake_tails();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.registry.is_sealed()
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Calls `f` with every subscription, in the order in which they subscribed.
    pub(super) fn slots<R>(&self, f: impl Fn(&Slot) -> R) -> Vec<R> {
        let slots: Vec<Arc<Slot>> = self.slots.lock().by_id.values().cloned().collect();
        slots.iter().map(|slot| f(slot)).collect()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.close();
    }
}

#[cold]
pub(super) fn closed(what: &str) -> Error {
    Error::new(ErrorKind::Closed, format!("cannot {what}: the bus is closed"))
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("EventBus");
        debug.field("subscriptions", &self.slots.lock().by_id.len()).field("closed", &self.is_closed());
        #[cfg(feature = "sqlite")]
        debug.field("store", &self.options.store);
        debug.finish_non_exhaustive()
    }
}
