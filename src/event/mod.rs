//! The event: an immutable fact in an envelope.
//!
//! An [`Event`] is built by its publisher, completed by the bus, stored, and shared by everybody
//! who reads it; cloning one is a reference count. Nothing here performs I/O.

mod build;
mod draft;
mod envelope;
mod event_id;
mod event_type;
mod hash;
mod id;
mod json;
mod outline;
mod payload;
mod time;
mod types;
mod wire;

use std::{borrow::Cow, fmt, sync::Arc};

use serde_json::value::RawValue;

#[cfg(feature = "sqlite")]
pub(crate) use self::envelope::Rare;
#[cfg(feature = "redis")]
pub(crate) use self::outline::Key;
#[cfg(any(feature = "redis", feature = "server"))]
pub(crate) use self::outline::Members;
#[cfg(feature = "server")]
pub(crate) use self::outline::strings;
use self::payload::PayloadCell;
pub use self::{
    draft::Draft,
    envelope::{Priority, TraceParent},
    event_id::EventId,
    event_type::{CustomType, EventType},
    id::{AgentId, CorrelationId, ID_MAX_BYTES, NAME_MAX_BYTES, PlanId, Tenant},
    json::{Json, JsonObject, PAYLOAD_MAX_BYTES},
    outline::PAYLOAD_MAX_DEPTH,
    payload::Payload,
    time::Timestamp,
    types::{
        DecisionMade, PlanCompleted, PlanFailed, PlanStarted, SubplanCompleted, SubplanSpawned, ToolCalled,
        ToolCompleted,
    },
};
pub(crate) use self::{envelope::Envelope, hash::of as hash_of, id::check_name};
use crate::error::{Error, Result};

/// An immutable fact about a plan.
///
/// [`Event::new`] and the methods after it never fail: the first field that does not keep its
/// grammar is remembered, and publishing the event returns it as an error.
///
/// ```
/// use planbus::{Event, Priority, ToolCalled};
/// use serde_json::json;
///
/// let event = Event::new("plan-7", ToolCalled::new("call-1", "grep", json!({"q": "TODO"})))
///     .with_source("planner")
///     .with_priority(Priority::High);
/// assert_eq!(event.event_type().as_str(), "ToolCalled");
/// assert_eq!(event.payload_json()?, r#"{"call_id":"call-1","tool":"grep","arguments":{"q":"TODO"}}"#);
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone)]
pub struct Event(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    envelope: Envelope,
    payload: PayloadCell,
    /// The first field that was given wrong.
    fault: Option<Error>,
}

impl Event {
    /// A new event with a typed payload, an id made now, and the present time.
    #[inline]
    pub fn new<P: Payload>(plan_id: impl TryInto<PlanId, Error: Into<Error>>, payload: P) -> Self {
        Self::build(plan_id, P::EVENT_TYPE, PayloadCell::typed(payload), P::SCHEMA_VERSION)
    }

    /// A new event of any type, with a JSON object as its payload.
    ///
    /// A [`serde_json::Value`] holds integers up to 64 bits exactly; to keep larger numbers as
    /// they are written, use [`raw`](Self::raw).
    pub fn untyped(
        plan_id: impl TryInto<PlanId, Error: Into<Error>>,
        event_type: impl TryInto<EventType, Error: Into<Error>>,
        payload: impl Into<Json>,
    ) -> Self {
        let payload = json::write(&payload.into(), usize::MAX);
        Self::from_text(plan_id, event_type, payload)
    }

    /// A new event of any type, with the text of a JSON object as its payload, which is kept as it
    /// is given: numbers of any size, key order, escapes. Only line breaks between tokens become
    /// spaces.
    ///
    /// The text may have any size here: the limit of bytes is that of the bus or store, which
    /// refuses a larger payload as `TooLarge` when the event is published.
    pub fn raw(
        plan_id: impl TryInto<PlanId, Error: Into<Error>>,
        event_type: impl TryInto<EventType, Error: Into<Error>>,
        payload: impl Into<String>,
    ) -> Self {
        let payload = json::parse(payload.into(), usize::MAX);
        Self::from_text(plan_id, event_type, payload)
    }

    /// Reads an event from the JSON of EVENTS.md, as [`to_json`](Self::to_json) writes it.
    ///
    /// # Errors
    /// `InvalidInput` that names the field: unknown fields, missing ones and wrong values alike.
    pub fn from_json(text: &str) -> Result<Self> {
        wire::from_json(text)
    }

    /// The event as one line of JSON, in the form of EVENTS.md.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge` when a typed payload cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        wire::to_json(self)
    }

    fn from_text(
        plan_id: impl TryInto<PlanId, Error: Into<Error>>,
        event_type: impl TryInto<EventType, Error: Into<Error>>,
        payload: Result<Arc<RawValue>>,
    ) -> Self {
        // A refused type or payload leaves a placeholder, which publishing never gets to see.
        let (event_type, type_fault) = match event_type.try_into() {
            Ok(event_type) => (event_type, None),
            Err(fault) => (EventType::from_static("invalid"), Some(fault.into())),
        };
        let (payload, payload_fault) = match payload {
            Ok(text) => (PayloadCell::text(text), None),
            Err(fault) => (PayloadCell::Missing, Some(fault)),
        };
        let event = Self::build(plan_id, event_type, payload, 1);
        event.keep_fault(type_fault).keep_fault(payload_fault)
    }

    #[inline]
    fn build(
        plan_id: impl TryInto<PlanId, Error: Into<Error>>,
        event_type: EventType,
        payload: PayloadCell,
        schema_version: u32,
    ) -> Self {
        let (plan_id, fault) = match plan_id.try_into() {
            Ok(plan_id) => (plan_id, None),
            Err(fault) => (PlanId::placeholder(), Some(fault.into())),
        };
        let envelope = Envelope::new(plan_id, event_type, schema_version);
        Self(Arc::new(Inner { envelope, payload, fault }))
    }

    /// The event's place in the log, once it is stored.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.0.envelope.seq
    }

    /// When the log took the event, once it is stored: never decreasing along the log.
    #[must_use]
    pub fn recorded_at(&self) -> Option<Timestamp> {
        self.0.envelope.recorded_at
    }

    /// The event's id.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.0.envelope.event_id
    }

    /// What happened.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.0.envelope.event_type
    }

    /// The plan that it happened to.
    #[must_use]
    pub fn plan_id(&self) -> &PlanId {
        &self.0.envelope.plan_id
    }

    /// When it happened, by its publisher's clock.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.0.envelope.timestamp
    }

    /// Whose event it is.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.0.envelope.tenant
    }

    /// The agent that it comes from.
    #[must_use]
    pub fn source(&self) -> Option<&AgentId> {
        self.0.envelope.source.as_ref()
    }

    /// The agents through which the work came here, the outermost first; empty when not given.
    #[must_use]
    pub fn call_chain(&self) -> &[AgentId] {
        self.0.envelope.rare().map_or(&[], |rare| &rare.call_chain)
    }

    /// What it has in common with others across plans; set on every published event.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&CorrelationId> {
        self.0.envelope.correlation_id.as_ref()
    }

    /// The event that caused it.
    #[must_use]
    pub fn causation_id(&self) -> Option<EventId> {
        self.0.envelope.causation_id
    }

    /// The W3C trace context that it was published in.
    #[must_use]
    pub fn trace_parent(&self) -> Option<&TraceParent> {
        self.0.envelope.rare()?.trace_parent.as_ref()
    }

    /// How urgent it is.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.0.envelope.priority
    }

    /// References to data that is too large for a payload.
    #[must_use]
    pub fn context_refs(&self) -> &[String] {
        self.0.envelope.rare().map_or(&[], |rare| &rare.context_refs)
    }

    /// The version of the payload's shape.
    #[must_use]
    pub fn schema_version(&self) -> u32 {
        self.0.envelope.schema_version
    }

    /// The payload as a `P`: borrowed where it is one, else read from the JSON.
    ///
    /// # Errors
    /// `InvalidInput` when the payload does not have the shape of a `P`. The event type is not
    /// looked at.
    pub fn payload<P: Payload>(&self) -> Result<Cow<'_, P>> {
        self.0.payload.decode()
    }

    /// The payload's JSON text; a typed payload is written now if it was not yet.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge` when a typed payload cannot be written as JSON.
    pub fn payload_json(&self) -> Result<&str> {
        Ok(self.0.payload.json(usize::MAX)?.get())
    }

    /// Checks all that building the event could not: the first fault, and rules across fields.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match (&self.0.fault, self.0.envelope.rare()) {
            (None, None) => Ok(()),
            (Some(fault), _) => Err(fault.clone()),
            (None, Some(_)) => self.0.envelope.check(),
        }
    }

    /// The payload's JSON within a limit of bytes.
    pub(crate) fn payload_text(&self, max_bytes: usize) -> Result<&Arc<RawValue>> {
        self.0.payload.json(max_bytes)
    }

    /// Checks the payload's size where its JSON exists already; none is made.
    #[inline]
    pub(crate) fn check_size(&self, max_bytes: usize) -> Result<()> {
        self.0.payload.check_size(max_bytes)
    }

    /// The payload as a `P`, if it is one already.
    pub(crate) fn downcast<P: Payload>(&self) -> Option<&P> {
        self.0.payload.downcast()
    }

    pub(crate) fn envelope(&self) -> &Envelope {
        &self.0.envelope
    }

    /// The envelope to complete; a copy is made first where the event is shared.
    pub(crate) fn envelope_mut(&mut self) -> &mut Envelope {
        &mut Arc::make_mut(&mut self.0).envelope
    }

    /// An event as the log holds it.
    #[cfg(feature = "sqlite")]
    pub(crate) fn from_parts(envelope: Envelope, payload: Arc<RawValue>) -> Self {
        Self(Arc::new(Inner { envelope, payload: PayloadCell::text(payload), fault: None }))
    }
}

impl PartialEq for Event {
    /// Whether every field and the payload's JSON are the same.
    fn eq(&self, other: &Self) -> bool {
        let same_payload = || match (self.payload_json(), other.payload_json()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        };
        Arc::ptr_eq(&self.0, &other.0) || (self.0.envelope == other.0.envelope && same_payload())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.envelope.debug(f, &self.0.payload)
    }
}

impl serde::Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wire::serialize(self, serializer)
    }
}
