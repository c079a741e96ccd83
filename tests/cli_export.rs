//! `planbus export`: what it selects, that it leaves out nothing in silence, and what a file goes
//! through.

#![cfg(feature = "cli")]

mod cli_support;
mod store_support;
mod trace_support;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use cli_support::{fails, planbus, run, stdout};
use planbus::{DecisionMade, Event, EventBus, EventStore, PlanStarted, Priority};
use serde_json::{Value, json};
use store_support::{Dir, Killed, has_program};
use trace_support::{of_cloud_events, of_csv};

/// A log with every field that an event may have, two tenants, and a plan in a plan.
fn log() -> Dir {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("a store");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let run = bus.plan("notes").source("planner").start(json!({"goal": "notes for 1.4"})).expect("a plan");
    let child = run.subplan("collect", json!({"goal": "collect commits"})).expect("a subplan");
    child.complete(json!({})).expect("its end");
    run.complete(json!({})).expect("its end");
    let first = store.read_after(0, 1).expect("events")[0].event_id();
    let payload = "{\"big\": 123456789012345678901234567890, \"c\": \"\u{9b}\u{2028}\", \"q\": \"a,\\\"b\"}";
    let full = Event::raw("=cmd|' /C calc'!A0, \"odd\"", "agent.note", payload)
        .with_timestamp("2020-01-01T00:00:00Z")
        .with_source("@agent")
        .with_call_chain(["boss", "@agent"])
        .with_causation_id(first.to_string().as_str())
        .with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .with_priority(Priority::Critical)
        .with_context_ref("s3://bucket/\u{7}\r\n,x")
        .with_context_ref("+1")
        .with_schema_version(u32::MAX);
    bus.publish(full).expect("an event");
    bus.publish(Event::raw("notes", "secret.note", "{}").with_tenant("acme")).expect("an event");
    bus.publish(Event::raw(" notes ", "agent.note", "{}")).expect("an event");
    store.close().expect("closed");
    dir
}

fn export(dir: &Dir, arguments: &[&str]) -> Vec<String> {
    stdout(dir.path(), &[&["export"], arguments].concat()).lines().map(str::to_owned).collect()
}

#[test]
fn every_form_reads_back_as_the_events_with_every_field_they_may_have() {
    let dir = log();
    let events = stdout(dir.path(), &["events", "-o", "json"]);
    let events: Vec<&str> = events.lines().collect();
    assert_eq!(export(&dir, &[]), events);
    assert_eq!(of_csv(&stdout(dir.path(), &["export", "--format", "csv"])), events);
    assert_eq!(of_cloud_events(&stdout(dir.path(), &["export", "--format", "cloudevents"])), events);
    let wide: Value = serde_json::from_str(events[events.len() - 2]).expect("an event");
    assert_eq!(wide.as_object().expect("an object").len(), 16, "one event has every field");
}

#[test]
fn another_program_reads_every_form_the_same() {
    if !has_program("python3", &["--version"]) {
        println!("skipped: no python3 to read the exports with");
        return;
    }
    let dir = log();
    for format in ["jsonl", "csv", "cloudevents"] {
        stdout(dir.path(), &["export", "--format", format, "--to", format, "--quiet"]);
    }
    let script = r#"
import csv, json
csv.field_size_limit(1 << 30)
events = [json.loads(line) for line in open("jsonl", encoding="utf-8", newline="\n")]
rows = list(csv.DictReader(open("csv", encoding="utf-8", newline=""), strict=True))
clouds = [json.loads(line) for line in open("cloudevents", encoding="utf-8", newline="\n")]
assert len(events) == len(rows) == len(clouds) > 5
for event, row, cloud in zip(events, rows, clouds):
    for name, value in row.items():
        if name in ("payload", "call_chain", "context_refs"):
            assert event.get(name) == (json.loads(value) if value else None), name
        else:
            assert str(event.get(name, "")) == value, name
    assert cloud["data"] == event["payload"] and cloud["subject"] == event["plan_id"]
    assert json.loads(cloud.get("contextrefs", "[]")) == event.get("context_refs", [])
    assert int(cloud["sequence"]) == event["seq"] and cloud["id"] == event["event_id"]
assert [c["sequence"] for c in clouds] == sorted(c["sequence"] for c in clouds)
"#;
    let output =
        Command::new("python3").args(["-c", script]).current_dir(dir.path()).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_choice_selects_what_it_says() {
    let dir = log();
    let all = export(&dir, &[]);
    let types = |arguments: &[&str]| -> Vec<String> {
        let of = |line: &String| {
            let event: Value = serde_json::from_str(line).expect("an event");
            event["event_type"].as_str().expect("a type").to_owned()
        };
        export(&dir, arguments).iter().map(of).collect()
    };
    assert_eq!(types(&["--type", "agent.*"]), ["agent.note", "agent.note"]);
    assert_eq!(
        types(&["--type", "PlanStarted,PlanCompleted", "--plan", "notes"]),
        ["PlanStarted", "PlanCompleted"]
    );
    assert_eq!(types(&["--plan", "notes", "--subplans", "--type", "PlanStarted"]).len(), 2);
    assert_eq!(types(&["--until", "2020-01-02"]), ["agent.note"]);
    assert_eq!(types(&["--since", "1h"]).len(), all.len() - 1);
    assert_eq!(types(&["--plan", "notes", "--subplans", "--since", "1h", "--until", "1h"]), [""; 0]);
    assert_eq!(export(&dir, &["--after", "3"]), all[3..]);
    assert_eq!(types(&["--tenant", "acme"]), ["secret.note"], "p10: no other tenant's event");
    assert!(types(&["--plan", "notes", "--subplans"]).iter().all(|name| name != "secret.note"), "p10");
    assert_eq!(export(&dir, &["--tenant", "nobody"]), [""; 0]);
}

#[test]
fn wrong_usage_says_what_to_do() {
    let dir = log();
    let at = dir.path();
    fails(
        at,
        &["export", "-o", "json"],
        2,
        &["planbus: export has forms of its own; use --format instead of -o"],
    );
    fails(at, &["export", "--format", "xml"], 2, &["jsonl", "csv", "cloudevents"]);
    fails(at, &["export", "--subplans"], 2, &["--plan"]);
    fails(at, &["export", "--after", "99"], 2, &["planbus: --after 99: the log ends at 9"]);
    fails(at, &["export", "--plan", "note"], 3, &["plan note: not in the log", "did you mean notes"]);
    fails(at, &["export", "--db", "none.db"], 3, &["none.db"]);
    fails(at, &["export", "--to", "no/such/file"], 3, &["planbus: write no/such/file: No such file"]);
    fails(at, &["export", "--to", "."], 2, &["is a directory"]);
    fails(at, &["export", "--force"], 2, &["--to"]);
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("planbus.db")).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_there_as_a_whole_or_not_at_all_and_is_never_replaced_unasked() {
    let dir = log();
    let all = stdout(dir.path(), &["export"]);
    let output = run(dir.path(), &["export", "--to", "log.jsonl"]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "8 events exported, seq 1 to 9\n");
    let content = || fs::read_to_string(dir.path().join("log.jsonl")).expect("the file");
    assert_eq!(content(), all);
    fails(
        dir.path(),
        &["export", "--to", "log.jsonl"],
        2,
        &["log.jsonl: is there already; --force replaces it"],
    );
    assert_eq!(content(), all);
    stdout(dir.path(), &["export", "--to", "log.jsonl", "--force", "--plan", "notes"]);
    assert!(content().lines().count() < all.lines().count());
    assert_eq!(names(dir.path()), ["log.jsonl"], "no temporary file is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.path().join("log.jsonl")).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "as private as the store");
    }
}

#[test]
fn p9_no_file_of_the_store_and_nothing_but_a_file_is_ever_replaced() {
    let dir = log();
    let all = stdout(dir.path(), &["export", "--to", "-"]);
    assert_eq!(all, stdout(dir.path(), &["export"]), "as for other programs, - is stdout");
    for name in ["planbus.db", "./planbus.db-wal", "planbus.db-shm", "planbus.db-journal", "planbus.db.lock"]
    {
        fails(dir.path(), &["export", "--to", name, "--force"], 2, &["is a file of the store"]);
        fails(dir.path(), &["backup", name], 2, &["must not be one of the store's own files"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("elsewhere", dir.path().join("link")).expect("a link");
        for name in ["link", "/dev/null"] {
            fails(dir.path(), &["export", "--to", name, "--force"], 2, &["is no regular file"]);
        }
    }
    assert_eq!(stdout(dir.path(), &["export"]), all);
}

#[test]
fn a_full_disk_leaves_no_file() {
    let dir = big_log();
    let folder = dir.path().join("small");
    fs::create_dir(&folder).expect("a folder");
    let script = format!(
        "mount -t tmpfs -o size=64k tmpfs small && {} export --to small/log; echo $?; ls -A small",
        env!("CARGO_BIN_EXE_planbus")
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).current_dir(dir.path()).output();
    let Ok(output) = output else {
        println!("skipped: no unshare to make a small disk with");
        return;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("unshare") || told.contains("mount") {
        println!("skipped: no right to make a small disk: {told}");
        return;
    }
    assert!(told.starts_with("planbus: write small/log: No space left"), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "the exit code, and nothing in the folder");
}

/// How many events the log has that is larger than what is read ahead and than any buffer.
const MANY: u64 = 4_000;

fn big_log() -> Dir {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("a store");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let text = "x".repeat(1_000);
    let event = |number| match number {
        1 => Event::new("plan", PlanStarted::new("much")),
        _ => Event::new("plan", DecisionMade::new(&*text)),
    };
    for from in (1..=MANY).step_by(1_000) {
        bus.publish_all((from..from + 1_000).map(event)).expect("events");
    }
    store.close().expect("closed");
    dir
}

/// Removes all but the last event, as retention does.
fn remove_all_but_the_last(database: &Path) {
    let connection = rusqlite::Connection::open(database).expect("opens");
    connection.busy_timeout(store_support::LIMIT).expect("set");
    connection.execute("DELETE FROM plan_events WHERE id < ?1", [MANY as i64]).expect("removed");
}

#[test]
fn p9_an_export_that_is_overtaken_says_so_after_what_it_wrote() {
    for arguments in [
        &["--format", "jsonl"][..],
        &["--format", "cloudevents"],
        &["--plan", "plan"],
        &["--plan", "plan", "--subplans"],
    ] {
        let dir = big_log();
        let child = planbus(dir.path())
            .arg("export")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = Killed(child.expect("planbus starts"));
        let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        // It has begun, and waits for us to read: the pipe holds less than the log.
        lines.next().expect("a line").expect("UTF-8");
        remove_all_but_the_last(&dir.db());
        let written = 1 + lines.inspect(|line| assert!(line.is_ok())).count() as u64;
        let mut told = String::new();
        child.0.stderr.take().expect("piped").read_to_string(&mut told).expect("UTF-8");
        assert_eq!(child.0.wait().expect("a child").code(), Some(1), "{arguments:?}: {told}");
        let words =
            format!("the events after seq {written} are no longer in the log; the next one is seq {MANY}");
        assert!(told.contains(&words) && written < MANY, "{arguments:?}: {told} after {written} lines");
    }
}

#[test]
fn p9_an_export_that_begins_before_what_the_log_holds_says_so_and_leaves_no_file() {
    let dir = big_log();
    remove_all_but_the_last(&dir.db());
    for more in [&[][..], &["--plan", "plan"], &["--plan", "plan", "--subplans"]] {
        let arguments = [&["export", "--after", "7", "--to", "log"], more].concat();
        fails(dir.path(), &arguments, 1, &["the events after seq 7 are no longer in the log"]);
        let arguments = [&["export"], more].concat();
        assert_eq!(
            stdout(dir.path(), &arguments).lines().count(),
            1,
            "without a seq it begins with the first"
        );
    }
    assert_eq!(names(dir.path()), [""; 0]);
}
