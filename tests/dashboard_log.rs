//! The log of all plans in a real browser, and one event of it with its payload.

#![cfg(feature = "server")]

mod dashboard_support;
mod server_support;

use dashboard_support::Browser;
use planbus::{Event, EventBus};
use serde_json::json;
use server_support::Live;

fn say(bus: &EventBus, event_type: &str, words: &str) -> u64 {
    let published = bus.publish(Event::untyped("talk", event_type, json!({"words": words})));
    published.expect("publishes").seq.expect("a seq")
}

#[test]
fn what_the_log_is_narrowed_to_stands_in_the_url_and_holds_for_what_comes() {
    let live = Live::with(|server| server.search());
    for (event_type, words) in [
        ("note", "noise 1"),
        ("note", "signal 1"),
        ("weather.rain", "by night"),
        ("weather.wind", "from the sea"),
        ("note", "a lighthouse"),
    ] {
        say(&live.bus, event_type, words);
    }
    let Some(mut page) = Browser::start("log.mjs", &live.server.url()) else { return };
    page.reach("filtered");
    say(&live.bus, "note", "noise 2");
    say(&live.bus, "note", "signal 2");
    page.reach("jumped");
    say(&live.bus, "note", "signal 3");
    page.finish();
}

#[test]
fn without_a_search_index_the_same_text_is_looked_for_in_the_log() {
    let live = Live::start();
    say(&live.bus, "note", "a lighthouse");
    let Some(page) = Browser::start("unsearched.mjs", &live.server.url()) else { return };
    page.finish();
}

#[test]
fn whoever_reads_further_down_the_log_is_not_moved_and_misses_nothing() {
    const MORE: u64 = 30;
    let live = Live::start();
    let before = (0..500).map(|at| live.note("work", at)).max().expect("some");
    let given = json!({"more": MORE, "last": before + MORE});
    let Some(mut page) = Browser::start_with("reading.mjs", &live.server.url(), &given) else { return };
    page.reach("below");
    for at in 0..MORE {
        live.note("work", at);
    }
    page.reach("on top");
    live.note("work", 0);
    page.finish();
}

#[test]
fn p11_a_payload_is_shown_and_copied_as_it_was_published() {
    let live = Live::start();
    let payload = r#"{"id":9007199254740993,"2":"exact","1":[],"price": 1.50,"large":1e400,"text":{"<b>":"<script>alert(1)</script>"}}"#;
    let publish = |event: Event| live.bus.publish(event).expect("publishes").seq.expect("a seq");
    publish(Event::raw("odd", "note", payload));
    say(&live.bus, "note", "after");
    let large: Vec<u32> = (0..300_000).collect();
    let large = publish(Event::untyped("odd", "note", json!({"list": large})));
    let given = json!({"payload": payload, "large": large});
    let Some(page) = Browser::start_with("payload.mjs", &live.server.url(), &given) else { return };
    page.finish();
}

#[test]
fn a_call_and_its_completion_and_an_effect_and_its_cause_lead_to_each_other() {
    let live = Live::start();
    let publish = |event: Event| live.bus.publish(event).expect("publishes");
    let cause = publish(Event::untyped("work", "note", json!({"words": "the cause"})));
    let effect = Event::untyped("work", "note", json!({"words": "an effect"}));
    publish(effect.with_causation_id(cause.event_id));
    let called = publish(Event::untyped("work", "ToolCalled", json!({"call_id": "c-1", "tool": "search"})));
    let given = json!({"called": called.seq, "cause": cause.event_id, "causeSeq": cause.seq});
    let Some(mut page) = Browser::start_with("links.mjs", &live.server.url(), &given) else { return };
    page.reach("called");
    let done = json!({"call_id": "c-1", "tool": "search", "ok": true});
    publish(Event::untyped("work", "ToolCompleted", done));
    page.finish();
}

#[test]
fn the_log_and_an_event_of_it_are_accessible_and_fit_a_narrow_screen() {
    let live = Live::start();
    let run =
        live.bus.plan("trip").source("planner").start(json!({"goal": "go to the sea"})).expect("starts");
    run.tool("search", json!({"for": "x".repeat(5_000)}), || Ok::<_, String>("two")).expect("runs");
    let views = json!({"views": [
        {"hash": "#/events?event=2", "text": "Payload"},
        {"hash": "#/events?text=sea&exclude=rain&type=PlanStarted,weather.*", "text": "go to the sea"},
        {"hash": "#/events?before=2&event=1", "text": "older events"},
    ]});
    for script in ["accessible.mjs", "narrow.mjs"] {
        let Some(page) = Browser::start_with(script, &live.server.url(), &views) else { return };
        page.finish();
    }
}
