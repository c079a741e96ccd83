//! [`Record`]: an event of the log with all that the codecs need to write it.

use super::{
    entry::{push, push_string},
    inexpressible::Inexpressible,
};
use crate::event::Event;

/// An event of the log, to be written by a codec.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) event: &'a Event,
    pub(super) seq: u64,
    /// The id of the store.
    pub(super) store: &'a str,
    /// The name of the event's type in the profile's system.
    pub(super) name: &'a str,
    /// The payload's text, also where a reference is written in its place.
    pub(super) payload: &'a str,
    /// What is written in place of a payload that is too large.
    pub(super) reference: Option<Reference<'a>>,
}

/// Where a payload stands that is too large for an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference<'a> {
    store: &'a str,
    seq: u64,
    bytes: usize,
}

impl Reference<'_> {
    /// Appends it as a JSON object.
    pub(super) fn push(&self, text: &mut String) {
        text.push_str("{\"store\":");
        push_string(text, self.store);
        push(text, format_args!(",\"seq\":{},\"bytes\":{}}}", self.seq, self.bytes));
    }
}

impl<'a> Record<'a> {
    pub(super) fn new(event: &'a Event, store: &'a str, name: &'a str) -> Result<Self, Inexpressible> {
        let Some(seq) = event.seq() else {
            return Err(Inexpressible::new("the event is not in the log", "seq", ""));
        };
        let payload = event.payload_json();
        let payload = payload.map_err(|_| Inexpressible::new("the payload is no JSON", "payload", ""))?;
        Ok(Self { event, seq, store, name, payload, reference: None })
    }

    /// From now on a reference is written in place of the payload.
    pub(super) fn refer(&mut self) {
        self.reference = Some(Reference { store: self.store, seq: self.seq, bytes: self.payload.len() });
    }
}
