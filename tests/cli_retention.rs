//! `planbus prune`: what it removes, what it leaves, and what it says.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::Stdio,
};

use cli_support::{Place, events_of, fails, planbus, run, signal, stdout};
use planbus::{Event, EventBus, EventStore, PlanStarted};
use serde_json::{Value, json};

/// A place with a store of this many events, which nobody has open.
fn filled(count: u64) -> Place {
    let place = Place::new();
    let bus = owner(&place);
    for _ in (0..count).step_by(500) {
        bus.publish_all((0..500.min(count)).map(|_| event())).expect("commits");
    }
    bus.close();
    bus.store().expect("built with one").close().expect("closes");
    place
}

fn event() -> Event {
    Event::new("plan-1", PlanStarted::new("tidy up"))
}

fn db(place: &Place) -> PathBuf {
    place.path().join("planbus.db")
}

fn owner(place: &Place) -> EventBus {
    EventBus::builder().store(EventStore::open(db(place)).expect("a store")).build().expect("a bus")
}

fn prune(place: &Place, arguments: &[&str]) -> Value {
    let text = stdout(place.path(), &[&["prune", "-o", "json"], arguments].concat());
    serde_json::from_str(&text).expect("one JSON object")
}

#[test]
fn prune_says_what_it_removed_what_is_left_and_which_cursor_held_it() {
    let place = filled(3_000);
    let store = EventStore::open(db(&place)).expect("opens");
    store.save_cursor("mirror", 1_200).expect("saves");
    store.close().expect("closes");
    let dry = prune(&place, &["--keep", "2500", "--dry-run"]);
    let expected = json!({"is_dry_run": true, "removed": 500, "last_removed": 500, "first_seq": 501,
        "held_by": null, "freed_bytes": 0, "is_complete": true});
    assert_eq!(dry, expected);
    assert_eq!(events_of(&db(&place)).len(), 3_000, "nothing was removed");
    let done = prune(&place, &["--keep", "2500", "--older-than", "0s"]);
    assert!(!place.path().join("planbus.db-wal").exists(), "what was given back is not taken elsewhere");
    assert_eq!((&done["removed"], &done["first_seq"]), (&json!(500), &json!(501)));
    assert!(done["freed_bytes"].as_u64() > Some(100_000), "{done}");
    assert_eq!(prune(&place, &["--keep", "1", "--older-than", "1h"])["removed"], 0);

    let text = stdout(place.path(), &["prune", "--keep", "100"]);
    assert!(text.contains("removed        700 events, up to seq 1200\n"), "{text}");
    assert!(text.contains("log begins at  seq 1201\n"), "{text}");
    assert!(text.contains("held by        the cursor of mirror, at seq 1200; --force mirror goes past it"));
    let forced = prune(&place, &["--keep", "100", "--force", "mirror"]);
    assert_eq!((&forced["removed"], &forced["held_by"]), (&json!(1_700), &Value::Null));
    let store = EventStore::open_read_only(db(&place)).expect("opens");
    let left = store.read_after(2_900, 1_000).expect("reads");
    assert_eq!(left.len(), 100);
}

#[test]
fn prune_without_a_rule_or_with_a_wrong_one_is_2() {
    let place = filled(1);
    let at = place.path();
    fails(at, &["prune"], 2, &["--older-than <AGE>", "--keep <N>"]);
    fails(at, &["prune", "--dry-run"], 2, &["--older-than <AGE>", "--keep <N>"]);
    fails(at, &["prune", "--keep", "0"], 2, &["--keep"]);
    fails(at, &["prune", "--older-than", "yesterday"], 2, &["--older-than", "30d"]);
    fails(at, &["prune", "--keep", "1", "--force", "a b"], 2, &["planbus: force: must match"]);
    let store = EventStore::open(db(&place)).expect("opens");
    store.save_cursor("mirror", 0).expect("saves");
    store.close().expect("closes");
    for more in [&["--force", "mirror", "--force", "TYPO"][..], &["--force", "TYPO", "--dry-run"]] {
        let told = ["planbus: force: TYPO has no cursor; there are mirror"];
        fails(at, &[&["prune", "--keep", "1"], more].concat(), 2, &told);
    }
    fails(at, &["prune", "--keep", "1", "-o", "tree"], 2, &["prune has no tree"]);
}

#[test]
fn prune_neither_creates_a_store_nor_touches_one_that_is_open() {
    let place = Place::new();
    fails(place.path(), &["prune", "--keep", "1"], 3, &["there is no store at"]);
    assert!(!db(&place).exists());
    let bus = owner(&place);
    bus.publish_all((0..10).map(|_| event())).expect("commits");
    fails(place.path(), &["prune", "--keep", "1"], 4, &["only one owner may write", "EventStore::prune"]);
    assert_eq!(prune(&place, &["--keep", "1", "--dry-run"])["removed"], 9, "asking is allowed");
    assert_eq!(bus.store().expect("a store").read_after(0, 100).expect("reads").len(), 10);
}

#[test]
fn p9_a_listing_and_a_follower_that_were_overtaken_are_told_and_fail() {
    let place = filled(2_000);
    let bus = owner(&place);
    // A follower that nobody reads from stops in the middle of the past.
    let mut child = planbus(place.path())
        .args(["events", "--follow", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("planbus starts");
    let mut lines = BufReader::with_capacity(64, child.stdout.take().expect("its stdout"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert_eq!(Event::from_json(line.trim_end()).expect("an event").seq(), Some(1));
    let report = bus.store().expect("a store").prune(planbus::Retention::keep_last(10)).expect("prunes");
    assert_eq!(report.removed, 1_990);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("the rest");
    let output = child.wait_with_output().expect("its end");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{told}");
    let last = 1 + rest.lines().count();
    assert!(last < 1_990, "{last} lines");
    let expected = format!(
        "planbus: cut off from the log: the events after seq {last} are no longer in the log; the next one is \
         seq 1991; retention was faster than this reader\n"
    );
    assert_eq!(told, expected, "the seq that was printed last, and the next one");

    fails(place.path(), &["events", "--after", "5"], 1, &["after seq 5 are no longer", "seq 1991"]);
    fails(place.path(), &["events", "--after", "5", "--last", "3"], 1, &["after seq 5 are no longer"]);
    fails(place.path(), &["events", "--after", "5", "--follow"], 8, &["after seq 5 are no longer"]);
    assert_eq!(stdout(place.path(), &["events", "--after", "1990", "-o", "json"]).lines().count(), 10);
    assert_eq!(stdout(place.path(), &["events", "-o", "json"]).lines().count(), 10, "what is there");
}

/// How often Ctrl-C may come too late.
const TRIES_MAX: usize = 5;

#[test]
fn ctrl_c_ends_a_prune_between_two_steps_and_says_how_far_it_came() {
    let was_interrupted = (0..TRIES_MAX).any(|_| interrupt_a_prune());
    assert!(was_interrupted, "{TRIES_MAX} times it went on to its end");
}

/// Sends Ctrl-C after the first step; whether it came in time.
fn interrupt_a_prune() -> bool {
    const EVENTS: u64 = 80_000;
    let place = filled(EVENTS);
    let mut command = planbus(place.path());
    command.args(["prune", "--keep", "1", "-o", "json", "-vv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("planbus starts");
    let mut told = BufReader::new(child.stderr.take().expect("its stderr"));
    let mut line = String::new();
    while !line.contains("planbus.prune") {
        line.clear();
        assert!(told.read_line(&mut line).expect("a line") > 0, "it ended before the first step");
    }
    signal("INT", child.id());
    let mut rest = String::new();
    told.read_to_string(&mut rest).expect("the rest");
    let output = child.wait_with_output().expect("its end");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let removed = report["removed"].as_u64().expect("a number");
    let left = EventStore::open_read_only(db(&place)).expect("opens").stats().expect("reads");
    assert_eq!(left.first_seq, Some(removed + 1));
    if output.status.success() {
        assert_eq!(removed, EVENTS - 1);
        return false;
    }
    assert_eq!(output.status.code(), Some(130), "{rest}");
    assert!(rest.contains("interrupted: ") && rest.contains("run it again to go on"), "{rest}");
    assert!(removed.is_multiple_of(20_000) && removed < EVENTS - 1, "{report}");
    assert!(run(place.path(), &["prune", "--keep", "1"]).status.success());
    true
}
