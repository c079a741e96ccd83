//! `planbus import`: what it refuses and how it says so, what it bears, and how it ends.

#![cfg(feature = "cli")]

mod cli_support;
mod store_support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use cli_support::{events_of, fails, planbus, signal, stdout};
use planbus::{Event, EventStore};
use serde_json::Value;
use store_support::{Dir, Killed, check_dense, wait_until};

/// A line of a recorded run.
fn line(plan: &str, kind: &str, at: &str, data: &str) -> String {
    format!(r#"{{"plan":"{plan}","parent":null,"kind":"{kind}","agent":"agent","at":{at},"data":{data}}}"#)
}

fn decision(number: usize) -> String {
    line("plan", "decision", "null", &format!(r#"{{"decision":"{number}"}}"#))
}

/// The program with something on its standard input.
fn fed(directory: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = planbus(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("planbus starts");
    let mut stdin = child.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        // It may end before it has read everything.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("it ends")
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
}

fn payloads(database: &Path) -> Vec<String> {
    events_of(database).iter().map(|event| event.payload_json().expect("JSON").to_owned()).collect()
}

#[test]
fn p11_a_bad_line_is_named_and_what_stands_before_it_is_in_the_log() {
    let dir = Dir::new();
    let bad = line("plan", "decision", "\"noon\"", "{}");
    fs::write(dir.path().join("run.jsonl"), format!("{}\n\n{bad}\n{}\n", decision(1), decision(2)))
        .expect("a file");
    let output = fed(dir.path(), &["import", "run.jsonl", "-o", "json"], b"");
    assert_eq!(output.status.code(), Some(6));
    let told = text(&output.stderr);
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(
        told,
        [
            "run.jsonl:3: at: must be an RFC 3339 time with an offset, like 2026-03-01T09:30:00Z, got \"noon\"",
            "planbus: import: ended at a bad line; what stands before it is in the log; --keep-going passes over \
             bad lines",
        ]
    );
    assert_eq!(payloads(&dir.db()), [r#"{"decision":"1"}"#]);
    let told = summary(&output);
    assert_eq!((&told["new"], &told["bad"]), (&1.into(), &1.into()));

    let output = fed(dir.path(), &["import", "run.jsonl", "-o", "json", "--keep-going"], b"");
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).ends_with("planbus: import: 1 bad line passed over\n"));
    let told = summary(&output);
    assert_eq!((&told["new"], &told["known"], &told["bad"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(payloads(&dir.db()), [r#"{"decision":"1"}"#, r#"{"decision":"2"}"#]);
}

#[test]
fn p11_whatever_a_line_holds_only_that_line_is_refused() {
    let dir = Dir::new();
    let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let big = |bytes: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - 11));
    let of = |data: &str| line("plan", "decision", "null", data).into_bytes();
    let with = |from: &str, to: &str| decision(0).replacen(from, to, 1).into_bytes();
    let most = planbus::PAYLOAD_MAX_BYTES;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (of("[]"), "data: must be a JSON object, got \"[]\""),
        (of("null"), "data: must be a JSON object, got \"null\""),
        (of(r#"{"a":{"b":1,"\u0062":2}}"#), r#"data: has the key "\\u0062" twice"#),
        (of(&nested(65)), "data: must be nested at most 64 deep"),
        (of(&nested(200_000)), "data: must be nested at most 64 deep"),
        (of(&big(most + 1)), "data: must be at most 4194304 bytes, got 4194305"),
        (of(&big(20 << 20)), "must be at most 8388608 bytes, got 2097"),
        (of("{\"a\":1e}"), "is not JSON: invalid number at column 88"),
        (b"not json".to_vec(), "must be a JSON object, got not json"),
        (b"{\"plan\":\"\xff\xfe\"}".to_vec(), "is not UTF-8 at column 10"),
        (b"\0\0\0\0".to_vec(), "must be a JSON object"),
        (with("\"plan\":\"plan\",", ""), "plan: is missing"),
        (with("\"plan\":\"plan\"", "\"plan\":\"\""), "plan: must be 1 to 256 bytes, got 0"),
        (with("\"parent\":null", "\"parent\":\"plan\""), "parent: names the plan itself"),
        (with("\"decision\"", "\"\\u001b[2J\""), "kind: must match"),
        (with("\"agent\":\"agent\"", "\"agent\":17"), "agent: must be a string, got 17"),
        (with("\"at\":null", "\"at\":null,\"at\":null"), "at: is given twice"),
        (with("\"at\":null", "\"at\":\"10000-01-01T00:00:00Z\""), "at: must be an RFC 3339 time"),
        (with("\"at\":null", "\"extra\":null"), "extra: is no key of a recorded run"),
    ];
    let mut input = Vec::new();
    for (at, (bad, _)) in cases.iter().enumerate() {
        input.extend(bad);
        input.extend(format!("\n{}\n", decision(at)).into_bytes());
    }
    input.extend(of(&nested(64)));
    input.extend(b"\n");
    input.extend(of(&big(most)));
    let output = fed(dir.path(), &["import", "-", "--keep-going", "-o", "json"], &input);
    assert_eq!(output.status.code(), Some(6));
    let told = text(&output.stderr);
    for (at, (_, words)) in cases.iter().enumerate() {
        let start = format!("<stdin>:{}: {words}", at * 2 + 1);
        assert!(told.lines().any(|line| line.starts_with(&start)), "no {start:?} in\n{told}");
    }
    assert_eq!(told.lines().count(), cases.len() + 1, "{told}");
    assert!(!told.contains('\u{1b}') && told.lines().all(|line| line.len() < 300), "{told}");
    let mut expected: Vec<String> = (0..cases.len()).map(|at| format!(r#"{{"decision":"{at}"}}"#)).collect();
    expected.extend([nested(64), big(most)]);
    assert!(payloads(&dir.db()) == expected, "the good lines are all there, in order");
    stdout(dir.path(), &["events"]);
    stdout(dir.path(), &["show", "plan"]);
}

#[test]
fn line_ends_a_mark_at_the_start_and_the_file_s_name_change_nothing() {
    let dir = Dir::new();
    let of = |output: Output| {
        assert!(output.status.success(), "{}", text(&output.stderr));
        let told = summary(&output);
        (told["new"].as_u64().expect("a count"), told["known"].as_u64().expect("a count"))
    };
    let (one, two) = (decision(1), decision(2));
    fs::write(dir.path().join("a run.jsonl"), format!("{one}\n{two}\n")).expect("a file");
    assert_eq!(of(fed(dir.path(), &["import", "a run.jsonl", "-o", "json"], b"")), (2, 0));
    let windows = format!("\u{feff}{one}\r\n{two}\r\n");
    assert_eq!(of(fed(dir.path(), &["import", "-", "-o", "json"], windows.as_bytes())), (0, 2));
    let grown = format!("{one}\n{two}\n\n  \t\n{}", decision(2));
    assert_eq!(of(fed(dir.path(), &["import", "-", "-o", "json"], grown.as_bytes())), (1, 2));
    let references: Vec<String> =
        events_of(&dir.db()).iter().flat_map(|event| event.context_refs().to_vec()).collect();
    assert_eq!(
        references,
        [
            "trace:a%20run.jsonl#line=1&at=null",
            "trace:a%20run.jsonl#line=2&at=null",
            "trace:-#line=5&at=null"
        ]
    );
    assert_eq!(of(fed(dir.path(), &["import", "-", "-o", "json"], b"\n\r\n")), (0, 0));
}

#[test]
fn p10_one_file_may_be_imported_for_two_tenants() {
    let dir = Dir::new();
    fs::write(dir.path().join("run.jsonl"), decision(1)).expect("a file");
    for _ in 0..2 {
        stdout(dir.path(), &["import", "run.jsonl"]);
        stdout(dir.path(), &["import", "run.jsonl", "--tenant", "acme"]);
    }
    let tenants: Vec<String> = events_of(&dir.db()).iter().map(|event| event.tenant().to_string()).collect();
    assert_eq!(tenants, ["default", "acme"]);
    assert_eq!(stdout(dir.path(), &["export", "--tenant", "acme"]).lines().count(), 1);
}

#[test]
fn a_line_of_over_a_megabyte_comes_through_whole() {
    let dir = Dir::new();
    let data = format!(r#"{{"call_id":"1","text":"{}"}}"#, "0123456789abcdef".repeat(100_000));
    let input = format!("{}\n{}\n", line("plan", "tool_called", "null", &data), decision(2));
    let output = fed(dir.path(), &["import", "-"], input.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(payloads(&dir.db())[0] == data && data.len() > 1 << 20);
    assert!(stdout(dir.path(), &["export"]).contains(&data));
}

#[test]
fn wrong_usage_and_missing_files_touch_nothing() {
    let dir = Dir::new();
    fs::write(dir.path().join("run.jsonl"), decision(1)).expect("a file");
    fs::create_dir(dir.path().join("folder")).expect("a folder");
    let at = dir.path();
    fails(at, &["import"], 2, &["FILE"]);
    fails(at, &["import", "run.jsonl", "missing.jsonl"], 3, &["planbus: read missing.jsonl: No such file"]);
    fails(at, &["import", "run.jsonl", "folder"], 2, &["read folder: is a directory"]);
    fails(at, &["import", "run.jsonl", "-o", "tree"], 2, &["import has no tree"]);
    for speed in ["fast", "0x", "-1x", "NaNx", "1e9x", "10"] {
        let told = ["--speed", "must be max, realtime, or a number from 0.001 to 1000000 with an x"];
        fails(at, &["import", "run.jsonl", &format!("--speed={speed}")], 2, &told);
    }
    assert!(!dir.db().exists(), "no store was made");
    let owner = EventStore::open(dir.db()).expect("a store");
    fails(at, &["import", "run.jsonl"], 4, &["wait for it"]);
    owner.close().expect("closed");
}

#[test]
fn an_id_that_the_log_has_for_something_else_is_a_bad_line() {
    let dir = Dir::new();
    fs::write(dir.path().join("run.jsonl"), decision(1)).expect("a file");
    stdout(dir.path(), &["import", "run.jsonl"]);
    let id = events_of(&dir.db())[0].event_id();
    let other = dir.path().join("other.db");
    let store = EventStore::open(&other).expect("a store");
    let event = Event::raw("elsewhere", "agent.note", "{}").with_event_id(id.to_string().as_str());
    store.save(&event).expect("saved");
    store.close().expect("closed");
    let output = fed(dir.path(), &["import", "run.jsonl", "--db", "other.db"], b"");
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stderr).starts_with("run.jsonl:1: "), "{}", text(&output.stderr));
}

/// The program with an import that reads what is written to it.
fn importing(directory: &Path, arguments: &[&str]) -> Killed {
    let child = planbus(directory)
        .args([&["import", "-"], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Killed(child.expect("planbus starts"))
}

fn count(database: &Path) -> usize {
    EventStore::open_read_only(database).and_then(|store| store.head()).map_or(0, |head| head as usize)
}

/// Waits for the end; the exit code, and stderr.
fn ended(child: &mut Child) -> (Option<i32>, String) {
    let mut status = None;
    wait_until("the import ends", || {
        status = child.try_wait().expect("a child");
        status.is_some()
    });
    let mut told = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut told).expect("UTF-8");
    (status.and_then(|status| status.code()), told)
}

#[test]
fn lines_that_come_one_by_one_are_in_the_log_at_once_and_ctrl_c_ends_a_silent_input() {
    let dir = Dir::new();
    let mut child = importing(dir.path(), &[]);
    let mut stdin = child.0.stdin.take().expect("piped");
    for number in 1..=3 {
        writeln!(stdin, "{}", decision(number)).expect("written");
        wait_until("the line is in the log", || count(&dir.db()) == number);
    }
    signal("INT", child.0.id());
    let (code, told) = ended(&mut child.0);
    assert_eq!(code, Some(130));
    let words = "planbus: interrupted: what was read so far is in the log; import again to go on\n";
    assert_eq!(told, words);
    drop(stdin);
}

#[test]
fn ctrl_c_ends_a_wait_for_the_next_line_s_time() {
    let dir = Dir::new();
    let day = |number: usize| {
        line("plan", "decision", &format!("\"2026-03-0{number}T00:00:00Z\""), &format!("{{\"n\":{number}}}"))
    };
    fs::write(dir.path().join("run.jsonl"), format!("{}\n{}\n", day(1), day(2))).expect("a file");
    let child = planbus(dir.path())
        .args(["import", "run.jsonl", "--speed", "realtime"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Killed(child.expect("planbus starts"));
    wait_until("the first line is in the log", || count(&dir.db()) == 1);
    signal("INT", child.0.id());
    assert_eq!(ended(&mut child.0).0, Some(130));
    assert_eq!(count(&dir.db()), 1);
    let output = stdout(dir.path(), &["import", "run.jsonl", "--speed", "1000000x", "-o", "json"]);
    let told: Value = serde_json::from_str(&output).expect("one object");
    assert_eq!((&told["new"], &told["known"]), (&1.into(), &1.into()));
}

#[test]
fn a_recorded_run_takes_the_time_that_its_lines_say() {
    let dir = Dir::new();
    let tenth = |number: usize| {
        line("plan", "decision", &format!("\"2026-03-01T00:00:0{number}Z\""), &format!("{{\"n\":{number}}}"))
    };
    // Six seconds of the run; the way back and the line without a time take none.
    let lines = [tenth(0), tenth(3), line("plan", "decision", "null", "{}"), tenth(1), tenth(4)];
    fs::write(dir.path().join("run.jsonl"), lines.join("\n")).expect("a file");
    let begun = Instant::now();
    stdout(dir.path(), &["import", "run.jsonl", "--speed", "20x"]);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300), "it took {took:?}");
    let recorded: Vec<_> = events_of(&dir.db()).iter().filter_map(Event::recorded_at).collect();
    let gap = recorded[1].duration_since(recorded[0]);
    assert!(gap >= Duration::from_millis(145), "{gap:?} between the first two");
}

#[test]
fn an_import_that_was_killed_goes_on_where_it_ended_with_every_line_once() {
    const LINES: u64 = 6_000;
    let dir = Dir::new();
    let lines: Vec<String> = (0..LINES as usize).map(decision).collect();
    fs::write(dir.path().join("run.jsonl"), lines.join("\n")).expect("a file");
    EventStore::open(dir.db()).and_then(|store| store.close()).expect("an empty store");
    let reader = EventStore::open_read_only(dir.db()).expect("the store");
    let mut kills = 0;
    loop {
        let before = reader.head().expect("a head");
        let child = planbus(dir.path()).args(["import", "run.jsonl"]).stdout(Stdio::null()).spawn();
        let mut child = Killed(child.expect("planbus starts"));
        // Killed once it has added something, a different number of lines each time.
        let goal = before + 1 + kills * 997;
        wait_until("it adds lines", || {
            reader.head().expect("a head") >= goal || child.0.try_wait().expect("a child").is_some()
        });
        if goal > LINES {
            assert!(child.0.wait().expect("a child").success());
            break;
        }
        child.0.kill().expect("SIGKILL");
        child.0.wait().expect("a child");
        kills += 1;
    }
    assert!(kills > 1, "killed {kills} times");
    println!("killed {kills} times");
    drop(reader);
    let store = EventStore::open(dir.db()).expect("opens");
    let events = check_dense(&store);
    let found: Vec<&str> = events.iter().map(|event| event.payload_json().expect("JSON")).collect();
    let expected: Vec<String> = (0..LINES).map(|number| format!(r#"{{"decision":"{number}"}}"#)).collect();
    assert!(found == expected, "{} of {LINES} lines", found.len());
}

#[test]
fn a_full_disk_ends_an_import_with_what_was_committed() {
    // The reader goes on while the log does not: the import must end all the same.
    let dir = Dir::new();
    let script = format!(
        "mount -t tmpfs -o size=2m tmpfs {0} && cd {0} && {1} import - -o json; echo $?; {1} export --quiet | wc -l",
        dir.path().display(),
        env!("CARGO_BIN_EXE_planbus")
    );
    let child = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(child) = child else {
        println!("skipped: no unshare to make a small disk with");
        return;
    };
    let mut child = Killed(child);
    let mut stdin = child.0.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || {
        let data = format!("{{\"text\":\"{}\"}}", "x".repeat(10_000));
        // Until nobody reads any more.
        for number in 0.. {
            let line = line(&format!("plan-{number}"), "decision", "null", &data);
            if writeln!(stdin, "{line}").is_err() {
                break;
            }
        }
    });
    let mut told = String::new();
    let mut stderr = BufReader::new(child.0.stderr.take().expect("piped"));
    while stderr.read_line(&mut told).expect("UTF-8") > 0 {}
    let mut printed = String::new();
    child.0.stdout.take().expect("piped").read_to_string(&mut printed).expect("UTF-8");
    child.0.wait().expect("a child");
    writer.join().expect("the writer ends");
    if told.contains("unshare") || told.contains("mount") {
        println!("skipped: no right to make a small disk: {told}");
        return;
    }
    assert!(told.contains("no space is left") && told.contains("import again to go on"), "{told}");
    let [summary, code, held] = printed.lines().collect::<Vec<_>>()[..] else { panic!("{printed}{told}") };
    let summary: Value = serde_json::from_str(summary).expect("an object");
    assert_eq!((code, held), ("1", summary["new"].to_string().as_str()), "what it counts is there");
    assert_ne!(held, "0");
}
