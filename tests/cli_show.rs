//! `planbus show --timeline`: what happened when, of any log, at any width.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;

use cli_support::{Place, on_terminal_with, stdout};
use planbus::*;
use serde_json::{Value, json};

/// A moment so many milliseconds after the plan's start.
fn at(millis: i64) -> Timestamp {
    let start: Timestamp = "2026-03-01T09:30:00Z".parse().expect("a time");
    Timestamp::from_micros(start.as_micros() + millis * 1_000).expect("in range")
}

fn event(plan: &str, millis: i64, event_type: &str, payload: Value) -> Event {
    Event::untyped(plan, event_type, payload).with_timestamp(at(millis))
}

fn log(events: impl IntoIterator<Item = Event>) -> Place {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        bus.publish_all(events.by_ref().take(1_000)).expect("commits");
    }
    place
}

/// Two subplans at the same time, a failure, a decision, a call and a plan without an end.
fn runtime() -> Place {
    log([
        event("trip", 0, "PlanStarted", json!({"goal": "book a trip"})),
        event("trip", 100, "DecisionMade", json!({"decision": "ask both", "reason": "prices differ"})),
        event("trip", 200, "SubplanSpawned", json!({"subplan": "trip/rail"})),
        event("trip/rail", 200, "PlanStarted", json!({"goal": "by rail", "parent": "trip"})),
        event("trip", 300, "SubplanSpawned", json!({"subplan": "trip/air"})),
        event("trip/air", 300, "PlanStarted", json!({"goal": "by air", "parent": "trip"})),
        event(
            "trip/rail",
            400,
            "ToolCalled",
            json!({"call_id": "1", "tool": "fares", "arguments": {"to": "Rome"}}),
        ),
        event("trip/air", 500, "ToolCalled", json!({"call_id": "1", "tool": "flights"})),
        event("trip/rail", 2_400, "ToolCompleted", json!({"call_id": "1", "tool": "fares", "ok": true})),
        event("trip/rail", 2_500, "PlanCompleted", json!({})),
        event("trip", 2_500, "SubplanCompleted", json!({"subplan": "trip/rail", "ok": true})),
        event(
            "trip/air",
            3_500,
            "ToolCompleted",
            json!({"call_id": "1", "tool": "flights", "ok": false, "error": "no seats"}),
        ),
        event("trip/air", 3_600, "ToolCalled", json!({"call_id": "2", "tool": "wait_list"})),
        event("trip", 4_000, "agent.note", json!({"text": "still waiting"})),
    ])
}

/// The timeline as a pipe gets it.
fn timeline(place: &Place, plan: &str) -> String {
    stdout(place.path(), &["show", plan, "--timeline"])
}

fn spans(place: &Place, plan: &str) -> Vec<Value> {
    let text = stdout(place.path(), &["show", plan, "--timeline", "-o", "json"]);
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

/// The timeline as a terminal of so many columns gets it; `None` where there is no `script`.
fn on_terminal(place: &Place, plan: &str, columns: usize, no_color: bool) -> Option<String> {
    on_terminal_with(place.path(), columns, &["show", plan, "--timeline"], no_color)
}

/// The part of a line that holds only its bar, as first and last column.
fn bar(text: &str, name: &str) -> (usize, usize) {
    let line = text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    let columns: Vec<char> = line.chars().collect();
    let is_bar = |c: &char| "━█│┄→".contains(*c);
    let first = columns.iter().position(is_bar).unwrap_or_else(|| panic!("no bar in {line}"));
    let last = columns.iter().rposition(is_bar).expect("it has one");
    (first, last)
}

#[test]
fn parallel_work_stands_side_by_side_on_one_axis() {
    let place = runtime();
    let text = timeline(&place, "trip");
    let names = ["trip", "ask both", "rail", "fares", "air", "flights", "wait_list", "agent.note"];
    let places: Vec<usize> =
        names.iter().map(|name| text.find(&format!(" {name}")).expect("a row")).collect();
    assert!(places.is_sorted(), "each under its plan, in the order of time: {text}");
    let (trip, rail, air) = (bar(&text, "● trip"), bar(&text, " rail "), bar(&text, " air "));
    let (fares, flights, waits) = (bar(&text, "fares"), bar(&text, "flights"), bar(&text, "wait_list"));
    assert!(trip.0 < rail.0 && rail.0 < air.0 && air.0 < rail.1, "{text}");
    assert!(rail.0 <= fares.0 && fares.1 <= rail.1 && flights.0 < fares.1 && fares.1 < flights.1, "{text}");
    assert_eq!((waits.1, air.1), (trip.1, trip.1), "what is open goes on to the end of the axis: {text}");
    for expected in [
        "book a trip",
        "+0 us",
        "+200 ms",
        "+3.60 s",
        "◆",
        "✗ flights",
        "no seats",
        "prices differ",
        "running",
        "open",
        "2.00 s",
        "3.00 s",
        "to=Rome",
        "3 plans, 3 tool calls (1 failed, 1 never answered), 1 decision, not ended",
    ] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    assert!(!text.contains('\u{1b}'), "a pipe gets no colours");
}

#[test]
fn a_timeline_fits_its_terminal() {
    let place = runtime();
    let name = |depth: usize| vec!["deep"; depth].join("/");
    let chain = (1..40).flat_map(|depth| {
        [
            event(&name(depth), 0, "PlanStarted", json!({})),
            event(&name(depth), 0, "SubplanSpawned", json!({"subplan": name(depth + 1)})),
        ]
    });
    let odd = [
        event("deep", -1_000_000_000_000, "DecisionMade", json!({"decision": "by another clock"})),
        event("deep", 9_000, "ToolCompleted", json!({"ok": true, "duration_us": u64::MAX})),
    ];
    let deep = log(chain.chain(odd));
    for columns in [14, 20, 29, 30, 40, 59, 60, 80, 120, 200] {
        let Some(text) = on_terminal(&place, "trip", columns, true) else { return };
        assert!(!text.contains('\u{1b}'), "NO_COLOR is kept");
        let deep = on_terminal(&deep, "deep", columns, true).unwrap_or_default();
        for line in text.lines().chain(deep.lines()) {
            assert!(line.chars().count() <= columns, "{columns} columns: {line:?}");
        }
        if columns >= 40 {
            assert!(text.contains("█") && text.contains("┄→") && text.contains("◆"), "{columns}: {text}");
        }
    }
    let Some(text) = on_terminal(&place, "trip", 80, false) else { return };
    assert!(text.contains("\u{1b}[1;31m"), "what failed is red");
}

#[test]
fn json_has_one_object_a_span() {
    let place = runtime();
    let spans = spans(&place, "trip");
    let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().expect("a name")).collect();
    let plans = ["trip", "ask both", "trip/rail", "fares", "trip/air", "flights", "wait_list", "agent.note"];
    assert_eq!(names, plans);
    let fares = json!({
        "plan": "trip/rail", "kind": "tool", "name": "fares", "start": at(400), "end": at(2_400),
        "duration_us": 2_000_000, "outcome": "ok", "seq_start": 7, "seq_end": 9, "detail": "to=Rome",
    });
    assert_eq!(spans[3], fares);
    let told = |at: usize, field: &str| spans[at][field].clone();
    assert_eq!(
        (told(0, "end"), told(0, "outcome"), told(0, "duration_us")),
        (Value::Null, json!("open"), Value::Null)
    );
    assert_eq!(
        (told(1, "kind"), told(1, "outcome"), told(1, "end")),
        (json!("decision"), Value::Null, json!(at(100)))
    );
    assert_eq!(
        (told(5, "outcome"), told(6, "outcome"), told(6, "seq_end")),
        (json!("failed"), json!("open"), Value::Null)
    );
}

#[test]
fn p11_recorded_runs_of_any_shape_have_a_timeline() {
    let hostile = "\u{1b}[2J\u{202e}\r\nname";
    let place = log([
        // Its start was pruned, its times go back, and its words are not ours.
        event("odd", 5_000, "ToolCalled", json!({"call_id": "a", "tool": hostile, "args": {"x": hostile}})),
        event("odd", 1_000, "ToolCompleted", json!({"call_id": "a", "tool": hostile, "ok": null})),
        event(
            "odd",
            2_000,
            "ToolCompleted",
            json!({"call_id": "lost", "tool": "lost", "ok": true, "duration_us": 500_000}),
        ),
        event("odd", 3_000, "ToolCompleted", json!({"ok": "yes", "duration_us": u64::MAX})),
        event("odd", 3_000, "ToolCalled", json!({})),
        event("odd", 3_000, "DecisionMade", json!({"content": [{"type": "text", "text": "go on"}]})),
        event("odd", 3_000, "DecisionMade", json!({"decision": 7})),
        event(
            "odd",
            3_500,
            "SubplanSpawned",
            json!({"subplan": "odd/silent", "description": "says nothing"}),
        ),
        event("odd", 3_500, "SubplanSpawned", json!({"subplan": null})),
        event("odd", 3_500, "SubplanSpawned", json!({"subplan": "odd"})),
        event(
            "odd",
            4_000,
            "SubplanCompleted",
            json!({"subplan": "odd/silent", "ok": false, "reason": "lost"}),
        ),
        event("odd", -4_000, "PlanFailed", json!({"error": null, "reason": "interrupted"})),
    ]);
    let spans = spans(&place, "odd");
    let span = |name: &str| {
        spans
            .iter()
            .find(|span| span["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {spans:?}"))
            .clone()
    };
    assert_eq!((&span("odd")["outcome"], &span("odd")["detail"]), (&json!("failed"), &json!("interrupted")));
    assert_eq!((&span(hostile)["outcome"], &span(hostile)["duration_us"]), (&json!("unknown"), &json!(0)));
    assert_eq!((&span("lost")["start"], &span("lost")["end"]), (&json!(at(1_500)), &json!(at(2_000))));
    assert_eq!(
        (&span("odd/silent")["outcome"], &span("odd/silent")["kind"]),
        (&json!("failed"), &json!("subplan"))
    );
    assert_eq!(span("go on")["kind"], "decision");
    let mut texts = vec![timeline(&place, "odd")];
    texts.extend([40, 80].into_iter().filter_map(|columns| on_terminal(&place, "odd", columns, true)));
    for text in texts {
        let odd = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(odd, None, "{text}");
        assert!(text.contains("go on") && text.contains("? "), "{text}");
    }
    stdout(place.path(), &["show", "odd"]);
    let listed = stdout(place.path(), &["events"]);
    assert!(listed.contains("go on") && listed.contains("interrupted"), "{listed}");
}

#[test]
fn without_a_clock_the_order_of_the_log_is_the_axis() {
    let place = log([
        event("still", 0, "PlanStarted", json!({})),
        event("still", 0, "ToolCalled", json!({"call_id": "1", "tool": "first"})),
        event("still", 0, "ToolCompleted", json!({"call_id": "1", "ok": true})),
        event("still", 0, "ToolCalled", json!({"call_id": "2", "tool": "second"})),
        event("still", 0, "PlanCompleted", json!({})),
    ]);
    let text = timeline(&place, "still");
    assert!(text.contains("The times tell no order") && text.contains("#4"), "{text}");
    let (first, second) = (bar(&text, "first"), bar(&text, "second"));
    assert!(first.1 < second.0 || first.1 <= second.0 + 1, "{text}");
    assert!(first.0 < second.0, "{text}");
    let alone = log([event("alone", 0, "agent.note", json!({}))]);
    assert!(timeline(&alone, "alone").contains("agent.note"));
}

#[test]
fn a_plan_that_was_ended_long_after_its_process_died_keeps_its_axis() {
    let place = log([
        event("died", 0, "PlanStarted", json!({})),
        event("died", 1_000, "ToolCalled", json!({"call_id": "1", "tool": "never_back"})),
        event("died", 86_400_000, "PlanFailed", json!({"error": "gone", "duration_us": 1_000_000})),
    ]);
    let text = timeline(&place, "died");
    assert!(text.contains("─ 1.00 s\n") && text.contains("open"), "{text}");
    assert!(!text.contains('→'), "nothing goes on after the plan's end: {text}");
}

#[test]
fn of_a_large_plan_a_terminal_gets_the_rows_that_tell_most_and_a_pipe_all() {
    const CALLS: i64 = 4_000;
    let calls = (0..CALLS).flat_map(|call| {
        let id = format!("call-{call}");
        let (ok, micros) = (call != 1_234, if call == 3_210 { 9_000_000 } else { 1_000 + call });
        let completed =
            json!({"call_id": id, "tool": "read", "ok": ok, "error": "the one", "duration_us": micros});
        [
            event(
                "large",
                call,
                "ToolCalled",
                json!({"call_id": id, "tool": "read", "arguments": {"n": call}}),
            ),
            event("large", call + 9_000, "ToolCompleted", completed),
        ]
    });
    let parallel = (0..300).map(|call| {
        event("large", 5_000, "ToolCalled", json!({"call_id": format!("p{call}"), "tool": "open"}))
    });
    let start = event("large", 0, "PlanStarted", json!({}));
    let place = log(std::iter::once(start).chain(calls).chain(parallel));
    let text = timeline(&place, "large");
    assert_eq!(
        text.matches("read  ").count() + text.matches("open  ").count(),
        4_300 + 5,
        "all, and the slowest"
    );
    assert!(text.contains("Slowest calls\n    9.00 s  read  n=3210"), "{}", &text[text.len() - 600..]);
    let Some(text) = on_terminal(&place, "large", 100, true) else { return };
    assert!(text.contains("and 4,101 more") && text.lines().count() < 220, "{}", text.lines().count());
    assert!(text.contains("n=3210") && text.contains("✗ read  the one"), "{text}");
    assert!(text.matches("○ open").count() >= 50, "{text}");
}

#[test]
fn a_plan_that_is_left_has_its_timeline_when_the_beginning_of_the_log_is_gone() {
    let place = runtime();
    let store = EventStore::open(place.path().join("planbus.db")).expect("the store");
    let whole = store.stats().expect("figures").events;
    for number in 0..3 {
        store.save(&event("later", 5_000 + number, "PlanStarted", json!({}))).expect("an event");
    }
    // All of another plan, and of this one the start.
    store.prune(Retention::keep_last(whole + 2)).expect("prunes");
    store.close().expect("closes");
    assert!(timeline(&place, "trip").contains("ask both"));
    assert!(timeline(&place, "later").contains("later"));
}
