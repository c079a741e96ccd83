//! `planbus demo` under hard conditions: odd names, many files, great depth, Ctrl-C, a terminal.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    process::{Command, Stdio},
    time::Duration,
};

use cli_support::{Place, ends, of_type, planbus, signal, stdout, text};
use planbus::{Event, EventBus, EventStore, EventType, Filter, PlanStarted, Start};

#[test]
fn names_of_any_bytes_and_length_are_surveyed() {
    let place = Place::new();
    let long = "n".repeat(250);
    let umlauts = "ü".repeat(120);
    let names: [&[u8]; 8] = [
        b"line\nbreak",
        b"\x1b[2J\x1b]0;title\x07",
        b"\xff\xfe not UTF-8",
        b"\xfe\xff not UTF-8",
        "right\u{202e}left".as_bytes(),
        b" ",
        long.as_bytes(),
        umlauts.as_bytes(),
    ];
    for name in names {
        let folder = place.tree.join(OsStr::from_bytes(name));
        fs::create_dir(&folder).expect("a folder");
        fs::create_dir(folder.join(OsStr::from_bytes(name))).expect("a folder in it");
        fs::write(folder.join(OsStr::from_bytes(name)).join(OsStr::from_bytes(name)), "TODO\n")
            .expect("a file");
    }
    let report = place.demo();
    assert_eq!((&report["files"], &report["folders"]), (&8.into(), &17.into()), "{report}");
    let events = place.events();
    assert!(ends(&events).values().all(|end| *end == Some(true)));
    let printed = stdout(place.path(), &["show", report["plan_id"].as_str().expect("an id")])
        + &stdout(place.path(), &["events"])
        + &stdout(place.path(), &["demo", "--path", "tree"]);
    let odd: Vec<char> =
        printed.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn five_thousand_files_are_surveyed_completely() {
    let place = Place::new();
    for folder in 0..50 {
        for file in 0..60 {
            place.file(&format!("f{folder}/{file}.txt"), format!("{folder} {file}\n"));
        }
    }
    for file in 0..2_000 {
        place.file(&format!("flat/{file}.rs"), "// TODO\n");
    }
    let report = place.demo();
    assert_eq!((&report["files"], &report["todos"]), (&5_000.into(), &2_000.into()));
    assert_eq!(report["duplicates"], 1_999);
    println!("{} events in {} us", report["events"], report["duration_us"]);
    let events = place.events();
    assert_eq!(of_type(&events, &EventType::ToolCompleted).len(), 5_000 * 4 + 52);
    assert!(ends(&events).values().all(|end| *end == Some(true)));
}

#[test]
fn pipes_are_not_opened_links_not_followed_and_depth_is_bounded() {
    let place = Place::new();
    place.file("a.txt", "one\n");
    std::os::unix::fs::symlink(".", place.tree.join("circle")).expect("a link");
    let pipe = place.tree.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let mut deep = place.tree.clone();
    for _ in 0..100 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).expect("deep folders");
    let report = place.demo();
    assert_eq!((&report["files"], &report["folders"]), (&1.into(), &65.into()));
    let skipped = &report["skipped"];
    assert_eq!(
        (&skipped["symbolic link"], &skipped["no regular file"], &skipped["too deep"]),
        (&1.into(), &1.into(), &1.into())
    );
}

#[test]
fn an_interrupted_survey_leaves_no_plan_running() {
    let place = Place::new();
    for folder in 0..60 {
        for file in 0..60 {
            place.file(&format!("a/b/f{folder}/{file}.txt"), "TODO\n");
        }
    }
    let mut demo = planbus(place.path());
    demo.args(["demo", "--path", "tree"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let demo = demo.spawn().expect("planbus starts");
    wait_for_seq(&place, 200);
    signal("INT", demo.id());
    let output = demo.wait_with_output().expect("its end");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.starts_with("planbus: interrupted") && stderr.contains(" show survey-"), "{stderr}");
    assert!(output.stdout.is_empty());

    let events = place.events();
    assert!(events.len() < 60 * 60 * 8, "it had ended before: {}", events.len());
    let ends = ends(&events);
    assert!(ends.values().all(Option::is_some), "{ends:?}");
    let failed = of_type(&events, &EventType::PlanFailed);
    println!("{} of {} plans were interrupted after {} events", failed.len(), ends.len(), events.len());
    assert!(failed.len() >= 4, "the root, a, b and a folder in it were open");
    assert!(failed.iter().all(|event| text(event, "error") == "interrupted"), "{failed:?}");
    assert_eq!(stdout(place.path(), &["plans", "--status", "running", "-o", "json"]), "");
}

#[test]
fn what_a_killed_survey_left_running_is_ended_by_the_next_one_and_said() {
    let place = Place::new();
    for folder in 0..40 {
        for file in 0..60 {
            place.file(&format!("a/b/f{folder}/{file}.txt"), "TODO\n");
        }
    }
    let mut demo = planbus(place.path());
    demo.args(["demo", "--path", "tree"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut demo = demo.spawn().expect("planbus starts");
    wait_for_seq(&place, 200);
    demo.kill().expect("SIGKILL");
    demo.wait().expect("its end");
    let left = ends(&place.events()).into_values().filter(Option::is_none).count();
    assert!(left >= 4, "the root, a, b and a folder in it were open: {left}");
    // A record of another program's run: no survey ended it, and none may.
    let store = EventStore::open(place.path().join("planbus.db")).expect("the store");
    let record = Event::new("a record", PlanStarted::new("somewhere else"));
    store.save(&record.with_context_ref("trace:run.jsonl#line=1")).expect("commits");
    store.close().expect("closes");

    place.file("a.txt", "one\n");
    fs::remove_dir_all(place.tree.join("a")).expect("a smaller tree");
    let output = planbus(place.path()).args(["demo", "--path", "tree"]).output().expect("planbus starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, format!("planbus: {left} plans of a process that is gone ended as failed\n"));
    let events = place.events();
    let ends = ends(&events);
    assert_eq!(ends.iter().filter(|(_, end)| end.is_none()).count(), 1, "{ends:?}");
    let failed = of_type(&events, &EventType::PlanFailed);
    assert_eq!(failed.len(), left);
    let depth = |event: &&Event| event.plan_id().as_str().matches('/').count();
    assert!(failed.iter().map(depth).rev().is_sorted(), "subplans end before the plan that spawned them");
    let running = stdout(place.path(), &["plans", "--status", "running", "-o", "json"]);
    assert!(running.lines().count() == 1 && running.contains("a record"), "{running}");
    let again = planbus(place.path()).args(["demo", "--path", "tree"]).output().expect("planbus starts");
    assert!(again.stderr.is_empty(), "there is nothing left to end");
}

/// Waits until the log has `seq` events, by following it from outside.
fn wait_for_seq(place: &Place, seq: u64) {
    let database = place.path().join("planbus.db");
    let store = std::iter::repeat_with(|| {
        std::thread::yield_now();
        EventStore::open_read_only(&database)
    });
    let store = store.take(10_000_000).find_map(Result::ok).expect("the store");
    let bus = EventBus::builder().store(store).build().expect("a bus");
    let mut tail = bus.tail(Filter::all(), Start::Beginning).expect("a tail");
    while tail.cursor().unwrap_or(0) < seq {
        let event = tail.next_timeout(Duration::from_secs(30)).expect("the log");
        assert!(event.is_some(), "the survey stands still");
    }
}

#[test]
fn on_a_terminal_a_live_tree_is_drawn_and_cleared() {
    let place = Place::new();
    for folder in 0..30 {
        for file in 0..60 {
            place.file(&format!("f{folder:02}/{file}.txt"), "TODO\n");
        }
    }
    // `script` (util-linux) gives the program a terminal.
    let program = env!("CARGO_BIN_EXE_planbus");
    let inner = format!("stty rows 10 cols 60 && exec '{program}' demo --path tree >summary.txt");
    let mut script = Command::new("script");
    script.args(["-qec", &inner, "/dev/null"]).current_dir(place.path()).stdin(Stdio::null());
    script.env_remove("PLANBUS_DB").env_remove("NO_COLOR").env_remove("RUST_LOG").env("TERM", "xterm");
    let Ok(output) = script.output() else {
        println!("skipped: there is no `script` here");
        return;
    };
    let drawn = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{drawn}");
    assert!(
        drawn.contains("survey-") && drawn.contains(" running, ") && drawn.contains('\u{1b}'),
        "{drawn:?}"
    );
    let summary = fs::read_to_string(place.path().join("summary.txt")).expect("the summary");
    assert!(summary.starts_with("Survey of ") && !summary.contains('\u{1b}'), "{summary}");
}
