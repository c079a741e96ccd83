//! The chain is what EVENTS.md says: a whole log is recomputed with SQL and SHA-256 alone.

#![cfg(feature = "sqlite")]

use planbus::*;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The canonical bytes of a column.
fn field(hash: &mut Sha256, value: ValueRef<'_>) {
    match value {
        ValueRef::Text(text) => {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        ValueRef::Integer(integer) => {
            hash.update(8_u64.to_be_bytes());
            hash.update(integer.to_be_bytes());
        }
        ValueRef::Null => hash.update([0xff; 8]),
        other => panic!("no column holds {other:?}"),
    }
}

/// The seq of the first row whose chain is not what its content gives.
fn first_broken(path: &std::path::Path) -> Option<i64> {
    let log = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opens");
    let meta = |key: &str| -> Vec<u8> {
        log.query_row("SELECT CAST(value AS BLOB) FROM store_meta WHERE key = ?1", [key], |row| row.get(0))
            .expect("is there")
    };
    let mut previous = meta("chain_anchor");
    let anchor = Sha256::new().chain_update("planbus chain v1\n").chain_update(meta("store_id")).finalize();
    assert_eq!(previous[..], anchor[..], "the anchor of a new store");
    let mut statement = log.prepare("SELECT * FROM plan_events ORDER BY id").expect("prepares");
    assert_eq!(statement.column_name(statement.column_count() - 1).expect("a column"), "chain");
    let columns = statement.column_count() - 1;
    let mut rows = statement.query([]).expect("reads");
    while let Some(row) = rows.next().expect("reads") {
        let mut hash = Sha256::new().chain_update(&previous);
        (0..columns).for_each(|column| field(&mut hash, row.get_ref(column).expect("a column")));
        previous = row.get(columns).expect("a chain");
        if hash.finalize()[..] != previous[..] {
            return Some(row.get(0).expect("an id"));
        }
    }
    None
}

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
