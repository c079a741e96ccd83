//! What the program prints: tables, trees, JSON; nothing that a terminal would act on.

#![cfg(feature = "cli")]

mod cli_support;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use cli_support::{Place, planbus, run, stdout};
use planbus::{DecisionMade, Event, EventBus, EventQuery, EventStore};
use serde_json::{Value, json};

/// A log with a plan in a plan, a failure, a custom type, a second tenant, and hostile text.
fn log() -> Place {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let run = bus.plan("notes").source("planner").start(json!({"goal": "notes for 1.4"})).expect("a plan");
    run.decide("split in two", json!({"reason": "too long"})).expect("a decision");
    let child = run.subplan("collect", json!({"goal": "collect commits"})).expect("a subplan");
    let failed = child.tool("git", json!({"path": "."}), || Err::<(), _>("no repository"));
    assert!(failed.is_err());
    child.fail("nothing to collect").expect("its end");
    run.complete(json!({"sections": 2})).expect("its end");
    let old = Event::untyped("old", "agent.heartbeat", json!({"n": 1}));
    bus.publish(old.with_timestamp("2020-01-01T00:00:00Z")).expect("an event");
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\r\n\u{7f}";
    bus.publish(Event::new("odd \u{202e}plan", DecisionMade::new(hostile).because(hostile)))
        .expect("an event");
    let raw = format!(
        "{{\"big\": 123456789012345678901234567890, \"c1\": \"\u{9b}2J\", \"t\": \"{}\"}}",
        "x".repeat(400)
    );
    bus.publish(Event::raw("old", "agent.note", raw)).expect("an event");
    let other = Event::untyped("notes", "secret.note", json!({})).with_tenant("acme");
    bus.publish(other).expect("an event");
    store.close().expect("closed");
    place
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[test]
fn json_lines_read_back_as_the_events_that_the_store_holds() {
    let place = log();
    let store = EventStore::open_read_only(place.path().join("planbus.db")).expect("the store");
    let stored = store.query(EventQuery::new().limit(1_000)).expect("its events");
    let printed = stdout(place.path(), &["events", "-o", "json"]);
    let read: Vec<Event> = printed.lines().map(|line| Event::from_json(line).expect("an event")).collect();
    assert_eq!(read, stored);
    assert!(read.len() > 10 && printed.contains("123456789012345678901234567890"));
}

#[test]
fn every_filter_selects_what_it_says() {
    let place = log();
    let types = |arguments: &[&str]| -> Vec<String> {
        let text = stdout(place.path(), &[&["events", "-o", "json"], arguments].concat());
        lines(&text).iter().map(|event| event["event_type"].as_str().expect("a type").to_owned()).collect()
    };
    assert_eq!(types(&["--type", "agent.*"]), ["agent.heartbeat", "agent.note"]);
    assert_eq!(types(&["--type", "PlanStarted,PlanFailed"]), ["PlanStarted", "PlanStarted", "PlanFailed"]);
    assert_eq!(types(&["--plan", "notes/collect", "--type", "ToolCalled"]), ["ToolCalled"]);
    assert_eq!(types(&["--plan", "notes", "--last", "1"]), ["PlanCompleted"]);
    assert_eq!(types(&["--until", "2020-01-02"]), ["agent.heartbeat"]);
    assert_eq!(types(&["--since", "1h", "--type", "agent.*"]), ["agent.note"]);
    assert_eq!(types(&["--grep", "no repository"]), ["ToolCompleted"]);
    assert_eq!(types(&["--grep", "n% repository"]), [""; 0]);
    assert_eq!(types(&["--tenant", "acme"]), ["secret.note"]);
    assert_eq!(types(&["--source", "planner", "--type", "PlanFailed"]), ["PlanFailed"]);
    assert_eq!(types(&["--correlation", "notes", "--type", "PlanStarted"]).len(), 2);
    let all = types(&[]);
    assert_eq!(types(&["--after", "3"]), all[3..]);
    assert_eq!(types(&["--last", "4"]), all[all.len() - 4..]);
}

#[test]
fn tables_have_a_head_and_a_line_an_event_or_plan() {
    let place = log();
    let events = stdout(place.path(), &["events"]);
    let head: Vec<&str> = events.lines().next().expect("a head").split_whitespace().collect();
    assert_eq!(head, ["SEQ", "TIME", "(UTC)", "TYPE", "PLAN", "WHAT"]);
    assert!(events.contains("split in two: too long"));
    assert!(events.contains("git  failed: no repository"));
    assert!(events.contains("<- collect  failed: nothing to collect"));
    assert_eq!(events.lines().count(), 1 + lines(&stdout(place.path(), &["events", "-o", "json"])).len());

    let plans = stdout(place.path(), &["plans", "--status", "failed"]);
    assert!(plans.contains("notes/collect") && plans.contains("nothing to collect"), "{plans}");
    let roots = stdout(place.path(), &["plans", "--roots"]);
    assert!(!roots.contains("notes/collect") && roots.contains("notes for 1.4"), "{roots}");
    let stats = stdout(place.path(), &["stats", "--types"]);
    assert!(stats.contains("PlanStarted") && stats.contains("schema"), "{stats}");
}

#[test]
fn trees_show_subplans_below_their_plan_with_decisions_and_failures() {
    let place = log();
    let tree = stdout(place.path(), &["show", "notes"]);
    assert!(tree.contains("✓ notes") && tree.contains("└─ ✗ collect"), "{tree}");
    assert!(tree.contains("1 tool call, 1 failed  nothing to collect"), "{tree}");
    assert!(tree.contains("Failed tools\n  collect  git: no repository  path=."), "{tree}");
    assert!(tree.contains("Decisions\n  notes  split in two: too long"), "{tree}");
    assert!(stdout(place.path(), &["plans", "-o", "tree"]).contains("└─ ✗ collect"));
    let events = stdout(place.path(), &["events", "-o", "tree"]);
    assert!(events.lines().any(|line| line.contains("ToolCalled          collect  ")), "{events}");
}

#[test]
fn json_of_a_plan_is_one_object_with_its_subplans_inside() {
    let place = log();
    let text = stdout(place.path(), &["show", "notes", "-o", "json"]);
    let [plan] = &lines(&text)[..] else { panic!("one line: {text}") };
    assert_eq!(
        (&plan["plan_id"], &plan["status"], &plan["subplans"]),
        (&json!("notes"), &json!("completed"), &json!(1))
    );
    let child = &plan["children"][0];
    assert_eq!((&child["parent"], &child["failed_tool_calls"]), (&json!("notes"), &json!(1)));
    assert_eq!(child["error"], "nothing to collect");
    let plans = lines(&stdout(place.path(), &["plans", "-o", "json"]));
    assert_eq!(
        plans.iter().map(|plan| plan["plan_id"].as_str()).collect::<Vec<_>>(),
        [Some("notes/collect"), Some("notes")]
    );
    let stats = lines(&stdout(place.path(), &["stats", "--types", "-o", "json"]));
    assert_eq!(stats[0]["events_by_type"]["PlanStarted"], 2);
}

#[test]
fn nothing_that_a_terminal_acts_on_is_printed() {
    let place = log();
    let commands: [&[&str]; 6] = [
        &["events"],
        &["events", "-o", "tree"],
        &["show", "odd \u{202e}plan"],
        &["show", "notes\u{202e}"],
        &["plans"],
        &["stats"],
    ];
    for arguments in commands {
        let output = run(place.path(), arguments);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        let odd: Vec<char> =
            text.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect();
        assert!(odd.is_empty() && !text.is_empty(), "{arguments:?}: {odd:?}");
    }
    assert!(stdout(place.path(), &["events"]).contains(r"\u{1b}[2J"));
}

#[test]
fn a_terminal_gets_colours_and_lines_of_its_width_unless_no_color_is_set() {
    let place = log();
    let on_terminal = |no_color: &str, command: &str| -> Option<String> {
        let program = env!("CARGO_BIN_EXE_planbus");
        let inner = format!("stty cols 70 rows 24 && exec '{program}' {command}");
        let mut script = Command::new("script");
        script.args(["-qec", &inner, "/dev/null"]).current_dir(place.path()).stdin(Stdio::null());
        script.env_remove("PLANBUS_DB").env_remove("RUST_LOG").env("TERM", "xterm").env("NO_COLOR", no_color);
        let output = script.output().ok()?;
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let Some(plain) = on_terminal("1", "events") else {
        println!("skipped: there is no `script` here");
        return;
    };
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(plain.lines().all(|line| line.chars().count() <= 70), "{plain}");
    let coloured = on_terminal("", "events").expect("script");
    assert!(coloured.contains("\u{1b}[34mPlanStarted"), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[1;31mToolCompleted"), "a failed tool stands out: {coloured:?}");
    let json = on_terminal("", "events -o json").expect("script");
    assert!(!json.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{json:?}");
    assert!(json.contains(r"\u009b2J"));
    assert!(json.lines().any(|line| line.len() > 400), "JSON is never cut");
    json.lines().for_each(|line| drop(Event::from_json(line.trim_end()).expect("an event")));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = log();
    let store = EventStore::open(place.path().join("planbus.db")).expect("the store");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    // More than a pipe holds.
    let text = "x".repeat(1_000);
    bus.publish_all((0..2_000).map(|_| Event::new("long", DecisionMade::new(&text)))).expect("events");
    for arguments in [&["events"][..], &["events", "-o", "json"], &["events", "-o", "tree", "--plan", "long"]]
    {
        let mut child = planbus(place.path());
        let mut child = child
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("planbus starts");
        let mut first = String::new();
        let mut reader = BufReader::with_capacity(16, child.stdout.take().expect("its stdout"));
        reader.read_line(&mut first).expect("a line");
        drop(reader);
        let mut stderr = String::new();
        child.stderr.take().expect("its stderr").read_to_string(&mut stderr).expect("its stderr");
        assert_eq!((child.wait().expect("its end").code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn an_empty_log_is_no_error() {
    let place = Place::new();
    EventStore::open(place.path().join("planbus.db")).and_then(|store| store.close()).expect("a store");
    for command in ["events", "plans"] {
        assert_eq!(stdout(place.path(), &[command]).lines().count(), 1, "only the head");
        assert_eq!(stdout(place.path(), &[command, "-o", "json"]), "");
    }
    assert!(stdout(place.path(), &["stats"]).contains("none"));
}
