//! An event as a CloudEvent 1.0 in the JSON format: <https://github.com/cloudevents/spec>.
//!
//! Attributes hold single values, so the call chain and context references are left out; whoever
//! needs them asks for the plain form.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::event::Event;

/// The attributes, in the order in which they are written.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: &'a str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    dataschema: String,
    /// Extensions from here: names are lower-case letters and digits only.
    tenant: &'a str,
    priority: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recordedtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlationid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causationid: Option<String>,
    data: &'a RawValue,
}

/// The event as JSON; line breaks of the payload stay in it.
pub(super) fn render(event: &Event) -> String {
    // Events of the log hold their payload as text.
    let payload: Option<&RawValue> =
        event.payload_json().ok().and_then(|text| serde_json::from_str(text).ok());
    let json = CloudEvent {
        specversion: "1.0",
        id: event.event_id().to_string(),
        source: source(event),
        event_type: event.event_type().as_str(),
        subject: event.plan_id().as_str(),
        time: event.timestamp().to_string(),
        datacontenttype: "application/json",
        dataschema: format!("urn:planbus:{}:{}", event.event_type(), event.schema_version()),
        tenant: event.tenant().as_str(),
        priority: event.priority().to_string(),
        // As wide as any seq, since the attribute is compared as text.
        sequence: event.seq().map(|seq| format!("{seq:020}")),
        recordedtime: event.recorded_at().map(|at| at.to_string()),
        traceparent: event.trace_parent().map(ToString::to_string),
        correlationid: event.correlation_id().map(|id| id.as_str()),
        causationid: event.causation_id().map(|id| id.to_string()),
        data: payload.unwrap_or(RawValue::NULL),
    };
    serde_json::to_string(&json).unwrap_or_default()
}

/// Where the event comes from, a URI reference: agent ids may hold any character, which are escaped.
fn source(event: &Event) -> String {
    match event.source() {
        Some(agent) => format!(
            "/agents/{}",
            form_urlencoded::byte_serialize(agent.as_str().as_bytes()).collect::<String>()
        )
        .replace('+', "%20"),
        None => "/agents".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_becomes_a_cloud_event_with_its_payload_as_it_was_given() {
        let event = Event::raw("plan/7", "ToolCalled", r#"{"n": 1.50}"#)
            .with_event_id("01J00000000000000000000001")
            .with_timestamp("2026-11-21T04:55:34.701Z")
            .with_tenant("acme")
            .with_source("planner 1/ü")
            .with_correlation_id("root")
            .with_trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let text = render(&event);
        assert!(text.ends_with(r#""data":{"n": 1.50}}"#), "{text}");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        let expected = json!({
            "specversion": "1.0", "id": "01J00000000000000000000001", "source": "/agents/planner%201%2F%C3%BC",
            "type": "ToolCalled", "subject": "plan/7", "time": "2026-11-21T04:55:34.701000Z",
            "datacontenttype": "application/json", "dataschema": "urn:planbus:ToolCalled:1", "tenant": "acme",
            "priority": "normal", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "correlationid": "root", "data": {"n": 1.5}
        });
        assert_eq!(read, expected);
        let names = read.as_object().expect("an object").keys();
        assert!(names.clone().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())));
    }
}
