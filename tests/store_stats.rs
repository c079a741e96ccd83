//! The figures of a store: right at its ends, after a prune, and for readers in other processes.

#![cfg(feature = "sqlite")]

mod chain_support;
mod store_support;

use std::time::Duration;

use planbus::*;
use rusqlite::Connection;
use store_support::*;

fn stats(store: &EventStore) -> StoreStats {
    store.stats().expect("reads")
}

#[test]
fn an_empty_log_has_figures_too() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let empty = stats(&store);
    assert_eq!((empty.events, empty.first_seq, empty.last_seq), (0, None, 0));
    assert_eq!((empty.first_recorded_at, empty.last_recorded_at, &empty.head_chain), (None, None, &None));
    assert_eq!((empty.last_minute, empty.last_hour, empty.last_day), (0, 0, 0));
    assert!(empty.cursors.is_empty() && store.count_by_type().expect("reads").is_empty());
}

#[test]
fn rates_count_what_was_recorded_within_a_minute_an_hour_and_a_day() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..100 {
        store.save(&event("plan", number)).expect("commits");
    }
    store.close().expect("closes");
    let editor = Connection::open(dir.db()).expect("opens");
    let ages = [(1..=10, 100 * 3_600), (11..=30, 5 * 3_600), (31..=60, 10 * 60)];
    for (seqs, seconds) in ages {
        let at = Timestamp::from_micros(Timestamp::now().as_micros() - seconds * 1_000_000).expect("a time");
        let sql = "UPDATE plan_events SET recorded_at = ?1 WHERE id BETWEEN ?2 AND ?3";
        editor.execute(sql, (at.to_string(), *seqs.start(), *seqs.end())).expect("edits");
    }
    drop(editor);
    chain_support::rechain(&dir.db());
    let store = EventStore::open(dir.db()).expect("opens");
    let seen = stats(&store);
    assert_eq!((seen.last_minute, seen.last_hour, seen.last_day, seen.events), (40, 70, 90, 100));
    store.prune(Retention::older_than(Duration::from_secs(3_600))).expect("prunes");
    let seen = stats(&store);
    assert_eq!((seen.last_minute, seen.last_hour, seen.last_day, seen.events), (40, 70, 70, 70));
    assert_eq!((seen.first_seq, seen.last_seq), (Some(31), 100));
    let events = store.read_after(30, 100).expect("reads");
    assert_eq!(seen.first_recorded_at, events[0].recorded_at());
    assert_eq!(seen.last_recorded_at, events[69].recorded_at());
    assert_eq!(store.count_by_type().expect("reads")["ToolCalled"], 70);
}

#[test]
fn every_reader_sees_the_chain_the_cursors_and_the_write_ahead_log() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..200 {
        store.save(&event("plan", number)).expect("commits");
    }
    store.save_cursor("mirror", 150).expect("saves");
    let reader = EventStore::open_read_only(dir.db()).expect("opens");
    let seen = stats(&reader);
    assert_eq!(seen, stats(&store));
    assert_eq!((seen.cursors[0].reader.as_str(), seen.cursors[0].seq), ("mirror", 150));
    let (used, copied) = (seen.wal_pages.expect("is told"), seen.wal_copied_pages.expect("is told"));
    assert!(used > 200 && copied < used && seen.wal_bytes > used * seen.page_bytes, "{seen:?}");
    let plain = Connection::open(dir.db()).expect("opens");
    let chain: Vec<u8> = plain
        .query_row("SELECT chain FROM plan_events ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .expect("reads");
    let digits: String = chain.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(seen.head_chain, Some(digits));
}
