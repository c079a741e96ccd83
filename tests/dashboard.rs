//! The page in a real browser: what it shows of a log, and how one moves through it.

#![cfg(feature = "server")]

mod dashboard_support;
mod server_support;

use dashboard_support::Browser;
use planbus::{
    DecisionMade, Event, PlanCompleted, PlanFailed, PlanStarted, SubplanCompleted, SubplanSpawned, Timestamp,
    ToolCalled, ToolCompleted,
};
use serde_json::json;
use server_support::Live;

#[test]
fn a_live_plan_appears_works_and_ends_without_a_reload() {
    let live = Live::start();
    let Some(mut page) = Browser::start("live_plan.mjs", &live.server.url()) else { return };
    page.reach("empty");
    let run =
        live.bus.plan("notes").source("planner").start(json!({"goal": "write the notes"})).expect("starts");
    page.reach("started");
    run.tool("grep", json!({"q": "TODO"}), || Ok::<_, String>("found")).expect("runs");
    run.tool("compile", json!({}), || Err::<(), _>("it does not")).expect_err("fails");
    page.reach("worked");
    run.complete(json!({"sections": 4})).expect("completes");
    page.finish();
}

#[test]
fn a_plan_that_has_not_begun_yet_is_seen_from_its_begin() {
    let live = Live::start();
    let Some(mut page) = Browser::start("waiting.mjs", &live.server.url()) else { return };
    page.reach("open");
    let run = live.bus.plan("survey/1").start(json!({"goal": "look around"})).expect("starts");
    run.tool("read_file", json!({}), || Ok::<_, String>("text")).expect("runs");
    page.reach("begun");
    run.complete(json!({})).expect("completes");
    page.finish();
}

#[test]
fn a_view_that_cannot_be_drawn_leaves_the_others_alone() {
    let live = Live::start();
    live.bus.publish(Event::untyped("plan", "note", json!({"text": "note-1"}))).expect("publishes");
    let Some(page) = Browser::start("broken.mjs", &live.server.url()) else { return };
    page.finish();
}

#[test]
fn a_plan_is_a_tree_a_timeline_and_a_log() {
    let live = Live::start();
    // So many milliseconds after its begin, which was ten seconds ago.
    let begun = Timestamp::now().as_micros() - 10_000_000;
    let say = |ms: i64, event: Event| {
        let at = Timestamp::from_micros(begun + ms * 1_000).expect("a time");
        live.bus.publish(event.with_timestamp(at)).expect("publishes").event_id
    };
    let called = |id: &str, tool: &str| ToolCalled::new(id, tool, json!({"from": "Ghent"}));
    say(0, Event::new("trip", PlanStarted::new("book a trip")));
    say(10, Event::new("trip", DecisionMade::new("take the train").because("it is faster than to fly")));
    say(1_000, Event::new("trip", called("c1", "search_trains")));
    say(1_500, Event::new("trip", called("c2", "search_planes")));
    say(2_500, Event::new("trip", ToolCompleted::ok("c1", "search_trains", "two")));
    say(3_000, Event::new("trip", ToolCompleted::ok("c2", "search_planes", "none")));
    say(4_000, Event::new("trip", SubplanSpawned::new("trip/hotel")));
    let inside = |ms, event: Event| say(ms, event.with_correlation_id("trip"));
    inside(4_001, Event::new("trip/hotel", PlanStarted::new("find a room").with("parent", "trip")));
    inside(4_100, Event::new("trip/hotel", called("h1", "reserve")));
    let refused =
        inside(4_900, Event::new("trip/hotel", ToolCompleted::failed("h1", "reserve", "no longer free")));
    inside(4_950, Event::new("trip/hotel", called("h2", "ask")));
    let note = Event::untyped("trip", "note", json!({"text": "the hotel is full"}));
    say(5_000, note.with_causation_id(refused));
    say(6_000, Event::new("trip", called("c3", "pay")));
    let Some(mut page) = Browser::start("plan.mjs", &live.server.url()) else { return };
    page.reach("seen");
    inside(7_000, Event::new("trip/hotel", ToolCompleted::ok("h2", "ask", "no")));
    inside(7_001, Event::new("trip/hotel", PlanFailed::new("no room")));
    say(7_002, Event::new("trip", SubplanCompleted::failed("trip/hotel", "no room")));
    say(7_500, Event::new("trip", ToolCompleted::ok("c3", "pay", "done")));
    say(8_000, Event::new("trip", PlanCompleted::new()));
    page.finish();
}

#[test]
fn the_log_is_followed_through_a_filter_and_an_event_of_it_is_seen_and_copied_whole() {
    let live = Live::start();
    let note = |number: u64, text: &str| {
        let kind = if number.is_multiple_of(2) { "even.note" } else { "odd.note" };
        let payload = json!({"text": format!("note-{number} {text}")});
        live.bus.publish(Event::untyped("plan", kind, payload)).expect("publishes")
    };
    for (number, text) in [(1, "first"), (2, "even second"), (3, "third"), (4, "even fourth")] {
        note(number, text);
    }
    let Some(mut page) = Browser::start("events.mjs", &live.server.url()) else { return };
    page.reach("filtered");
    note(5, "fifth");
    note(6, "unwanted");
    note(7, "seventh");
    page.reach("followed");
    let rows: Vec<String> = (0..500).map(|row| format!("\"cell {row}\"")).collect();
    let payload = format!(r#"{{"text":"note-8","exact": 9007199254740993.10, "rows":[{}]}}"#, rows.join(","));
    let id = live.bus.publish(Event::raw("plan", "even.note", payload.as_str())).expect("publishes").event_id;
    let told = page.reach("copied");
    assert_eq!(told["payload"], payload, "as it was published");
    let (_, event) = live.get(&format!("/events/{id}"));
    let read = |text: &serde_json::Value| -> serde_json::Value {
        serde_json::from_str(text.as_str().expect("a text")).expect("JSON")
    };
    assert_eq!(read(&told["event"]), event);
    let curl = std::process::Command::new("sh").args(["-c", told["curl"].as_str().expect("a text")]).output();
    let curl = curl.expect("a shell");
    assert_eq!(read(&json!(String::from_utf8_lossy(&curl.stdout))), event, "{curl:?}");
    page.finish();
}
