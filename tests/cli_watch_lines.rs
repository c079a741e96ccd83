//! `planbus watch` and `planbus events --until-end` where nothing can be drawn: lines, JSON, and exit
//! codes by which a program knows how a plan ended, and whether it was cut off from the log.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod store_support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
};

use cli_support::{Place, fails, planbus, run, signal, stderr, stdout};
use planbus::{
    DecisionMade, Event, EventBus, EventStore, PlanCompleted, PlanFailed, PlanStarted, Retention,
    ToolCompleted,
};
use serde_json::json;
use store_support::wait_until;

/// A program that watches; ended when dropped.
struct Watcher {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Watcher {
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("planbus starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, stdout }
    }

    fn of(place: &Place, arguments: &[&str]) -> Self {
        Self::start(planbus(place.path()).args(arguments))
    }

    /// Its next line, which begins with a time unless it is JSON.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("UTF-8");
        assert!(line.ends_with('\n'), "it ended with {line:?}");
        line.trim_end().to_owned()
    }

    /// What its next line says, without the time.
    fn told(&mut self) -> String {
        let line = self.line();
        line.split_once("Z  ").unwrap_or_else(|| panic!("no time: {line}")).1.to_owned()
    }

    /// Its exit code, and what it said last on stdout and on stderr.
    fn ended(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).expect("UTF-8");
        self.child.stderr.take().expect("piped").read_to_string(&mut err).expect("UTF-8");
        (self.child.wait().expect("its end").code(), out, err)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended as it should.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn owner(place: &Place) -> EventBus {
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    EventBus::builder().store(store).build().expect("a bus")
}

fn publish(bus: &EventBus, event: Event) {
    bus.publish(event).expect("an event");
}

fn started(plan: &str, parent: Option<&str>) -> Event {
    let mut payload = PlanStarted::new("notes for 1.4");
    payload.parent = parent.map(str::to_owned);
    Event::new(plan, payload)
}

#[test]
fn a_pipe_gets_a_line_for_what_people_wait_for_and_the_code_of_the_plans_end() {
    for (end, line, code) in [
        (Event::new("notes", PlanCompleted::new()), "✓ notes  completed", 0),
        (Event::new("notes", PlanFailed::new("no disk")), "✗ notes  failed  no disk", 7),
    ] {
        let place = Place::new();
        let bus = owner(&place);
        publish(&bus, started("strange", None));
        publish(&bus, started("notes", None));
        publish(&bus, started("notes/collect", Some("notes")));
        let mut watcher = Watcher::of(&place, &["watch", "notes"]);
        assert_eq!(watcher.told(), "● notes  started  notes for 1.4", "the past first");
        assert_eq!(watcher.told(), "● notes/collect  started  notes for 1.4");
        publish(&bus, Event::new("strange", DecisionMade::new("of no interest")));
        publish(&bus, Event::new("notes", ToolCompleted::ok("1", "git", json!({}))));
        publish(&bus, Event::new("notes/collect", ToolCompleted::failed("2", "git", "no repository")));
        assert_eq!(watcher.told(), "✗ notes/collect  git failed: no repository");
        publish(&bus, Event::new("notes/collect", DecisionMade::new("go on")));
        assert_eq!(watcher.told(), "◆ notes/collect  go on");
        publish(&bus, end);
        assert!(watcher.told().starts_with(line));
        let (ended, out, err) = watcher.ended();
        assert_eq!((ended, &*out), (Some(code), ""), "{err}");
        assert_eq!(err.contains("plan notes failed: no disk"), code == 7, "{err}");
    }
}

#[test]
fn json_has_every_event_of_the_plan_and_its_subplans_once_and_in_order() {
    let place = Place::new();
    let bus = owner(&place);
    publish(&bus, started("strange", None));
    publish(&bus, started("notes", None));
    let publisher = bus.clone();
    let watcher = std::thread::scope(|threads| {
        threads.spawn(move || {
            for number in 0..1_000 {
                let child = format!("notes/{number}");
                publish(&publisher, started(&child, Some("notes")));
                publish(&publisher, Event::new(child.as_str(), DecisionMade::new("yes")));
                publish(&publisher, Event::new("strange", DecisionMade::new("no")));
            }
            publish(&publisher, Event::new("notes", PlanCompleted::new()));
        });
        // Started while events are committed.
        Watcher::of(&place, &["watch", "notes", "-o", "json"])
    });
    let (code, out, err) = watcher.ended();
    assert_eq!(code, Some(0), "{err}");
    let told: Vec<Event> = out.lines().map(|line| Event::from_json(line).expect("an event")).collect();
    let log = bus.store().expect("a store").read_after(0, usize::MAX).expect("its events");
    let own: Vec<Event> =
        log.into_iter().filter(|event| event.plan_id().as_str().starts_with("notes")).collect();
    assert_eq!(own.len(), 2_002);
    assert!(told == own, "{} events in place of {}", told.len(), own.len());
}

#[test]
fn all_plans_are_watched_from_those_that_run_until_ctrl_c() {
    let place = Place::new();
    let bus = owner(&place);
    publish(&bus, started("over", None));
    publish(&bus, Event::new("over", PlanCompleted::new()));
    publish(&bus, started("notes", None));
    publish(&bus, started("secret", None).with_tenant("acme"));
    let mut watcher = Watcher::of(&place, &["watch"]);
    assert_eq!(watcher.told(), "● notes  started  notes for 1.4");
    publish(&bus, Event::new("secret", DecisionMade::new("p10: another tenant's")).with_tenant("acme"));
    publish(&bus, started("other", None));
    assert_eq!(watcher.told(), "● other  started  notes for 1.4");
    signal("INT", watcher.child.id());
    let (code, out, err) = watcher.ended();
    assert_eq!((code, &*out, &*err), (Some(0), "", ""));
}

#[test]
fn a_plan_that_is_not_there_is_waited_for_on_request_with_its_store() {
    let place = Place::new();
    fails(place.path(), &["watch", "notes"], 3, &["planbus.db"]);
    fails(place.path(), &["watch", "--wait"], 2, &["PLAN"]);
    let mut watcher = Watcher::of(&place, &["watch", "notes", "--wait"]);
    let mut told = BufReader::new(watcher.child.stderr.take().expect("piped")).lines();
    assert_eq!(told.next().expect("a note").expect("UTF-8"), "planbus: waiting for the store planbus.db");
    let bus = owner(&place);
    publish(&bus, started("other", None));
    fails(place.path(), &["watch", "notes"], 3, &["plan notes", "--wait"]);
    publish(&bus, started("notes", None));
    assert_eq!(watcher.told(), "● notes  started  notes for 1.4");
    publish(&bus, Event::new("notes", PlanCompleted::new()));
    assert_eq!(watcher.child.wait().expect("its end").code(), Some(0));
    assert!(told.next().is_none(), "nothing else to say");
}

#[test]
fn of_a_plan_that_has_ended_the_tree_is_printed_and_its_outcome_is_the_exit_code() {
    let place = Place::new();
    let bus = owner(&place);
    publish(&bus, started("good", None));
    publish(&bus, Event::new("good", PlanCompleted::new()));
    publish(&bus, started("bad", None));
    publish(&bus, Event::new("bad", PlanFailed::new("no disk")));
    let good = stdout(place.path(), &["watch", "good"]);
    assert_eq!(good, stdout(place.path(), &["show", "good"]));
    let bad = run(place.path(), &["watch", "bad"]);
    assert_eq!((bad.status.code(), &*stderr(&bad)), (Some(7), "planbus: plan bad failed: no disk\n"));
    assert!(String::from_utf8_lossy(&bad.stdout).contains("✗ bad"));
    let events = stdout(place.path(), &["watch", "good", "-o", "json"]);
    assert_eq!(events, stdout(place.path(), &["events", "--plan", "good", "-o", "json"]));
}

/// A process that owns the store and publishes what it is given, line by line.
fn importer(place: &Place) -> (Child, ChildStdin) {
    let mut command = planbus(place.path());
    command.args(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("planbus starts");
    let stdin = child.stdin.take().expect("piped");
    (child, stdin)
}

fn import(stdin: &mut ChildStdin, kind: &str) {
    let line =
        json!({"plan": "notes", "parent": null, "kind": kind, "agent": "planner", "at": null, "data": {}});
    writeln!(stdin, "{line}").expect("written");
}

#[test]
fn a_watcher_whose_plans_owner_is_killed_says_so_once_and_waits_for_whoever_ends_the_plan() {
    let place = Place::new();
    let (mut killed, mut stdin) = importer(&place);
    import(&mut stdin, "plan_started");
    let mut watcher = Watcher::of(&place, &["watch", "notes", "--wait"]);
    assert!(watcher.told().starts_with("● notes  started"));
    killed.kill().expect("SIGKILL");
    killed.wait().expect("dead");
    let mut told =
        BufReader::new(watcher.child.stderr.take().expect("piped")).lines().map(|line| line.expect("UTF-8"));
    assert!(told.any(|line| line.contains("no process has the store open")), "it says so");
    let bus = owner(&place);
    publish(&bus, Event::new("notes", PlanCompleted::new()));
    assert!(watcher.told().starts_with("✓ notes  completed"));
    assert_eq!(watcher.child.wait().expect("its end").code(), Some(0));
    assert_eq!(told.count(), 0, "once");
}

#[test]
fn whoever_is_cut_off_from_the_log_is_told_so_by_a_code_of_its_own() {
    let followers: [&[&str]; 4] = [
        &["watch"],
        &["watch", "notes"],
        &["watch", "notes", "-o", "json"],
        &["events", "--follow", "--last", "1"],
    ];
    for arguments in followers {
        let place = Place::new();
        let bus = owner(&place);
        publish(&bus, started("notes", None));
        let mut watcher = Watcher::of(&place, arguments);
        watcher.line();
        let file = place.path().join("planbus.db");
        std::fs::rename(&file, place.path().join("away.db")).expect("moved");
        let (code, _, err) = watcher.ended();
        assert_eq!(code, Some(8), "{arguments:?}: {err}");
        assert!(err.contains("planbus.db was moved, removed or replaced"), "{arguments:?}: {err}");
    }
}

#[test]
fn p9_a_watcher_that_retention_overtook_is_told_so() {
    for arguments in [&["watch", "notes"][..], &["events", "--follow", "--plan", "notes", "--until-end"]] {
        let place = Place::new();
        let bus = owner(&place);
        publish(&bus, started("notes", None));
        let mut watcher = Watcher::of(&place, arguments);
        watcher.line();
        if arguments[0] == "events" {
            watcher.line();
        }
        // It reads no more than it is let: events come and go meanwhile.
        signal("STOP", watcher.child.id());
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", watcher.child.id())).expect("/proc");
        wait_until("it stands still", || state().contains(") T "));
        for number in 0..2_000 {
            publish(&bus, Event::new("notes", DecisionMade::new(format!("step {number}"))));
        }
        bus.store().expect("a store").prune(Retention::keep_last(1)).expect("pruned");
        signal("CONT", watcher.child.id());
        let (code, _, err) = watcher.ended();
        assert_eq!(code, Some(8), "{arguments:?}: {err}");
        assert!(err.contains("cut off from the log") && err.contains("retention"), "{arguments:?}: {err}");
    }
}

#[test]
fn events_until_the_end_of_a_plan_end_with_it_and_say_how() {
    let follow =
        ["events", "--follow", "--until-end", "--plan", "notes", "--type", "DecisionMade", "-o", "json"];
    for (end, code) in
        [(Event::new("notes", PlanCompleted::new()), 0), (Event::new("notes", PlanFailed::new("no disk")), 7)]
    {
        let place = Place::new();
        let bus = owner(&place);
        publish(&bus, started("notes", None));
        publish(&bus, Event::new("notes", DecisionMade::new("one")));
        let mut watcher = Watcher::of(&place, &follow);
        assert_eq!(Event::from_json(&watcher.line()).expect("an event").seq(), Some(2));
        publish(&bus, Event::new("other", DecisionMade::new("of another plan")));
        publish(&bus, Event::new("notes", DecisionMade::new("two")));
        assert_eq!(Event::from_json(&watcher.line()).expect("an event").seq(), Some(4));
        publish(&bus, Event::new("notes/sub", PlanFailed::new("another plan's end")));
        publish(&bus, end);
        let (ended, out, err) = watcher.ended();
        assert_eq!((ended, &*out), (Some(code), ""), "types that were not asked for are not printed: {err}");
        let (again, out, _) = Watcher::of(&place, &follow).ended();
        assert_eq!((again, out.lines().count()), (Some(code), 2), "of a plan that has ended, too");
    }
    let place = Place::new();
    fails(place.path(), &["events", "--until-end", "--plan", "notes"], 2, &["--follow"]);
    fails(place.path(), &["events", "--until-end", "--follow"], 2, &["--plan"]);
}
