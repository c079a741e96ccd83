//! The codec of the profile `native`: one field for each part of the envelope, and `payload` as JSON.
//!
//! Nothing of an event is lost in it; absent parts have no field.

#[cfg(feature = "sqlite")]
use super::{entry::Entry, record::Record, text::push_strings};
use super::{
    fields::Fields,
    parts::{Parts, Text, json, seq, strings},
};
use crate::error::Result;

/// The field that stands in place of `payload` where that is too large.
const REFERENCE: &str = "payload_ref";

#[cfg(feature = "sqlite")]
pub(super) fn encode(record: &Record<'_>, entry: &mut Entry) {
    let event = record.event;
    entry.shown("event_id", event.event_id());
    entry.text("event_type", event.event_type().as_str());
    entry.text("plan_id", event.plan_id().as_str());
    entry.shown("timestamp", event.timestamp());
    if let Some(at) = event.recorded_at() {
        entry.shown("recorded_at", at);
    }
    entry.text("tenant", event.tenant().as_str());
    if let Some(source) = event.source() {
        entry.text("source", source.as_str());
    }
    if !event.call_chain().is_empty() {
        push_strings(entry.field("call_chain"), event.call_chain());
    }
    if let Some(id) = event.correlation_id() {
        entry.text("correlation_id", id.as_str());
    }
    if let Some(id) = event.causation_id() {
        entry.shown("causation_id", id);
    }
    if let Some(trace) = event.trace_parent() {
        entry.text("trace_parent", trace.as_str());
    }
    entry.text("priority", event.priority().as_str());
    if !event.context_refs().is_empty() {
        push_strings(entry.field("context_refs"), event.context_refs());
    }
    entry.shown("schema_version", event.schema_version());
    entry.shown("seq", record.seq);
    entry.text("store", record.store);
    match record.reference() {
        Some(reference) => entry.text(REFERENCE, reference),
        None => entry.text("payload", record.payload),
    }
}

pub(super) fn decode<'a>(fields: Fields<'a>) -> Result<Parts<'a>> {
    let text = |name: &str| -> Result<Text<'a>> { Ok(fields.get(name)?.map(Into::into)) };
    let payload = match fields.get("payload")? {
        Some(payload) => Some(payload.into()),
        None => fields.get(REFERENCE)?.map(|reference| format!("{{\"_payload_ref\":{reference}}}").into()),
    };
    // A producer other than planbus may leave out the plan.
    let plan = match fields.get("plan_id")? {
        Some(plan) => Some(plan.into()),
        None => text("correlation_id")?,
    };
    let own = fields.get("store")?.is_some();
    Ok(Parts {
        event_id: text("event_id")?,
        event_type: text("event_type")?,
        plan,
        timestamp: text("timestamp")?,
        recorded_at: text("recorded_at")?,
        tenant: text("tenant")?,
        source: text("source")?,
        call_chain: strings(fields, "call_chain")?,
        correlation_id: text("correlation_id")?,
        causation_id: text("causation_id")?,
        trace_parent: text("trace_parent")?,
        priority: text("priority")?,
        context_refs: strings(fields, "context_refs")?,
        schema_version: fields
            .get("schema_version")?
            .map(|text| json("schema_version", text, "a whole number"))
            .transpose()?,
        seq: if own { Some(seq("seq", fields.required("seq")?)?) } else { None },
        payload,
    })
}
