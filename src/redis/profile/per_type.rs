//! The codec of the profile `per-type`: one field, `data`, that holds the whole event as JSON.

#[cfg(feature = "sqlite")]
use super::{entry::Entry, forms, record::Record, text::push_string};
use super::{fields::Fields, marks, object::Object, parts::Parts};
use crate::error::{Error, Result};

#[cfg(feature = "sqlite")]
pub(super) fn encode(record: &Record<'_>, entry: &mut Entry) {
    let event = record.event;
    let (source, is_filled) = forms::source(event);
    let text = entry.field("data");
    text.push_str("{\"id\":\"");
    forms::push_uuid(text, event.event_id());
    text.push_str("\",\"type\":");
    push_string(text, record.name);
    text.push_str(",\"workflow_id\":");
    push_string(text, event.plan_id().as_str());
    text.push_str(",\"timestamp\":\"");
    forms::push_time(text, event.timestamp());
    text.push_str("\",\"data\":");
    text.push_str(record.body());
    text.push_str(",\"source_agent\":");
    push_string(text, source);
    text.push_str(",\"metadata\":");
    marks::push_metadata(text, record, is_filled.then_some("source"));
    text.push('}');
}

pub(super) fn decode<'a>(fields: Fields<'a>) -> Result<Parts<'a>> {
    let event = Object::read("data", fields.required("data")?)?;
    let required =
        |name: &str| event.text(name)?.ok_or_else(|| Error::invalid(&format!("data.{name}"), "is missing"));
    let filled = |text: std::borrow::Cow<'a, str>| Some(text).filter(|text| !text.is_empty());
    let metadata = event.object("metadata")?;
    let mut parts = Parts {
        event_id: event.text("id")?,
        event_type: Some(required("type")?),
        timestamp: Some(required("timestamp")?),
        source: event.text("source_agent")?.and_then(filled),
        payload: event.get("data")?.map(Into::into),
        ..Parts::default()
    };
    if let Some(metadata) = &metadata {
        parts.call_chain = metadata.strings("call_chain")?;
        parts.causation_id = metadata.text("causation_id")?;
        parts.correlation_id = metadata.text("correlation_id")?.and_then(filled);
    }
    let places = [event.text("workflow_id")?, event.text("correlation_id")?, parts.correlation_id.clone()];
    parts.plan = match fields.filled("_plan")? {
        Some(plan) => Some(plan.into()),
        None => places.into_iter().flatten().find(|text| !text.is_empty()),
    };
    if let Some(own) = metadata.map(|metadata| metadata.object("planbus")).transpose()?.flatten() {
        marks::read(&mut parts, &own)?;
    }
    Ok(parts)
}
