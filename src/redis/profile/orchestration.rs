//! The codec of the profile `orchestration`: every field is a JSON value; beside the fields of every
//! event stand those of its class.
//!
//! Ours has one more, `payload`, so that nothing is lost.

#[cfg(feature = "sqlite")]
use super::{classes, entry::Entry, forms, record::Record};
use super::{
    fields::Fields,
    marks,
    object::{Object, string},
    parts::{Parts, Text, json},
    text::push_string,
};
use crate::error::{Error, Result};

/// The field that holds the payload of our events.
const PAYLOAD: &str = "payload";

#[cfg(feature = "sqlite")]
pub(super) fn encode(record: &Record<'_>, entry: &mut Entry) {
    let event = record.event;
    let (source, is_filled) = forms::source(event);
    let text = entry.field("event_id");
    text.push('"');
    forms::push_uuid(text, event.event_id());
    text.push('"');
    push_string(entry.field("event_type"), record.name);
    entry.shown("timestamp", format_args!("\"{}\"", event.timestamp()));
    let trace = entry.field("trace_id");
    match (event.trace_parent(), event.correlation_id()) {
        // 00-<trace id>-<span id>-<flags>
        (Some(parent), _) => push_string(trace, parent.as_str().split('-').nth(1).unwrap_or_default()),
        (None, Some(id)) => push_string(trace, id.as_str()),
        (None, None) => trace.push_str("null"),
    }
    push_string(entry.field("source_agent_id"), source);
    push_string(entry.field("workflow_id"), event.plan_id().as_str());
    marks::push_metadata(entry.field("metadata"), record, is_filled.then_some("source"));
    classes::write(record, entry);
    entry.text(PAYLOAD, record.body());
}

pub(super) fn decode<'a>(fields: Fields<'a>) -> Result<Parts<'a>> {
    let text = |name: &str| -> Result<Text<'a>> {
        let Some(text) = fields.get(name)?.filter(|text| *text != "null") else { return Ok(None) };
        Ok(Some(string(name, text)?).filter(|text| !text.is_empty()))
    };
    let required = |name: &str| text(name)?.ok_or_else(|| Error::invalid(name, "is missing"));
    let metadata = match fields.get("metadata")? {
        Some(metadata) => Object::read("metadata", metadata)?,
        None => Object::read("metadata", "{}")?,
    };
    let mut parts = Parts {
        event_id: text("event_id")?,
        event_type: Some(required("event_type")?),
        timestamp: Some(required("timestamp")?),
        source: text("source_agent_id")?,
        call_chain: metadata.strings("call_chain")?,
        causation_id: metadata.text("causation_id")?,
        ..Parts::default()
    };
    if let Some(own) = metadata.object("planbus")? {
        marks::read(&mut parts, &own)?;
    }
    if parts.seq.is_some() {
        parts.payload = Some(fields.required(PAYLOAD)?.into());
        return Ok(parts);
    }
    for name in ["_plan", "workflow_id", "correlation_id"] {
        if parts.plan.is_none() {
            parts.plan = text(name)?;
        }
    }
    parts.payload = Some(foreign_payload(fields)?.into());
    Ok(parts)
}

/// All that a foreign entry says beyond the fields that became parts of the envelope.
fn foreign_payload(fields: Fields<'_>) -> Result<String> {
    const IN_ENVELOPE: [&str; 5] = ["event_id", "event_type", "timestamp", "source_agent_id", "workflow_id"];
    let mut payload = String::from("{");
    for field in fields.all() {
        let (name, value) = field?;
        json::<serde::de::IgnoredAny>(name, value, "a JSON value")?;
        let says_nothing = (name == "trace_id" && value == "null") || (name == "metadata" && value == "{}");
        if !IN_ENVELOPE.contains(&name) && !says_nothing {
            payload.push_str(if payload.len() > 1 { "," } else { "" });
            push_string(&mut payload, name);
            payload.push(':');
            payload.push_str(value);
        }
    }
    payload.push('}');
    Ok(payload)
}
