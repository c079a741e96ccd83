//! Publishing: complete the event, make it durable, then call its subscribers.
//!
//! The order never changes: no handler sees an event that is not in the log, and an event that is
//! refused reaches nobody.

use std::{
    hint::cold_path,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    EventBus,
    core::{Core, RedactHook, Running},
    dispatch::dispatch,
    frame,
    lane::Mark,
    policy::Panicked,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Draft, Event, EventId, PAYLOAD_MAX_BYTES},
};

/// The most events of one [`EventBus::publish_all`].
pub const BATCH_MAX_EVENTS: usize = 10_000;

/// What became of a published event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The event's place in the log; `None` without a store.
    pub seq: Option<u64>,
    /// The event's id.
    pub event_id: EventId,
    /// The log held this event already: it was not stored again, and delivered to nobody.
    pub duplicate: bool,
    /// How many handlers and channels took it.
    pub delivered: usize,
    /// How many handlers failed or panicked on it.
    pub failed: usize,
}

impl EventBus {
    /// Publishes an event: when this returns `Ok`, it is in the log (on a bus with a store), and
    /// every subscriber whose filter matches has been called, on this thread, in the order in which
    /// they subscribed. Failing handlers do not fail the publish; they are counted in the result.
    ///
    /// Inside a handler, the events that it publishes are delivered before the handler goes on
    /// (depth first); they get the handled event as their cause, and its correlation id.
    ///
    /// # Errors
    /// On any error no handler saw the event and it is not in the log, save for `Indeterminate`.
    /// `InvalidInput` and `TooLarge` name the field; `Conflict` the event id; `TooDeep` tells of
    /// handlers that publish in a cycle; `Closed` that the bus was closed; `Storage`, `DiskFull`,
    /// `Locked`, `ReadOnly` and `Indeterminate` come from the store.
    pub fn publish(&self, event: Event) -> Result<Published> {
        let core = &*self.core;
        #[cfg_attr(not(feature = "sqlite"), expect(unused_mut, reason = "only a commit takes time"))]
        let mut running = core.enter()?;
        let event = core.prepare(event)?;
        #[cfg(feature = "sqlite")]
        if let Some(store) = &core.options.store {
            let stored = core.commit(store, vec![event])?;
            running.look_again();
            let first = stored.into_iter().next();
            let stored =
                first.ok_or_else(|| Error::new(ErrorKind::Storage, "publish: the store gave no answer"))?;
            let published = core.deliver_stored(&running, stored);
            running.end();
            return Ok(published);
        }
        let published = core.deliver(&running, event);
        running.end();
        Ok(published)
    }

    /// Publishes several events as one: all are in the log, in this order without another between
    /// them, or none is. Then each is delivered in turn.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), for the first event that is refused; `TooLarge` for more than
    /// [`BATCH_MAX_EVENTS`] events.
    pub fn publish_all(&self, events: impl IntoIterator<Item = Event>) -> Result<Vec<Published>> {
        let core = &*self.core;
        #[cfg_attr(not(feature = "sqlite"), expect(unused_mut, reason = "only a commit takes time"))]
        let mut running = core.enter()?;
        let mut prepared = Vec::new();
        for event in events {
            if prepared.len() == BATCH_MAX_EVENTS {
                let problem = format!("publish_all: must be at most {BATCH_MAX_EVENTS} events");
                return Err(Error::new(ErrorKind::TooLarge, problem));
            }
            let place = prepared.len();
            let event = core.prepare(event).map_err(|fault| fault.within(format!("event {place}")))?;
            prepared.push(event);
        }
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        #[cfg(feature = "sqlite")]
        if let Some(store) = &core.options.store {
            let stored = core.commit(store, prepared)?;
            running.look_again();
            return Ok(stored.into_iter().map(|one| core.deliver_stored(&running, one)).collect());
        }
        Ok(prepared.into_iter().map(|event| core.deliver(&running, event)).collect())
    }
}

impl Core {
    /// Redacts, validates and completes an event.
    #[inline]
    fn prepare(&self, mut event: Event) -> Result<Event> {
        if let Some(redact) = &self.options.redact {
            redact_shielded(redact, &mut event)?;
        }
        event.check()?;
        if !self.has_store() {
            // A store applies its own limit when it takes the row.
            event.check_size(PAYLOAD_MAX_BYTES)?;
        }
        if event.seq().is_some() {
            cold_path();
            // It comes from another log, or from JSON: here it has no place yet.
            let envelope = event.envelope_mut();
            (envelope.seq, envelope.recorded_at) = (None, None);
        }
        let depth = frame::depth();
        if depth > 0 {
            cold_path();
            if depth >= self.options.depth_max {
                return Err(too_deep(self.options.depth_max, &event));
            }
            frame::with_current(|cause| inherit(&mut event, cause));
        }
        if event.correlation_id().is_none() {
            let envelope = event.envelope_mut();
            envelope.correlation_id = Some(envelope.plan_id.clone().into());
        }
        Ok(event)
    }

    /// Calls the subscribers of an event that is as durable as it will be.
    #[inline]
    fn deliver(&self, running: &Running<'_>, event: Event) -> Published {
        let lane = running.lane();
        Mark::count(&lane.mark.published);
        let (seq, event_id) = (event.seq(), event.event_id());
        let tally = dispatch(lane, event, &self.options.policy);
        Published { seq, event_id, duplicate: false, delivered: tally.delivered, failed: tally.failed }
    }

    #[cfg(feature = "sqlite")]
    fn commit(
        &self,
        store: &crate::store::EventStore,
        events: Vec<Event>,
    ) -> Result<Vec<crate::store::Stored>> {
        let _span = tracing::debug_span!("planbus.publish", events = events.len()).entered();
        store.commit(events)
    }

    #[cfg(feature = "sqlite")]
    fn deliver_stored(&self, running: &Running<'_>, stored: crate::store::Stored) -> Published {
        if stored.duplicate {
            return Published {
                seq: stored.event.seq(),
                event_id: stored.event.event_id(),
                duplicate: true,
                delivered: 0,
                failed: 0,
            };
        }
        let event = stored.event;
        let _span = tracing::debug_span!(
            "planbus.dispatch",
            tenant = event.tenant().as_str(),
            plan = event.plan_id().as_str(),
            event_type = event.event_type().as_str(),
            seq = event.seq()
        )
        .entered();
        self.deliver(running, event)
    }
}

/// Runs the hook; an event on which it panics is refused.
#[cold]
fn redact_shielded(redact: &RedactHook, event: &mut Event) -> Result<()> {
    event.check()?;
    let redacted = catch_unwind(AssertUnwindSafe(|| redact(&mut Draft::new(event))));
    redacted.map_err(|panic| {
        Error::with_source(ErrorKind::InvalidInput, "redact: the hook panicked", Panicked::from(panic))
    })?
}

/// Fills in what caused the event, and where it belongs with its cause.
fn inherit(event: &mut Event, cause: Option<&Event>) {
    let Some(cause) = cause else { return };
    if event.correlation_id().is_none() {
        event.envelope_mut().correlation_id = cause.correlation_id().cloned();
    }
    if event.causation_id().is_none() {
        event.envelope_mut().causation_id = Some(cause.event_id());
    }
}

#[cold]
fn too_deep(limit: usize, event: &Event) -> Error {
    let problem = format!(
        "publish: handlers published {limit} levels deep, most likely in a cycle, now {} for plan {}",
        event.event_type(),
        event.plan_id()
    );
    Error::new(ErrorKind::TooDeep, problem)
}
