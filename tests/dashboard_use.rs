//! The page in a real browser, as it looks and as one moves in it: themes, narrow screens, keys, and what
//! a check of accessibility finds.

#![cfg(feature = "server")]

mod dashboard_support;
mod server_support;

use dashboard_support::Browser;
use planbus::EventBus;
use serde_json::{Value, json};
use server_support::Live;

/// A run with something of everything.
fn publish(bus: &EventBus) {
    let run =
        bus.plan("trip").source("planner").start(json!({"goal": "book a trip to the sea"})).expect("starts");
    run.decide("take the train", json!({"reason": "it is faster than to fly, and nearer"})).expect("decides");
    let sub = run.subplan("trip/hotel", json!({"goal": "find a room"})).expect("spawns");
    sub.tool("search_rooms", json!({"city": "Ostend", "nights": 3}), || Ok::<_, String>("two rooms"))
        .expect("runs");
    sub.tool("reserve", json!({"room": 2}), || Err::<(), _>("no longer free")).expect_err("fails");
    sub.fail("no room").expect("fails");
    run.complete(json!({"booked": false})).expect("completes");
    let open = bus.plan("notes").source("writer").start(json!({"goal": "write the notes"})).expect("starts");
    open.tool("grep", json!({"q": "x".repeat(4_000)}), || Ok::<_, String>("y".repeat(4_000))).expect("runs");
    std::mem::forget(open);
}

/// Every view of that run, and a text by which one knows that it is there.
fn views() -> Value {
    let views = [
        ("#/plans", "book a trip"),
        ("#/plans?status=failed&subplans=true", "find a room"),
        ("#/plans?text=nowhere", "No plan is like this"),
        ("#/plans?tenant=nobody", "No plan yet"),
        ("#/events?tenant=nobody", "No event yet"),
        ("#/plans/trip", "it is faster"),
        ("#/plans/trip?view=timeline", "find a room"),
        ("#/plans/trip?view=log", "SubplanSpawned"),
        ("#/plans/nowhere", "has not begun"),
        ("#/events", "SubplanSpawned"),
        ("#/events?type=ToolCompleted&event=12", "Copy event"),
        ("#/health", "Write-ahead log"),
        ("#/dead-letters", "Redis"),
        ("#/nowhere", "There is no such page"),
    ];
    json!({"views": views.map(|(hash, text)| json!({"hash": hash, "text": text}))})
}

#[test]
fn the_theme_follows_the_system_until_one_is_chosen() {
    let live = Live::start();
    let Some(page) = Browser::start("look.mjs", &live.server.url()) else { return };
    page.finish();
}

#[test]
fn on_a_narrow_screen_nothing_is_wider_than_it() {
    let live = Live::start();
    publish(&live.bus);
    live.bus
        .plan("x".repeat(256))
        .start(json!({"goal": "y".repeat(10_000)}))
        .expect("starts")
        .complete(json!({}))
        .expect("ends");
    let Some(page) = Browser::start_with("narrow.mjs", &live.server.url(), &views()) else { return };
    page.finish();
}

#[test]
fn the_page_is_used_by_keys_alone() {
    let live = Live::start();
    publish(&live.bus);
    let Some(page) = Browser::start("keys.mjs", &live.server.url()) else { return };
    page.finish();
}

#[test]
fn no_view_has_what_a_check_of_accessibility_finds_wrong() {
    let live = Live::start();
    publish(&live.bus);
    let Some(page) = Browser::start_with("accessible.mjs", &live.server.url(), &views()) else { return };
    page.finish();
}
