//! How other systems write ids, times and the source of an event.

use super::{
    record::Record,
    text::{push, push_string},
};
use crate::event::{AgentId, Event, EventId, Timestamp};

/// The agent of an event that names none, where a system demands one: whoever wrote the entry.
const WRITER: &str = "planbus";

/// Appends an id as a UUID.
pub(super) fn push_uuid(text: &mut String, id: EventId) {
    let bits = id.as_u128();
    let part = |shift: u32, digits: u32| (bits >> shift) & ((1 << (4 * digits)) - 1);
    push(
        text,
        format_args!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 8),
            part(80, 4),
            part(64, 4),
            part(48, 4),
            part(0, 12)
        ),
    );
}

/// Appends a time with its offset in digits, `+00:00`.
pub(super) fn push_time(text: &mut String, at: Timestamp) {
    push(text, at);
    text.pop();
    text.push_str("+00:00");
}

/// The agent that an event comes from: its source, the last of its call chain, or planbus; and
/// whether that was filled in.
pub(super) fn source(event: &Event) -> (&str, bool) {
    match (event.source(), event.call_chain().last()) {
        (Some(source), _) => (source.as_str(), false),
        (None, last) => (last.map_or(WRITER, AgentId::as_str), true),
    }
}

/// Appends the object that holds a payload, with members of ours in front of the payload's own, and
/// gives their number.
#[derive(Debug)]
pub(super) struct Data<'a> {
    text: &'a mut String,
    added: u64,
}

impl<'a> Data<'a> {
    pub(super) fn begin(text: &'a mut String) -> Self {
        text.push('{');
        Self { text, added: 0 }
    }

    /// Begins a member; its value is to be appended.
    pub(super) fn member(&mut self, name: &str) -> &mut String {
        if self.added > 0 {
            self.text.push(',');
        }
        self.added += 1;
        push_string(self.text, name);
        self.text.push(':');
        self.text
    }

    /// Ends it with the payload's own members, as they are written.
    pub(super) fn end(self, record: &Record<'_>) -> u64 {
        let members = record.body().trim_start().strip_prefix('{').unwrap_or_default();
        if self.added > 0 && !members.trim_start().starts_with('}') {
            self.text.push(',');
        }
        self.text.push_str(members);
        self.added
    }
}
