//! [`Frame`]: an event on its way to many clients, and its texts, each made once.
//!
//! Knows no client: what differs from one to the next is put around these texts elsewhere.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{
    rendering::Rendering,
    task::{self, Dialect},
};
use crate::event::Event;

/// An event and its texts, shared by all who are sent it.
#[derive(Debug)]
pub(super) struct Frame {
    event: Event,
    seq: u64,
    texts: [OnceLock<Arc<[Bytes]>>; Rendering::COUNT],
}

impl Frame {
    pub(super) fn new(event: Event) -> Self {
        Self { seq: event.seq().unwrap_or(0), event, texts: Default::default() }
    }

    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// The event as JSON texts without a line break: one, but for protocols that say one event in
    /// several messages, or leave it out.
    pub(super) fn messages(&self, rendering: Rendering) -> Arc<[Bytes]> {
        let made = self.texts[rendering.index()].get_or_init(|| match rendering {
            // An event of the log was rendered before: its payload is text.
            Rendering::Text(form) => one(form.render(&self.event).unwrap_or_default()),
            Rendering::A2a => all(task::updates(Dialect::V1, &self.event)),
            Rendering::A2a03 => all(task::updates(Dialect::V03, &self.event)),
        });
        Arc::clone(made)
    }

    /// What the frame weighs in a bounded buffer, before it is rendered.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.event.payload_json().map_or(0, str::len)
    }
}

fn one(json: String) -> Arc<[Bytes]> {
    Arc::new([Bytes::from(one_line(json))])
}

fn all(texts: Vec<String>) -> Arc<[Bytes]> {
    texts.into_iter().map(|text| Bytes::from(one_line(text))).collect()
}

/// JSON as it was given may be spread over lines, which would end a line of the stream. Inside a
/// string a line break is escaped, so those that are there stand between tokens.
///
/// Three more characters end a line for some clients, among them all of Python's httpx: they stand in
/// strings only, and are escaped.
pub(super) fn one_line(mut json: String) -> String {
    if json.contains(['\n', '\r']) {
        json = json.replace(['\n', '\r'], " ");
    }
    for (character, escaped) in [('\u{85}', "\\u0085"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")] {
        if json.contains(character) {
            json = json.replace(character, escaped);
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_spread_over_lines_stands_on_one() {
        let event = Event::raw("plan", "note", "{\r\n  \"a\": 1.50,\n  \"b\": \"x\\ny\"\n}");
        let frame = Frame::new(event);
        let texts = frame.messages(Rendering::default());
        let text = std::str::from_utf8(&texts[0]).expect("UTF-8");
        assert!(!text.contains(['\n', '\r']), "{text}");
        assert!(text.contains(r#""a": 1.50,"#) && text.contains(r#""x\ny""#), "{text}");
    }

    #[test]
    fn no_character_that_ends_a_line_for_somebody_stands_in_a_text() {
        let note = "a\u{2028}b\u{2029}c\u{85}d\n";
        let event = Event::untyped("plan", "note", serde_json::json!({"note": note}));
        let texts = Frame::new(event).messages(Rendering::default());
        let text = std::str::from_utf8(&texts[0]).expect("UTF-8");
        assert!(!text.contains(['\u{2028}', '\u{2029}', '\u{85}']), "{text}");
        let read: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(read["payload"]["note"], note, "it reads as it was");
    }

    #[test]
    fn each_text_is_made_once() {
        let frame = Frame::new(Event::raw("plan", "note", format!(r#"{{"a":"{}"}}"#, "x".repeat(2_000))));
        let names = ["plain", "brief", "cloudevents", "a2a"];
        let named = names.map(|name| name.parse().expect("a rendering"));
        let texts = named.map(|rendering| frame.messages(rendering));
        for (rendering, text) in named.into_iter().zip(&texts) {
            assert!(Arc::ptr_eq(&frame.messages(rendering), text), "{rendering:?}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{rendering:?} is its own");
        }
    }
}
