//! The events of a history: which event stands at which seq is the seed's alone, so that a publisher
//! that was killed goes on where its log ends.

use planbus::*;
use serde_json::json;

use super::random::Random;

/// The plan that clients follow, of two tenants; its name has to be encoded in a path.
pub(crate) const ROOT: &str = "release notes/7 ü";
/// [`ROOT`] in a path.
pub(crate) const ROOT_IN_PATH: &str = "release%20notes%2F7%20%C3%BC";
/// The tenant beside `default`.
pub(crate) const OTHER_TENANT: &str = "acme";
/// The last event of each tenant.
pub(crate) const LAST_TYPE: &str = "history.ended";
/// With how many events a history ends: those of [`ending`].
pub(crate) const ENDING: u64 = 6;

/// The largest payload.
const PAYLOAD_MAX_BYTES: usize = 256 << 10;
/// One event of so many is large.
const LARGE: usize = 40;

/// The event at a seq, before the history's end.
pub(crate) fn event(seed: u64, seq: u64) -> Event {
    let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(seq));
    match seq {
        1 => Event::new(ROOT, PlanStarted::new("notes")).with_source("planner"),
        2 => Event::new(ROOT, PlanStarted::new("notes of another tenant")).with_tenant(OTHER_TENANT),
        3 => Event::new(ROOT, SubplanSpawned::new(part(0))),
        4 => Event::new(part(0), PlanStarted::new("a part")).with_correlation_id(ROOT),
        _ => {
            let plan = match random.below(10) {
                0..5 => ROOT.to_owned(),
                5..7 => part(random.below(3)),
                other => format!("plan-{other}"),
            };
            let event = some_event(&plan, seq, &mut random);
            if random.below(4) == 0 { event.with_tenant(OTHER_TENANT) } else { event }
        }
    }
}

/// The event at this place behind the last one of [`event`].
pub(crate) fn ending(at: u64) -> Event {
    match at {
        0 => Event::new(part(0), PlanCompleted::new()).with_correlation_id(ROOT),
        1 => Event::raw(ROOT, LAST_TYPE, "{}").with_priority(Priority::Low),
        2 => Event::new(ROOT, PlanFailed::new("another tenant's failure")).with_tenant(OTHER_TENANT),
        3 => Event::new(ROOT, PlanCompleted::new()),
        4 => Event::raw("the end", LAST_TYPE, "{}"),
        _ => Event::raw("the end", LAST_TYPE, "{}").with_tenant(OTHER_TENANT),
    }
}

fn part(number: usize) -> String {
    format!("{ROOT}/part {number}")
}

fn some_event(plan: &str, seq: u64, random: &mut Random) -> Event {
    match random.below(6) {
        0 => Event::new(plan, DecisionMade::new(format!("decision {seq}"))),
        1 => Event::new(plan, ToolCalled::new(format!("call-{seq}"), "grep", json!({"q": seq}))),
        2 => Event::raw(plan, "workflow.step", format!("{{\r\n  \"step\": {seq}.50,\n  \"n\": [1,\n2]\n}}")),
        3 => Event::raw(plan, "workflow.noted", r#"{"text":"line\nbreak \u00fc ü 🦀"}"#)
            .with_priority(Priority::High),
        _ => Event::raw(plan, "note", note(seq, random)),
    }
}

fn note(seq: u64, random: &mut Random) -> String {
    let bytes = match random.below(LARGE) {
        0 => random.below(PAYLOAD_MAX_BYTES),
        _ => random.below(600),
    };
    let text: String = (0..bytes).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    format!(r#"{{"seq":{seq},"text":"{text}"}}"#)
}
