//! P11, P12: a log that somebody edited by hand makes no reader silent, endless or panic, and
//! retention does not remove what shows that it was edited.

#![cfg(feature = "sqlite")]

mod chain_support;
mod store_support;

use std::time::Duration;

use chain_support::first_broken;
use planbus::*;
use rusqlite::Connection;
use store_support::*;

/// A closed log of this many events, of two plans, that was edited.
fn edited(count: usize, sql: &str) -> Dir {
    let dir = Dir::new();
    let bus = EventBus::builder().store(opened(&dir)).build().expect("builds");
    let starts = ["plan-0", "plan-1"].map(|plan| Event::new(plan, PlanStarted::new("a goal")));
    let rest = (2..count).map(|number| event(&format!("plan-{}", number % 2), number));
    bus.publish_all(starts.into_iter().chain(rest)).expect("commits");
    bus.close();
    bus.store().expect("built with one").close().expect("closes");
    Connection::open(dir.db()).expect("opens").execute_batch(sql).expect("edits");
    dir
}

/// Puts in a copy of row 1, a plan's start, with another id.
fn put_in(id: i64) -> String {
    format!(
        "CREATE TEMP TABLE copy AS SELECT * FROM plan_events WHERE id = 1;
         UPDATE copy SET id = {id}, event_id = '01JZ8Q4V7N5T3M2K1H0G9F8E7D';
         INSERT INTO plan_events SELECT * FROM copy"
    )
}

fn opened(dir: &Dir) -> EventStore {
    EventStore::open(dir.db()).expect("opens")
}

fn reader(dir: &Dir) -> EventStore {
    EventStore::open_read_only(dir.db()).expect("opens")
}

fn ids(dir: &Dir) -> Vec<i64> {
    let log = Connection::open(dir.db()).expect("opens");
    let mut statement = log.prepare("SELECT id FROM plan_events ORDER BY id").expect("prepares");
    let ids = statement.query_map([], |row| row.get(0)).expect("reads");
    ids.collect::<Result<_, _>>().expect("reads")
}

fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, words: &str) {
    let error = result.expect_err(words);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{words:?} in {error}");
}

#[test]
fn p11_every_read_names_a_row_whose_seq_no_event_can_have() {
    for id in [0, -5, i64::MIN, i64::MAX] {
        let dir = edited(100, &put_in(id));
        let store = reader(&dir);
        let told = format!("plan_events row {id}: no event can have this seq");
        let failures = || EventQuery::new().types(["PlanFailed"]);
        let queries = [EventQuery::new(), EventQuery::new().plan("plan-0"), failures()];
        for query in queries.into_iter().flat_map(|query| [query.clone(), query.newest_first()]) {
            refused(store.query(query.clone()), ErrorKind::Corrupt, &told);
            refused(store.query(query.after(50)), ErrorKind::Corrupt, &told);
        }
        refused(store.read_after(0, 1_000), ErrorKind::Corrupt, &told);
        refused(store.head(), ErrorKind::Corrupt, &told);
        refused(store.stats(), ErrorKind::Corrupt, &told);
        refused(store.count_by_type(), ErrorKind::Corrupt, &told);
        refused(store.plans(PlanQuery::new()), ErrorKind::Corrupt, &told);
        refused(store.plan("plan-0"), ErrorKind::Corrupt, &told);
        refused(store.list_by_plan("plan-0", None), ErrorKind::Corrupt, &told);
        refused(store.get("01JZ8Q4V7N5T3M2K1H0G9F8E7D".parse().expect("an id")), ErrorKind::Corrupt, &told);
        refused(store.prune(Retention::keep_last(10).dry_run()), ErrorKind::Corrupt, &told);
        let bus = EventBus::builder().store(store.clone()).build().expect("builds");
        for start in [Start::Beginning, Start::Now, Start::After(50)] {
            refused(bus.tail(Filter::all(), start).map(|_| ()), ErrorKind::Corrupt, &told);
        }
        let broken = store.verify().expect("reads").broken.expect("is found");
        assert_eq!(broken.seq, if id < 0 { id } else { id.min(101) });
    }
}

#[test]
fn p11_p12_a_row_below_1_is_not_pruned_and_keeps_nobody_from_publishing() {
    for id in [0, -5, i64::MIN] {
        let dir = edited(100, &put_in(id));
        let before = ids(&dir);
        let store = opened(&dir);
        for rule in [Retention::keep_last(1), Retention::older_than(Duration::ZERO)] {
            refused(store.prune(rule), ErrorKind::Corrupt, &format!("plan_events row {id}"));
        }
        assert_eq!(ids(&dir), before);
        assert_eq!(store.save(&event("plan-0", 1)).expect("commits").seq, 101);
        refused(store.save_cursor("mirror", 50), ErrorKind::Corrupt, &format!("plan_events row {id}"));
        assert_eq!(store.verify().expect("reads").broken.expect("is found").seq, id);
    }
}

#[test]
fn p11_a_row_far_behind_the_others_ends_every_search_and_the_log_ends_before_its_numbers_do() {
    let far = i64::MAX - 2;
    let dir = edited(100, &put_in(far));
    let store = opened(&dir);
    for query in [EventQuery::new(), EventQuery::new().newest_first()] {
        assert_eq!(store.query(query.clone().types(["PlanFailed"])).expect("ends"), []);
        assert_eq!(store.query(query.limit(1_000)).expect("ends").len(), 101);
    }
    let page = EventQuery::new().newest_first().types(["PlanStarted"]);
    assert_eq!(store.query(page).expect("ends").len(), 3);
    assert_eq!(store.count_by_type().expect("ends")["ToolCalled"], 98);
    assert_eq!(store.stats().expect("reads").last_seq, far.unsigned_abs());
    let missing = "after seq 100 are no longer in the log; the next one is seq 9223372036854775805";
    refused(store.read_after(0, 1_000), ErrorKind::Pruned, missing);
    let before = ids(&dir);
    refused(store.prune(Retention::keep_last(1)), ErrorKind::Unsound, "row 101 was removed");
    assert_eq!(ids(&dir), before);

    assert_eq!(store.save(&event("plan-0", 1)).expect("commits").seq, far.unsigned_abs() + 1);
    refused(store.save(&event("plan-0", 2)), ErrorKind::Corrupt, "no seq left");
    store.close().expect("closes");
    refused(EventStore::open(dir.db()), ErrorKind::Corrupt, "no seq left");
    assert_eq!(reader(&dir).query(EventQuery::new().limit(1_000)).expect("ends").len(), 102);
}

#[test]
fn p12_a_log_whose_end_was_cut_off_is_pruned_by_what_is_left() {
    let dir = edited(100, "DELETE FROM plan_events WHERE id > 40");
    let store = opened(&dir);
    let seen = store.stats().expect("reads");
    assert_eq!((seen.events, seen.first_seq, seen.last_seq, seen.last_day), (40, Some(1), 100, 40));
    let last = store.read_after(39, 1).expect("reads").remove(0);
    assert_eq!(seen.last_recorded_at, last.recorded_at());
    let foretold = store.prune(Retention::keep_last(10).dry_run()).expect("tells");
    let mut done = store.prune(Retention::keep_last(10)).expect("prunes");
    assert_eq!((done.removed, done.first_seq, done.is_complete), (30, Some(31), true));
    (done.is_dry_run, done.freed_bytes) = (true, 0);
    assert_eq!(foretold, done);
    let done = store.prune(Retention::older_than(Duration::ZERO)).expect("prunes");
    assert_eq!((done.removed, done.first_seq), (9, Some(40)), "the last that is left stays");
    assert_eq!(store.verify().expect("reads").broken.expect("is found").seq, 41);

    // The log goes on behind the hole, which is not pruned away.
    assert_eq!(store.save(&event("plan-0", 1)).expect("commits").seq, 101);
    refused(store.prune(Retention::keep_last(1)), ErrorKind::Unsound, "row 41 was removed");
    assert_eq!(ids(&dir), [40, 101]);

    let dir = edited(100, "DELETE FROM plan_events");
    let store = opened(&dir);
    let seen = store.stats().expect("reads");
    assert_eq!((seen.events, seen.first_seq, seen.last_seq, seen.last_day), (0, None, 100, 0));
    let done = store.prune(Retention::older_than(Duration::ZERO).but_keep_last(1)).expect("prunes");
    assert_eq!((done.removed, done.first_seq, done.is_complete), (0, None, true));
}

#[test]
fn p12_retention_does_not_remove_a_row_that_somebody_changed() {
    let cases = [
        ("UPDATE plan_events SET source = 'eve' WHERE id = 5", 5, "row 5 was changed"),
        ("DELETE FROM plan_events WHERE id = 7", 7, "row 7 was removed"),
        ("DELETE FROM plan_events WHERE id <= 3", 1, "row 1 was removed"),
        ("UPDATE plan_events SET chain = x'00' WHERE id = 50", 50, "row 50 was changed"),
        ("UPDATE plan_events SET payload = 'no JSON' WHERE id = 1", 1, "row 1 was changed"),
        ("UPDATE store_meta SET value = zeroblob(32) WHERE key = 'chain_anchor'", 1, "chain's anchor"),
    ];
    for (sql, bad, told) in cases {
        let dir = edited(100, sql);
        let before = ids(&dir);
        let store = opened(&dir);
        for rule in [Retention::keep_last(50), Retention::older_than(Duration::ZERO)] {
            refused(store.prune(rule), ErrorKind::Unsound, told);
        }
        assert_eq!(ids(&dir), before, "{sql}");
        assert_eq!(store.verify().expect("reads").broken.expect("is found").seq, bad, "{sql}");
        assert_eq!(store.save(&event("plan-0", 1)).expect("the store is as it was").seq, 101);
    }
}

#[test]
fn p12_what_is_sound_before_a_changed_row_can_be_pruned_and_the_row_is_found_still() {
    let dir = edited(5_000, "UPDATE plan_events SET source = 'eve' WHERE id = 3500");
    let store = opened(&dir);
    assert_eq!(store.prune(Retention::keep_last(4_500)).expect("prunes").removed, 500);
    let found = store.verify().expect("reads");
    assert_eq!((found.first_seq, found.broken.expect("is found").seq), (501, 3_500));
    // Steps before that of the row remove what they found sound.
    refused(store.prune(Retention::keep_last(10)), ErrorKind::Unsound, "row 3500 was changed");
    assert_eq!(ids(&dir)[0], 2_501, "the step of the row removed nothing");
    assert_eq!(first_broken(&dir.db()), Some(3_500));
    assert!(store.prune(Retention::keep_last(1_501)).expect("prunes").is_complete);
    assert_eq!((ids(&dir)[0], first_broken(&dir.db())), (3_500, Some(3_500)));
}
