//! Pictures of the page, of real runs in a real browser. With `PLANBUS_SCREENSHOTS=1` they go into
//! `docs/screenshots`, where the documents have them from; else nowhere.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;
mod consumer_support;
mod dashboard_support;
mod redis_support;
mod server_redis_support;
mod server_support;
mod store_support;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use cli_support::{Place, stdout};
use consumer_support::{builder, endpoint};
use dashboard_support::Browser;
use planbus::{
    EventBus, EventStore, EventType,
    redis::{Delivery, RedisMirror},
    server::Server,
};
use redis_support::{RedisServer, wait_for};
use serde_json::{Value, json};
use server_redis_support::{QUEUE, streams};

/// What each picture shows: its name, where in the page, a text by which one knows that it is there, and
/// how it is looked at.
fn pictures(survey: &str) -> Value {
    let survey = |more: &str| format!("#/plans/{survey}{more}");
    json!([
        {"name": "plans-light", "hash": "#/plans", "text": "book two nights"},
        {"name": "plans-dark", "hash": "#/plans", "text": "book two nights", "theme": "dark"},
        {"name": "plans-narrow", "hash": "#/plans", "text": "book two nights", "isNarrow": true},
        {"name": "tree-light", "hash": survey(""), "text": "read_file"},
        {"name": "tree-dark", "hash": "#/plans/trip%2Fbook", "text": "split the work", "theme": "dark"},
        {"name": "tree-narrow", "hash": "#/plans/trip%2Fbook", "text": "split the work", "isNarrow": true},
        {"name": "timeline-light", "hash": survey("?view=timeline"), "text": "Zoom in"},
        {"name": "timeline-dark", "hash": survey("?view=timeline"), "text": "Zoom in", "theme": "dark"},
        {"name": "timeline-narrow", "hash": survey("?view=timeline"), "text": "Zoom in", "isNarrow": true},
        {"name": "log-light", "hash": "#/plans/trip%2Fbook?view=log", "text": "SubplanSpawned"},
        {"name": "payload-light", "hash": "#/plans/trip%2Fbook?view=log&event=5", "text": "Copy event"},
        {"name": "payload-dark", "hash": "#/plans/trip%2Fbook?event=5", "text": "Copy event", "theme": "dark"},
        {"name": "events-light", "hash": "#/events?exclude=fetch_page", "text": "PlanCompleted"},
        {"name": "events-narrow", "hash": "#/events", "text": "fetch_page", "isNarrow": true},
        {"name": "health-light", "hash": "#/health", "text": "Write-ahead log", "isBusy": true},
        {"name": "health-dark", "hash": "#/health", "text": "Write-ahead log", "theme": "dark", "isBusy": true},
        {"name": "health-narrow", "hash": "#/health", "text": "Write-ahead log", "isNarrow": true, "isBusy": true},
        {"name": "dead-letters-light", "hash": "#/dead-letters", "text": "the ledger is closed", "click": "trip/rooms"},
        {"name": "dead-letters-dark", "hash": "#/dead-letters", "text": "the ledger is closed", "theme": "dark"},
        {"name": "dead-letters-narrow", "hash": "#/dead-letters", "text": "the ledger is closed", "isNarrow": true},
    ])
}

/// Plans as a team has them that lets agents work for it.
fn fill(bus: &EventBus) {
    for (plan, agent, goal, error) in [
        ("inbox-118", "support", "answer what came in over night", None),
        ("review-214", "reviewer", "review pull request 214", None),
        ("keys-7", "ops", "rotate the signing keys", Some("the vault is sealed")),
        ("invoice-902", "billing", "match invoice 902 with its order", None),
        ("review-215", "reviewer", "review pull request 215", None),
        ("digest-31", "reporter", "write the digest of the week", Some("two sources contradict each other")),
    ] {
        let run = bus.plan(plan).source(agent).start(json!({"goal": goal})).expect("starts");
        for (at, tool) in ["search", "read_file", "ask_model"].into_iter().enumerate() {
            let ran = run.tool(tool, json!({"step": at}), || match error {
                Some(error) if at == 2 => Err(error),
                _ => Ok("done"),
            });
            assert_eq!(ran.is_err(), error.is_some() && at == 2);
        }
        run.decide("go on", json!({"reason": "all that is needed is there"})).expect("decides");
        match error {
            Some(error) => run.fail(error).expect("fails"),
            None => run.complete(json!({"result": "done"})).expect("completes"),
        };
    }
}

/// Runs steps of a plan that goes on, for a while: what charts show.
fn work(bus: &EventBus) {
    let pause = crossbeam_channel::tick(Duration::from_millis(25));
    let run =
        bus.plan("nightly-report").source("reporter").start(json!({"goal": "write the nightly report"}));
    let run = run.expect("starts");
    for at in 0..60 {
        run.tool("fetch_page", json!({"page": at}), || pause.recv().map_err(|_| "no page")).expect("runs");
    }
    run.decide("ask again tomorrow", json!({"reason": "three sources are closed at night"}))
        .expect("decides");
    // It is seen running.
    std::mem::forget(run);
}

#[test]
fn pictures_of_every_view_are_small_and_without_a_complaint() {
    if dashboard_support::is_skipped() {
        return;
    }
    let Some(redis) = RedisServer::start() else { return };
    let place = Place::new();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of_repository = |path: &str| repository.join(path).to_string_lossy().into_owned();
    stdout(place.path(), &["import", &of_repository("examples/traces/sample.jsonl")]);
    // Its path is on the pictures.
    let surveyed = tempfile::Builder::new().prefix("my-project-").rand_bytes(2).tempdir().expect("a folder");
    let copied = Command::new("cp").args(["-r", &of_repository("examples/.")]).arg(surveyed.path()).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let surveyed = surveyed.path().to_string_lossy();
    let told = stdout(place.path(), &["demo", "--path", &surveyed, "-o", "json"]);
    let told: Value = serde_json::from_str(&told).expect("an object");
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let mirror = RedisMirror::builder(&store, endpoint(&redis)).start().expect("starts");
    let server = Server::builder(&bus).bind("127.0.0.1:0").search().redis(streams(&redis)).mirror(&mirror);
    let server = server.start().expect("starts");
    let consumer = builder(&redis, "billing").handler(|delivery: &Delivery| {
        let is_of_trip = delivery.event().plan_id().as_str().starts_with("trip/");
        if is_of_trip && delivery.event().event_type() == &EventType::ToolCompleted {
            Err("could not book: the ledger is closed")
        } else {
            Ok(())
        }
    });
    let _consumer = consumer.expect("starts");
    wait_for("a letter", || redis.command(&["XLEN", QUEUE]) != "0");
    fill(&bus);
    work(&bus);
    let scratch = tempfile::tempdir().expect("a folder");
    let is_kept = std::env::var_os("PLANBUS_SCREENSHOTS").is_some_and(|value| value == "1");
    let folder = if is_kept { PathBuf::from("docs/screenshots") } else { scratch.path().to_owned() };
    let mut pictures = pictures(told["plan_id"].as_str().expect("a plan"));
    if !is_kept {
        // One of each view does.
        let is_light =
            |picture: &Value| picture["name"].as_str().is_some_and(|name| name.ends_with("-light"));
        pictures.as_array_mut().expect("a list").retain(is_light);
    }
    let busy = |picture: &&Value| picture["isBusy"] == true;
    let busy = pictures.as_array().expect("a list").iter().filter(busy).count();
    let given = json!({"folder": folder, "pictures": pictures});
    let Some(mut page) = Browser::start_with("pictures.mjs", &server.url(), &given) else { return };
    for _ in 0..busy {
        page.reach("much is to happen");
        work(&bus);
    }
    page.finish();
}
