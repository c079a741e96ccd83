//! `planbus demo`: what its log must hold, computed from the stored events alone.

#![cfg(feature = "cli")]

mod cli_support;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
};

use cli_support::{Place, ends, of_type, payload, run, text};
use planbus::{Event, EventId, EventType};

/// A tree with 5 levels, 18 folders, TODOs, things to skip and things that fail.
fn project() -> Place {
    let place = Place::new();
    place.file("README.md", "# A project\n\nTODO: write it\n");
    for folder in 0..12 {
        place.file(&format!("module{folder:02}/lib.rs"), format!("// FIXME {folder}\nfn main() {{}}\n"));
        place.file(&format!("module{folder:02}/notes.txt"), "TODOS and XTODO are none");
    }
    place.file("deep/a/b/c/d.py", "print(1)\n\n# TODO TODO\n");
    place.file("deep/a/same.py", "print(1)\n\n# TODO TODO\n");
    // A binary file whose name does not say so.
    place.file("data/blob.dat", b"ab\0cd");
    place.file("data/latin1.txt", b"caf\xe9\n");
    place.file("data/photo.png", b"\x89PNG");
    place.file("data/big.csv", vec![b'1'; 2 << 20]);
    place.file(".git/config", "TODO");
    place.file("target/debug/out.txt", "TODO");
    place.file("node_modules/x/index.js", "TODO");
    place.file(".env", "SECRET=1");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("..", place.tree.join("data/up")).expect("a link");
        place.file("data/locked.txt", "secret\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        fs::set_permissions(place.tree.join("data/locked.txt"), mode).expect("a mode");
    }
    place
}

/// Root reads everything.
fn locked_is_readable(place: &Place) -> bool {
    fs::File::open(place.tree.join("data/locked.txt")).is_ok()
}

#[test]
fn every_plan_has_its_end_ten_run_at_once_and_they_nest_four_deep() {
    let place = project();
    place.demo();
    let events = place.events();
    let ends = ends(&events);
    assert_eq!(ends.len(), 18, "one plan a folder: {ends:?}");
    assert!(ends.values().all(|end| *end == Some(true)), "{ends:?}");

    let (mut open, mut open_max) = (0_u32, 0);
    let mut depths: HashMap<String, u32> = HashMap::new();
    for event in &events {
        match event.event_type() {
            EventType::PlanStarted => {
                open += 1;
                let parent = payload(event)["parent"].as_str().map(|parent| depths[parent]);
                depths.insert(event.plan_id().to_string(), parent.map_or(1, |depth| depth + 1));
            }
            EventType::PlanCompleted | EventType::PlanFailed => open -= 1,
            _ => {}
        }
        open_max = open_max.max(open);
    }
    println!("at most {open_max} plans open at once, {:?} levels", depths.values().max());
    assert!(open_max >= 10, "only {open_max} plans were open at once");
    assert!(depths.values().any(|depth| *depth >= 5), "{depths:?}");
}

#[test]
fn every_tool_call_has_its_completion_and_failures_are_there_with_their_cause() {
    let place = project();
    place.demo();
    let events = place.events();
    let key = |event: &Event| (event.plan_id().to_string(), text(event, "call_id"));
    let calls: HashMap<_, _> =
        of_type(&events, &EventType::ToolCalled).into_iter().map(|event| (key(event), event)).collect();
    let done = of_type(&events, &EventType::ToolCompleted);
    assert_eq!(calls.len(), done.len(), "one completion a call");
    let mut failed = BTreeMap::new();
    for event in done {
        let call = calls.get(&key(event)).expect("the call of a completion");
        assert_eq!(event.causation_id(), Some(call.event_id()));
        assert_eq!(text(call, "tool"), text(event, "tool"));
        assert!(call.seq() < event.seq());
        if payload(event)["ok"] == false {
            let path = payload(call)["arguments"]["path"].as_str().expect("a path").to_owned();
            failed.insert(path, text(event, "error"));
        }
    }
    assert!(failed.remove("data/blob.dat").expect("blob.dat").contains("binary file: a NUL byte at 2"));
    assert!(failed.remove("data/latin1.txt").expect("latin1.txt").contains("not UTF-8 at byte 3"));
    if !locked_is_readable(&place) {
        assert!(failed.remove("data/locked.txt").expect("locked.txt").contains("ermission denied"));
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn decisions_say_what_was_skipped_and_why_and_nothing_of_it_was_opened() {
    let place = project();
    place.demo();
    let events = place.events();
    let mut rules = HashMap::new();
    for event in of_type(&events, &EventType::DecisionMade) {
        assert!(!text(event, "reason").is_empty(), "{event:?}");
        for name in payload(event)["names"].as_array().expect("names") {
            rules.insert(name.as_str().expect("a name").to_owned(), text(event, "rule"));
        }
    }
    let expected = [
        (".git", "version control"),
        ("target", "build output"),
        ("node_modules", "dependencies"),
        (".env", "hidden"),
        ("photo.png", "binary by name"),
        ("big.csv", "too large"),
        ("up", "symbolic link"),
    ];
    for (name, rule) in expected {
        assert_eq!(rules.get(name).map(String::as_str), Some(rule), "{name}: {rules:?}");
    }
    assert_eq!(rules.len(), expected.len(), "{rules:?}");
    let opened: HashSet<String> = of_type(&events, &EventType::ToolCalled)
        .into_iter()
        .map(|event| payload(event)["arguments"]["path"].as_str().expect("a path").to_owned())
        .collect();
    for path in &opened {
        let is_skipped = expected.iter().any(|(name, _)| path.split('/').any(|part| part == *name));
        assert!(!is_skipped, "{path} was opened");
    }
}

#[test]
fn the_sums_are_what_the_tree_holds() {
    let place = project();
    let report = place.demo();
    let locked = u64::from(locked_is_readable(&place));
    // README, 12 modules with two files, d.py and same.py.
    let expected = [
        ("files", 1 + 24 + 2 + locked),
        ("folders", 18),
        ("lines", 3 + 12 * 2 + 12 + 2 * 3 + locked),
        ("todos", 1 + 12 + 2 * 2),
        ("duplicates", 11 + 1),
        ("failed_tools", 3 - locked),
    ];
    for (field, number) in expected {
        assert_eq!(report[field], number, "{field}: {report}");
    }
    assert_eq!(report["languages"]["Rust"]["files"], 12);
    assert_eq!(report["languages"]["Python"]["lines"], 6);
    let bytes: u64 = report["languages"]
        .as_object()
        .expect("languages")
        .values()
        .map(|share| share["bytes"].as_u64().expect("bytes"))
        .sum();
    assert_eq!(report["bytes"], bytes);

    let events = place.events();
    assert_eq!(report["events"], events.len());
    assert_eq!((&report["first_seq"], &report["last_seq"]), (&1.into(), &events.len().into()));
    let root = report["plan_id"].as_str().expect("a plan id");
    let end = events
        .iter()
        .find(|event| event.plan_id() == root && event.event_type() == &EventType::PlanCompleted);
    let end = payload(end.expect("the root's end"));
    for field in ["files", "lines", "bytes", "todos", "languages", "skipped", "failed_tools", "biggest"] {
        assert_eq!(end[field], report[field], "{field}");
    }
}

#[test]
fn causes_correlation_and_call_chain_lead_to_the_root() {
    let place = project();
    let report = place.demo();
    let root = report["plan_id"].as_str().expect("a plan id");
    let events = place.events();
    let by_id: HashMap<EventId, &Event> = events.iter().map(|event| (event.event_id(), event)).collect();
    for event in &events {
        assert_eq!(event.correlation_id().map(ToString::to_string).as_deref(), Some(root));
        let chain: Vec<&str> = event.call_chain().iter().map(|agent| agent.as_str()).collect();
        let source = event.source().expect("a source").as_str();
        let is_root = event.plan_id() == root;
        // A subplan's end is told in its parent's plan, by the agent that did it.
        let is_of_lead = is_root && event.event_type() != &EventType::SubplanCompleted;
        assert_eq!(chain, if is_of_lead { vec!["survey-lead"] } else { vec!["survey-lead", "surveyor"] });
        assert_eq!(Some(&source), chain.last());
        let Some(cause) = event.causation_id() else {
            assert!(is_root && event.event_type() == &EventType::PlanStarted, "no cause: {event:?}");
            continue;
        };
        let cause = by_id.get(&cause).expect("the cause is in the log");
        assert!(cause.seq() < event.seq(), "a cause comes first");
        let expected = match event.event_type() {
            EventType::PlanStarted | EventType::SubplanCompleted => EventType::SubplanSpawned,
            EventType::ToolCompleted => EventType::ToolCalled,
            _ => EventType::PlanStarted,
        };
        assert_eq!(cause.event_type(), &expected, "the cause of {event:?}");
    }
}

#[test]
fn two_surveys_live_in_one_store() {
    let place = project();
    let (first, second) = (place.demo(), place.demo());
    assert_ne!(first["plan_id"], second["plan_id"]);
    assert_eq!(second["first_seq"].as_u64(), first["last_seq"].as_u64().map(|seq| seq + 1));
    assert_eq!(first["files"], second["files"]);
    assert_eq!(ends(&place.events()).len(), 36);
}

#[test]
fn the_logs_own_files_are_never_opened_by_the_survey() {
    let place = project();
    let database = place.tree.join("own.log");
    let arguments = ["--db", "tree/own.log", "demo", "--path", "tree", "-o", "json"];
    assert!(run(place.path(), &arguments).status.success());
    // The same file under another name is the same file.
    fs::hard_link(&database, place.tree.join("other-name.txt")).expect("a link");
    assert!(run(place.path(), &arguments).status.success());
    let events = cli_support::events_of(&database);
    let mut skipped = HashSet::new();
    for event in of_type(&events, &EventType::DecisionMade) {
        if text(event, "rule") == "own log" {
            let names = payload(event)["names"].clone();
            skipped.extend(
                names.as_array().expect("names").iter().map(|name| name.as_str().expect("text").to_owned()),
            );
        }
    }
    for name in ["own.log", "own.log-wal", "own.log-shm", "own.log.lock", "other-name.txt"] {
        assert!(skipped.contains(name), "{name} is not among {skipped:?}");
    }
    for event in of_type(&events, &EventType::ToolCalled) {
        let path = payload(event)["arguments"]["path"].as_str().expect("a path").to_owned();
        assert!(!path.contains("own.log") && !path.contains("other-name"), "{path} was opened");
    }
}
