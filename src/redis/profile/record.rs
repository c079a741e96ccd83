//! [`Record`]: an event of the log with all that the codecs need to write it.

use super::{inexpressible::Inexpressible, text::push_string};
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
    /// The object that is written in place of a payload that is too large.
    in_place: Option<String>,
}

/// What comes before the reference in the object that stands for a payload.
const REFERENCE_BEGIN: &str = "{\"_payload_ref\":";

impl<'a> Record<'a> {
    pub(super) fn new(event: &'a Event, store: &'a str, name: &'a str) -> Result<Self, Inexpressible> {
        let Some(seq) = event.seq() else {
            return Err(Inexpressible::new("the event is not in the log", "seq", ""));
        };
        let payload = event.payload_json();
        let payload = payload.map_err(|_| Inexpressible::new("the payload is no JSON", "payload", ""))?;
        Ok(Self { event, seq, store, name, payload, in_place: None })
    }

    /// From now on a reference is written in place of the payload.
    pub(super) fn refer(&mut self) {
        let mut object = String::from(REFERENCE_BEGIN);
        object.push_str("{\"store\":");
        push_string(&mut object, self.store);
        object.push_str(&format!(",\"seq\":{},\"bytes\":{}}}}}", self.seq, self.payload.len()));
        self.in_place = Some(object);
    }

    pub(super) fn is_referred(&self) -> bool {
        self.in_place.is_some()
    }

    /// The object that stands for the payload: itself, or one that holds the reference only.
    pub(super) fn body(&self) -> &str {
        self.in_place.as_deref().unwrap_or(self.payload)
    }

    /// The reference alone, where there is one.
    pub(super) fn reference(&self) -> Option<&str> {
        self.in_place.as_deref()?.strip_prefix(REFERENCE_BEGIN)?.strip_suffix('}')
    }
}
