//! docs/audit.md keeps its word: every query on the page is run by the `sqlite3` program on a log of
//! real runs and of oddities, while the owner publishes, and gives the right answer.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use planbus::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use store_support::*;

const PAGE: &str = include_str!("../docs/audit.md");

/// The query under each heading of the page.
fn queries() -> BTreeMap<&'static str, &'static str> {
    let mut queries = BTreeMap::new();
    for section in PAGE.split("\n### ").skip(1) {
        let (heading, text) = section.split_once('\n').expect("a heading is a line");
        let (_, sql) = text.split_once("```sql\n").expect("a heading has a query");
        let (sql, rest) = sql.split_once("```").expect("a query ends");
        assert!(!rest.contains("```sql"), "{heading}: one query under a heading");
        assert_eq!(queries.insert(heading, sql), None, "{heading}: once");
    }
    queries
}

/// The rows that the `sqlite3` program returns.
fn rows(dir: &Dir, sql: &str) -> Vec<Value> {
    let output = Command::new("sqlite3").args(["-readonly", "-json"]).arg(dir.db()).arg(sql).output();
    let output = output.expect("runs");
    assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
    if output.stdout.is_empty() {
        return Vec::new();
    }
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The values of some columns, as one line a row.
fn columns(rows: &[Value], names: &str) -> Vec<String> {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let line = |row: &Value| {
        let line: Vec<_> = names.split(' ').map(|name| shown(&row[name])).collect();
        line.join("|")
    };
    rows.iter().map(line).collect()
}

/// What real runs leave behind, as they do it.
fn publish_runs(bus: &EventBus) {
    let run = bus.plan("plan-7").source("planner").start(json!({"goal": "find the leak"})).expect("starts");
    run.decide("search first", json!({"reason": "it is cheap"})).expect("decides");
    run.tool("grep", json!({"q": "leak"}), || Ok::<_, String>(3)).expect("runs");
    run.tool("run", json!({"cmd": "make"}), || Err::<(), _>("exit 2")).expect_err("fails");
    let part = run.subplan_by("coder", "part", json!({"goal": "mend it"})).expect("spawns");
    part.decide("free it", json!({})).expect("decides");
    part.tool("run", json!({"cmd": "test"}), || Ok::<_, String>(0)).expect("runs");
    let deep = part.subplan("deep", json!({"goal": "look closer"})).expect("spawns");
    deep.complete(json!({})).expect("completes");
    part.complete(json!({})).expect("completes");
    run.fail("the budget is used up").expect("fails");
    let other = bus.plan("works").source("coder").start(json!({"goal": "write"})).expect("starts");
    other.complete(json!({})).expect("completes");
    let foreign = bus.plan("plan-7").tenant("acme").source("planner").start(json!({})).expect("starts");
    foreign.decide("another tenant's", json!({})).expect("decides");
    foreign.fail("another tenant's").expect("fails");
}

/// What other programs recorded, and what no program should.
fn publish_oddities(bus: &EventBus) {
    let raw = |plan: &str, event_type: &str, payload: Value| {
        Event::raw(plan, event_type, payload.to_string()).with_source("swe-agent")
    };
    let at = |event: Event, time: &str| event.with_timestamp(format!("2025-01-20T{time}Z").as_str());
    let slow = |call: &str, duration: u64| {
        [
            raw("odd", "ToolCalled", json!({"call_id": call, "tool": "slow", "arguments": {}})),
            raw(
                "odd",
                "ToolCompleted",
                json!({"call_id": call, "tool": "slow", "ok": true, "duration_us": duration}),
            ),
        ]
    };
    let mut events = vec![
        raw("odd", "PlanStarted", json!({"prompt": "list"})),
        raw("odd", "DecisionMade", json!({"content": "I will list"})),
        at(
            raw("odd", "ToolCalled", json!({"call_id": "c1", "tool": "bash", "args": {"cmd": "ls"}})),
            "23:59:58.25",
        ),
        at(
            raw(
                "odd",
                "ToolCompleted",
                json!({"call_id": "c1", "tool": "bash", "ok": null, "content": "a b"}),
            ),
            "23:59:59.125001",
        ),
        // The same call id again, and never answered.
        raw("odd", "ToolCalled", json!({"call_id": "c1", "tool": "bash", "input": {"cmd": "rm"}})),
        raw("odd", "ToolCompleted", json!({"call_id": "c9", "tool": "bash", "ok": true})),
        raw("odd", "ToolCalled", json!({"tool": "bash"})),
        raw("odd", "PlanFailed", json!({"reason": "interrupted"})),
        // It failed twice, and says why in words of its own.
        raw("mute", "PlanFailed", json!({"error": "the first time"})),
        raw("mute", "PlanFailed", json!({"exit_status": "exit_cost"})),
        raw("lives", "PlanStarted", json!({"goal": {"steps": 2}})),
        raw("lives", "ToolCalled", json!({"call_id": "c1", "tool": "broken"})),
        // Plans that spawn each other.
        raw("ring-1", "SubplanSpawned", json!({"subplan": "ring-2"})),
        raw("ring-2", "SubplanSpawned", json!({"subplan": "ring-1"})),
        raw("ring-2", "SubplanSpawned", json!({"subplan": {"no": "text"}})),
        Event::raw("noise", "Note", "{}").with_tenant("load"),
        Event::raw("noise", "Note", "{}").with_tenant("load"),
        Event::raw("noise", "Note", "{}").with_tenant("load"),
    ];
    events.splice(7..7, [slow("s1", 100), slow("s2", 900), slow("s3", 200)].concat());
    bus.publish_all(events).expect("commits");
}

/// Changes by hand: a payload that is no JSON, and a row that is gone. The seq of that one.
fn tamper(dir: &Dir) -> i64 {
    let log = Connection::open(dir.db()).expect("opens");
    log.execute("UPDATE plan_events SET payload = '{cut' WHERE payload LIKE '%broken%'", [])
        .expect("is changed");
    let hole: i64 = log
        .query_row("SELECT max(id) - 1 FROM plan_events WHERE plan_id = 'noise'", [], |row| row.get(0))
        .expect("a seq");
    log.execute("DELETE FROM plan_events WHERE id = ?1", [hole]).expect("is deleted");
    hole
}

#[test]
fn every_query_of_the_audit_page_answers_its_question_while_the_owner_publishes() {
    if !has_program("sqlite3", &["--version"]) {
        println!("skipped: no sqlite3 program");
        return;
    }
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    publish_runs(&bus);
    publish_oddities(&bus);
    let hole = tamper(&dir);
    let events = store.list_by_plan("plan-7", None).expect("events");
    let published = store.head().expect("a head");

    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let load = event("load", 1).with_tenant("load").with_source("load");
                assert!(bus.publish(load).is_ok(), "the auditor does not disturb the owner");
            }
        });
        let _over = Over(&is_over);
        check(&dir, &events, hole);
    });
    assert!(store.head().expect("a head") > published, "the owner published meanwhile");
}

/// Ends the publishing thread, also when a check fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks every query of the page, and compares its answer.
fn check(dir: &Dir, events: &[Event], hole: i64) {
    let mut queries = queries();
    let mut ask = |heading: &str, replaced: &[(&str, &str)]| {
        let sql = queries.remove(heading).unwrap_or_else(|| panic!("the page has no query {heading:?}"));
        let sql = replaced.iter().fold(sql.to_owned(), |sql, (from, to)| {
            assert!(sql.contains(from), "{heading}: {from} is there to be replaced");
            sql.replace(from, to)
        });
        rows(dir, &sql)
    };

    let answer = ask("What failed this week, and why?", &[]);
    assert_eq!(
        columns(&answer, "plan_id source goal why failed_tool_calls"),
        [
            r#"mute|swe-agent|null|{"exit_status":"exit_cost"}|0"#,
            "odd|swe-agent|null|interrupted|0",
            "plan-7|planner|find the leak|the budget is used up|1"
        ]
    );
    let answer = ask("Which plans are still running?", &[]);
    assert_eq!(columns(&answer, "plan_id events newest"), ["lives|2|ToolCalled"]);
    let answer = ask("Who spawned whom below a plan?", &[]);
    assert_eq!(
        columns(&answer, "depth parent child status source tool_calls"),
        ["1|plan-7|plan-7/part|completed|coder|1", "2|plan-7/part|plan-7/part/deep|completed|coder|0"]
    );
    let answer = ask("Everything about a plan and its subplans", &[]);
    assert_eq!(answer.len(), 18, "all of the three plans, none of the other tenant");
    assert_eq!(
        columns(&answer, "event_type plan_id")[7..13],
        [
            "PlanStarted|plan-7/part",
            "DecisionMade|plan-7/part",
            "ToolCalled|plan-7/part",
            "ToolCompleted|plan-7/part",
            "SubplanSpawned|plan-7/part",
            "PlanStarted|plan-7/part/deep"
        ]
    );

    let answer = ask("Which tools are slow?", &[]);
    let lines = columns(&answer, "tool calls mean_us median_us p95_us longest_us");
    assert!(lines.contains(&"slow|3|400|200|900|900".to_owned()), "{lines:?}");
    assert!(
        lines.contains(&"bash|1|875001|875001|875001|875001".to_owned()),
        "to the microsecond: {lines:?}"
    );
    let answer = ask("Which calls took longest?", &[]);
    let lines = columns(&answer, "duration_us tool outcome plan_id arguments");
    assert_eq!(lines[0], r#"875001|bash|unknown|odd|{"cmd":"ls"}"#);
    let answer = ask("How often does each tool fail?", &[]);
    assert_eq!(
        columns(&answer, "tool answers failed unknown failed_percent"),
        ["run|2|1|0|50.0", "slow|3|0|0|0.0", "bash|2|0|1|0.0", "grep|1|0|0|0.0"]
    );
    let answer = ask("Which calls were never answered?", &[]);
    assert_eq!(columns(&answer, "plan_id tool arguments plan_status"), [r#"odd|bash|{"cmd":"rm"}|failed"#]);
    let answer = ask("Which answers answer no call?", &[]);
    assert_eq!(columns(&answer, "plan_id payload"), [r#"odd|{"call_id":"c9","tool":"bash","ok":true}"#]);
    let answer = ask("Who used a tool, and with which arguments?", &[]);
    assert_eq!(
        columns(&answer, "source plan_id arguments outcome error"),
        [r#"coder|plan-7/part|{"cmd":"test"}|ok|null"#, r#"planner|plan-7|{"cmd":"make"}|failed|exit 2"#]
    );

    let answer = ask("What did an agent decide, and why?", &[]);
    assert_eq!(columns(&answer, "plan_id decision reason"), ["plan-7|search first|it is cheap"]);
    let answer = ask("What did each agent do?", &[]);
    assert_eq!(
        columns(&answer, "agent plans decisions tool_calls failed_plans"),
        ["swe-agent|5|1|7|3", "coder|4|1|1|0", "planner|1|1|2|1"]
    );

    let failed = events.iter().rfind(|event| event.event_type() == &EventType::ToolCompleted).expect("one");
    let answer =
        ask("What led to an event?", &[("01K0000000000000000000000A", &failed.event_id().to_string())]);
    assert_eq!(
        columns(&answer, "step event_type plan_id"),
        ["0|ToolCompleted|plan-7", "1|ToolCalled|plan-7", "2|PlanStarted|plan-7"]
    );
    let spawned = events.iter().find(|event| event.event_type() == &EventType::SubplanSpawned).expect("one");
    let answer =
        ask("What came of an event?", &[("01K0000000000000000000000B", &spawned.event_id().to_string())]);
    assert_eq!(
        columns(&answer, "step event_type")[..4],
        ["0|SubplanSpawned", "1|PlanStarted", "2|DecisionMade", "2|ToolCalled"]
    );
    assert!(columns(&answer, "event_type plan_id").contains(&"PlanCompleted|plan-7/part/deep".to_owned()));
    assert!(!columns(&answer, "event_type").contains(&"PlanFailed".to_owned()), "not what others caused");

    let time = spawned.recorded_at().expect("is stored").to_string();
    let answer = ask("What happened around a time?", &[("2026-03-01T09:30:00", &time)]);
    let seqs: Vec<u64> = answer.iter().filter_map(|row| row["seq"].as_u64()).collect();
    let first_at_that_time = events.iter().find(|event| event.recorded_at() == spawned.recorded_at());
    assert!(seqs.contains(&first_at_that_time.and_then(Event::seq).expect("a seq")), "{seqs:?}");
    assert_eq!(seqs[0], 1, "fifty before, as far as there are");
    let answer = ask("How many events came in each day?", &[]);
    let sum: u64 = answer.iter().filter_map(|row| row["events"].as_u64()).sum();
    assert!((1..=2).contains(&answer.len()) && sum >= 40, "all of today, or of a midnight: {answer:?}");
    let answer = ask("Where are rows missing?", &[]);
    assert_eq!(columns(&answer, "first_missing last_missing missing"), [format!("{hole}|{hole}|1")]);

    assert_eq!(
        queries.keys().collect::<Vec<_>>(),
        [""; 0].iter().collect::<Vec<_>>(),
        "every query is checked"
    );
}

#[test]
fn the_views_bear_what_no_program_should_have_written() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    publish_oddities(&bus);
    tamper(&dir);
    let log = Connection::open(dir.db()).expect("opens");
    let ask = |sql: &str| -> Vec<String> {
        let mut statement = log.prepare(sql).expect("prepares");
        let columns = statement.column_count();
        let line = |row: &rusqlite::Row<'_>| {
            let shown = |at| match row.get(at)? {
                rusqlite::types::Value::Null => Ok("null".to_owned()),
                rusqlite::types::Value::Integer(number) => Ok(number.to_string()),
                rusqlite::types::Value::Text(text) => Ok(text),
                other => panic!("no column holds {other:?}"),
            };
            (0..columns).map(shown).collect::<rusqlite::Result<Vec<_>>>().map(|line| line.join("|"))
        };
        let rows = statement.query_map([], line);
        rows.and_then(Iterator::collect).expect("reads")
    };
    assert_eq!(
        ask("SELECT call_id, tool, outcome, arguments, result FROM tool_calls WHERE plan_id IN ('odd', 'lives')
            AND coalesce(tool, '') <> 'slow' ORDER BY called_seq"),
        [
            r#"c1|bash|unknown|{"cmd":"ls"}|"a b""#,
            r#"c1|bash|open|{"cmd":"rm"}|null"#,
            "null|bash|unknown|null|null",
            "null|null|unknown|null|null",
        ]
    );
    let ring = ask("SELECT parent, child, depth FROM plan_tree WHERE root = 'ring-1'");
    assert_eq!(ring, ["ring-1|ring-2|1", "ring-2|ring-1|2"], "a ring ends where it is closed");
    assert_eq!(ask("SELECT count(*) FROM plan_tree"), ["4"]);
    assert_eq!(ask("SELECT goal FROM plan_summary WHERE plan_id = 'lives'"), [r#"{"steps":2}"#]);
    log.execute("UPDATE plan_events SET payload = '{cut'", []).expect("is changed");
    for view in ["plan_summary", "tool_calls", "plan_tree", "log_days"] {
        ask(&format!("SELECT * FROM {view}"));
    }
    assert_eq!(ask("SELECT * FROM plan_tree"), [""; 0], "a spawn that names nobody is no edge");
}

#[test]
fn a_tree_of_plans_that_all_spawn_each_other_ends_with_every_spawn_once() {
    const PLANS: i64 = 25;
    const DEEP: i64 = 300;
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let all = (0..PLANS).flat_map(|from| (0..PLANS).map(move |to| (format!("p{from}"), format!("p{to}"))));
    let deep = (0..DEEP).map(|level| (format!("deep-{level}"), format!("deep-{}", level + 1)));
    let spawns = all.chain(deep).map(|(from, to)| Event::new(from, SubplanSpawned::new(to)));
    bus.publish_all(spawns).expect("commits");
    let log = Connection::open(dir.db()).expect("opens");
    let ask = |root: &str| -> (i64, i64) {
        let sql = "SELECT count(*), max(depth) FROM plan_tree WHERE tenant = 'default' AND root = ?1";
        log.query_row(sql, [root], |row| Ok((row.get(0)?, row.get(1)?))).expect("ends")
    };
    assert_eq!(ask("p0"), (PLANS * PLANS, 2), "every spawn, where it is nearest to the root");
    assert_eq!(ask("deep-0"), (256, 256), "no deeper than a tree may be");
    assert_eq!(ask("deep-290"), (10, 10));
}

#[test]
fn the_days_of_the_log_are_found_by_halving_as_by_counting() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    bus.publish_all((0..300).map(|number| event("a", number))).expect("commits");
    store.close().expect("closes");
    let log = Connection::open(dir.db()).expect("opens");
    let days = |sql: &str| -> Vec<(String, i64, i64, i64)> {
        let mut statement = log.prepare(sql).expect("prepares");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        rows.and_then(Iterator::collect).expect("reads")
    };
    let counted = "SELECT substr(recorded_at, 1, 10), min(id), max(id), count(*) FROM plan_events GROUP BY 1";
    let today = days(counted);
    assert_eq!(days("SELECT * FROM log_days"), today);
    // Days of one event and of many, days without any, and a beginning that was pruned.
    log.execute_batch(
        "UPDATE plan_events SET recorded_at = date('2026-01-01', (id * id / 700 + (id > 200) * 9) || ' days')
            || 'T00:00:00.000000Z';
         DELETE FROM plan_events WHERE id < 17;",
    )
    .expect("is changed");
    let counted = days(counted);
    assert!(counted.len() > 50);
    assert_eq!(days("SELECT * FROM log_days"), counted);
    log.execute_batch("DELETE FROM plan_events").expect("is emptied");
    assert_eq!(days("SELECT * FROM log_days"), [], "an empty log has no days");
}
