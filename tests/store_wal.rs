//! The write-ahead log and those who read: it stays short whatever our own readers do. Under a foreign
//! transaction that stays open it grows, is told, and its file comes back when the reader is gone.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use planbus::*;
use rusqlite::Connection;
use store_support::*;

/// The length that the file keeps when nothing pins it, 16,000 pages, and what a look may miss.
const KEPT_PAGES: u64 = 17_000;
/// How many events are committed, one by one, between two looks at the figures.
const STRIDE: usize = 100;

/// Commits events, in turn of many plans, so that they write to many pages; the figures after.
fn commit(store: &EventStore, number: &mut usize) -> StoreStats {
    for _ in 0..STRIDE {
        *number += 1;
        store.save(&event(&format!("plan-{}", *number * 7_919 % 1_000), *number)).expect("commits");
    }
    store.stats().expect("reads")
}

fn file_pages(stats: &StoreStats) -> u64 {
    stats.wal_bytes / stats.page_bytes
}

#[test]
fn a_transaction_that_stays_open_is_seen_and_the_file_is_short_again_when_it_is_gone() {
    let dir = Dir::new();
    let store = EventStore::options().durability(Durability::Process).open(dir.db()).expect("opens");
    let mut number = 0;
    commit(&store, &mut number);
    let reader = Connection::open(dir.db()).expect("opens");
    reader.execute_batch("BEGIN; SELECT count(*) FROM plan_events;").expect("begins");
    let mut pinned = commit(&store, &mut number);
    while pinned.wal_pages < Some(KEPT_PAGES + 5_000) {
        pinned = commit(&store, &mut number);
    }
    assert!(pinned.wal_copied_pages < Some(5_000), "who looks sees that it is pinned: {pinned:?}");
    reader.execute_batch("COMMIT").expect("ends");
    // About 4,000 pages until the next try, which 20 strides write for certain, and one more to begin anew.
    let after = (0..20).map(|_| commit(&store, &mut number)).find(|after| file_pages(after) <= KEPT_PAGES);
    assert!(after.is_some(), "{:?}", store.stats());
    assert_eq!(check_dense(&store).len(), number);
    drop(reader);
    store.close().expect("closes");
    assert!(!dir.path().join("planbus.db-wal").exists(), "and gone with its owner");
}

#[test]
fn readers_whose_pages_overlap_without_a_pause_do_not_keep_the_log_growing() {
    const READERS: usize = 4;
    const EVENTS: usize = 4_000;
    const EVENT_BYTES: usize = 20_000;
    let dir = Dir::new();
    let store = EventStore::options().durability(Durability::Process).open(dir.db()).expect("opens");
    let is_over = AtomicBool::new(false);
    let longest = thread::scope(|threads| {
        for _ in 0..READERS {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    store.read_after(0, 100).expect("reads");
                }
            });
        }
        let text = "x".repeat(EVENT_BYTES);
        let mut longest = 0;
        for number in 0..EVENTS {
            let event = Event::untyped("plan", "note", serde_json::json!({"number": number, "text": text}));
            store.save(&event).expect("commits");
            if number % STRIDE == 0 {
                longest = longest.max(store.stats().expect("reads").wal_pages.unwrap_or(0));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        longest
    });
    let written = (EVENTS * EVENT_BYTES) as u64 / 4_096;
    // Kept from being copied, it comes to more than twice that: indexes and inner pages are written too.
    assert!(longest > 0 && longest < written, "{longest} pages of {written} that were written");
}
