//! The bus: publish, and closures in the process receive at once.
//!
//! An [`EventBus`] ties the store (if there is one) to the subscribers. It owns no thread and needs
//! no runtime: everything happens on the threads of its callers.

mod barrier;
mod builder;
mod channel;
mod core;
mod dispatch;
mod frame;
mod hash_tree;
mod lane;
mod policy;
mod publish;
mod registry;
mod slot;
mod slot_list;
mod snapshot;
mod subscription;
mod tail;
mod visits;

use std::{panic::Location, sync::Arc};

pub use self::{
    builder::EventBusBuilder,
    channel::{CHANNEL_MAX_EVENTS, ChannelOptions, EventReceiver, OnFull},
    policy::HandlerFailure,
    publish::{BATCH_MAX_EVENTS, Published},
    slot::{DeliveryCounts, Outcome, SubscriptionId, SubscriptionState},
    subscription::{Subscription, SubscriptionStats},
    tail::Tail,
};
use self::{
    core::Core,
    slot::{Handler, Missed, Slot},
};
#[cfg(feature = "sqlite")]
use crate::store::EventStore;
use crate::{
    error::Result,
    event::{Event, Payload},
    filter::{Filter, Start},
};

/// A durable, ordered, in-process event bus. Cloning gives another handle of the same bus.
///
/// Everything is synchronous. From async code, call [`publish`](Self::publish) inside
/// `spawn_blocking`, since it waits for the disk; a bus without a store never blocks by itself and
/// can be used directly.
///
/// ```
/// use planbus::{Event, EventBus, EventStore, Filter, ToolCalled};
/// use serde_json::json;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("planbus.db");
/// let bus = EventBus::builder().store(EventStore::open(&path)?).build()?;
/// let sub = bus.subscribe(Filter::all(), |event: &Event| println!("{event:?}"))?;
/// let published = bus.publish(Event::new("plan-7", ToolCalled::new("call-1", "grep", json!({"q": "TODO"}))))?;
/// assert_eq!((published.seq, published.delivered), (Some(1), 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventBus {
    core: Arc<Core>,
}

/// What a bus has done so far. Each total is that of all subscriptions that there are and were: it
/// never falls, also where one ends whose handler still runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BusStats {
    /// Events published, duplicates not counted.
    pub published: u64,
    /// Published events that no handler and no channel received.
    pub unhandled: u64,
    /// Events that handlers took, or that went into channels, one for each of them; counted once all
    /// subscribers of the event were called.
    pub delivered: u64,
    /// Events on which a handler failed or panicked, one for each handler.
    pub failed: u64,
    /// Those of the failed on which it panicked.
    pub panicked: u64,
    /// Events that full channels gave up.
    pub dropped: u64,
    /// The subscriptions there are, in the order in which they subscribed.
    pub subscriptions: Vec<SubscriptionStats>,
}

impl EventBus {
    /// Begins to build a bus.
    pub fn builder() -> EventBusBuilder {
        EventBusBuilder::default()
    }

    /// Calls `handler` with every event that the filter matches, from now until the subscription
    /// is dropped. It runs on the publisher's thread, after the event is durable.
    ///
    /// A handler may publish, subscribe and unsubscribe. One that panics or returns an error is
    /// counted and reported, and stops neither the publisher nor other handlers. Events come in
    /// publish order per publishing thread; who needs the log's total order or must miss nothing
    /// across restarts uses a [`tail`](Self::tail).
    ///
    /// # Errors
    /// `InvalidInput` for a filter with a wrong field, `Closed` on a closed bus.
    #[track_caller]
    pub fn subscribe<R: Outcome>(
        &self,
        filter: Filter,
        handler: impl Fn(&Event) -> R + Send + Sync + 'static,
    ) -> Result<Subscription> {
        let handler: Handler = Box::new(move |event| outcome(handler(event)));
        let slot = self.core.subscribe(filter.compile()?, handler, Location::caller(), None)?;
        Ok(Subscription::new(slot, &self.core))
    }

    /// Calls `handler` with every event of `P`'s type that the filter matches, and its payload. A
    /// typed payload arrives as it was published, without a detour through JSON; an event from
    /// elsewhere is read from its JSON, and one that does not have `P`'s shape counts as failed.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    #[track_caller]
    pub fn subscribe_to<P: Payload>(
        &self,
        filter: Filter,
        handler: impl TypedHandler<P>,
    ) -> Result<Subscription> {
        let filter = filter.compile()?.narrowed_to(P::EVENT_TYPE)?;
        let handler: Handler = Box::new(move |event| match event.downcast::<P>() {
            Some(payload) => outcome(handler(event, payload)),
            None => match event.payload::<P>() {
                Ok(payload) => outcome(handler(event, &payload)),
                Err(error) => Some(Box::new(Missed::Failed(error.into()))),
            },
        });
        let slot = self.core.subscribe(filter, handler, Location::caller(), None)?;
        Ok(Subscription::new(slot, &self.core))
    }

    /// Queues every event that the filter matches for another thread to take.
    ///
    /// # Errors
    /// `InvalidInput` for a filter, `InvalidOption` for options with a wrong value, `Closed` on a
    /// closed bus.
    #[track_caller]
    pub fn channel(&self, filter: Filter, options: ChannelOptions) -> Result<EventReceiver> {
        let parts = channel::open(options)?;
        let core = Arc::downgrade(&self.core);
        let own: Arc<std::sync::OnceLock<SubscriptionId>> = Arc::default();
        let disconnect = {
            let own = Arc::clone(&own);
            move || {
                if let (Some(core), Some(id)) = (core.upgrade(), own.get()) {
                    core.unsubscribe(*id);
                }
            }
        };
        let handler = parts.end.into_handler(disconnect);
        let guard = parts.end_guard;
        let on_end = Box::new(move || drop(guard));
        let slot = self.core.subscribe(filter.compile()?, handler, Location::caller(), Some(on_end))?;
        let _ = own.set(slot.id);
        Ok(EventReceiver::new(parts.events, parts.ended, parts.overrun, slot, &self.core))
    }

    /// A cursor over the events that the filter matches, in the order of the log: it replays from
    /// `start`, then follows. Without a store it only follows, from [`Start::Now`].
    ///
    /// # Errors
    /// `InvalidInput` for a filter with a wrong field, for a `start` beyond the log's end, and for
    /// any `start` but `Now` on a bus without a store; `NotFound` for an unknown event; `Pruned`
    /// when retention removed what comes after `start`.
    #[track_caller]
    pub fn tail(&self, filter: Filter, start: Start) -> Result<Tail> {
        Tail::open(self, filter, start)
    }

    /// Ends a subscription or channel by its id; says whether it was there. After this returned no
    /// call of its handler starts.
    pub fn unsubscribe(&self, id: SubscriptionId) -> bool {
        self.core.unsubscribe(id)
    }

    /// Ends the quarantine of a subscription or channel by its id; says whether there was one.
    pub fn resume(&self, id: SubscriptionId) -> bool {
        self.core.resume(id)
    }

    /// Lets go of closures that were unsubscribed and that this thread still keeps.
    ///
    /// A thread keeps the registry as it last saw it. What a closure captured is dropped at once
    /// when the unsubscribing thread was the only one that ever published; else when the last of
    /// the others publishes again, calls this, or ends.
    pub fn release_thread(&self) {
        self.core.release_thread();
    }

    /// What the bus has done so far.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        let totals = self.core.lanes().totals();
        BusStats {
            published: totals.published,
            unhandled: totals.unhandled,
            delivered: totals.delivered,
            failed: totals.failed,
            panicked: totals.panicked,
            dropped: totals.dropped,
            subscriptions: self.core.slots(|slot: &Slot| SubscriptionStats::of(slot, self.core.counts(slot))),
        }
    }

    /// Closes the bus: from now on publishing is refused as `Closed`; publishes that are running
    /// are waited for; then every subscription ends. Channels and tails give what they hold, then
    /// end. The store stays open for queries until its last handle is dropped.
    ///
    /// Closing twice is harmless. Called from inside a handler, of this bus or another, it does not
    /// wait, since what it waits for might wait for it.
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether the bus was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Whether the bus is closed and everything that was being published then is done.
    #[cfg(feature = "server")]
    pub(crate) fn is_drained(&self) -> bool {
        self.core.is_drained()
    }

    /// The bus's store, if it has one.
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn store(&self) -> Option<&EventStore> {
        self.core.options.store.as_ref()
    }
}

#[inline]
fn outcome(outcome: impl Outcome) -> Option<Box<Missed>> {
    outcome.failure().map(|failure| Box::new(Missed::Failed(failure)))
}

/// A closure that takes an event with its typed payload: `Fn(&Event, &P)`, returning nothing or a
/// `Result`.
pub trait TypedHandler<P>: Fn(&Event, &P) -> Self::Returned + Send + Sync + 'static {
    /// What the closure returns.
    type Returned: Outcome;
}

impl<P, R: Outcome, F: Fn(&Event, &P) -> R + Send + Sync + 'static> TypedHandler<P> for F {
    type Returned = R;
}
