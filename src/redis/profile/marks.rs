//! Marks: what planbus adds to an entry of another system, so that its own event can be told from
//! others and read back.
//!
//! A mark is a field of its own where fields are flat (`_seq`), else a member of `metadata.planbus`
//! (`seq`). What the system's own fields say already is not said again.

#[cfg(feature = "sqlite")]
use std::fmt::Display;

#[cfg(feature = "sqlite")]
use super::{
    entry::Entry,
    record::Record,
    text::{push, push_string, push_strings},
};
use super::{
    fields::Fields,
    object::Object,
    parts::{Parts, Text, json, seq, strings},
};
use crate::error::{Error, Result};

/// Where marks are written; a name begins with `_`.
#[cfg(feature = "sqlite")]
pub(super) trait Marks {
    fn text(&mut self, name: &'static str, value: &str);
    fn number(&mut self, name: &'static str, value: u64);
    fn shown(&mut self, name: &'static str, value: impl Display);
    fn strings(&mut self, name: &'static str, values: &[String]);
}

#[cfg(feature = "sqlite")]
impl Marks for Entry {
    fn text(&mut self, name: &'static str, value: &str) {
        self.field(name).push_str(value);
    }

    fn number(&mut self, name: &'static str, value: u64) {
        push(self.field(name), value);
    }

    fn shown(&mut self, name: &'static str, value: impl Display) {
        push(self.field(name), value);
    }

    fn strings(&mut self, name: &'static str, values: &[String]) {
        push_strings(self.field(name), values);
    }
}

/// Marks as the members of a JSON object.
#[cfg(feature = "sqlite")]
struct InObject<'a> {
    text: &'a mut String,
    is_empty: bool,
}

#[cfg(feature = "sqlite")]
impl InObject<'_> {
    fn member(&mut self, name: &'static str) -> &mut String {
        self.text.push_str(if std::mem::take(&mut self.is_empty) { "\"" } else { ",\"" });
        self.text.push_str(&name[1..]);
        self.text.push_str("\":");
        self.text
    }
}

#[cfg(feature = "sqlite")]
impl Marks for InObject<'_> {
    fn text(&mut self, name: &'static str, value: &str) {
        push_string(self.member(name), value);
    }

    fn number(&mut self, name: &'static str, value: u64) {
        push(self.member(name), value);
    }

    fn shown(&mut self, name: &'static str, value: impl Display) {
        push(self.member(name), format_args!("\"{value}\""));
    }

    fn strings(&mut self, name: &'static str, values: &[String]) {
        push_strings(self.member(name), values);
    }
}

/// Writes the marks of every profile but `native`.
#[cfg(feature = "sqlite")]
pub(super) fn write(record: &Record<'_>, filled: Option<&'static str>, marks: &mut impl Marks) {
    let event = record.event;
    marks.text("_type", event.event_type().as_str());
    marks.number("_seq", record.seq);
    marks.text("_store", record.store);
    marks.text("_plan", event.plan_id().as_str());
    marks.shown("_event_id", event.event_id());
    if let Some(at) = event.recorded_at() {
        marks.shown("_recorded_at", at);
    }
    if let Some(trace) = event.trace_parent() {
        marks.text("_trace_parent", trace.as_str());
    }
    if event.schema_version() != 1 {
        marks.number("_schema_version", event.schema_version().into());
    }
    if let Some(filled) = filled {
        marks.text("_filled", filled);
    }
}

/// Writes the marks that only profiles need whose system knows no tenant, priority, references and
/// correlation.
#[cfg(feature = "sqlite")]
pub(super) fn write_more(record: &Record<'_>, marks: &mut impl Marks) {
    let event = record.event;
    marks.text("_tenant", event.tenant().as_str());
    if event.priority() != crate::event::Priority::Normal {
        marks.text("_priority", event.priority().as_str());
    }
    if !event.context_refs().is_empty() {
        marks.strings("_context_refs", event.context_refs());
    }
    match event.correlation_id() {
        Some(id) if *id != event.plan_id().as_str() => marks.text("_correlation_id", id.as_str()),
        _ => {}
    }
}

/// Appends the `metadata` of a system that has such an object.
#[cfg(feature = "sqlite")]
pub(super) fn push_metadata(text: &mut String, record: &Record<'_>, filled: Option<&'static str>) {
    let event = record.event;
    text.push('{');
    if !event.call_chain().is_empty() {
        text.push_str("\"call_chain\":");
        push_strings(text, event.call_chain());
        text.push(',');
    }
    if let Some(cause) = event.causation_id() {
        text.push_str("\"causation_id\":\"");
        super::forms::push_uuid(text, cause);
        text.push_str("\",");
    }
    text.push_str("\"planbus\":{");
    let mut marks = InObject { text, is_empty: true };
    write(record, filled, &mut marks);
    write_more(record, &mut marks);
    text.push_str("}}");
}

/// Where marks are read from; a name begins with `_`.
pub(super) trait Marked<'a> {
    fn text(&self, name: &str) -> Result<Text<'a>>;
    fn number(&self, name: &str) -> Result<Option<&'a str>>;
    fn strings(&self, name: &str) -> Result<Vec<String>>;
}

impl<'a> Marked<'a> for Fields<'a> {
    fn text(&self, name: &str) -> Result<Text<'a>> {
        Ok(self.get(name)?.map(Into::into))
    }

    fn number(&self, name: &str) -> Result<Option<&'a str>> {
        self.get(name)
    }

    fn strings(&self, name: &str) -> Result<Vec<String>> {
        strings(*self, name)
    }
}

impl<'a> Marked<'a> for Object<'a> {
    fn text(&self, name: &str) -> Result<Text<'a>> {
        Object::text(self, &name[1..])
    }

    fn number(&self, name: &str) -> Result<Option<&'a str>> {
        self.get(&name[1..])
    }

    fn strings(&self, name: &str) -> Result<Vec<String>> {
        Object::strings(self, &name[1..])
    }
}

/// The store and seq of an entry that planbus wrote.
pub(super) fn origin<'a>(marks: &impl Marked<'a>) -> Result<Option<(std::borrow::Cow<'a, str>, u64)>> {
    let Some(store) = marks.text("_store")? else { return Ok(None) };
    let at = marks.number("_seq")?.ok_or_else(|| Error::invalid("_seq", "is missing"))?;
    Ok(Some((store, seq("_seq", at)?)))
}

/// Adds to what the system's own fields say what the marks say, which wins.
pub(super) fn read<'a>(parts: &mut Parts<'a>, marks: &impl Marked<'a>) -> Result<()> {
    let Some((_, at)) = origin(marks)? else { return Ok(()) };
    parts.seq = Some(at);
    for (part, name) in
        [(&mut parts.event_type, "_type"), (&mut parts.plan, "_plan"), (&mut parts.event_id, "_event_id")]
    {
        *part = Some(marks.text(name)?.ok_or_else(|| Error::invalid(name, "is missing"))?);
    }
    for (part, name) in [
        (&mut parts.recorded_at, "_recorded_at"),
        (&mut parts.trace_parent, "_trace_parent"),
        (&mut parts.tenant, "_tenant"),
        (&mut parts.priority, "_priority"),
        (&mut parts.correlation_id, "_correlation_id"),
    ] {
        if let Some(text) = marks.text(name)? {
            *part = Some(text);
        }
    }
    let references = marks.strings("_context_refs")?;
    if !references.is_empty() {
        parts.context_refs = references;
    }
    if let Some(version) = marks.number("_schema_version")? {
        parts.schema_version = Some(json("_schema_version", version, "a whole number")?);
    }
    if parts.correlation_id.is_none() {
        parts.correlation_id.clone_from(&parts.plan);
    }
    for filled in marks.text("_filled")?.iter().flat_map(|filled| filled.split(' ')) {
        match filled {
            "source" => parts.source = None,
            "call_chain" => parts.call_chain.clear(),
            _ => {
                return Err(Error::invalid(
                    "_filled",
                    format!("must name source or call_chain, got {filled:?}"),
                ));
            }
        }
    }
    Ok(())
}

/// The members that planbus put into the object of a payload, and the payload without them.
pub(super) fn own_payload<'a>(fields: Fields<'a>, data: &Object<'a>) -> Result<(Object<'a>, String)> {
    let added = fields.get("_added")?.unwrap_or("0");
    let added = added.parse();
    data.split(added.map_err(|cause| Error::invalid("_added", format!("must be a whole number: {cause}")))?)
}

/// The plan of an entry that planbus did not write: `_plan`, the workflow's id, or the correlation
/// id, as a field or in the event's data.
pub(super) fn foreign_plan<'a>(fields: Fields<'a>, data: &Object<'a>) -> Result<Text<'a>> {
    if let Some(plan) = fields.filled("_plan")? {
        return Ok(Some(plan.into()));
    }
    for name in ["workflow_id", "correlation_id"] {
        let found = match fields.filled(name)? {
            Some(text) => Some(text.into()),
            None => data.text(name)?.filter(|text| !text.is_empty()),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
