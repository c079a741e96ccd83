//! [`Subscription`]: the handle of a closure that is called; it ends when it is dropped.

use std::{
    fmt,
    panic::Location,
    sync::{Arc, Weak},
};

use super::{
    core::Core,
    slot::{DeliveryCounts, Slot, SubscriptionId, SubscriptionState},
};

/// A closure's subscription. Dropping it unsubscribes; [`detach`](Self::detach) lets it stay as
/// long as the bus.
///
/// After it was dropped or unsubscribed, no call starts; one that another thread had begun may
/// still be running. What the closure captured is dropped as soon as no thread keeps an older view
/// of the registry: at once on this thread, on any other when it next publishes or ends.
#[must_use = "a subscription ends when it is dropped; call detach() to keep it as long as the bus"]
pub struct Subscription {
    slot: Arc<Slot>,
    /// `None` once detached.
    core: Option<Weak<Core>>,
}

impl Subscription {
    pub(super) fn new(slot: Arc<Slot>, core: &Arc<Core>) -> Self {
        Self { slot, core: Some(Arc::downgrade(core)) }
    }

    /// Gives the subscription a name for statistics, logs and failures; the first name stays.
    pub fn named(self, name: &str) -> Self {
        self.slot.set_name(name);
        self
    }

    /// The subscription's id, for [`EventBus::unsubscribe`](crate::EventBus::unsubscribe).
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        self.slot.id
    }

    /// Whether it receives events.
    #[must_use]
    pub fn state(&self) -> SubscriptionState {
        self.slot.state()
    }

    /// What happened to its events so far.
    #[must_use]
    pub fn counts(&self) -> DeliveryCounts {
        let core = self.core.as_ref().and_then(Weak::upgrade);
        core.map_or_else(|| self.slot.counts(), |core| core.counts(&self.slot))
    }

    /// Ends a quarantine; says whether there was one.
    pub fn resume(&self) -> bool {
        self.slot.resume()
    }

    /// Lets the subscription stay until the bus is closed or dropped; its id can still end it.
    pub fn detach(mut self) -> SubscriptionId {
        self.core = None;
        self.slot.id
    }

    /// Ends the subscription now, as dropping it does.
    pub fn unsubscribe(self) {}
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(core) = self.core.take().and_then(|core| core.upgrade()) {
            core.unsubscribe(self.slot.id);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slot.fmt(f)
    }
}

/// A subscription as [`EventBus::stats`](crate::EventBus::stats) tells of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscriptionStats {
    /// The subscription's id.
    pub id: SubscriptionId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Where the code subscribed.
    pub location: &'static Location<'static>,
    /// Whether it receives events.
    pub state: SubscriptionState,
    /// What happened to its events.
    pub counts: DeliveryCounts,
}

impl SubscriptionStats {
    pub(super) fn of(slot: &Slot, counts: DeliveryCounts) -> Self {
        Self {
            id: slot.id,
            name: slot.name().map(str::to_owned),
            location: slot.location,
            state: slot.state(),
            counts,
        }
    }
}
