//! The program looks after streams in Redis, and reads events from them.

#![cfg(all(unix, feature = "cli"))]

mod cli_support;
mod redis_support;

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use cli_support::{Place, fails, json_lines, planbus, run, signal, stderr, stdout};
use redis_support::*;
use serde_json::{Value, json};

const STREAM: &str = "planbus:{default}:events";

#[test]
fn streams_are_listed_shown_and_trimmed() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::mirrored(&server.url());
    let streams = |arguments: &[&str]| {
        stdout(place.path(), &[&["streams"], arguments, &["--redis", &server.url()]].concat())
    };
    let count = place.events().len();
    assert_eq!(streams(&["-o", "json"]), streams(&["list", "-o", "json"]));
    assert!(streams(&[]).contains(STREAM));
    let list = json_lines(&streams(&["-o", "json"]));
    assert_eq!((&list[0]["name"], &list[0]["length"]), (&json!(STREAM), &json!(count)));
    server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    let info = streams(&["info", STREAM]);
    for word in ["workers", "still needs", "MIRROR OF STORE"] {
        assert!(info.contains(word), "no {word:?} in {info}");
    }
    let recent = json_lines(&streams(&["recent", STREAM, "--last", "2", "-o", "json"]));
    assert_eq!((recent.len(), &recent[0]["seq"]), (2, &json!(count)));
    let held: Value =
        serde_json::from_str(&streams(&["trim", STREAM, "--max-len", "3", "-o", "json"])).expect("JSON");
    assert_eq!(held, json!({"removed": 0, "held_by": "workers"}));
    assert!(streams(&["trim", STREAM, "--max-len", "3"]).contains("the group workers"));
    let forced = streams(&["trim", STREAM, "--max-len", "3", "--force", "--yes"]);
    assert!(forced.contains(&format!("{} entries", count - 3)), "{forced}");
    streams(&["delete", STREAM, "--yes"]);
    assert_eq!(server.command(&["EXISTS", STREAM]), "0");
}

#[test]
fn nothing_is_destroyed_unless_somebody_says_so() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::mirrored(&server.url());
    let (url, before) = (server.url(), server.entries(STREAM).len());
    for action in
        [&["delete", STREAM][..], &["rebuild", STREAM], &["trim", STREAM, "--max-len", "0", "--force"]]
    {
        fails(place.path(), &[&["streams"], action, &["--redis", &url]].concat(), 2, &["give --yes"]);
        if let Some(told) = typed(&place, action, &url, "planbus:{other}:events\n") {
            assert!(told.contains("nothing was changed"), "{told}");
        }
        assert_eq!(server.entries(STREAM).len(), before);
    }
    if typed(&place, &["delete", STREAM], &url, &format!("{STREAM}\n")).is_some() {
        assert_eq!(server.command(&["EXISTS", STREAM]), "0");
    }
}

/// What a terminal shows where somebody types an answer; `None` where there is no `script`.
fn typed(place: &Place, action: &[&str], url: &str, answer: &str) -> Option<String> {
    let words: Vec<String> = action.iter().map(|word| format!("'{word}'")).collect();
    let program = env!("CARGO_BIN_EXE_planbus");
    let inner = format!("'{program}' streams {} --redis '{url}'", words.join(" "));
    let mut script = Command::new("script");
    script.args(["-qec", &inner, "/dev/null"]).current_dir(place.path());
    let spawned = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        println!("skipped: there is no `script` here");
        return None;
    };
    child.stdin.take().expect("piped").write_all(answer.as_bytes()).expect("types");
    Some(String::from_utf8_lossy(&child.wait_with_output().expect("ends").stdout).into_owned())
}

#[test]
fn health_is_told_to_people_and_to_programs() {
    let aof = Persistence::Aof { fsync: Fsync::EverySecond };
    let builder = RedisServer::builder().persistence(aof).acl("app", "~* +@all -scan", "s3cret");
    let Some(server) = builder.start() else { return };
    let place = Place::mirrored(&server.url());
    let uncounted = stdout(place.path(), &["health", "--redis", &server.url_as("app", "s3cret")]);
    assert!(uncounted.contains("healthy") && uncounted.contains("not counted"), "{uncounted}");
    let table = stdout(place.path(), &["health", "--redis", &server.url()]);
    for word in ["healthy", "append-only file", "1 stream of the profile native"] {
        assert!(table.contains(word), "no {word:?} in {table}");
    }
    let health: Value =
        serde_json::from_str(&stdout(place.path(), &["health", "--redis", &server.url(), "-o", "json"]))
            .expect("JSON");
    assert_eq!((&health["status"], &health["streams"]), (&json!("healthy"), &json!(1)));
    assert!(health["latency_ms"].is_number() && health["used_memory_bytes"].is_number());
}

#[test]
fn health_tells_how_full_the_memory_is_and_what_the_user_may_not_see() {
    let server = RedisServer::builder()
        .maxmemory(1_000_000_000, "noeviction")
        .persistence(Persistence::None)
        .acl("app", "~planbus:* +ping +info", "s3cret")
        .start();
    let Some(server) = server else { return };
    let place = Place::with_tree();
    let asked = |url: &str| stdout(place.path(), &["health", "--redis", url]);
    assert!(asked(&server.url()).contains(" of 1.0 GB"), "{}", asked(&server.url()));
    assert!(!asked(&server.url()).contains("nearly full"));
    let less = asked(&server.url_as("app", "s3cret"));
    for expected in ["give the user +info and +config|get", "not counted for the profile native", "healthy"] {
        assert!(less.contains(expected), "no {expected:?} in {less}");
    }
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert!(asked(&server.url()).contains("nearly full: appends will be refused"));
}

#[test]
fn p6_following_a_stream_goes_through_a_restart_with_no_gap_and_no_repetition() {
    let aof = Persistence::Aof { fsync: Fsync::Always };
    let Some(server) = RedisServer::builder().persistence(aof).start() else { return };
    let place = Place::mirrored(&server.url());
    let file = place.path().join("followed.jsonl");
    let mut command = planbus(place.path());
    command.args(["events", "--redis", &server.url(), "--follow", "-o", "json"]);
    command.stdout(fs::File::create(&file).expect("a file")).stderr(Stdio::piped());
    let child = command.spawn().expect("starts");
    let followed = || {
        let text = fs::read_to_string(&file).expect("reads");
        // The last line may be on its way.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        json_lines(whole).iter().map(|event| event["seq"].as_u64().expect("a seq")).collect::<Vec<_>>()
    };
    let up_to = |events: usize| (1..=events as u64).collect::<Vec<_>>();
    let first = place.events().len();
    wait_for("the past is there", || followed().len() == first);
    server.kill();
    server.restart();
    stdout(place.path(), &["demo", "--path", "tree", "--redis", &server.url(), "-q"]);
    let all = place.events().len();
    wait_for("what follows is there", || followed().len() >= all);
    signal("INT", child.id());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(followed(), up_to(all));
}

#[test]
fn p11_an_entry_that_is_no_event_is_shown_raw_and_harmless() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::mirrored(&server.url());
    let raw: [&[u8]; 7] =
        [b"XADD", STREAM.as_bytes(), b"*", b"text", b"\x1b[2Jdanger", b"bytes", b"\xff\x00"];
    server.call(&raw);
    let table = stdout(place.path(), &["events", "--redis", &server.url()]);
    assert!(table.contains("no event") && table.contains("danger") && !table.contains('\u{1b}'), "{table}");
    let last = stdout(
        place.path(),
        &["streams", "recent", STREAM, "--last", "1", "--redis", &server.url(), "-o", "json"],
    );
    let last = &json_lines(&last)[0];
    assert_eq!(last["fields"], json!([["text", "\u{1b}[2Jdanger"], ["bytes", {"hex": "ff00"}]]));
    assert!(last["error"].is_string());
}

#[test]
fn filters_mean_in_redis_what_they_mean_in_the_log() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::mirrored(&server.url());
    // Several streams, of which one is another tenant's.
    stdout(place.path(), &["demo", "--path", "tree", "--tenant", "other", "--redis", &server.url(), "-q"]);
    let plan = place.events()[0].plan_id().to_string();
    let cases: [&[&str]; 9] = [
        &["--type", "ToolCalled,ToolCompleted"],
        &["--type", "Plan*"],
        &["--plan", &plan],
        &["--correlation", &plan],
        &["--source", "survey-lead"],
        &["--grep", "TODO"],
        &["--since", "1h"],
        &["--until", "2026-01-01"],
        &["--last", "3"],
    ];
    for case in cases {
        let log = run(place.path(), &[&["events", "-o", "json"], case].concat());
        let streamed =
            run(place.path(), &[&["events", "-o", "json", "--redis", &server.url()], case].concat());
        assert_eq!(streamed.status.code(), log.status.code(), "{case:?}: {}", stderr(&streamed));
        let seqs = |output: &Output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            json_lines(&text).iter().map(|event| event["seq"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(seqs(&streamed), seqs(&log), "{case:?}");
    }
}

#[test]
fn every_line_fits_a_terminal_of_80_columns() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::mirrored(&server.url());
    server.command(&["XGROUP", "CREATE", STREAM, "a-group-with-a-name-that-is-long-enough", "0"]);
    let url = server.url();
    for arguments in [
        &["streams"][..],
        &["streams", "info", STREAM],
        &["streams", "recent", STREAM],
        &["events"],
        &["mirror", "--once"],
        &["health"],
    ] {
        let arguments = [arguments, &["--redis", &url]].concat();
        let Some(shown) = cli_support::on_terminal(place.path(), 80, &arguments) else { return };
        let last_of_line = |line: &str| line.rsplit('\r').next().unwrap_or_default().chars().count();
        for line in shown.lines().filter(|line| !line.contains('\u{1b}') && !line.starts_with("planbus: ")) {
            assert!(last_of_line(line) <= 80, "{arguments:?}: {line:?}");
        }
    }
}
