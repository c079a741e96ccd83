//! Retention: a prefix of the log goes, nothing unread but by name, and whoever is overtaken is told.

#![cfg(feature = "sqlite")]

mod chain_support;
mod store_support;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chain_support::{held, rechain};
use planbus::*;
use rusqlite::Connection;
use store_support::*;

fn opened(dir: &Dir) -> EventStore {
    EventStore::open(dir.db()).expect("opens")
}

/// A store with this many events, of three plans in turn, recorded in batches.
fn filled(dir: &Dir, count: usize) -> EventBus {
    let bus = EventBus::builder().store(opened(dir)).build().expect("builds");
    for batch in (0..count).collect::<Vec<_>>().chunks(500) {
        let events = batch.iter().map(|number| event(&format!("plan-{}", number % 3), *number));
        bus.publish_all(events).expect("commits");
    }
    bus
}

fn store(bus: &EventBus) -> &EventStore {
    bus.store().expect("built with one")
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("refused").kind()
}

/// Says that events were recorded so long before now.
fn age(dir: &Dir, seqs: std::ops::RangeInclusive<u64>, age: Duration) {
    let micros = Timestamp::now().as_micros() - i64::try_from(age.as_micros()).expect("fits");
    let at = Timestamp::from_micros(micros).expect("a time").to_string();
    let editor = Connection::open(dir.db()).expect("opens");
    let sql = "UPDATE plan_events SET recorded_at = ?1 WHERE id BETWEEN ?2 AND ?3";
    editor.execute(sql, (at, *seqs.start() as i64, *seqs.end() as i64)).expect("edits");
    rechain(&dir.db());
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn p12_the_chain_of_the_rest_holds_from_the_anchor_after_every_prune() {
    let dir = Dir::new();
    let bus = filled(&dir, 5_000);
    for (keep, first) in [(4_999, 2), (4_999, 2), (3_000, 2_001), (1, 5_000), (1, 5_000)] {
        let report = store(&bus).prune(Retention::keep_last(keep)).expect("prunes");
        assert_eq!((report.first_seq, report.is_complete, report.is_dry_run), (Some(first), true, false));
        assert_eq!(held(store(&bus)), (first, 5_000));
    }
    bus.publish(event("plan", 1)).expect("commits");
    assert_eq!(held(store(&bus)), (5_000, 5_001), "seqs go on");
    bus.close();
    store(&bus).close().expect("closes");
    let again = opened(&dir);
    assert_eq!(again.save(&event("plan", 2)).expect("commits").seq, 5_002, "and across owners");
    assert_eq!(held(&again), (5_000, 5_002));
}

#[test]
fn an_event_goes_when_every_rule_lets_it_go() {
    let dir = Dir::new();
    let bus = filled(&dir, 1_000);
    bus.close();
    store(&bus).close().expect("closes");
    age(&dir, 1..=300, 50 * HOUR);
    age(&dir, 301..=700, 10 * HOUR);
    let store = opened(&dir);
    let foretold = |rule: Retention| store.prune(rule.dry_run()).expect("tells").removed;
    assert_eq!(foretold(Retention::older_than(51 * HOUR)), 0);
    assert_eq!(foretold(Retention::older_than(20 * HOUR)), 300);
    assert_eq!(foretold(Retention::older_than(2 * HOUR)), 700);
    assert_eq!(foretold(Retention::older_than(Duration::ZERO)), 999, "the newest stays");
    assert_eq!(foretold(Retention::older_than(Duration::MAX)), 0);
    assert_eq!(foretold(Retention::keep_last(900)), 100);
    assert_eq!(foretold(Retention::keep_last(u64::MAX)), 0);
    assert_eq!(foretold(Retention::older_than(2 * HOUR).but_keep_last(900)), 100);
    assert_eq!(foretold(Retention::older_than(20 * HOUR).but_keep_last(10)), 300);
    let report = store.prune(Retention::older_than(20 * HOUR)).expect("prunes");
    assert_eq!((report.removed, report.last_removed, report.first_seq), (300, Some(300), Some(301)));
    assert_eq!(store.prune(Retention::older_than(20 * HOUR)).expect("prunes").removed, 0);
}

#[test]
fn a_wrong_rule_is_refused_by_the_name_of_its_field() {
    let dir = Dir::new();
    let bus = filled(&dir, 3);
    for (rule, problem) in [
        (Retention::keep_last(0), "keep_last: must be at least 1, got 0"),
        (Retention::older_than(HOUR).limit(0), "limit: must be at least 1, got 0"),
        (Retention::keep_last(1).force("a b"), "force: must match"),
        (Retention::keep_last(1).force("mirror"), "force: mirror has no cursor; the store has none"),
        (Retention::keep_last(1).force("mirror").dry_run(), "force: mirror has no cursor"),
    ] {
        let error = store(&bus).prune(rule).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with(problem), "{error}");
    }
    let reader = EventStore::open_read_only(dir.db()).expect("opens");
    assert_eq!(kind(reader.prune(Retention::keep_last(1))), ErrorKind::ReadOnly);
    assert_eq!(kind(reader.save_cursor("r", 1)), ErrorKind::ReadOnly);
    assert_eq!(reader.prune(Retention::keep_last(1).dry_run()).expect("tells").removed, 2);
    store(&bus).close().expect("closes");
    assert_eq!(kind(store(&bus).prune(Retention::keep_last(1))), ErrorKind::Closed);
}

#[test]
fn a_dry_run_says_what_pruning_then_does() {
    let dir = Dir::new();
    let bus = filled(&dir, 2_500);
    store(&bus).save_cursor("mirror", 1_800).expect("saves");
    for rule in [
        Retention::keep_last(2_400),
        Retention::keep_last(2_300).limit(70),
        Retention::keep_last(300),
        Retention::keep_last(200).force("mirror"),
        Retention::keep_last(9_000),
    ] {
        let foretold = store(&bus).prune(rule.clone().dry_run()).expect("tells");
        assert!(foretold.is_dry_run);
        let mut done = store(&bus).prune(rule).expect("prunes");
        (done.is_dry_run, done.freed_bytes) = (true, 0);
        assert_eq!(foretold, done);
    }
    assert_eq!(held(store(&bus)), (2_301, 2_500));
}

#[test]
fn p9_nothing_that_a_cursor_has_not_reached_is_pruned_unless_it_is_named() {
    let dir = Dir::new();
    let bus = filled(&dir, 3_000);
    let store = store(&bus);
    for (reader, seq) in [("slow", 700), ("fast", 2_900), ("slower", 1_100)] {
        store.save_cursor(reader, seq).expect("saves");
    }
    let names = |cursors: Vec<Cursor>| -> Vec<(String, u64)> {
        cursors.into_iter().map(|cursor| (cursor.reader, cursor.seq)).collect()
    };
    let expected = [("fast", 2_900), ("slow", 700), ("slower", 1_100)];
    assert_eq!(names(store.cursors().expect("reads")), expected.map(|(name, seq)| (name.to_owned(), seq)));

    let prune = |rule: Retention| {
        let report = store.prune(rule).expect("prunes");
        (report.first_seq.expect("there is one"), report.held_by.map(|cursor| cursor.reader))
    };
    let rule = || Retention::keep_last(10);
    assert_eq!(prune(Retention::keep_last(2_500)), (501, None), "the cursor is not in the way");
    assert_eq!(prune(rule()), (701, Some("slow".to_owned())));
    assert_eq!(prune(rule().force("fast")), (701, Some("slow".to_owned())), "another one was named");
    assert_eq!(prune(rule().force("slow")), (1_101, Some("slower".to_owned())));
    assert_eq!(prune(rule()), (1_101, Some("slow".to_owned())), "overtaken, it still holds what is left");
    assert_eq!(kind(store.save_cursor("slow", 700)), ErrorKind::Pruned);
    store.save_cursor("slow", 1_100).expect("the last seq before what is there");
    assert!(
        store.remove_cursor("slower").expect("removes") && !store.remove_cursor("slower").expect("removes")
    );
    assert_eq!(prune(rule()), (1_101, Some("slow".to_owned())));
    assert!(store.remove_cursor("slow").expect("removes"));
    assert_eq!(prune(rule()), (2_901, Some("fast".to_owned())));
    store.save_cursor("fast", 3_000).expect("saves");
    assert_eq!(prune(rule()), (2_991, None));
    store.save_cursor("fast", 2_995).expect("may be set back");
    let error = store.save_cursor("fast", 3_001).expect_err("refused");
    assert_eq!(error.to_string(), "seq: must be at most the log's last seq, 3000, got 3001");
    assert_eq!(kind(store.save_cursor("fast", u64::MAX)), ErrorKind::InvalidInput);
    assert_eq!(kind(store.save_cursor("", 2_995)), ErrorKind::InvalidInput);
    held(store);
}

#[test]
fn p9_a_forced_reader_without_a_cursor_is_a_mistake_that_removes_nothing() {
    let dir = Dir::new();
    let bus = filled(&dir, 100);
    let store = store(&bus);
    store.save_cursor("mirror", 50).expect("saves");
    let told = |names: &[&str]| {
        let rule = names.iter().fold(Retention::keep_last(1), |rule, name| rule.force(*name));
        let error = store.prune(rule).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    };
    assert_eq!(told(&["miror"]), "force: miror has no cursor; there are mirror");
    assert_eq!(told(&["mirror", "miror"]), "force: miror has no cursor; there are mirror");
    assert_eq!(held(store), (1, 100));
    (10..40).for_each(|number| store.save_cursor(&format!("reader-{number}"), 50).expect("saves"));
    assert!(told(&["miror"]).ends_with("reader-27, reader-28, and more"), "{}", told(&["miror"]));
    assert_eq!(held(store), (1, 100));
}

#[test]
fn events_are_published_and_read_while_the_log_is_pruned() {
    let dir = Dir::new();
    let bus = filled(&dir, 8_000);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            let mut published = 0;
            while !is_over.load(Ordering::Relaxed) || published < 50 {
                bus.publish(event("plan-new", published)).expect("commits");
                published += 1;
            }
            published as u64
        });
        let mut tail = bus.tail(Filter::all(), Start::After(7_000)).expect("a tail");
        store(&bus).save_cursor("tail", 7_000).expect("saves");
        let report = store(&bus).prune(Retention::keep_last(1)).expect("prunes");
        is_over.store(true, Ordering::Relaxed);
        let head = 8_000 + publisher.join().expect("no panic");
        assert_eq!((report.removed, report.first_seq), (7_000, Some(7_001)));
        assert!(report.freed_bytes > 7_000 * 200, "{report:?}");
        for seq in 7_001..=head {
            let event = tail.next_timeout(LIMIT).expect("reads").expect("comes in time");
            assert_eq!(event.seq(), Some(seq), "a tail that is ahead is not disturbed");
        }
        assert_eq!(held(store(&bus)), (7_001, head));
    });
}

#[test]
fn the_file_is_smaller_after_a_prune_and_the_write_ahead_log_stays_bounded() {
    let dir = Dir::new();
    let bus = filled(&dir, 30_000);
    let before = store(&bus).stats().expect("reads");
    let report = store(&bus).prune(Retention::keep_last(1_000)).expect("prunes");
    let after = store(&bus).stats().expect("reads");
    assert_eq!(after.free_pages, 0);
    let before_bytes = before.pages * before.page_bytes;
    assert!(after.db_bytes * 10 < before_bytes, "{} of {before_bytes} bytes are left", after.db_bytes);
    let pages_bytes = (before.pages - after.pages) * after.page_bytes;
    assert_eq!(report.freed_bytes, pages_bytes);
    assert!(after.wal_bytes < 8_000 * 4_096, "{} bytes of write-ahead log", after.wal_bytes);
    store(&bus).close().expect("closes");
    let editor = Connection::open(dir.db()).expect("opens");
    let check: String = editor.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checks");
    assert_eq!(check, "ok");
}

#[test]
fn an_event_that_was_pruned_is_unknown_and_one_that_was_not_is_a_duplicate() {
    let dir = Dir::new();
    let store = opened(&dir);
    let events: Vec<Event> = (0..10).map(|number| event("plan", number)).collect();
    for event in &events {
        store.save(event).expect("commits");
    }
    store.prune(Retention::keep_last(4)).expect("prunes");
    assert_eq!(store.get(events[0].event_id()).expect("reads"), None);
    let again = store.save(&events[9]).expect("commits");
    assert_eq!((again.seq, again.duplicate), (10, true));
    let again = store.save(&events[0]).expect("commits");
    assert_eq!((again.seq, again.duplicate), (11, false), "dedupe reaches as far as the log");
    held(&store);
}
