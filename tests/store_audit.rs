//! The log in the hands of auditors: plain `sqlite3`, while the owner writes.

#![cfg(feature = "sqlite")]

mod store_support;

use std::process::Command;

use planbus::*;
use serde_json::json;
use store_support::*;

fn opened(dir: &Dir) -> EventStore {
    EventStore::open(dir.db()).expect("opens")
}

/// What Debian's `sqlite3` prints for a statement, on the store as it is.
fn shell(dir: &Dir, sql: &str) -> Vec<String> {
    let output = Command::new("sqlite3").arg("-readonly").arg(dir.db()).arg(sql).output().expect("runs");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn people_can_audit_a_live_store_with_the_sqlite3_program() {
    if !has_program("sqlite3", &["--version"]) {
        println!("skipped: no sqlite3 program");
        return;
    }
    let dir = Dir::new();
    let bus = EventBus::builder().store(opened(&dir)).build().expect("builds");
    let at = |second: u32| format!("2026-01-01T00:00:0{second}.500000Z");
    let mut done = ToolCompleted::ok("c1", "grep", json!({"lines": 2}));
    done.duration_us = Some(1_234);
    bus.publish_all([
        Event::new("a", PlanStarted::new("the goal")).with_source("planner").with_timestamp(&*at(0)),
        Event::new("a", ToolCalled::new("c1", "grep", json!({"q": "TODO"}))),
        Event::new("a", done),
        Event::new("a", ToolCalled::new("c2", "read", json!({}))).with_timestamp(&*at(1)),
        Event::new("a", ToolCompleted::failed("c2", "read", "gone")).with_timestamp(&*at(3)),
        Event::new("a", ToolCalled::new("c3", "write", json!({}))),
        Event::new("a", SubplanSpawned::new("b")),
        Event::new("b", PlanStarted::new("the part")),
        Event::new("b", SubplanSpawned::new("c")),
        Event::new("c", SubplanSpawned::new("b")),
        Event::new("b", PlanCompleted::new()),
        Event::new("a", PlanFailed::new("out of time")).with_timestamp(&*at(4)),
        Event::new("a", PlanStarted::new("another tenant's")).with_tenant("acme"),
    ])
    .expect("commits");
    assert_eq!(
        shell(
            &dir,
            "SELECT plan_id, status, goal, source, events, tool_calls, failed_tool_calls, subplans, error
            FROM plan_summary WHERE tenant = 'default' ORDER BY plan_id"
        ),
        ["a|failed|the goal|planner|8|3|1|1|out of time", "b|completed|the part||3|0|0|1|"]
    );
    assert_eq!(
        shell(
            &dir,
            "SELECT call_id, tool, outcome, duration_us, arguments, result, error
            FROM tool_calls WHERE tenant = 'default' AND plan_id = 'a' ORDER BY called_seq"
        ),
        [
            r#"c1|grep|ok|1234|{"q":"TODO"}|{"lines":2}|"#,
            "c2|read|failed|2000000|{}||gone",
            "c3|write|open||{}||"
        ]
    );
    assert_eq!(
        shell(&dir, "SELECT tenant, root, parent, child, depth FROM plan_tree WHERE root = 'a'"),
        ["default|a|a|b|1", "default|a|b|c|2", "default|a|c|b|3"],
        "a cycle ends"
    );
    assert_eq!(
        shell(&dir, "PRAGMA application_id; PRAGMA user_version; PRAGMA auto_vacuum; PRAGMA journal_mode"),
        ["1347174995", "4", "2", "wal"]
    );
    assert_eq!(shell(&dir, "PRAGMA integrity_check"), ["ok"]);
    bus.publish(event("a", 1)).expect("the owner was not disturbed");
}
