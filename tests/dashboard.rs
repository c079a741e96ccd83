//! The page in a real browser: what it shows of a log, and how one moves through it.

#![cfg(feature = "server")]

mod dashboard_support;
mod server_support;

use dashboard_support::Browser;
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
