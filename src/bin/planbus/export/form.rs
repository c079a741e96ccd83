//! One event as one line: JSON, CSV or a CloudEvent. Specified in EVENTS.md, chapter "Exports".
//!
//! Pure. Every line reads back as the event, field by field, the payload byte for byte.

use clap::ValueEnum;
use planbus::{Event, Result};
use serde_json::{Value, json, value::RawValue};

use crate::text::escape_json;

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON Lines: one event a line, as `planbus events -o json` prints it
    Jsonl,
    /// CSV (RFC 4180): a column for each field of the envelope, lists and payload as JSON. Values are
    /// exact: one that begins with = + - or @ is not made harmless for spreadsheets
    Csv,
    /// CloudEvents 1.0 in JSON: one event a line, the payload as its data
    Cloudevents,
}

/// The columns of CSV, in the order of the envelope.
const COLUMNS: [&str; 16] = [
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

impl Format {
    /// The line before all events, where the form has one.
    pub(crate) fn head(self) -> Option<String> {
        (self == Self::Csv).then(|| COLUMNS.join(","))
    }

    /// What ends a line.
    pub(crate) fn line_end(self) -> &'static str {
        match self {
            Self::Csv => "\r\n",
            Self::Jsonl | Self::Cloudevents => "\n",
        }
    }

    /// An event of this store as a line.
    pub(crate) fn line(self, event: &Event, store_id: &str) -> Result<String> {
        match self {
            Self::Jsonl => event.to_json(),
            Self::Csv => csv(event),
            Self::Cloudevents => cloud_event(event, store_id),
        }
    }
}

fn csv(event: &Event) -> Result<String> {
    let optional = |value: Option<&dyn ToString>| value.map(ToString::to_string).unwrap_or_default();
    let list = |items: &[String]| if items.is_empty() { String::new() } else { json!(items).to_string() };
    let agents: Vec<String> = event.call_chain().iter().map(ToString::to_string).collect();
    let fields: [String; COLUMNS.len()] = [
        optional(event.seq().as_ref().map(|seq| seq as _)),
        event.event_id().to_string(),
        event.event_type().to_string(),
        event.plan_id().to_string(),
        event.timestamp().to_string(),
        optional(event.recorded_at().as_ref().map(|at| at as _)),
        event.tenant().to_string(),
        optional(event.source().map(|source| source as _)),
        list(&agents),
        optional(event.correlation_id().map(|id| id as _)),
        optional(event.causation_id().as_ref().map(|id| id as _)),
        optional(event.trace_parent().map(|trace| trace as _)),
        event.priority().to_string(),
        list(event.context_refs()),
        event.schema_version().to_string(),
        event.payload_json()?.to_owned(),
    ];
    Ok(fields.map(quoted).join(","))
}

/// A field of CSV, in quotes where it would be read as something else without them.
fn quoted(field: String) -> String {
    match field.contains([',', '"', '\r', '\n']) || field.trim().len() < field.len() {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

fn cloud_event(event: &Event, store_id: &str) -> Result<String> {
    let mut line = String::from("{\"specversion\":\"1.0\"");
    let mut put = |name: &str, value: Value| line.push_str(&format!(",\"{name}\":{value}"));
    let list = |items: Value| json!(escape_json(&items.to_string()));
    put("id", json!(event.event_id()));
    put("source", json!(format!("/planbus/{store_id}/{}", event.tenant())));
    put("type", json!(format!("planbus.{}", event.event_type())));
    put("subject", json!(event.plan_id()));
    put("time", json!(event.timestamp()));
    put("datacontenttype", json!("application/json"));
    if let Some(seq) = event.seq() {
        // Text that sorts as the numbers do, as the extension asks for.
        put("sequence", json!(format!("{seq:020}")));
    }
    if let Some(at) = event.recorded_at() {
        put("recordedat", json!(at));
    }
    put("partitionkey", json!(event.plan_id()));
    put("tenant", json!(event.tenant()));
    if let Some(agent) = event.source() {
        put("agent", json!(agent));
    }
    if !event.call_chain().is_empty() {
        put("callchain", list(json!(event.call_chain())));
    }
    if let Some(id) = event.correlation_id() {
        put("correlationid", json!(id));
    }
    if let Some(id) = event.causation_id() {
        put("causationid", json!(id));
    }
    if let Some(trace) = event.trace_parent() {
        put("traceparent", json!(trace));
    }
    put("priority", json!(event.priority()));
    if !event.context_refs().is_empty() {
        put("contextrefs", list(json!(event.context_refs())));
    }
    put("schemaversion", json!(event.schema_version().to_string()));
    line.push_str(",\"data\":");
    line.push_str(event.payload_json()?);
    line.push('}');
    debug_assert!(serde_json::from_str::<&RawValue>(&line).is_ok(), "{line}");
    Ok(line)
}

#[cfg(test)]
mod tests {
    use planbus::Priority;

    use super::*;

    fn event() -> Event {
        Event::raw("plan, \"7\"", "agent.note", r#"{"big": 123456789012345678901234567890, "q": "a,b"}"#)
            .with_event_id("01JZ8Q4V7N5T3M2K1H0G9F8E7D")
            .with_timestamp("2026-03-01T09:30:00Z")
            .with_source("=1+1")
            .with_call_chain(["boss", "=1+1"])
            .with_causation_id("01JZ8Q4V7N5T3M2K1H0G9F8E7C")
            .with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
            .with_priority(Priority::High)
            .with_context_ref("s3://b\u{9b}/x")
    }

    #[test]
    fn a_line_of_csv_quotes_what_must_be_and_changes_nothing() {
        assert_eq!(
            Format::Csv.line(&event(), "S").expect("a line"),
            concat!(
                r#",01JZ8Q4V7N5T3M2K1H0G9F8E7D,agent.note,"plan, ""7""",2026-03-01T09:30:00.000000Z,,default,=1+1,"#,
                r#""[""boss"",""=1+1""]",,01JZ8Q4V7N5T3M2K1H0G9F8E7C,"#,
                r#"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01,high,"#,
                "\"[\"\"s3://b\u{9b}/x\"\"]\",1,",
                r#""{""big"": 123456789012345678901234567890, ""q"": ""a,b""}""#,
            )
        );
        assert_eq!(quoted(" x".to_owned()), "\" x\"");
        assert_eq!(Format::Csv.head().expect("a head").split(',').count(), COLUMNS.len());
    }

    #[test]
    fn a_cloud_event_has_the_names_that_its_specification_allows() {
        let line = Format::Cloudevents.line(&event(), "01STORE").expect("a line");
        let Value::Object(fields) = serde_json::from_str(&line).expect("JSON") else { panic!("{line}") };
        for (name, value) in &fields {
            let is_allowed =
                name.len() <= 20 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            assert!(is_allowed, "{name}");
            assert!(
                name == "data" || value.as_str().is_some_and(|text| !text.contains(char::is_control)),
                "{name}"
            );
        }
        assert_eq!(fields["source"], "/planbus/01STORE/default");
        assert_eq!(fields["type"], "planbus.agent.note");
        assert_eq!(fields["contextrefs"], r#"["s3://b\u009b/x"]"#);
        assert!(line.ends_with(r#","data":{"big": 123456789012345678901234567890, "q": "a,b"}}"#), "{line}");
    }
}
