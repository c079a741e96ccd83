//! The fields of a payload of any shape, under the names that agent runtimes give them.
//!
//! Recorded runs say the same things in other words than planbus does. Nothing here fails: what is
//! not there, or of another kind, is not known.

use std::collections::HashMap;

use planbus::Event;
use serde_json::{Value, value::RawValue};

/// What a plan is to reach.
pub(crate) const GOAL: &[&str] = &["goal", "prompt", "instruction", "description", "task", "input"];
/// What a tool was given.
pub(crate) const ARGUMENTS: &[&str] = &["arguments", "args", "input", "action"];
/// What was decided.
pub(crate) const DECISION: &[&str] =
    &["decision", "thought", "message", "content", "part", "response", "action", "text"];
/// What went wrong.
pub(crate) const ERROR: &[&str] = &["error", "reason", "message", "content", "observation", "result"];

/// How deep words are looked for in a field: messages hold parts that hold text.
const WORDS_MAX_DEPTH: usize = 4;

/// The fields of one payload, each read when it is asked for.
pub(crate) struct Fields<'a>(HashMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    /// An event's fields; none where the payload cannot be read.
    pub(crate) fn of(event: &'a Event) -> Self {
        let json = event.payload_json().unwrap_or("{}");
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// The text of a field that is one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// A field that names something, which some runtimes do with numbers; told from any other value.
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        let value: Value = serde_json::from_str(self.0.get(name)?.get()).ok()?;
        (!value.is_null()).then(|| value.to_string())
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// The first of these fields that is there and not null.
    pub(crate) fn value(&self, names: &[&str]) -> Option<Value> {
        self.values(names).next()
    }

    /// The first words in the first of these fields that has any.
    pub(crate) fn words(&self, names: &[&str]) -> Option<String> {
        self.values(names).find_map(|value| words(&value, WORDS_MAX_DEPTH))
    }

    fn values(&self, names: &[&str]) -> impl Iterator<Item = Value> {
        let raw = names.iter().filter_map(|name| self.0.get(*name));
        raw.filter_map(|raw| serde_json::from_str(raw.get()).ok()).filter(|value: &Value| !value.is_null())
    }
}

fn words(value: &Value, depth: usize) -> Option<String> {
    let inside = depth.checked_sub(1)?;
    match value {
        // On one line, whatever its paragraphs.
        Value::String(text) => {
            let text: Vec<&str> = text.split_whitespace().collect();
            Some(text.join(" ")).filter(|text| !text.is_empty())
        }
        Value::Array(items) => items.iter().find_map(|item| words(item, inside)),
        Value::Object(map) => ["text", "thinking", "content", "message", "parts", "instruction", "name"]
            .iter()
            .find_map(|name| words(map.get(*name)?, inside)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_of_a_payload_are_found_under_any_runtimes_names() {
        let cases = [
            (json!({"decision": "split", "thought": "later"}), Some("split")),
            (json!({"decision": null, "thought": " try\n\n again\n"}), Some("try again")),
            (
                json!({"content": {"role": "assistant", "content": [{"type": "text", "text": "yes"}]}}),
                Some("yes"),
            ),
            (json!({"part": {"function_call": {}}, "response": ""}), None),
            (json!({"decision": [[[["too deep"]]]]}), None),
            (json!({"decision": 7}), None),
        ];
        for (payload, expected) in cases {
            let event = Event::untyped("plan", "DecisionMade", payload.clone());
            assert_eq!(Fields::of(&event).words(DECISION).as_deref(), expected, "{payload}");
        }
    }
}
