//! Which plans there are, how they stand, and whose subplans they are: from the library as from the
//! view `plan_summary`, which must say the same.

#![cfg(feature = "sqlite")]

mod store_support;

use std::time::Duration;

use planbus::*;
use rusqlite::Connection;
use serde_json::json;
use store_support::*;

fn opened(dir: &Dir) -> EventStore {
    EventStore::open(dir.db()).expect("opens")
}

fn save(store: &EventStore, events: impl IntoIterator<Item = Event>) {
    for event in events {
        store.save(&event).expect("commits");
    }
}

fn names(store: &EventStore, query: PlanQuery) -> Vec<String> {
    store.plans(query).expect("plans").iter().map(|plan| plan.plan_id.to_string()).collect()
}

/// A plan's row as text, with the fields that the view and the library both have.
type Row = Vec<Option<String>>;

fn rows_of_the_view(dir: &Dir) -> Vec<Row> {
    let connection = Connection::open(dir.db()).expect("opens");
    let mut statement = connection
        .prepare(
            "SELECT plan_id, status, goal, parent, source, started_at, ended_at, error, events, tool_calls,
                failed_tool_calls, decisions, subplans, first_seq, last_seq
            FROM plan_summary WHERE tenant = 'default' ORDER BY first_seq DESC",
        )
        .expect("prepares");
    let columns = statement.column_count();
    let text = |value| match value {
        rusqlite::types::Value::Null => None,
        rusqlite::types::Value::Integer(number) => Some(number.to_string()),
        rusqlite::types::Value::Text(text) => Some(text),
        other => panic!("no column holds {other:?}"),
    };
    let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at).map(text)).collect());
    rows.and_then(Iterator::collect).expect("reads")
}

fn rows_of_the_library(store: &EventStore) -> Vec<Row> {
    let row = |plan: PlanSummary| {
        let numbers = [
            plan.events,
            plan.tool_calls,
            plan.failed_tool_calls,
            plan.decisions,
            plan.subplans,
            plan.first_seq,
            plan.last_seq,
        ];
        let texts = [
            Some(plan.plan_id.to_string()),
            Some(plan.status.to_string()),
            plan.goal,
            plan.parent.map(|parent| parent.to_string()),
            plan.source.map(|source| source.to_string()),
            Some(plan.started_at.to_string()),
            plan.ended_at.map(|at| at.to_string()),
            plan.error,
        ];
        texts.into_iter().chain(numbers.map(|number| Some(number.to_string()))).collect()
    };
    store.plans(PlanQuery::new()).expect("plans").into_iter().map(row).collect()
}

/// Plans that keep no rule but that of the log: what real runs leave behind, and worse.
fn odd_plans() -> Vec<Event> {
    let raw = |plan: &str, event_type: &str, payload: &str| Event::raw(plan, event_type, payload);
    let mut ended_twice = vec![
        Event::new("twice", PlanStarted::new("once")).with_source("planner"),
        Event::new("twice", PlanFailed::new("first")),
        Event::new("twice", PlanStarted::new("again")),
        Event::new("twice", ToolCalled::new("c", "grep", json!({}))),
        Event::new("twice", ToolCompleted::failed("c", "grep", "gone")),
    ];
    ended_twice.push(raw("twice", "PlanFailed", r#"{"reason":"second"}"#));
    let mut odd = ended_twice;
    odd.extend([
        raw("no start", "DecisionMade", r#"{"decision":"go on"}"#),
        raw("no start", "PlanCompleted", "{}"),
        raw("o'dd \u{e9} %_", "PlanStarted", r#"{"goal":{"a":1},"parent":7}"#),
        raw("o'dd \u{e9} %_", "PlanFailed", r#"{"error":{"code":2}}"#),
        raw("array", "PlanStarted", r#"{"goal":[1]}"#),
        raw("array", "ToolCompleted", r#"{"ok":null}"#),
        raw("null", "PlanStarted", r#"{"goal":null,"parent":null}"#),
        raw("null", "PlanFailed", r#"{"error":null,"reason":"why"}"#),
        raw("itself", "PlanStarted", r#"{"parent":"itself"}"#),
        Event::new("child", PlanStarted::new("a part")).with_correlation_id("twice"),
        Event::new("stray", PlanStarted::new("a part")).with_correlation_id("never seen"),
        raw("loose", "Note", "{}"),
    ]);
    odd
}

#[test]
fn the_view_plan_summary_says_what_the_library_says() {
    let dir = Dir::new();
    let store = opened(&dir);
    save(&store, odd_plans());
    let (view, library) = (rows_of_the_view(&dir), rows_of_the_library(&store));
    assert_eq!(view.len(), 8);
    assert_eq!(view, library);
    let twice = &library[7];
    let shown: Vec<_> = twice.iter().take(2).chain([&twice[2], &twice[7]]).flatten().collect();
    assert_eq!(shown, ["twice", "failed", "once", "second"]);
}

#[test]
fn a_plan_is_a_root_unless_the_log_holds_its_parent() {
    let dir = Dir::new();
    let store = opened(&dir);
    save(&store, odd_plans());
    let parent = |plan: &str| store.plan(plan).expect("reads").and_then(|plan| plan.parent);
    assert_eq!(parent("child"), Some("twice".try_into().expect("an id")), "as its correlation says");
    assert_eq!(parent("stray"), None, "a correlation that names no plan is no parent");
    assert_eq!(parent("itself"), None);
    let mut pruned = PlanStarted::new("its parent is gone");
    pruned.parent = Some("gone".to_owned());
    save(&store, [Event::new("orphan", pruned)]);
    assert_eq!(parent("orphan"), Some("gone".try_into().expect("an id")), "its start says so");
    let roots = names(&store, PlanQuery::new().roots_only());
    let all: Vec<_> =
        names(&store, PlanQuery::new()).into_iter().filter(|plan| plan.as_str() != "child").collect();
    assert_eq!(roots, all, "all but the one whose parent is there");
    let other = store.for_tenant("acme").expect("a tenant");
    save(&other, [Event::new("twice", ToolCalled::default()).with_tenant("acme")]);
    save(&other, [Event::new("orphan", PlanStarted::new("x")).with_tenant("acme")]);
    assert_eq!(names(&other, PlanQuery::new().roots_only()), ["orphan"]);
}

#[test]
fn plans_of_a_rare_status_are_found_behind_pages_of_others_without_reading_their_events() {
    let dir = Dir::new();
    let store = opened(&dir);
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let plan = |number: usize| format!("plan-{number}");
    let events = (0..2_500).flat_map(|number| {
        let end = match number {
            7 | 1_900 => Event::new(plan(number), PlanFailed::new("out of time")),
            8 => Event::new(plan(number), DecisionMade::new("go on")),
            _ => Event::new(plan(number), PlanCompleted::new()),
        };
        [Event::new(plan(number), PlanStarted::new("a goal")), end]
    });
    bus.publish_all(events).expect("commits");
    let failed = || PlanQuery::new().status(PlanStatus::Failed);
    // A payload that cannot be read fails whoever reads it, so this shows who does not.
    Connection::open(dir.db())
        .and_then(|db| {
            db.execute("UPDATE plan_events SET payload = 'no JSON' WHERE plan_id = 'plan-2000'", [])
        })
        .expect("is changed");
    assert_eq!(names(&store, failed()), ["plan-1900", "plan-7"]);
    assert_eq!(names(&store, failed().limit(1)), ["plan-1900"]);
    assert_eq!(names(&store, failed().before(3_801)), ["plan-7"], "the next page");
    assert_eq!(names(&store, PlanQuery::new().status(PlanStatus::Running)), ["plan-8"]);
    let error = store.plans(PlanQuery::new().limit(1_000)).expect_err("reads the damaged one");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_plan_took_what_its_end_says_else_what_lies_between_start_and_end() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let at = |event: Event, time: &str| event.with_timestamp(time.parse::<Timestamp>().expect("a time"));
    let mut told = PlanFailed::new("its process was gone");
    told.duration_us = Some(1_500);
    for event in [
        at(Event::new("told", PlanStarted::new("a goal")), "2026-03-01T09:00:00Z"),
        at(Event::new("untold", PlanStarted::new("a goal")), "2026-03-01T09:00:00Z"),
        at(Event::new("open", PlanStarted::new("a goal")), "2026-03-01T09:00:00Z"),
        at(Event::new("told", told), "2026-03-02T09:00:00Z"),
        at(Event::raw("untold", "PlanCompleted", r#"{"duration_us":"long"}"#), "2026-03-01T09:00:02Z"),
    ] {
        store.save(&event).expect("commits");
    }
    let duration = |plan: &str| store.plan(plan).expect("reads").expect("is there").duration;
    assert_eq!(duration("told"), Some(Duration::from_micros(1_500)), "found dead a day later");
    assert_eq!(duration("untold"), Some(Duration::from_secs(2)));
    assert_eq!(duration("open"), None);
}

#[test]
fn plans_are_listed_by_their_last_change_and_counted_whatever_the_page() {
    let dir = Dir::new();
    let store = opened(&dir);
    let started = |plan: &str, group: &str, at: &str| {
        Event::new(plan, PlanStarted::new("a goal")).with_correlation_id(group).with_timestamp(at)
    };
    save(
        &store,
        [
            started("one", "group", "2026-01-01T00:00:01Z"),
            started("two", "group", "2026-01-01T00:00:02Z"),
            started("three", "other", "2026-01-01T00:00:03Z"),
            Event::new("one", PlanFailed::new("no"))
                .with_correlation_id("group")
                .with_timestamp("2026-01-01T00:00:04Z"),
            Event::new("two", DecisionMade::new("go on")).with_correlation_id("group"),
            started("three", "other", "2026-01-01T00:00:06Z"),
        ],
    );
    let by_change = || PlanQuery::new().newest_change_first();
    assert_eq!(names(&store, by_change()), ["three", "one", "two"]);
    assert_eq!(names(&store, PlanQuery::new()), ["three", "two", "one"]);
    let one = store.plan("one").expect("reads").expect("is there");
    assert_eq!((one.status_seq, one.first_seq), (4, 1));
    assert_eq!(one.status_since.to_string(), "2026-01-01T00:00:04.000000Z");
    assert_eq!(one.correlation_id.as_ref().map(CorrelationId::as_str), Some("group"));
    assert_eq!(names(&store, by_change().limit(1).before(one.status_seq)), ["two"]);
    let group = || by_change().correlation_id("group");
    assert_eq!(names(&store, group()), ["one", "two"]);
    assert_eq!(names(&store, by_change().changed_since("2026-01-01T00:00:04Z")), ["three", "one"]);
    assert_eq!(names(&store, PlanQuery::new().changed_since("2026-01-01T00:00:04Z")), ["three", "one"]);
    assert_eq!(names(&store, group().status(PlanStatus::Running)), ["two"]);
    let count = |query: PlanQuery| store.count_plans(query).expect("counts");
    assert_eq!((count(by_change().limit(1).before(3)), count(group())), (3, 2));
    let error = store.plans(by_change().correlation_id("")).expect_err("empty");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_plan_is_found_by_what_its_summary_shows_of_its_goal_id_and_source() {
    let dir = Dir::new();
    let store = opened(&dir);
    save(&store, odd_plans());
    save(
        &store,
        [
            Event::new("late", DecisionMade::new("a goal, once")).with_source("Scout"),
            Event::new("late", PlanFailed::new("no goal")).with_source("other"),
            Event::new("100%", PlanStarted::new("Again, \u{c9}")).with_source("o'brien"),
        ],
    );
    let shows = |plan: &PlanSummary, text: &str| {
        let source = plan.source.as_ref().map(ToString::to_string);
        let shown = [Some(plan.plan_id.to_string()), plan.goal.clone(), source];
        shown.iter().flatten().any(|shown| shown.to_ascii_lowercase().contains(&text.to_ascii_lowercase()))
    };
    for query in [PlanQuery::new(), PlanQuery::new().newest_change_first()] {
        let all = store.plans(query.clone()).expect("plans");
        let mut counts = Vec::new();
        let texts = [
            "once", "AGAIN", "PLANNER", "scout", "other", "%", "_", "\u{c9}", "\u{e9}", "'", "[1]", "no",
            "\0",
        ];
        for text in texts {
            let wanted = all.iter().filter(|plan| shows(plan, text)).map(|plan| plan.plan_id.to_string());
            let wanted: Vec<_> = wanted.collect();
            assert_eq!(names(&store, query.clone().text(text)), wanted, "{text}");
            assert_eq!(store.count_plans(query.clone().text(text)).expect("counts"), wanted.len() as u64);
            counts.push(wanted.len());
        }
        assert_eq!(counts, [1, 1, 1, 1, 0, 2, 1, 1, 1, 2, 1, 1, 0]);
    }
    for wrong in [String::new(), "x".repeat(1_025)] {
        let error = store.plans(PlanQuery::new().text(wrong.as_str())).expect_err("refused");
        assert_eq!(error.to_string(), format!("text: must be 1 to 1024 bytes, got {}", wrong.len()));
    }
}

#[test]
fn p11_a_tree_ends_where_its_plans_say_too_much() {
    let dir = Dir::new();
    let store = opened(&dir);
    let goal = "g".repeat(3_900_000);
    save(&store, (0..8).map(|at| Event::new("root", SubplanSpawned::new(format!("child-{at}")))));
    save(&store, (0..8).map(|at| Event::new(format!("child-{at}"), PlanStarted::new(goal.clone()))));
    let tree = store.plan_tree("root").expect("a tree");
    assert!(tree.is_cut && (4..8).contains(&tree.children.len()), "{}", tree.children.len());
    assert_eq!(tree.children[0].plan.plan_id.as_str(), "child-0");
}
