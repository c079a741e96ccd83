//! The page in a real browser while things happen: many tabs, a pause, a server that goes and comes,
//! retention, tokens.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod dashboard_support;
mod serve_support;
mod server_support;
mod store_support;

use cli_support::{Place, planbus};
use dashboard_support::Browser;
use planbus::{
    Event, EventBus, EventStore, PlanCompleted, PlanFailed, PlanStarted, Retention,
    server::{AccessToken, Server},
};
use serde_json::{Value, json};
use serve_support::Serving;
use server_support::{
    Live,
    guarded::{ACME, CI, guarded},
    wait_until,
};

fn start(bus: &EventBus, plan: &str, goal: &str) {
    bus.publish(Event::new(plan, PlanStarted::new(goal))).expect("publishes");
}

fn complete(bus: &EventBus, plan: &str) {
    bus.publish(Event::new(plan, PlanCompleted::new())).expect("publishes");
}

#[test]
fn twelve_tabs_are_usable_at_once_over_one_stream() {
    let live = Live::start();
    let Some(mut page) = Browser::start("tabs.mjs", &live.server.url()) else { return };
    page.reach("open");
    assert_eq!(live.server.stats().followers, 1);
    start(&live.bus, "plan", "seen by all");
    page.reach("seen");
    page.reach("one left");
    complete(&live.bus, "plan");
    page.finish();
    wait_until("the stream ends with the browser", || live.server.stats().followers == 0);
}

#[test]
fn a_tab_whose_worker_is_gone_starts_another_and_has_missed_nothing() {
    let live = Live::start();
    let Some(mut page) = Browser::start("alone.mjs", &live.server.url()) else { return };
    page.reach("alone");
    wait_until("the stream ended with the worker", || live.server.stats().followers == 0);
    start(&live.bus, "missed", "nobody told of it");
    page.reach("again");
    start(&live.bus, "plan", "told of again");
    page.finish();
}

#[test]
fn what_runs_is_measured_by_the_clock_of_the_server() {
    let live = Live::start();
    let Some(mut page) = Browser::start("clocks.mjs", &live.server.url()) else { return };
    page.reach("open");
    start(&live.bus, "plan", "begun just now");
    page.finish();
}

#[test]
fn a_paused_page_counts_what_comes_and_shows_it_when_it_goes_on() {
    let live = Live::start();
    let Some(mut page) = Browser::start("pause.mjs", &live.server.url()) else { return };
    page.reach("paused");
    let run = live.bus.plan("plan").start(json!({"goal": "held back"})).expect("starts");
    run.tool("grep", json!({}), || Ok::<_, String>("found")).expect("runs");
    page.reach("held");
    page.reach("shown");
    run.complete(json!({})).expect("completes");
    page.finish();
}

#[test]
fn p9_the_page_says_what_retention_took_before_it_read_it() {
    let live = Live::start();
    start(&live.bus, "old", "an old plan");
    let url = live.server.url();
    let Some(mut page) = Browser::start("gap.mjs", &url) else { return };
    page.reach("open");
    let Live { server, bus, dir: _dir } = live;
    let addr = server.addr().to_string();
    drop(server);
    page.reach("cut");
    for at in 0..100 {
        bus.publish(Event::untyped("old", "note", json!({"at": at}))).expect("publishes");
    }
    start(&bus, "new", "a new plan");
    bus.store().expect("a store").prune(Retention::keep_last(10)).expect("prunes");
    let _server = Server::builder(&bus).bind(addr).start().expect("starts again");
    page.finish();
}

#[test]
fn p6_a_server_that_comes_back_with_another_log_leaves_nothing_of_the_first_on_the_page() {
    let first = Live::start();
    start(&first.bus, "first", "of the first log");
    let Some(mut page) = Browser::start("other_log.mjs", &first.server.url()) else { return };
    page.reach("open");
    let addr = first.server.addr().to_string();
    drop(first);
    page.reach("cut");
    let place = Place::new();
    let store = EventStore::open(place.path().join("other.db")).expect("a store");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    // More than the first log had: its place alone does not tell.
    start(&bus, "second", "of the second log");
    start(&bus, "third", "of the second log too");
    let _server = Server::builder(&bus).bind(addr).start().expect("starts again");
    page.reach("again");
    start(&bus, "fourth", "new there");
    page.finish();
}

#[test]
fn p10_a_page_signs_in_with_a_token_and_is_told_when_it_is_taken_back() {
    let live = guarded();
    start(&live.bus, "default", "of default");
    let of_acme = |event: Event| live.bus.publish(event.with_tenant("acme")).expect("publishes");
    of_acme(Event::new("acme", PlanStarted::new("of acme")));
    let tokens = json!({"acme": ACME, "ci": CI});
    let Some(mut page) = Browser::start_with("sign_in.mjs", &live.server.url(), &tokens) else { return };
    page.reach("signed in");
    of_acme(Event::new("acme", PlanCompleted::new()));
    page.reach("reloaded");
    live.server.set_tokens([AccessToken::new("ci", CI)]).expect("acme is taken out");
    page.finish();
}

/// What the list is to show, as the script says it.
fn rows(running: &[usize], completed: &[usize], failed: &[usize]) -> Value {
    let say = |plans: &[usize], word: &str| {
        plans.iter().map(|plan| format!("goal {plan} {word}")).collect::<Vec<_>>()
    };
    let mut rows = say(running, "running");
    rows.extend(say(completed, "completed"));
    rows.extend(say(failed, "failed,"));
    rows.sort();
    json!({"rows": rows})
}

#[test]
fn p6_a_server_that_is_killed_and_started_again_loses_no_row_and_doubles_none() {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    let begin = |plan: usize| start(&bus, &format!("plan-{plan}"), &format!("goal {plan}"));
    let serve = |addr: &str| Serving::start(planbus(place.path()).args(["serve", "--addr", addr]));
    begin(10);
    begin(11);
    let mut serving = serve("127.0.0.1:0");
    let addr = serving.url.trim_start_matches("http://").to_owned();
    let Some(mut page) = Browser::start("restart.mjs", &serving.url) else { return };
    page.reach("open");
    begin(12);
    page.reach_with("first rows", &rows(&[10, 11, 12], &[], &[]));
    serving.child.kill().expect("kill -9");
    page.reach("first cut");
    // While nobody serves: one ends, some begin, one of those ends too.
    complete(&bus, "plan-10");
    begin(13);
    begin(14);
    complete(&bus, "plan-13");
    drop(serving);
    serving = serve(&addr);
    page.reach_with("first again", &rows(&[11, 12, 14], &[10, 13], &[]));
    begin(15);
    page.reach_with("second rows", &rows(&[11, 12, 14, 15], &[10, 13], &[]));
    serving.child.kill().expect("kill -9");
    page.reach("second cut");
    bus.publish(Event::new("plan-15", PlanFailed::new("broken"))).expect("publishes");
    drop(serving);
    let _serving = serve(&addr);
    page.reach_with("second again", &rows(&[11, 12, 14], &[10, 13], &[15]));
    begin(16);
    page.finish_with(&rows(&[11, 12, 14, 16], &[10, 13], &[15]));
}
