//! The program mirrors a log into Redis, and says what keeps it from that.

#![cfg(all(unix, feature = "cli"))]

mod cli_support;
mod redis_support;

use std::{fs, process::Stdio};

use cli_support::{Place, fails, json_lines, planbus, run, signal, stderr, stdout};
use planbus::{Event, EventBus, EventStore, PlanStarted, redis::EntryId};
use redis_support::*;
use serde_json::{Value, json};

const STREAM: &str = "planbus:{default}:events";

/// Runs a mirror that cannot go on, which says so beside how far it came.
fn is_stuck(place: &Place, arguments: &[&str], words: &[&str]) {
    let output = run(place.path(), &[&["mirror", "--once", "-q"], arguments].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for word in words {
        assert!(stderr(&output).contains(word), "no {word:?} in {}", stderr(&output));
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains(words[0]));
}

#[test]
fn p7_a_demo_with_redis_leaves_there_what_the_log_has() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    let told = run(place.path(), &["demo", "--path", "tree", "--redis", &server.url()]);
    assert!(told.status.success() && stderr(&told).contains("mirrored to unix://"), "{}", stderr(&told));
    let log = json_lines(&stdout(place.path(), &["events", "-o", "json"]));
    let streamed = stdout(place.path(), &["events", "--redis", &server.url(), "-o", "json"]);
    let streamed: Vec<Value> = json_lines(&streamed)
        .into_iter()
        .map(|mut event| {
            let fields = event.as_object_mut().expect("an object");
            assert_eq!(fields.remove("stream"), Some(json!(STREAM)));
            assert!(fields.remove("entry_id").is_some());
            event
        })
        .collect();
    assert!(log.len() > 5);
    assert_eq!(streamed, log);
}

#[test]
fn an_import_with_redis_says_in_its_result_how_the_mirror_stands() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    let line = |decision: u32| {
        let data = json!({"decision": decision.to_string()});
        json!({"plan": "p", "parent": null, "kind": "decision", "agent": "a", "at": null, "data": data})
    };
    fs::write(place.path().join("run.jsonl"), format!("{}\n{}\n", line(1), line(2))).expect("writes");
    let output = run(place.path(), &["import", "run.jsonl", "--redis", &server.url(), "-q", "-o", "json"]);
    let result: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(result["mirror"]["lag_events"], 0, "{result}");
    assert_eq!(result["mirror"]["appended"], 2, "{result}");
}

#[test]
fn p7_a_demo_without_its_redis_is_done_all_the_same_and_the_next_mirror_brings_it() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    server.kill();
    let told = run(place.path(), &["demo", "--path", "tree", "--redis", &server.url()]);
    assert!(told.status.success());
    assert!(stderr(&told).contains("brings them there"), "{}", stderr(&told));
    fails(place.path(), &["mirror", "--once", "--redis", &server.url()], 4, &["redis", "is Redis up"]);
    server.restart();
    let ends = json_lines(&stdout(
        place.path(),
        &["mirror", "--once", "--redis", &server.url(), "-q", "-o", "json"],
    ));
    assert_eq!((&ends[0]["state"], &ends[0]["lag_events"]), (&json!("live"), &json!(0)));
    assert_eq!(server.entries(STREAM).len(), place.events().len());
}

#[test]
fn a_mirror_runs_until_it_is_asked_to_end_and_says_what_it_did() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    place.demo();
    for name in ["TERM", "INT"] {
        server.command(&["DEL", STREAM]);
        let mut command = planbus(place.path());
        command.args(["mirror", "--redis", &server.url(), "-o", "json"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        wait_for("Redis has the log", || server.entries(STREAM).len() == place.events().len());
        signal(name, child.id());
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let end: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        assert_eq!(end["lag_events"], 0, "{end}");
    }
}

/// The arguments of a mirror that ends by itself.
fn once<'a>(url: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["mirror", "--once", "-q", "--redis", url], options].concat()
}

#[test]
fn several_profiles_have_a_mirror_each_and_what_one_cannot_say_is_counted_or_stops_it() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    place.file("image.png", [0, 159, 146, 150]);
    place.demo();
    let url = server.url();
    let three = ["--profile", "native", "--profile", "per-type", "--profile", "orchestration"];
    let ends = json_lines(&stdout(place.path(), &[&once(&url, &three)[..], &["-o", "json"]].concat()));
    let of = |name: &str| ends.iter().find(|end| end["mirror"] == name).expect("a mirror").clone();
    let decisions =
        place.events().iter().filter(|event| event.event_type().as_str() == "DecisionMade").count();
    assert!(decisions > 0);
    let all = place.events().len();
    assert_eq!((&of("native")["appended"], &of("per-type")["appended"]), (&json!(all), &json!(all)));
    assert_eq!(of("orchestration")["appended"], json!(all - decisions));
    assert_eq!(of("orchestration")["skipped"][0]["events"], json!(decisions));
    assert!(stdout(place.path(), &once(&url, &three)).contains("WHY"));

    server.command(&["FLUSHALL"]);
    let stop = ["--profile", "orchestration", "--on-inexpressible", "stop", "--key", "other:events"];
    let output = run(place.path(), &once(&url, &stop));
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("orchestration: blocked"), "{}", stderr(&output));
    // Two of one name would share a position.
    let twice = ["--profile", "native", "--profile", "native"];
    fails(place.path(), &once(&url, &twice), 2, &["another mirror of this store is called native"]);
    fails(place.path(), &once(&url, &["--profile", "nothing"]), 2, &["profile: must be one of native"]);
    fails(place.path(), &once(&url, &[&three[..], &["--stream", "x"]].concat()), 2, &["go with one profile"]);
}

#[test]
fn a_mirror_that_cannot_go_on_says_which_command_mends_it_and_the_command_does() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::mirrored(&server.url());
    server.command(&["XADD", STREAM, &EntryId::MAX.to_string(), "foreign", "1"]);
    place.demo();
    let redis = ["--redis", &server.url()];
    is_stuck(&place, &redis, &["blocked", "planbus streams rebuild planbus:{default}:events"]);
    stdout(place.path(), &[&["streams", "rebuild", STREAM, "--yes"], &redis[..]].concat());
    stdout(place.path(), &[&["mirror", "--once"], &redis[..]].concat());
    assert_eq!(server.entries(STREAM).len(), place.events().len());
}

#[test]
fn a_group_that_holds_trimming_back_is_told_once_and_is_in_the_result() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    let stream = "t:default:events:main";
    server.command(&["XGROUP", "CREATE", stream, "workers", "0", "MKSTREAM"]);
    let store = EventStore::open(place.path().join("planbus.db")).expect("opens");
    // The profile keeps 1,000.
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let started = (0..1_300).map(|plan| Event::new(format!("plan-{plan}"), PlanStarted::new("goal")));
    bus.publish_all(started).expect("commits");
    store.close().expect("closes");
    let url = server.url();
    let mirror = ["mirror", "--once", "--profile", "tenant", "--redis", &url, "-o", "json"];
    let output = run(place.path(), &mirror);
    let end: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(end["trim_held_by"], json!([{"stream": stream, "group": "workers"}]), "{end}");
    let told = stderr(&output);
    let line = format!("tenant: trimming of {stream} is held back by the group workers\n");
    assert_eq!(told.matches(&line).count(), 1, "{told}");
}

#[test]
fn a_key_of_another_program_and_a_missing_right_are_not_mended_by_a_rebuild() {
    let Some(server) = RedisServer::builder().acl("app", "%R~* +@all", "pass").start() else { return };
    let place = Place::with_tree();
    place.demo();
    server.command(&["SET", STREAM, "of another program"]);
    let url = server.url();
    let output = run(place.path(), &["mirror", "--once", "--redis", &url, "-o", "json"]);
    let told = stderr(&output);
    assert!(told.contains("redis-cli DEL") && !told.contains("rebuild"), "{told}");
    assert_eq!(told.matches("WRONGTYPE").count(), 1, "told once: {told}");
    let end: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert!(end["error"].as_str().is_some_and(|error| error.contains("WRONGTYPE")), "{end}");
    server.command(&["DEL", STREAM]);
    let url = server.url_as("app", "pass");
    let told = stderr(&run(place.path(), &["mirror", "--once", "-q", "--redis", &url]));
    assert!(told.contains("rights that EVENTS.md lists") && !told.contains("rebuild"), "{told}");
}

#[test]
fn a_stream_that_no_mirror_wrote_to_is_not_emptied_by_a_rebuild() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::mirrored(&server.url());
    let url = server.url();
    server.command(&["XADD", "foreign", "*", "a", "1"]);
    let rebuild = ["streams", "rebuild", "foreign", "--yes", "--redis", &url];
    fails(place.path(), &rebuild, 2, &["no mirror has written to it"]);
    assert_eq!(server.entries("foreign").len(), 1);
    stdout(place.path(), &[&rebuild[..], &["--force"]].concat());
    let told = stdout(place.path(), &["streams", "rebuild", STREAM, "--yes", "--redis", &url, "-o", "json"]);
    let report: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(report["stores"].as_array().map(Vec::len), Some(1), "{report}");
}

#[test]
fn an_option_that_would_be_ignored_or_taken_for_another_is_refused() {
    let place = Place::with_tree();
    let ignored = ["streams", "--redis", "redis://127.0.0.1:1", "--stream", "x"];
    fails(place.path(), &ignored, 2, &["the key of the profile native has no <stream>"]);
    fails(place.path(), &["import", "--redis", "tree/a.txt"], 2, &["put the files first"]);
}

#[test]
fn a_copied_store_is_told_as_forked() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    place.demo();
    stdout(place.path(), &["backup", "before.db"]);
    stdout(place.path(), &["demo", "--path", "tree", "--redis", &server.url(), "-q"]);
    stdout(place.path(), &["restore", "before.db", "--db", "other.db"]);
    stdout(place.path(), &["demo", "--path", "tree", "--db", "other.db", "-q"]);
    is_stuck(&place, &["--redis", &server.url(), "--db", "other.db"], &["forked", "streams rebuild"]);
}

#[test]
fn every_failure_has_its_exit_code_and_says_what_to_do_next() {
    let Some(server) = RedisServer::start() else { return };
    let place = Place::with_tree();
    let url = server.url();
    let path = place.path();
    fails(path, &["streams"], 2, &["--redis URL or PLANBUS_REDIS"]);
    fails(path, &["streams", "--redis", "http://x"], 2, &["--redis"]);
    fails(path, &["demo", "--profile", "native"], 2, &["--profile: goes with --redis"]);
    fails(path, &["events", "--redis", &url], 3, &["`planbus mirror --redis URL`"]);
    fails(path, &["mirror", "--redis", &url], 3, &["run `planbus demo` first"]);
    fails(
        path,
        &["streams", "info", "nowhere", "--redis", &url],
        3,
        &["no stream nowhere", "`planbus streams` lists"],
    );
    fails(path, &["events", "--redis", &url, "--after", "3"], 2, &["--after: a seq is a place in the log"]);
    fails(path, &["events", "--redis", &url, "-o", "tree"], 2, &["-o tree"]);
    fails(path, &["health", "--redis", &url, "--tenant", "t"], 2, &["--tenant"]);
    assert!(!path.join("planbus.db").exists(), "no store is made by a wrong command");
    let empty = run(path, &["streams", "--redis", &url]);
    assert!(empty.status.success() && stderr(&empty).contains("no stream of the profile native yet"));
    server.kill();
    for command in [&["health"][..], &["streams"], &["events"], &["streams", "info", "x"]] {
        fails(path, &[command, &["--redis", &url]].concat(), 4, &["is Redis up"]);
    }
}

#[test]
fn the_variable_names_the_redis_and_no_password_is_ever_shown() {
    const CANARY: &str = "c4n4ry";
    let Some(server) = RedisServer::builder().requirepass("right").start() else { return };
    let place = Place::with_tree();
    place.demo();
    let wrong = format!("unix://{}?pass={CANARY}", server.socket().display());
    let broken = format!("redis://user:{CANARY}@host:port/x y");
    let commands: [&[&str]; 9] = [
        &["streams"],
        &["streams", "info", "x"],
        &["health"],
        &["events", "--redis"],
        &["mirror", "--once"],
        &["demo", "--path", "tree", "--redis"],
        &["streams", "--help"],
        &["mirror", "--help"],
        &["health", "-vvv"],
    ];
    for url in [&wrong, &broken] {
        for arguments in commands {
            let output =
                planbus(place.path()).env("PLANBUS_REDIS", url).args(arguments).output().expect("starts");
            let given = planbus(place.path()).args(arguments.iter().take(2)).args(["--redis", url]).output();
            for output in [output, given.expect("starts")] {
                let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
                assert!(!all.contains(CANARY), "{arguments:?}: {all}");
            }
        }
    }
    fails(place.path(), &["health", "--redis", &wrong], 1, &["check the user and the password"]);
    let right = format!("unix://{}?pass=right", server.socket().display());
    let mut mirror = planbus(place.path());
    let done = mirror.env("PLANBUS_REDIS", &right).args(["mirror", "--once"]).output().expect("starts");
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(!stderr(&done).contains("right"), "{}", stderr(&done));
    // An empty variable is none, and commands that work without Redis use it when asked alone.
    let mut empty = planbus(place.path());
    assert_eq!(
        empty.env("PLANBUS_REDIS", "").arg("streams").output().expect("starts").status.code(),
        Some(2)
    );
    let mut events = planbus(place.path());
    let events =
        events.env("PLANBUS_REDIS", &wrong).args(["events", "--last", "1"]).output().expect("starts");
    assert!(events.status.success());
}
