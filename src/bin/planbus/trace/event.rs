//! The event that a line becomes: the mapping of EVENTS.md, chapter "Recorded runs".
//!
//! The same line at the same place gives the same event id, for ever: what is hashed never changes.

use planbus::{Event, EventId, Tenant, Timestamp};
use sha2::{Digest, Sha256};

use super::line::{At, Line};

/// The head of what an event id is made of.
const ID_TAG: &str = "planbus trace v1\n";

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The file's name, percent-encoded; `-` for standard input.
    pub(crate) file: &'a str,
    /// The number of the line, from 1.
    pub(crate) number: u64,
    /// The line's bytes without the line end.
    pub(crate) bytes: &'a [u8],
}

/// The event of a line; `moment` is when it happened, said by the line or not.
pub(crate) fn of(line: &Line<'_>, place: Place<'_>, tenant: &Tenant, moment: Timestamp) -> Event {
    let mut event = Event::raw(&line.plan, line.event_type.clone(), line.data.get())
        .with_event_id(event_id(place, tenant, line.at.moment()))
        .with_timestamp(moment)
        .with_tenant(tenant)
        .with_source(&line.agent)
        .with_context_ref(reference(place, line, moment));
    event = match &line.parent {
        Some(parent) => event.with_correlation_id(parent),
        None => event.with_correlation_id(line.plan.clone()),
    };
    event
}

/// A ULID: the milliseconds of the line's own time, 0 without one, then 80 bits of a hash.
///
/// The tenant is a part of it: one file may be imported for two. The file's name is none: a copy of
/// a file adds nothing.
fn event_id(place: Place<'_>, tenant: &Tenant, at: Option<Timestamp>) -> EventId {
    const HASH_BITS: u32 = 80;
    let mut hash = Sha256::new();
    hash.update(format!("{ID_TAG}{tenant}\n{}\n", place.number));
    hash.update(place.bytes);
    let head = hash.finalize().iter().take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let millis = at.map_or(0, |at| u64::try_from(at.as_micros()).unwrap_or(0) / 1_000);
    EventId::from_u128(u128::from(millis) << HASH_BITS | head >> (u128::BITS - HASH_BITS))
}

/// Where the event comes from, and what its timestamp and type do not say exactly.
fn reference(place: Place<'_>, line: &Line<'_>, moment: Timestamp) -> String {
    let mut reference = format!("trace:{}#line={}", place.file, place.number);
    let at = match &line.at {
        At::Given(_, text) if *text == moment.to_string() => None,
        At::Given(_, text) => Some(percent_encoded(text.as_bytes())),
        At::Null => Some("null".to_owned()),
        At::Missing => Some("missing".to_owned()),
    };
    if let Some(at) = at {
        reference.extend(["&at=", &at]);
    }
    if let Some(kind) = &line.odd_kind {
        reference.extend(["&kind=", kind]);
    }
    reference
}

/// Bytes as a part of a URI: all but unreserved characters and colons as `%XX`.
pub(crate) fn percent_encoded(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                text.push(char::from(*byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"plan":"p","parent":"o","kind":"decision","agent":"a","at":"2026-03-01T10:30:00.1+01:00","data":{"x": 1}}"#;

    fn event(line: &str, file: &str, number: u64, tenant: &str) -> Event {
        let tenant = Tenant::try_from(tenant).expect("a tenant");
        let parsed = Line::parse(line.as_bytes()).expect("a line");
        let moment = parsed.at.moment().unwrap_or(Timestamp::from_micros(7).expect("in range"));
        of(&parsed, Place { file, number, bytes: line.as_bytes() }, &tenant, moment)
    }

    #[test]
    fn an_event_id_never_changes_for_the_same_line_at_the_same_place() {
        let one = event(LINE, "a", 1, "default");
        // Logs hold this id: whoever changes it imports every file again.
        assert_eq!(one.event_id().to_string(), "01KJMBQDH4E900TVYP4GXRPPS2");
        assert_eq!(event(LINE, "b", 1, "default").event_id(), one.event_id());
        for other in [
            event(LINE, "a", 2, "default"),
            event(LINE, "a", 1, "acme"),
            event(&LINE.replace("x", "y"), "a", 1, "default"),
        ] {
            assert_ne!(other.event_id(), one.event_id());
        }
        assert_eq!(one.event_id().as_u128() >> 80, 1_772_357_400_100);
        for timeless in ["null", r#""1969-01-01T00:00:00Z""#] {
            let line = LINE.replace(r#""2026-03-01T10:30:00.1+01:00""#, timeless);
            assert_eq!(event(&line, "a", 1, "default").event_id().as_u128() >> 80, 0, "{timeless}");
        }
    }

    #[test]
    fn what_the_envelope_does_not_say_exactly_stands_in_the_reference() {
        let reference = |at: &str| {
            let line = LINE.replace(r#""2026-03-01T10:30:00.1+01:00""#, at);
            event(&line, "my%20runs.jsonl", 7, "default").context_refs().to_vec()
        };
        assert_eq!(reference(r#""2026-03-01T09:30:00.100000Z""#), ["trace:my%20runs.jsonl#line=7"]);
        assert_eq!(
            reference(r#""2026-03-01T10:30:00.1+01:00""#),
            ["trace:my%20runs.jsonl#line=7&at=2026-03-01T10:30:00.1%2B01:00"]
        );
        assert_eq!(
            reference(r#""2026-03-01T09:30:00.100000000Z""#),
            ["trace:my%20runs.jsonl#line=7&at=2026-03-01T09:30:00.100000000Z"]
        );
        assert_eq!(reference("null"), ["trace:my%20runs.jsonl#line=7&at=null"]);
        let line = LINE.replace("decision", "DecisionMade").replace("10:30:00.1+01:00", "09:30:00.100000Z");
        let odd = event(&line, "-", 1, "default");
        assert_eq!(odd.context_refs(), ["trace:-#line=1&kind=DecisionMade"]);
        assert_eq!(odd.event_type(), &planbus::EventType::DecisionMade);
        let missing = event(&LINE.replace(r#""at":"2026-03-01T10:30:00.1+01:00","#, ""), "-", 1, "default");
        assert_eq!(missing.context_refs(), ["trace:-#line=1&at=missing"]);
    }
}
