//! What the profiles write and read: literal fields, round trips, foreign and hostile entries.

mod attune;
mod foreign;
mod native;
mod orchestration;
mod per_type;
mod round_trip;
mod tenant;

use super::*;
use crate::event::{Event, Priority, Timestamp};

const STORE: &str = "01JZ8Q4V7N5T3M2K1H0G9F8E7S";

/// An event as the log gives it.
fn logged(event: Event, seq: u64) -> Event {
    let mut event = event;
    event.check().expect("a valid event");
    let correlation = event.plan_id().clone().into();
    let envelope = event.envelope_mut();
    envelope.seq = Some(seq);
    envelope.recorded_at = Some(Timestamp::from_micros(1_772_357_400_000_731).expect("a time"));
    envelope.correlation_id.get_or_insert(correlation);
    event
}

fn fields(entry: &Entry) -> Vec<(Vec<u8>, Vec<u8>)> {
    entry.fields().map(|(name, value)| (name.into(), value.into())).collect()
}

/// An entry with no limit that matters.
fn encoded(profile: &Profile, event: &Event) -> Entry {
    let mut entry = Entry::default();
    profile.encode(event, STORE, 1 << 20, &mut entry).expect("the profile says it");
    entry
}

/// The value of a field.
fn value<'a>(entry: &'a Entry, name: &str) -> &'a str {
    entry.fields().find(|(own, _)| *own == name).map_or("(no such field)", |(_, value)| value)
}

/// Reads an entry back.
fn read_back(profile: &Profile, entry: &Entry) -> Result<Event> {
    profile.decode(entry.key(), "1772357400000-3", &fields(entry))
}

/// An event with every part of the envelope.
fn full() -> Event {
    let event = Event::raw("release-notes", "ToolCalled", r#"{"call_id":"call-1", "tool":"grep"}"#)
        .with_event_id("01JZ8Q4V7N5T3M2K1H0G9F8E7D")
        .with_timestamp("2026-03-01T09:30:00Z")
        .with_tenant("acme")
        .with_source("planner")
        .with_call_chain(["super\"visor", "planner"])
        .with_correlation_id("release")
        .with_causation_id("01JZ8Q4V7N5T3M2K1H0G9F8E7C")
        .with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .with_priority(Priority::High)
        .with_context_ref("s3://bucket/a")
        .with_schema_version(3);
    logged(event, 42)
}

/// An event with as little as the log allows.
fn bare(event_type: &str, payload: &str) -> Event {
    let event = Event::raw("plan-7", event_type, payload)
        .with_event_id("01JZ8Q4V7N5T3M2K1H0G9F8E7D")
        .with_timestamp("2026-03-01T09:30:00.000001Z");
    logged(event, 7)
}

/// The eight types with all their outcomes.
fn outcomes() -> [Event; 10] {
    [
        bare("PlanStarted", r#"{"goal":"tidy up"}"#),
        bare("PlanCompleted", r#"{"duration_us":4000999,"commits":12}"#),
        bare("PlanFailed", r#"{"error":"no \"disk\"","duration_us":5}"#),
        bare("DecisionMade", r#"{"decision":"split"}"#),
        bare("ToolCalled", r#"{"call_id":"call-1","tool":"grep","arguments":{"q":"TODO"}}"#),
        bare(
            "ToolCompleted",
            r#"{"call_id":"call-1","tool":"grep","ok":true,"duration_us":1913,"result":[1]}"#,
        ),
        bare("ToolCompleted", r#"{"call_id":"call-1","tool":"grep","ok":false,"error":"no such file"}"#),
        bare("SubplanSpawned", r#"{"subplan":"plan-7/a","goal":"collect"}"#),
        bare("SubplanCompleted", r#"{"subplan":"plan-7/a","ok":true,"duration_us":2000000}"#),
        bare("SubplanCompleted", r#"{"subplan":"plan-7/a","ok":false,"error":"gave up"}"#),
    ]
}

/// What each of the outcomes is called, and in which stream.
fn names(profile: &Profile, field: &str) -> Vec<(String, String)> {
    let name = |event: &Event| {
        let mut entry = Entry::default();
        match profile.encode(event, STORE, 1 << 20, &mut entry) {
            Ok(()) => (value(&entry, field).to_owned(), entry.key().to_owned()),
            Err(reason) => (reason.to_string(), String::new()),
        }
    };
    outcomes().iter().map(name).collect()
}
