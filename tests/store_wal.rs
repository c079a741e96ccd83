//! The write-ahead log under a foreign transaction that stays open: it grows, is told, and its file
//! comes back when the reader is gone.

#![cfg(feature = "sqlite")]

mod store_support;

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
