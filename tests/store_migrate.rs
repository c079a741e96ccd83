//! A store of an older version: opened by its owner it comes to the newest one with every event in
//! its place; a reader reads it as it is.

#![cfg(feature = "sqlite")]

mod store_support;

use planbus::*;
use rusqlite::Connection;
use serde_json::json;
use store_support::*;

/// The tables, indexes and views of version 1.
const VERSION_1: &str = include_str!("store_migrate/version_1.sql");

/// A store with some plans that is as version 1 left it.
fn version_1(dir: &Dir) {
    let newer = Dir::new();
    let store = EventStore::open(newer.db()).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    bus.publish_all([
        Event::new("a", PlanStarted::new("the goal")),
        Event::new("a", SubplanSpawned::new("b")),
        Event::new("b", PlanStarted::new("the part")),
        Event::new("b", ToolCalled::new("c1", "grep", json!({"q": "TODO"}))),
        Event::new("b", PlanFailed::new("out of time")),
        Event::new("c", PlanStarted::new("another")),
        Event::new("c", PlanCompleted::new()),
    ])
    .expect("commits");
    bus.close();
    store.close().expect("closes");
    let connection = Connection::open(dir.db()).expect("creates");
    let settings = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA encoding = 'UTF-8';
        PRAGMA application_id = 1347174995; PRAGMA user_version = 1;";
    connection.execute_batch(settings).and_then(|()| connection.execute_batch(VERSION_1)).expect("is made");
    connection.pragma_update(None, "journal_mode", "wal").expect("is set");
    connection.execute("ATTACH ?1 AS newer", [newer.db().to_str().expect("a path")]).expect("attaches");
    connection
        .execute_batch(
            "INSERT INTO plan_events SELECT * FROM newer.plan_events;
             INSERT INTO store_meta SELECT * FROM newer.store_meta;",
        )
        .expect("holds the events");
}

/// Every row with all of its columns, the chain among them.
fn rows(dir: &Dir) -> Vec<Vec<rusqlite::types::Value>> {
    let connection = Connection::open(dir.db()).expect("opens");
    let mut statement = connection.prepare("SELECT * FROM plan_events ORDER BY id").expect("prepares");
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect());
    rows.and_then(Iterator::collect).expect("reads")
}

/// The name and text of every index, view and table but the one that version 1 wrote in other words.
fn schema(dir: &Dir) -> Vec<(String, Option<String>)> {
    let connection = Connection::open(dir.db()).expect("opens");
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'table', 'view') AND name <> 'plan_events' ORDER BY name")
        .expect("prepares");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.and_then(Iterator::collect).expect("reads")
}

fn check_plans(store: &EventStore) {
    let list = |query: PlanQuery| -> Vec<String> {
        let plans = store.plans(query).expect("plans");
        plans.iter().map(|plan| format!("{} {}", plan.plan_id, plan.status)).collect()
    };
    assert_eq!(list(PlanQuery::new()), ["c completed", "b failed", "a running"]);
    assert_eq!(list(PlanQuery::new().status(PlanStatus::Failed)), ["b failed"]);
    assert_eq!(list(PlanQuery::new().status(PlanStatus::Running)), ["a running"]);
    let tree = store.plan_tree("a").expect("a tree");
    assert_eq!(tree.children[0].plan.plan_id.as_str(), "b");
}

#[test]
fn a_store_of_version_1_comes_to_the_newest_with_every_event_in_its_place() {
    let dir = Dir::new();
    version_1(&dir);
    let before = rows(&dir);
    let store = EventStore::open(dir.db()).expect("is migrated");
    assert_eq!(store.stats().expect("stats").schema_version, 4);
    check_plans(&store);
    let saved = store.save(&event("d", 1)).expect("goes on");
    assert_eq!(saved.seq, 8);
    store.close().expect("closes");

    let mut after = rows(&dir);
    after.pop();
    assert_eq!(after, before, "no row was touched, nor its link of the chain");
    let fresh = Dir::new();
    EventStore::open(fresh.db()).and_then(|store| store.close()).expect("opens");
    assert_eq!(schema(&dir), schema(&fresh), "the same indexes and views as in a new store");
    let connection = Connection::open(dir.db()).expect("opens");
    let whole: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).expect("runs");
    assert_eq!(whole, "ok");
    let failed: (String, String) = connection
        .query_row("SELECT plan_id, error FROM plan_summary WHERE status = 'failed'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("one plan failed");
    assert_eq!(failed, ("b".to_owned(), "out of time".to_owned()));
}

#[test]
fn a_store_of_version_1_can_be_read_before_its_owner_migrates_it() {
    let dir = Dir::new();
    version_1(&dir);
    let store = EventStore::open_read_only(dir.db()).expect("opens");
    assert_eq!(store.stats().expect("stats").schema_version, 1, "a reader changes nothing");
    check_plans(&store);
    assert_eq!(store.query(EventQuery::new()).expect("events").len(), 7);
}

#[test]
fn a_migration_that_fails_leaves_the_store_as_it_was() {
    let dir = Dir::new();
    version_1(&dir);
    let connection = Connection::open(dir.db()).expect("opens");
    connection.execute_batch("CREATE TABLE plan_events_state(x)").expect("takes a name of version 2");
    drop(connection);
    let before = (rows(&dir), schema(&dir));
    let error = EventStore::open(dir.db()).expect_err("cannot be migrated");
    assert!(error.to_string().contains("newest schema"), "{error}");
    assert_eq!((rows(&dir), schema(&dir)), before);
    let version: i64 = Connection::open(dir.db())
        .and_then(|connection| connection.pragma_query_value(None, "user_version", |row| row.get(0)))
        .expect("a version");
    assert_eq!(version, 1);
}

#[test]
fn no_insert_makes_a_table_of_its_own_to_see_which_indexes_it_belongs_in() {
    let dir = Dir::new();
    EventStore::open(dir.db()).and_then(|store| store.close()).expect("opens");
    let connection = Connection::open(dir.db()).expect("opens");
    let mut statement = connection
        .prepare(
            "EXPLAIN INSERT INTO plan_events VALUES (1, '', '', '', '', '', '', '', '', '', '', '', '', '', '', 1, '')",
        )
        .expect("prepares");
    let steps = statement.query_map([], |row| row.get::<_, String>(1));
    let steps: Vec<String> = steps.and_then(Iterator::collect).expect("reads");
    assert!(steps.iter().any(|step| step == "IdxInsert"), "{steps:?}");
    assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{steps:?}");
}
