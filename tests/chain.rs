//! The chain is what EVENTS.md says: a whole log is recomputed with SQL and SHA-256 alone.

#![cfg(feature = "sqlite")]

mod chain_support;

use chain_support::first_broken;
use planbus::*;
use rusqlite::Connection;
use serde_json::json;

#[test]
fn p12_the_chain_of_a_whole_log_is_what_its_specification_says_and_shows_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("planbus.db");
    let bus = EventBus::builder().store(EventStore::open(&path).expect("opens")).build().expect("a bus");
    std::thread::scope(|threads| {
        for agent in ["planner", "coder", "r\u{e9}viseur"] {
            let bus = &bus;
            threads.spawn(move || {
                let run = bus
                    .plan(format!("plan-{agent}"))
                    .source(agent)
                    .tenant("acme")
                    .start(json!({"goal": "\u{0}ü"}))
                    .expect("starts");
                for n in 0..20 {
                    run.tool("count", json!({"n": n}), || if n % 3 == 0 { Err("odd") } else { Ok(()) }).ok();
                }
                run.complete(json!({})).expect("completes");
            });
        }
    });
    let full = Event::untyped("p", "t", json!({}))
        .with_context_ref("s3://x")
        .with_call_chain(["a", "b"])
        .with_priority(Priority::Low);
    bus.publish_all((0..5).map(|_| full.clone().with_event_id(EventId::generate()))).expect("publishes");
    drop(bus);
    assert_eq!(first_broken(&path), None);
    let editor = Connection::open(&path).expect("opens");
    assert_eq!(editor.execute("UPDATE plan_events SET source = 'eve' WHERE id = 77", []).expect("edits"), 1);
    drop(editor);
    assert_eq!(first_broken(&path), Some(77));
}
