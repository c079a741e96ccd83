//! An event as a row of `plan_events`: encoded by its publisher, decoded for its readers.
//!
//! Nothing here trusts a row: whatever somebody wrote into the file by hand is an error that
//! names the row and the column, never a panic.

use std::{fmt::Write as _, sync::Arc};

use rusqlite::{Row, types::FromSql};
use serde_json::value::RawValue;

use super::{
    chain::{Canonical, Fields},
    fault,
};
use crate::{
    error::{Error, Result},
    event::{
        AgentId, CorrelationId, Envelope, Event, EventId, EventType, PlanId, Rare, Tenant, Timestamp,
        TraceParent,
    },
};

/// The largest seq that an event can have: there is always one after it.
pub(super) const SEQ_MAX: i64 = i64::MAX - 1;

/// The texts of an event's id and of its time always have this many bytes.
const EVENT_ID_BYTES: usize = 26;
const TIME_BYTES: usize = 27;
/// The most canonical bytes beside the texts that differ in length: thirteen lengths, the id, the time,
/// the priority and the version of the schema.
const FIELDS_BYTES: usize = 13 * 8 + EVENT_ID_BYTES + TIME_BYTES + 8 + 8;

/// The columns that [`decode`] reads, in its order.
macro_rules! columns {
    () => {
        "id, event_id, event_type, plan_id, timestamp, recorded_at, payload, tenant, source, call_chain, \
         correlation_id, causation_id, trace_parent, priority, context_refs, schema_version"
    };
}
pub(super) use columns;

/// An event with all the text that its row needs, so that the commit only binds and steps.
///
/// Few and exact allocations: the rows of a large batch live all at once, and with a dozen small ones
/// for each, a fifth of the batch went into malloc.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) event: Event,
    /// The event's id and its time, one behind the other.
    id_and_time: String,
    pub(super) payload: Arc<RawValue>,
    pub(super) call_chain: Option<String>,
    pub(super) causation_id: Option<String>,
    pub(super) context_refs: Option<String>,
    pub(super) canonical: Canonical,
}

impl NewRow {
    /// Encodes an event; the correlation id is the plan's id where the event has none.
    pub(super) fn encode(mut event: Event, payload_max_bytes: usize) -> Result<Self> {
        let payload = Arc::clone(event.payload_text(payload_max_bytes)?);
        if event.correlation_id().is_none() {
            let plan = event.plan_id().clone();
            event.envelope_mut().correlation_id = Some(plan.into());
        }
        let mut id_and_time = String::with_capacity(EVENT_ID_BYTES + TIME_BYTES);
        // Writing to a string does not fail.
        let _ = write!(id_and_time, "{}{}", event.event_id(), event.timestamp());
        let call_chain = list(event.call_chain())?;
        let causation_id = event.causation_id().map(|id| id.to_string());
        let context_refs = list(event.context_refs())?;
        let (event_id, timestamp) = id_and_time.split_at(EVENT_ID_BYTES);
        let optional = [
            event.source().map(AgentId::as_str),
            call_chain.as_deref(),
            event.correlation_id().map(CorrelationId::as_str),
            causation_id.as_deref(),
            event.trace_parent().map(TraceParent::as_str),
        ];
        let required = [event.event_type().as_str(), event.plan_id().as_str(), event.tenant().as_str()];
        let list_bytes = context_refs.as_ref().map_or(0, String::len);
        let text_bytes: usize = optional.iter().flatten().chain(&required).map(|text| text.len()).sum();
        let mut head = Fields::with_capacity(FIELDS_BYTES + text_bytes + list_bytes);
        head.text(event_id);
        head.text(event.event_type().as_str());
        head.text(event.plan_id().as_str());
        head.text(timestamp);
        let canonical = Canonical::new(head, |rest| {
            rest.text(event.tenant().as_str());
            optional.iter().for_each(|text| rest.optional(*text));
            rest.text(event.priority().as_str());
            rest.optional(context_refs.as_deref());
            rest.integer(event.schema_version().into());
        });
        Ok(Self { id_and_time, call_chain, causation_id, context_refs, payload, canonical, event })
    }

    pub(super) fn event_id(&self) -> &str {
        &self.id_and_time[..EVENT_ID_BYTES]
    }

    pub(super) fn timestamp(&self) -> &str {
        &self.id_and_time[EVENT_ID_BYTES..]
    }

    /// About how many bytes the row adds to a transaction.
    pub(super) fn bytes(&self) -> usize {
        /// Ids, times and the two indexes of a usual row.
        const FIXED_BYTES: usize = 512;
        let lists = self.call_chain.as_ref().map_or(0, String::len)
            + self.context_refs.as_ref().map_or(0, String::len);
        FIXED_BYTES + self.payload.get().len() + lists
    }

    /// Whether the stored event is this one: everything but times and what is filled in.
    pub(super) fn is_same_content(&self, stored: &Event) -> bool {
        let event = &self.event;
        event.tenant() == stored.tenant()
            && event.event_type() == stored.event_type()
            && event.plan_id() == stored.plan_id()
            && event.source() == stored.source()
            && stored.payload_json().is_ok_and(|text| text == self.payload.get())
    }
}

/// A list as a JSON array, or NULL for none.
fn list<T: serde::Serialize>(items: &[T]) -> Result<Option<String>> {
    match items {
        [] => Ok(None),
        items => serde_json::to_string(items).map(Some).map_err(|cause| {
            Error::with_source(
                crate::ErrorKind::InvalidInput,
                "event: a list cannot be written as JSON",
                cause,
            )
        }),
    }
}

/// The seq of an event, from the id of its row.
pub(super) fn event_seq(id: i64) -> Result<u64> {
    if (1..=SEQ_MAX).contains(&id) { Ok(id.cast_unsigned()) } else { Err(fault::impossible_seq(id)) }
}

/// Reads an event from a row of [`columns`].
pub(super) fn decode(row: &Row<'_>) -> Result<Event> {
    let seq: i64 = row.get(0).map_err(|cause| fault::sqlite("read the log", cause))?;
    let column = Column { row, seq };
    let call_chain: Option<Vec<AgentId>> = column.json(9, "call_chain")?;
    let trace_parent = column.optional(12, "trace_parent")?;
    let context_refs: Option<Vec<String>> = column.json(14, "context_refs")?;
    let rare = (call_chain.is_some() || trace_parent.is_some() || context_refs.is_some()).then(|| {
        Box::new(Rare {
            call_chain: call_chain.unwrap_or_default(),
            trace_parent,
            context_refs: context_refs.unwrap_or_default(),
        })
    });
    let envelope = Envelope {
        seq: Some(event_seq(seq)?),
        event_id: column.parsed::<EventId>(1, "event_id")?,
        event_type: column.parsed::<EventType>(2, "event_type")?,
        plan_id: column.parsed::<PlanId>(3, "plan_id")?,
        timestamp: column.parsed::<Timestamp>(4, "timestamp")?,
        recorded_at: Some(column.parsed::<Timestamp>(5, "recorded_at")?),
        tenant: column.parsed::<Tenant>(7, "tenant")?,
        source: column.optional(8, "source")?,
        correlation_id: column.optional(10, "correlation_id")?,
        causation_id: column.optional(11, "causation_id")?,
        priority: column.text(13, "priority")?.parse().map_err(|error| column.wrong("priority", &error))?,
        schema_version: column.get(15, "schema_version")?,
        rare,
    };
    Ok(Event::from_parts(envelope, column.payload(6)?))
}

/// Access to the columns of one row, with errors that name them.
struct Column<'a, 'stmt> {
    row: &'a Row<'stmt>,
    seq: i64,
}

impl Column<'_, '_> {
    fn get<T: FromSql>(&self, at: usize, name: &str) -> Result<T> {
        self.row.get(at).map_err(|cause| {
            if cause.sqlite_error().is_some() {
                return fault::sqlite("read the log", cause);
            }
            fault::corrupt_row(self.seq, name, "has a value of another kind")
        })
    }

    fn text(&self, at: usize, name: &str) -> Result<&str> {
        let value = self.row.get_ref(at).map_err(|cause| fault::sqlite("read the log", cause))?;
        value.as_str().map_err(|_| fault::corrupt_row(self.seq, name, "is no text"))
    }

    fn is_null(&self, at: usize) -> Result<bool> {
        let value = self.row.get_ref(at).map_err(|cause| fault::sqlite("read the log", cause))?;
        Ok(value == rusqlite::types::ValueRef::Null)
    }

    fn parsed<'a, T: TryFrom<&'a str, Error = Error>>(&'a self, at: usize, name: &str) -> Result<T> {
        T::try_from(self.text(at, name)?).map_err(|error| self.wrong(name, &error))
    }

    fn optional<'a, T: TryFrom<&'a str, Error = Error>>(
        &'a self,
        at: usize,
        name: &str,
    ) -> Result<Option<T>> {
        if self.is_null(at)? { Ok(None) } else { self.parsed(at, name).map(Some) }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, at: usize, name: &str) -> Result<Option<T>> {
        if self.is_null(at)? {
            return Ok(None);
        }
        serde_json::from_str(self.text(at, name)?).map(Some).map_err(|cause| self.wrong(name, &cause))
    }

    fn payload(&self, at: usize) -> Result<Arc<RawValue>> {
        let text = self.text(at, "payload")?;
        let raw = RawValue::from_string(text.to_owned()).map_err(|cause| self.wrong("payload", &cause))?;
        match raw.get().starts_with('{') || raw.get().trim_start().starts_with('{') {
            true => Ok(raw.into()),
            false => Err(fault::corrupt_row(self.seq, "payload", "is no JSON object")),
        }
    }

    fn wrong(&self, name: &str, problem: &dyn std::fmt::Display) -> Error {
        fault::corrupt_row(self.seq, name, &problem.to_string())
    }
}
