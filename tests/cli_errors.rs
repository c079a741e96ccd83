//! Bad input gets a clear error and its exit code, and nothing is touched.

#![cfg(feature = "cli")]

mod cli_support;

use std::{fs, path::Path};

use cli_support::{Place, fails, planbus, run, stdout};
use planbus::{Event, EventStore, PlanStarted};

const READERS: [&[&str]; 5] =
    [&["events"], &["events", "--follow"], &["plans"], &["show", "plan-1"], &["stats"]];

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

/// A place with a store of one event.
fn with_store() -> Place {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    store.save(&Event::new("plan-1", PlanStarted::new("tidy up"))).expect("an event");
    store.close().expect("closed");
    place
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn wrong_usage_is_2_and_names_the_argument() {
    let place = with_store();
    let at = place.path();
    fails(at, &[], 2, &["Usage: planbus"]);
    fails(at, &["evnts"], 2, &["evnts", "events"]);
    fails(at, &["events", "--frobnicate"], 2, &["--frobnicate"]);
    fails(at, &["events", "--since", "yesterday"], 2, &["--since", "yesterday", "1h", "2026-03-01"]);
    fails(at, &["events", "--until", "1h", "--follow"], 2, &["--until", "--follow"]);
    fails(at, &["events", "--type", "no type"], 2, &["--type", "event_type: must match"]);
    fails(at, &["events", "--last", "many"], 2, &["--last"]);
    fails(at, &["events", "--plan", ""], 2, &["--plan"]);
    fails(at, &["events", "--grep", ""], 2, &["--grep", "1 to 1024"]);
    fails(at, &["events", "--after", "2"], 2, &["planbus: --after 2: the log ends at 1"]);
    fails(at, &["plans", "--status", "lost"], 2, &["--status", "running, completed or failed"]);
    fails(at, &["plans", "--tenant", "a b"], 2, &["--tenant", "tenant: must match"]);
    fails(at, &["plans", "-o", "xml"], 2, &["table", "json", "tree"]);
    fails(at, &["stats", "-o", "tree"], 2, &["planbus: stats has no tree; use -o table or -o json"]);
    fails(at, &["show"], 2, &["PLAN"]);
}

#[test]
fn a_count_that_is_none_is_2_and_says_what_it_must_be() {
    let place = with_store();
    let at = place.path();
    for (arguments, words) in [
        (&["events", "--last", "x"][..], &["--last", "must be a whole number, got x"][..]),
        (&["events", "--last", "+1"], &["--last", "must be a whole number, got +1"]),
        (&["events", "--last", "1000001"], &["--last", "must be at most 1000000"]),
        (&["events", "--after", "1.5"], &["--after", "must be a whole number, got 1.5"]),
        (&["plans", "--last", ""], &["--last", "must be a whole number"]),
        (&["plans", "--last", "0"], &["--last", "must be at least 1"]),
        (&["prune", "--keep", "x"], &["--keep", "must be a whole number, got x"]),
        (&["prune", "--keep", "99999999999999999999"], &["--keep", "must be at most"]),
    ] {
        fails(at, arguments, 2, words);
    }
}

#[test]
fn a_tenant_is_refused_where_a_command_works_on_the_whole_log() {
    let place = with_store();
    let (at, before) = (place.path(), fs::read(place.path().join("planbus.db")).expect("the store"));
    for arguments in [
        &["prune", "--keep", "1"][..],
        &["stats"],
        &["verify"],
        &["backup", "copy.db"],
        &["restore", "planbus.db", "--db", "again.db"],
    ] {
        let told =
            format!("planbus: --tenant: {} works on the whole log, all tenants together", arguments[0]);
        fails(at, &with(&["--tenant", "acme"], arguments), 2, &[&told]);
        fails(at, &with(arguments, &["--tenant", "default"]), 2, &[&told]);
    }
    assert_eq!(names(at), ["planbus.db", "planbus.db.lock", "tree"]);
    assert_eq!(fs::read(at.join("planbus.db")).expect("the store"), before);
    assert!(stdout(at, &["plans", "--tenant", "default"]).contains("plan-1"));
}

#[test]
fn an_empty_variable_names_no_store() {
    let place = with_store();
    for (value, is_found) in [("", true), ("planbus.db", true), ("no.db", false)] {
        let output = planbus(place.path()).arg("plans").env("PLANBUS_DB", value).output().expect("planbus");
        assert_eq!(output.status.success(), is_found, "{value:?}: {output:?}");
    }
}

#[test]
fn a_missing_store_is_3_says_what_to_do_and_is_not_created() {
    let place = Place::new();
    for arguments in READERS {
        fails(place.path(), arguments, 3, &["planbus: ", "planbus.db", "`planbus demo`", "--db FILE"]);
        fails(place.path(), &with(arguments, &["--db", "no/such.db"]), 3, &["no"]);
    }
    assert_eq!(names(place.path()), ["tree"]);
}

#[test]
fn a_directory_a_text_file_an_empty_file_and_a_newer_store_are_5_and_stay_as_they_are() {
    let place = with_store();
    let at = place.path();
    fs::write(at.join("notes.txt"), "not a database at all\n").expect("a file");
    fs::write(at.join("empty"), "").expect("a file");
    fs::copy(at.join("planbus.db"), at.join("newer.db")).expect("a copy");
    let newer = rusqlite::Connection::open(at.join("newer.db")).expect("SQLite");
    newer.pragma_update(None, "user_version", 99).expect("a newer version");
    newer.close().expect("closed");
    let before: Vec<Vec<u8>> = ["notes.txt", "empty", "newer.db"]
        .iter()
        .map(|name| fs::read(at.join(name)).expect("a file"))
        .collect();
    let demo: &[&str] = &["demo", "--path", "tree"];
    for arguments in READERS.iter().chain(&[demo]) {
        fails(at, &with(arguments, &["--db", "tree"]), 5, &["planbus: ", "tree", "is a directory"]);
        fails(at, &with(arguments, &["--db", "notes.txt"]), 5, &["planbus: ", "notes.txt"]);
        fails(at, &with(arguments, &["--db", "empty"]), 5, &["planbus: ", "empty"]);
        fails(at, &with(arguments, &["--db", "newer.db"]), 5, &["planbus: ", "newer planbus"]);
    }
    let after: Vec<Vec<u8>> = ["notes.txt", "empty", "newer.db"]
        .iter()
        .map(|name| fs::read(at.join(name)).expect("a file"))
        .collect();
    assert_eq!(before, after);
}

#[test]
fn an_unknown_plan_is_3_and_near_ones_are_named() {
    let place = with_store();
    fails(
        place.path(),
        &["show", "PLAN"],
        3,
        &["planbus: plan PLAN: not in the log", "did you mean plan-1?"],
    );
    fails(place.path(), &["show", "plan-1/src"], 3, &["did you mean plan-1?"]);
    fails(place.path(), &["show", "x"], 3, &["`planbus plans`"]);
    fails(place.path(), &["events", "--plan", "plan-2"], 3, &["planbus: plan plan-2: not in the log"]);
    fails(place.path(), &["show", "plan-1", "--tenant", "acme"], 3, &["tenant acme"]);
}

#[test]
fn a_directory_that_cannot_be_surveyed_leaves_no_store_behind() {
    let place = Place::new();
    place.file("a.txt", "one\n");
    fails(place.path(), &["demo", "--path", "nowhere"], 3, &["planbus: survey nowhere: ", "--path DIR"]);
    fails(
        place.path(),
        &["demo", "--path", "tree/a.txt"],
        2,
        &["planbus: survey tree/a.txt: ", "not a directory"],
    );
    assert_eq!(names(place.path()), ["tree"]);
}

#[test]
fn a_second_owner_is_4_while_readers_are_welcome() {
    let place = with_store();
    let owner = EventStore::open(place.path().join("planbus.db")).expect("the store");
    let pid = std::process::id().to_string();
    fails(place.path(), &["demo", "--path", "tree"], 4, &["planbus: ", &pid, "--db FILE"]);
    for arguments in READERS.iter().filter(|arguments| !arguments.contains(&"--follow")) {
        assert!(run(place.path(), arguments).status.success(), "{arguments:?}");
    }
    drop(owner);
}

#[test]
fn reading_changes_nothing() {
    let place = with_store();
    // SQLite's own side files come and go with its readers.
    let names = || -> Vec<String> {
        names(place.path())
            .into_iter()
            .filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm"))
            .collect()
    };
    let content = || fs::read(place.path().join("planbus.db")).expect("the store");
    let before = (names(), content());
    for arguments in READERS.iter().filter(|arguments| !arguments.contains(&"--follow")) {
        assert!(run(place.path(), arguments).status.success(), "{arguments:?}");
    }
    assert_eq!((names(), content()), before);
}

#[test]
fn the_help_names_every_exit_code_and_option() {
    let place = Place::new();
    let help = stdout(place.path(), &["--help"]);
    for word in [
        "Exit codes:",
        "0 ",
        "1 ",
        "2 ",
        "3 ",
        "4 ",
        "5 ",
        "6 ",
        "130 ",
        "PLANBUS_DB",
        "--tenant",
        "--output",
    ] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    let help = stdout(place.path(), &["events", "--help"]);
    for word in ["last 50", "--since", "workflow.*", "--follow", "UTC"] {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
}
