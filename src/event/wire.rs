//! The JSON of EVENTS.md: an event written, and read back field by field.
//!
//! Reading takes each field as text first, so that an error can name it.

use serde::{Deserialize, Deserializer, Serializer, de, de::DeserializeOwned, ser::SerializeStruct};
use serde_json::value::RawValue;

use super::{
    Event, Priority, Timestamp,
    id::blamed_on,
    outline::{Key, Members},
};
use crate::error::{Error, ErrorKind, Result};

/// Writes the JSON of EVENTS.md: absent fields are left out, the payload comes last.
pub(super) fn serialize<S: Serializer>(event: &Event, serializer: S) -> Result<S::Ok, S::Error> {
    let envelope = event.envelope();
    let payload: &RawValue = event.payload_text(usize::MAX).map_err(serde::ser::Error::custom)?;
    let mut json = serializer.serialize_struct("Event", 16)?;
    macro_rules! optional {
        ($($name:literal: $value:expr),*) => {$(
            match &$value {
                Some(value) => json.serialize_field($name, value)?,
                None => json.skip_field($name)?,
            }
        )*};
    }
    optional!("seq": envelope.seq);
    json.serialize_field("event_id", &envelope.event_id)?;
    json.serialize_field("event_type", &envelope.event_type)?;
    json.serialize_field("plan_id", &envelope.plan_id)?;
    json.serialize_field("timestamp", &envelope.timestamp)?;
    optional!("recorded_at": envelope.recorded_at);
    json.serialize_field("tenant", &envelope.tenant)?;
    optional!("source": envelope.source);
    let given = |list: bool| if list { Some(()) } else { None };
    optional!("call_chain": given(!event.call_chain().is_empty()).map(|()| event.call_chain()));
    optional!(
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "trace_parent": event.trace_parent()
    );
    json.serialize_field("priority", &envelope.priority)?;
    optional!("context_refs": given(!event.context_refs().is_empty()).map(|()| event.context_refs()));
    json.serialize_field("schema_version", &envelope.schema_version)?;
    json.serialize_field("payload", payload)?;
    json.end()
}

pub(super) fn to_json(event: &Event) -> Result<String> {
    event.payload_text(usize::MAX)?;
    serde_json::to_string(event).map_err(|cause| {
        Error::with_source(ErrorKind::InvalidInput, "event: cannot be written as JSON", cause)
    })
}

/// Reads an event, field by field, through the same checks that a publisher passes.
pub(super) fn from_json(text: &str) -> Result<Event> {
    let fields = Fields::read(text)?;
    let plan_id = fields.required("plan_id", Fields::text)?;
    let event_type = fields.required("event_type", Fields::text)?;
    let payload = fields.required("payload", |fields, name| Ok(fields.get(name)))?;
    let mut event = Event::raw(plan_id, event_type.as_str(), payload.get());
    macro_rules! given {
        ($($field:ident => $method:ident),*) => {$(
            if let Some(value) = fields.text(stringify!($field))? {
                event = event.$method(value.as_str());
            }
        )*};
    }
    given!(
        event_id => with_event_id, timestamp => with_timestamp, tenant => with_tenant, source => with_source,
        correlation_id => with_correlation_id, causation_id => with_causation_id,
        trace_parent => with_trace_parent
    );
    if let Some(agents) = fields.texts("call_chain")? {
        event = event.with_call_chain(agents);
    }
    if let Some(priority) = fields.priority()? {
        event = event.with_priority(priority);
    }
    for reference in fields.texts("context_refs")?.unwrap_or_default() {
        event = event.with_context_ref(reference);
    }
    if let Some(version) = fields.read_as("schema_version", "a whole number from 0 to 4294967295")? {
        event = event.with_schema_version(version);
    }
    event.check()?;
    let recorded_at = fields.text("recorded_at")?.map(|at| at.parse::<Timestamp>()).transpose();
    let envelope = event.envelope_mut();
    envelope.recorded_at = recorded_at.map_err(|fault| blamed_on("recorded_at", &fault))?;
    envelope.seq = fields.read_as("seq", "a whole number from 0 to 18446744073709551615")?;
    Ok(event)
}

/// The fields of an event's JSON.
const NAMES: [&str; 16] = [
    "seq",
    "event_id",
    "event_type",
    "plan_id",
    "timestamp",
    "recorded_at",
    "tenant",
    "source",
    "call_chain",
    "correlation_id",
    "causation_id",
    "trace_parent",
    "priority",
    "context_refs",
    "schema_version",
    "payload",
];

/// The values of [`NAMES`] as they are written.
#[derive(Default)]
struct Fields<'a>([Option<&'a RawValue>; NAMES.len()]);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self> {
        let Members(members) = serde_json::from_str(text).map_err(|cause| {
            Error::with_source(ErrorKind::InvalidInput, "event: is not a JSON object", cause)
        })?;
        let mut fields = Self::default();
        for (key, value) in members {
            let key = Key::new(key.get());
            let Some(at) = NAMES.iter().position(|name| *name == key.as_str()) else {
                return Err(Error::invalid(&brief(key.as_str()), "is not a field of an event"));
            };
            if fields.0[at].replace(value).is_some() {
                return Err(Error::invalid(NAMES[at], "is given twice"));
            }
        }
        Ok(fields)
    }

    /// A field's text; `null` is as good as absent.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.0[at].filter(|value| value.get() != "null")
    }

    /// A field's value, which is `what`.
    fn read_as<T: DeserializeOwned>(&self, name: &str, what: &str) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        serde_json::from_str(value.get()).map(Some).map_err(|cause| {
            let problem = format!("{name}: must be {what}, got {}", brief(value.get()));
            Error::with_source(ErrorKind::InvalidInput, problem, cause)
        })
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        self.read_as(name, "a string")
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        self.read_as(name, "a list of strings")
    }

    fn priority(&self) -> Result<Option<Priority>> {
        let name = self.read_as::<String>("priority", Priority::NAMES)?;
        name.map(|name| name.parse()).transpose()
    }

    fn required<T>(&self, name: &str, read: impl FnOnce(&Self, &str) -> Result<Option<T>>) -> Result<T> {
        read(self, name)?.ok_or_else(|| Error::invalid(name, "is missing"))
    }
}

/// JSON as an error shows it: one line, cut short.
fn brief(json: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    let cut = json.char_indices().nth(SHOWN_CHARS).map_or(json.len(), |(cut, _)| cut);
    let mut shown: String = json[..cut].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut < json.len() {
        shown.push_str(&format!("... ({} bytes)", json.len()));
    }
    shown
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        from_json(text.get()).map_err(de::Error::custom)
    }
}
