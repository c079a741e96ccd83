//! The codec of the profiles `attune` and `attune-registry`: type, time, data and source.

#[cfg(feature = "sqlite")]
use super::{
    entry::Entry,
    forms::{self, Data},
    marks::Marks,
    object::has_member,
    record::Record,
    text::{push, push_string, push_strings},
};
use super::{
    fields::Fields,
    marks,
    object::Object,
    parts::{Parts, strings},
};
use crate::error::Result;

const CALL_CHAIN: &str = "_call_chain";
const CAUSATION_ID: &str = "_causation_id";

#[cfg(feature = "sqlite")]
pub(super) fn encode(record: &Record<'_>, entry: &mut Entry) {
    let event = record.event;
    let (source, is_filled) = forms::source(event);
    // Where the payload has a member of that name itself, ours becomes a field of the entry.
    let is_free = |name: &str| !has_member(record.body(), name);
    let (chain_is_free, cause_is_free) = (is_free(CALL_CHAIN), is_free(CAUSATION_ID));
    entry.text("event_type", record.name);
    forms::push_time(entry.field("timestamp"), event.timestamp());
    let mut data = Data::begin(entry.field("data"));
    if is_free("plan_id") {
        push_string(data.member("plan_id"), event.plan_id().as_str());
    }
    if !event.call_chain().is_empty() && chain_is_free {
        push_strings(data.member(CALL_CHAIN), event.call_chain());
    }
    if let Some(cause) = event.causation_id()
        && cause_is_free
    {
        push(data.member(CAUSATION_ID), format_args!("\"{cause}\""));
    }
    let added = data.end(record);
    entry.text("source", source);
    marks::write(record, is_filled.then_some("source"), entry);
    marks::write_more(record, entry);
    if !event.call_chain().is_empty() && !chain_is_free {
        push_strings(entry.field(CALL_CHAIN), event.call_chain());
    }
    if let Some(cause) = event.causation_id()
        && !cause_is_free
    {
        entry.shown(CAUSATION_ID, cause);
    }
    entry.number("_added", added);
}

pub(super) fn decode<'a>(fields: Fields<'a>) -> Result<Parts<'a>> {
    let data = Object::read("data", fields.required("data")?)?;
    let mut parts = Parts {
        event_type: Some(fields.required("event_type")?.into()),
        timestamp: Some(fields.required("timestamp")?.into()),
        source: fields.filled("source")?.map(Into::into),
        ..Parts::default()
    };
    marks::read(&mut parts, &fields)?;
    if parts.seq.is_none() {
        parts.plan = marks::foreign_plan(fields, &data)?;
        parts.correlation_id = fields.filled("correlation_id")?.map(Into::into);
        parts.payload = Some(fields.required("data")?.into());
        return Ok(parts);
    }
    let (added, payload) = marks::own_payload(fields, &data)?;
    parts.payload = Some(payload.into());
    parts.call_chain = match added.has(CALL_CHAIN) {
        true => added.strings(CALL_CHAIN)?,
        false => strings(fields, CALL_CHAIN)?,
    };
    parts.causation_id = match added.text(CAUSATION_ID)? {
        Some(cause) => Some(cause),
        None => fields.get(CAUSATION_ID)?.map(Into::into),
    };
    Ok(parts)
}
