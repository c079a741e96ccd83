//! [`Parts`]: what an entry says of an event, before it is checked, and the event made of it.
//!
//! Entries of planbus say everything; what a foreign one leaves open is filled in by fixed rules,
//! so that the same entry always makes the same event.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::{fields::Fields, hash::Fnv};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, EventId, Priority, Timestamp},
};

/// Where an entry stands.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) key: &'a str,
    /// The entry's id, `<milliseconds>-<number>`.
    pub(super) id: &'a str,
    /// The tenant that the key names.
    pub(super) tenant: Option<Cow<'a, str>>,
}

impl Place<'_> {
    /// The milliseconds of the entry's id.
    fn millis(&self) -> Option<u64> {
        self.id.split('-').next()?.parse().ok()
    }

    /// An event id for an entry that has none: the entry's time, and a hash of where it stands.
    fn event_id(&self) -> EventId {
        const HASHED_BITS: u32 = 80;
        let hash = Fnv::new().text(self.key).text(self.id).finish();
        let millis = u128::from(self.millis().unwrap_or_default());
        EventId::from_u128(millis << HASHED_BITS | hash >> (u128::BITS - HASHED_BITS))
    }

    fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::from_micros(i64::try_from(self.millis()?).ok()?.checked_mul(1_000)?).ok()
    }
}

/// A text that an entry may have.
pub(super) type Text<'a> = Option<Cow<'a, str>>;

/// What an entry says of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) event_id: Text<'a>,
    pub(super) event_type: Text<'a>,
    pub(super) plan: Text<'a>,
    pub(super) timestamp: Text<'a>,
    pub(super) recorded_at: Text<'a>,
    pub(super) tenant: Text<'a>,
    pub(super) source: Text<'a>,
    pub(super) call_chain: Vec<String>,
    pub(super) correlation_id: Text<'a>,
    pub(super) causation_id: Text<'a>,
    pub(super) trace_parent: Text<'a>,
    pub(super) priority: Text<'a>,
    pub(super) context_refs: Vec<String>,
    pub(super) schema_version: Option<u32>,
    /// Set in every entry that planbus wrote, and in no other.
    pub(super) seq: Option<u64>,
    /// The text of a JSON object.
    pub(super) payload: Text<'a>,
}

impl Parts<'_> {
    /// The event, checked like one that is published.
    pub(super) fn event(self, place: &Place<'_>) -> Result<Event> {
        let own = self.seq.is_some();
        let event_type = self.event_type.ok_or_else(|| Error::invalid("event_type", "is missing"))?;
        let plan = self.plan.as_deref().unwrap_or(place.id);
        let payload = self.payload.unwrap_or(Cow::Borrowed("{}"));
        let event_id = match self.event_id.as_deref().map(event_id) {
            Some(Err(fault)) if own => return Err(fault),
            Some(Ok(id)) => id,
            _ => place.event_id(),
        };
        let at = match &self.timestamp {
            Some(text) => timestamp("timestamp", text)?,
            None => place.timestamp().ok_or_else(|| Error::invalid("timestamp", "is missing"))?,
        };
        let mut event = Event::raw(plan, &*event_type, payload)
            .with_event_id(event_id)
            .with_timestamp(at)
            .with_schema_version(self.schema_version.unwrap_or(1));
        if let (Some(named), Some(keyed)) = (&self.tenant, &place.tenant)
            && named != keyed
        {
            return Err(Error::invalid(
                "tenant",
                format!("is {named:?} in the entry and {keyed:?} in its key"),
            ));
        }
        if let Some(tenant) = self.tenant.as_deref().or(place.tenant.as_deref()) {
            event = event.with_tenant(tenant);
        }
        if let Some(source) = self.source.as_deref() {
            event = event.with_source(source);
        }
        if !self.call_chain.is_empty() {
            event = event.with_call_chain(self.call_chain);
        }
        if let Some(id) = self.correlation_id.as_deref() {
            event = event.with_correlation_id(id);
        }
        if let Some(cause) = self.causation_id.as_deref() {
            // What caused a foreign event may have a name that is no id of ours.
            match self::event_id(cause) {
                Ok(cause) => event = event.with_causation_id(cause),
                Err(fault) if own => return Err(fault.within("causation_id")),
                Err(_) => {}
            }
        }
        if let Some(trace) = self.trace_parent.as_deref() {
            event = event.with_trace_parent(trace);
        }
        if let Some(priority) = self.priority.as_deref() {
            event = event.with_priority(priority.parse::<Priority>()?);
        }
        for reference in self.context_refs {
            event = event.with_context_ref(reference);
        }
        event.check()?;
        let envelope = event.envelope_mut();
        envelope.seq = self.seq;
        envelope.recorded_at = self.recorded_at.map(|at| timestamp("recorded_at", &at)).transpose()?;
        Ok(event)
    }
}

/// An id as a ULID or as a UUID.
pub(super) fn event_id(text: &str) -> Result<EventId> {
    /// The places of a UUID's hyphens.
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match HYPHENS.contains(&at) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        });
    if !is_uuid {
        return text.parse();
    }
    let bits = u128::from_str_radix(&text.replace('-', ""), 16);
    bits.map(EventId::from_u128).map_err(|cause| Error::invalid("event_id", cause))
}

/// A time; one without an offset is in UTC.
pub(super) fn timestamp(field: &str, text: &str) -> Result<Timestamp> {
    let at = text.parse().or_else(|fault| format!("{text}Z").parse().map_err(|_| fault));
    at.map_err(|fault: Error| if field == "timestamp" { fault } else { fault.within(field) })
}

/// A place in the log.
pub(super) fn seq(field: &str, text: &str) -> Result<u64> {
    let seq = text.parse::<u64>().ok().filter(|seq| *seq > 0);
    seq.ok_or_else(|| Error::invalid(field, format!("must be a whole number from 1, got {text:?}")))
}

/// What the JSON of a field holds, which is `what`.
pub(super) fn json<T: DeserializeOwned>(field: &str, text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| {
        Error::with_source(ErrorKind::InvalidInput, format!("{field}: must be {what}"), cause)
    })
}

/// The strings of a field that is a JSON array of them; none when the field is absent.
pub(super) fn strings(fields: Fields<'_>, name: &str) -> Result<Vec<String>> {
    fields.get(name)?.map_or(Ok(Vec::new()), |text| json(name, text, "a JSON array of strings"))
}
