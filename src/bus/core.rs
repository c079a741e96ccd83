//! [`Core`]: what all handles of a bus share, and the only place that changes the registry.

use std::{
    collections::BTreeMap,
    fmt,
    panic::Location,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{
    barrier,
    lane::{Lane, Lanes},
    policy::Policy,
    registry::{self, Registry},
    slot::{DeliveryCounts, Handler, Slot, SubscriptionId},
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
/// Counted for all buses, so that the id of one bus names nothing in another.
static NEXT_SUBSCRIPTION: AtomicU64 = AtomicU64::new(1);

/// The shared part of a bus.
pub(super) struct Core {
    /// Names the bus in the lanes of threads.
    id: u64,
    registry: Snapshot<Registry>,
    lanes: Lanes,
    /// All subscriptions.
    slots: Mutex<BTreeMap<SubscriptionId, Arc<Slot>>>,
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

/// A publish that is running; ends when dropped.
pub(super) struct Running<'a> {
    /// Until it ends.
    lane: Option<Rc<Lane>>,
    /// No other publish of the thread and this bus runs.
    is_first: bool,
    core: &'a Core,
}

impl Running<'_> {
    #[inline]
    pub(super) fn lane(&self) -> &Lane {
        self.lane.as_ref().expect("it is given back only when the publish ends")
    }

    /// Ends the publish.
    #[inline]
    pub(super) fn end(mut self) {
        if let Some(lane) = self.lane.take() {
            self.core.leave(lane, self.is_first);
        }
    }

    /// Looks at the registry again, once the events are in the log: whoever subscribed while they were
    /// being committed, and then read the log without them, is called with them.
    #[cfg(feature = "sqlite")]
    pub(super) fn look_again(&mut self) {
        if let Some(lane) = self.core.lanes.look_again(self.lane(), &self.core.registry)
            && let Some(before) = self.lane.replace(lane)
        {
            before.let_go();
        }
    }
}

impl Drop for Running<'_> {
    /// Ends a publish that was refused, or that panicked.
    #[inline]
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.core.abandon(lane, self.is_first);
        }
    }
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
        match self.lanes.enter(self.id, &self.registry) {
            Ok((lane, is_first)) => Ok(Running { lane: Some(lane), is_first, core: self }),
            Err(Sealed) => Err(self.refused()),
        }
    }

    /// A publish came after the close. While it looked it was marked as running: a tail that saw that
    /// waits for its end.
    #[cold]
    fn refused(&self) -> Error {
        self.wake_tails();
        closed("publish")
    }

    #[inline]
    fn leave(&self, lane: Rc<Lane>, is_first: bool) {
        let is_last = lane.end(is_first);
        if !lane.is_current(&self.registry) {
            self.outlived(lane);
        } else if is_last {
            lane.keep();
        }
    }

    #[cold]
    fn abandon(&self, lane: Rc<Lane>, is_first: bool) {
        self.leave(lane, is_first);
    }

    /// A publish ended whose lane is no longer current: somebody subscribed, or the bus was closed.
    #[cold]
    fn outlived(&self, lane: Rc<Lane>) {
        if self.is_closed() {
            self.lanes.notify();
            self.wake_tails();
        }
        Lane::let_go(lane);
    }

    pub(super) fn subscribe(
        &self,
        filter: CompiledFilter,
        handler: Handler,
        location: &'static Location<'static>,
        on_end: Option<Box<dyn FnOnce() + Send>>,
    ) -> Result<Arc<Slot>> {
        let slot;
        let inserted = {
            // Ids and the registry change together, so that lists stay in the order of ids.
            let mut slots = self.slots.lock();
            let id = SubscriptionId(NEXT_SUBSCRIPTION.fetch_add(1, Ordering::Relaxed));
            let is_exact = registry::is_exact(&filter);
            slot = Arc::new(Slot::new(id, filter, is_exact, handler, location, on_end));
            let inserted = self.registry.update(|registry| registry.insert(&slot));
            if inserted.is_ok() {
                slots.insert(id, Arc::clone(&slot));
            }
            inserted
        };
        // A refused closure is dropped here, outside the lock: it may hold subscriptions of its own.
        inserted.map(|()| slot).map_err(|Sealed| closed("subscribe"))
    }

    /// Ends a subscription; says whether it was there.
    pub(super) fn unsubscribe(&self, id: SubscriptionId) -> bool {
        let Some(slot) = self.slots.lock().remove(&id) else { return false };
        slot.end();
        // Sealed: the registry is empty already.
        let _ = self.registry.update(|registry| registry.remove(&slot));
        self.lanes.refresh(self.id, &self.registry);
        // The slot, and with it the closure, is dropped last, outside every lock.
        true
    }

    /// Ends a quarantine; says whether there was one.
    pub(super) fn resume(&self, id: SubscriptionId) -> bool {
        self.slots.lock().get(&id).is_some_and(|slot| slot.resume())
    }

    /// Ends the bus: no publish begins, those that run are waited for, then all subscriptions end.
    pub(super) fn close(&self) {
        let sealed = self.registry.seal(Registry::default());
        self.lanes.wait_idle();
        if sealed.is_some() {
            let slots = std::mem::take(&mut *self.slots.lock());
            slots.values().for_each(|slot| slot.end());
        }
        drop(sealed);
        self.release_thread();
        self.wake_tails();
    }

    /// Lets go of subscriptions that ended and that this thread still keeps.
    pub(super) fn release_thread(&self) {
        self.lanes.refresh(self.id, &self.registry);
    }

    #[inline]
    pub(super) fn has_store(&self) -> bool {
        #[cfg(feature = "sqlite")]
        return self.options.store.is_some();
        #[cfg(not(feature = "sqlite"))]
        false
    }

    pub(super) fn is_closed(&self) -> bool {
        self.registry.is_sealed()
    }

    /// Whether the bus is closed and everything that was being published then is done.
    #[cfg(feature = "sqlite")]
    pub(super) fn is_drained(&self) -> bool {
        self.lanes.is_drained()
    }

    fn wake_tails(&self) {
        #[cfg(feature = "sqlite")]
        if let Some(store) = &self.options.store {
            store.wake_tails();
        }
    }

    /// What happened to the events of a subscription.
    pub(super) fn counts(&self, slot: &Slot) -> DeliveryCounts {
        self.lanes.counts(slot)
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Calls `f` with every subscription, in the order in which they subscribed.
    pub(super) fn slots<R>(&self, f: impl Fn(&Slot) -> R) -> Vec<R> {
        let slots: Vec<Arc<Slot>> = self.slots.lock().values().cloned().collect();
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
        debug.field("subscriptions", &self.slots.lock().len()).field("closed", &self.is_closed());
        #[cfg(feature = "sqlite")]
        debug.field("store", &self.options.store);
        debug.finish_non_exhaustive()
    }
}
