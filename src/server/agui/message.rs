//! The messages of AG-UI 1.0 that a plan's events become, and their JSON.
//!
//! Only shapes: which message follows which is decided by [`Run`](super::run::Run).

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::frame::one_line;
use crate::event::{AgentId, Event, EventId, EventType};

/// The version of the protocol, as the first message declares it.
const PROTOCOL_VERSION: &str = "1.0";

/// Where a message stands among those of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    More,
    Last,
}

/// One message to a client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub(super) enum Message<'a> {
    RunStarted {
        thread_id: &'a str,
        run_id: &'a str,
        protocol_version: &'static str,
    },
    RunFinished {
        thread_id: &'a str,
        run_id: &'a str,
        result: &'a RawValue,
    },
    RunError {
        message: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
    },
    ToolCallStart {
        tool_call_id: &'a str,
        tool_call_name: Cow<'a, str>,
    },
    ToolCallArgs {
        tool_call_id: &'a str,
        delta: &'a str,
    },
    ToolCallEnd {
        tool_call_id: &'a str,
    },
    ToolCallResult {
        message_id: EventId,
        tool_call_id: &'a str,
        content: Cow<'a, str>,
        role: &'static str,
        /// AG-UI has no place for it; the metadata says it.
        #[serde(skip)]
        failed: bool,
    },
    SubagentStarted {
        subagent_run_id: EventId,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<Cow<'a, str>>,
    },
    SubagentFinished {
        subagent_run_id: EventId,
        result: &'a RawValue,
    },
    SubagentError {
        subagent_run_id: EventId,
        message: Cow<'a, str>,
    },
    Custom {
        name: &'a str,
        value: &'a RawValue,
    },
}

impl<'a> Message<'a> {
    pub(super) fn run_started(thread_id: &'a str, run_id: &'a str) -> Self {
        Self::RunStarted { thread_id, run_id, protocol_version: PROTOCOL_VERSION }
    }

    /// The message's JSON, without a line break; `of` is the event that it tells of.
    pub(super) fn to_bytes(&self, of: Option<(&Event, Place)>) -> Bytes {
        let stamped = Stamped {
            message: self,
            timestamp: of.map(|(event, _)| event.timestamp().as_unix_millis()),
            metadata: of.map(|(event, place)| Metadata { planbus: self.origin(event, place) }),
        };
        // Texts and what the log holds as JSON: nothing that could not be written.
        Bytes::from(one_line(serde_json::to_string(&stamped).unwrap_or_default()))
    }

    fn origin<'e>(&self, event: &'e Event, place: Place) -> Origin<'e> {
        Origin {
            event_id: event.event_id(),
            event_type: event.event_type(),
            sequence: event.seq().filter(|_| place == Place::Last).map(|seq| seq.to_string()),
            source: event.source(),
            failed: matches!(self, Self::ToolCallResult { failed: true, .. }),
        }
    }
}

/// A message, and where it comes from.
#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    message: &'a Message<'a>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
}

/// What the client hands through to its user. A name of our own: whoever relays us adds another.
#[derive(Serialize)]
struct Metadata<'a> {
    planbus: Origin<'a>,
}

/// The event that a message tells of.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Origin<'a> {
    event_id: EventId,
    event_type: &'a EventType,
    /// The seq, the cursor to resume after: only in the last message of an event, so that a
    /// connection which is cut between two does not lose the second. Text, since a number would lose
    /// digits in JavaScript.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a AgentId>,
    /// Whether the tool failed, where one did.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
}
