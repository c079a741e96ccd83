//! The codec of the profile `tenant`: twelve bare strings, lists joined by commas, `""` for none.

#[cfg(feature = "sqlite")]
use super::{
    entry::Entry,
    forms::{self, Data},
    inexpressible::Inexpressible,
    marks::Marks,
    object::has_member,
    record::Record,
    text::push_string,
};
use super::{
    fields::Fields,
    marks,
    object::Object,
    parts::{Parts, Text},
};
use crate::error::Result;

#[cfg(feature = "sqlite")]
pub(super) fn encode(record: &Record<'_>, entry: &mut Entry) -> Result<(), Inexpressible> {
    let event = record.event;
    let (source, source_is_filled) = forms::source(event);
    let chain = event.call_chain();
    forms::push_uuid(entry.field("event_id"), event.event_id());
    entry.text("version", "1.0");
    entry.text("event_type", record.name);
    forms::push_time(entry.field("timestamp"), event.timestamp());
    entry.text("tenant_id", event.tenant().as_str());
    entry.text("priority", event.priority().as_str());
    entry.text("source_agent_id", source);
    let agent = "a comma in an agent id";
    if chain.is_empty() {
        join(entry.field("call_chain"), &[source], agent, "source")?;
    } else {
        join(entry.field("call_chain"), chain, agent, "call_chain")?;
    }
    let mut data = Data::begin(entry.field("data"));
    if !has_member(record.body(), "plan_id") {
        push_string(data.member("plan_id"), event.plan_id().as_str());
    }
    let added = data.end(record);
    join(
        entry.field("context_refs"),
        event.context_refs(),
        "a comma in a context reference",
        "context_refs",
    )?;
    entry.text("correlation_id", event.correlation_id().map_or("", |id| id.as_str()));
    let parent = entry.field("parent_event_id");
    if let Some(cause) = event.causation_id() {
        forms::push_uuid(parent, cause);
    }
    let filled = match (source_is_filled, chain.is_empty()) {
        (false, false) => None,
        (true, false) => Some("source"),
        (false, true) => Some("call_chain"),
        (true, true) => Some("source call_chain"),
    };
    marks::write(record, filled, entry);
    entry.number("_added", added);
    Ok(())
}

/// Appends texts with commas between them, none of which may have one itself.
#[cfg(feature = "sqlite")]
fn join<T: AsRef<str>>(
    text: &mut String,
    items: &[T],
    reason: &'static str,
    field: &'static str,
) -> Result<(), Inexpressible> {
    for (at, item) in items.iter().map(AsRef::as_ref).enumerate() {
        if item.contains(',') {
            return Err(Inexpressible::new(reason, field, item));
        }
        if at > 0 {
            text.push(',');
        }
        text.push_str(item);
    }
    Ok(())
}

pub(super) fn decode<'a>(fields: Fields<'a>) -> Result<Parts<'a>> {
    let text = |name: &str| -> Result<Text<'a>> { Ok(fields.filled(name)?.map(Into::into)) };
    let split = |name: &str| -> Result<Vec<String>> {
        let list = fields.filled(name)?.unwrap_or_default().split(',').filter(|item| !item.is_empty());
        Ok(list.map(str::to_owned).collect())
    };
    let data = Object::read("data", fields.required("data")?)?;
    let mut parts = Parts {
        event_id: text("event_id")?,
        event_type: Some(fields.required("event_type")?.into()),
        timestamp: Some(fields.required("timestamp")?.into()),
        tenant: text("tenant_id")?,
        priority: text("priority")?,
        source: text("source_agent_id")?,
        call_chain: split("call_chain")?,
        context_refs: split("context_refs")?,
        correlation_id: text("correlation_id")?,
        causation_id: text("parent_event_id")?,
        ..Parts::default()
    };
    marks::read(&mut parts, &fields)?;
    if parts.seq.is_some() {
        parts.payload = Some(marks::own_payload(fields, &data)?.1.into());
    } else {
        parts.plan = marks::foreign_plan(fields, &data)?;
        parts.payload = Some(fields.required("data")?.into());
    }
    Ok(parts)
}
