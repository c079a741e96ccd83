//! [`Ask`]: what a client asks for, and what it is to be sent of the log.

use planbus::Event;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    check::Got,
    events::{LAST_TYPE, OTHER_TENANT, ROOT, ROOT_IN_PATH},
};

/// How a client is sent events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Server-sent events, as the log has them.
    Plain,
    /// Server-sent events, as CloudEvents.
    CloudEvents,
    /// A WebSocket, as the log has them.
    WebSocket,
    /// A2A 1.0 over JSON-RPC, resumed as server-sent events are.
    A2a,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) name: &'static str,
    pub(crate) tenant: &'static str,
    /// Whether it follows [`ROOT`] to its end; else the log of its tenant.
    pub(crate) is_plan: bool,
    /// Which types it wants; all where there are none.
    pub(crate) types: &'static [&'static str],
    pub(crate) form: Form,
    /// Whether it goes on with the id of its last event rather than with a seq.
    pub(crate) names_event: bool,
    /// Whether it waits between reads, with a small buffer.
    pub(crate) is_slow: bool,
    /// Whether it comes again without saying where it was, as long as things break.
    pub(crate) forgets: bool,
}

/// A client that follows the log of the tenant `default`.
pub(crate) const ALL: Ask = Ask {
    name: "all events",
    tenant: "default",
    is_plan: false,
    types: &[],
    form: Form::Plain,
    names_event: false,
    is_slow: false,
    forgets: false,
};

/// A client that follows the plan of the tenant `default`.
pub(crate) const PLAN: Ask = Ask { name: "a plan", is_plan: true, ..ALL };

/// The clients of a history.
pub(crate) const CLIENTS: [Ask; 13] = [
    ALL,
    Ask { name: "all events, slowly", is_slow: true, ..ALL },
    Ask { name: "some types", types: &["workflow.*", "ToolCalled", LAST_TYPE], ..ALL },
    Ask { name: "another tenant's events", tenant: OTHER_TENANT, ..ALL },
    Ask { name: "all CloudEvents", form: Form::CloudEvents, ..ALL },
    PLAN,
    Ask { name: "a plan by event ids", names_event: true, ..PLAN },
    Ask { name: "a plan, slowly", is_slow: true, ..PLAN },
    Ask { name: "some types of a plan, without its end", types: &["workflow.step", "DecisionMade"], ..PLAN },
    Ask { name: "all events, over a WebSocket", form: Form::WebSocket, ..ALL },
    Ask { name: "a plan, over a WebSocket", form: Form::WebSocket, ..PLAN },
    Ask { name: "a plan, as A2A", form: Form::A2a, ..PLAN },
    Ask { name: "another tenant's plan", tenant: OTHER_TENANT, form: Form::CloudEvents, ..PLAN },
];

impl Ask {
    /// The path and query of its stream.
    pub(crate) fn path(&self, stream: &str) -> String {
        let path = if self.is_plan { format!("/plans/{ROOT_IN_PATH}") } else { String::new() };
        let wait = if self.is_plan { "&wait=true" } else { "" };
        let types = match self.types {
            [] => String::new(),
            types => format!("&type={}", types.join(",")),
        };
        let form = if self.form == Form::CloudEvents { "&format=cloudevents" } else { "" };
        format!("{path}/events/{stream}?tenant={}{wait}{types}{form}", self.tenant)
    }

    /// The request, after a place in the log.
    pub(crate) fn request(&self, cursor: Option<&str>) -> String {
        let id = cursor.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        if self.form == Form::A2a {
            let body =
                json!({"jsonrpc": "2.0", "id": 1, "method": "SubscribeToTask", "params": {"id": ROOT}});
            let body = body.to_string();
            return format!(
                "POST /a2a HTTP/1.1\r\nHost: 127.0.0.1\r\nA2A-Version: 1.0\r\nAccept: text/event-stream\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n{id}\r\n{body}",
                body.len()
            );
        }
        format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n{id}\r\n", self.path("stream"))
    }

    /// Whether it is to be sent an event.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let name = event.event_type().as_str();
        let is_type = |wanted: &&str| match wanted.strip_suffix('*') {
            Some(family) => name.starts_with(family),
            None => name == *wanted,
        };
        event.tenant().as_str() == self.tenant
            && (!self.is_plan || event.plan_id().as_str() == ROOT)
            && (self.types.is_empty() || self.types.iter().any(is_type))
    }

    /// Whether this is what the log has of an event, to the byte but for line breaks between tokens.
    pub(crate) fn is_said(&self, event: &Event, said: &Said) -> bool {
        if said.event_type != event.event_type().as_str() {
            return false;
        }
        match self.form {
            Form::Plain | Form::WebSocket => said.text == one_line(&event.to_json().expect("JSON")),
            Form::CloudEvents => serde_json::from_str::<CloudEvent>(&said.text).is_ok_and(|cloud| {
                cloud.id == event.event_id().to_string()
                    && cloud.kind == said.event_type
                    && cloud.subject == event.plan_id().as_str()
                    && cloud.tenant == event.tenant().as_str()
                    && cloud.sequence.parse() == Ok(said.seq)
                    && cloud.data.get() == one_line(event.payload_json().expect("JSON"))
            }),
            Form::A2a => {
                let message: Value = serde_json::from_str(&said.text).expect("JSON");
                let update = &message["result"]["statusUpdate"];
                let metadata = &update["metadata"];
                update["taskId"] == event.plan_id().as_str()
                    && metadata["eventId"] == event.event_id().to_string()
                    && metadata["eventType"] == said.event_type
                    && metadata["sequence"].as_str().and_then(|seq| seq.parse().ok()) == Some(said.seq)
            }
        }
    }

    /// A gap as it is told.
    pub(crate) fn gap(&self, text: &str) -> Got {
        let told: Value = serde_json::from_str(text).expect("JSON");
        if self.form == Form::A2a {
            let gap = &told["result"]["statusUpdate"]["metadata"]["gap"];
            let seq = |value: &Value| value.as_str().map(|seq| seq.parse().expect("a seq"));
            return Got::Gap {
                after_seq: seq(&gap["after"]),
                oldest_seq: seq(&gap["oldest"]).expect("a seq"),
            };
        }
        let oldest_seq = told["oldest_seq"].as_u64().expect("a seq");
        Got::Gap { after_seq: told["after_seq"].as_u64(), oldest_seq }
    }

    /// Whether the client is done with this event.
    pub(crate) fn is_last(&self, said: &Said) -> bool {
        match self.form {
            Form::A2a => matches!(said.event_type.as_str(), "PlanCompleted" | "PlanFailed"),
            _ if self.is_plan => false,
            Form::CloudEvents => said.event_type == LAST_TYPE && said.text.contains(r#""subject":"the end""#),
            _ => said.event_type == LAST_TYPE && said.text.contains(r#""plan_id":"the end""#),
        }
    }

    /// Whether the server tells it how far it is where nothing is for it.
    pub(crate) fn hears_places(&self) -> bool {
        matches!(self.form, Form::Plain | Form::CloudEvents)
    }
}

/// An event as a client was sent it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) seq: u64,
    pub(crate) event_type: String,
    pub(crate) text: String,
}

#[derive(Deserialize)]
struct CloudEvent<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    tenant: String,
    sequence: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A message has one line.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
