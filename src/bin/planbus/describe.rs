//! What happened, in a few words: one line of text for any event.
//!
//! Payloads may be of any shape, whatever their type says; what does not fit is shown as its JSON.
//! The text is not fit for a terminal yet: whoever prints it escapes it.

use std::{fmt::Write, time::Duration};

use planbus::{
    DecisionMade, Event, EventType, PlanCompleted, PlanFailed, PlanStarted, SubplanCompleted, SubplanSpawned,
    ToolCalled, ToolCompleted,
};
use serde_json::Value;

use crate::{
    agent_runtime::units,
    fields::{self, Fields},
};

/// The event in short.
pub(crate) fn event(event: &Event) -> String {
    let known = match event.event_type() {
        EventType::PlanStarted => {
            event.payload::<PlanStarted>().map(|plan| plan.goal.clone().unwrap_or_else(|| odd(event)))
        }
        EventType::PlanCompleted => event
            .payload::<PlanCompleted>()
            .map(|plan| joined([took("", plan.duration_us), pairs(&plan.extra)])),
        EventType::PlanFailed => event
            .payload::<PlanFailed>()
            .map(|plan| joined([plan.error.clone(), took("after ", plan.duration_us)])),
        EventType::DecisionMade => event.payload::<DecisionMade>().map(|made| match &made.reason {
            Some(reason) => format!("{}: {reason}", made.decision),
            None => made.decision.clone(),
        }),
        EventType::ToolCalled => {
            event.payload::<ToolCalled>().map(|call| joined([call.tool.clone(), arguments(event)]))
        }
        EventType::ToolCompleted => event.payload::<ToolCompleted>().map(|call| tool_completed(&call)),
        EventType::SubplanSpawned => event.payload::<SubplanSpawned>().map(|spawned| {
            joined([
                format!("-> {}", below(event, &spawned.subplan)),
                spawned.goal.clone().unwrap_or_default(),
            ])
        }),
        EventType::SubplanCompleted => event.payload::<SubplanCompleted>().map(|done| {
            let outcome = outcome(done.ok, done.error.as_deref());
            joined([format!("<- {}", below(event, &done.subplan)), outcome, took("", done.duration_us)])
        }),
        _ => return json(event),
    };
    known.unwrap_or_else(|_| odd(event))
}

/// An event whose payload says what it has to say in other words than its type has.
fn odd(event: &Event) -> String {
    let fields = Fields::of(event);
    let words = match event.event_type() {
        EventType::PlanStarted => return fields.words(fields::GOAL).unwrap_or_default(),
        EventType::PlanFailed => fields.words(fields::ERROR),
        EventType::DecisionMade => fields.words(fields::DECISION),
        EventType::ToolCompleted => fields
            .text("tool")
            .filter(|_| fields.flag("ok").is_none())
            .map(|tool| joined([tool, "ended".to_owned(), fields.words(fields::ERROR).unwrap_or_default()])),
        _ => None,
    };
    words.unwrap_or_else(|| json(event))
}

/// What a tool was given, in short.
pub(crate) fn arguments(call: &Event) -> String {
    Fields::of(call).value(fields::ARGUMENTS).as_ref().map(value).unwrap_or_default()
}

/// A subplan's id as it goes on from its parent's, where it does.
fn below<'a>(event: &Event, subplan: &'a str) -> &'a str {
    let rest = subplan.strip_prefix(event.plan_id().as_str()).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or(subplan)
}

fn tool_completed(call: &ToolCompleted) -> String {
    let result = call.result.as_ref().map(|result| value(result)).unwrap_or_default();
    let outcome = outcome(call.ok, call.error.as_deref());
    joined([call.tool.clone(), outcome, took("", call.duration_us), result])
}

fn outcome(ok: bool, error: Option<&str>) -> String {
    match (ok, error) {
        (true, _) => "ok".to_owned(),
        (false, Some(error)) => format!("failed: {error}"),
        (false, None) => "failed".to_owned(),
    }
}

fn took(before: &str, micros: Option<u64>) -> String {
    micros
        .map(|micros| format!("{before}{}", units::duration(Duration::from_micros(micros))))
        .unwrap_or_default()
}

fn joined<const N: usize>(parts: [String; N]) -> String {
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("  ")
}

fn json(event: &Event) -> String {
    event.payload_json().map(str::to_owned).unwrap_or_default()
}

/// A value: an object as its fields, anything else as JSON.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::Object(map) => pairs(map),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `name=value` for each field; what is inside a field only as its size.
fn pairs(map: &serde_json::Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in map {
        let shown = match value {
            Value::Array(items) => format!("[{}]", items.len()),
            Value::Object(map) => format!("{{{}}}", map.len()),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{name}={shown}", if text.is_empty() { "" } else { " " });
    }
    text
}
