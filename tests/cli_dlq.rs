//! The program looks after dead letters in Redis.

#![cfg(all(unix, feature = "cli"))]

mod cli_support;
mod redis_support;

use cli_support::{Place, fails, run, stdout};
use redis_support::*;
use serde_json::{Value, json};

const STREAM: &str = "planbus:{default}:events";
const DLQ: &str = "planbus:{default}:events:dlq";

/// A letter as planbus writes it.
fn add(server: &RedisServer, id: &str, group: &str, payload: &str, error: &str) {
    let fields = [
        ("event_id", "01K0A1B2C3D4E5F6G7H8J9KAMB"),
        ("event_type", "ToolCalled"),
        ("plan_id", "plan-7"),
        ("timestamp", "2026-02-11T12:58:38.123456Z"),
        ("tenant", "default"),
        ("payload", payload),
        ("_dlq_group", group),
        ("_dlq_consumer", "one.01"),
        ("_dlq_original_stream", STREAM),
        ("_dlq_original_id", "7-1"),
        ("_dlq_retry_count", "4"),
        ("_dlq_deliveries", "1"),
        ("_dlq_error", error),
        ("_dlq_reason", "failed"),
        ("_dlq_first_failed_at", "2026-02-11T12:58:38.123456+00:00"),
        ("_dlq_timestamp", "2026-02-11T12:58:59.000000+00:00"),
        ("_dlq_fields", "11"),
    ];
    let words = fields.iter().flat_map(|(name, value)| [*name, *value]);
    let command: Vec<&str> = ["XADD", DLQ, id].into_iter().chain(words).collect();
    server.command(&command);
}

/// A server with two letters of one group, one of another, and one that holds no event.
fn filled() -> Option<(RedisServer, Place)> {
    let server = RedisServer::start()?;
    for group in ["writers", "readers"] {
        server.command(&["XGROUP", "CREATE", STREAM, group, "0", "MKSTREAM"]);
    }
    let large = format!(r#"{{"call_id":"call-1","n":1.50,"text":"{}"}}"#, "x".repeat(3_000));
    add(&server, "1-1", "writers", &large, "disk full");
    add(&server, "1-2", "readers", "{}", "timed out\u{1b}[2J");
    add(&server, "1-3", "writers", "{}", "timed out");
    server.command(&[b"XADD", DLQ.as_bytes(), b"1-4", b"raw", b"\xff\x00"]);
    Some((server, Place::new()))
}

fn dlq<'a>(arguments: &[&'a str], url: &'a str) -> Vec<&'a str> {
    [&["dlq"], arguments, &["--redis", url]].concat()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

#[test]
fn letters_are_listed_for_people_and_programs() {
    let Some((server, place)) = filled() else { return };
    let url = server.url();
    let out = |arguments: &[&str]| stdout(place.path(), &dlq(arguments, &url));
    let table = out(&[]);
    assert_eq!(table, out(&["list"]));
    for word in [DLQ, "1-1", "writers", "plan-7", "disk full  ToolCalled", r"timed out\u{1b}[2J", "no event"]
    {
        assert!(table.contains(word), "no {word:?} in {table}");
    }
    let listed = |arguments: &[&str]| {
        let ids = json_lines(&out(&[&["list", "-o", "json"], arguments].concat()));
        ids.iter().map(|letter| letter["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]), ["1-1", "1-2", "1-3", "1-4"]);
    assert_eq!(listed(&["--newest", "--limit", "2"]), ["1-4", "1-3"]);
    assert_eq!(listed(&[STREAM, "--group", "writers"]), ["1-1", "1-3"]);
    assert_eq!(listed(&[DLQ, "--error", "timed out"]), ["1-2", "1-3"]);
    assert_eq!(
        listed(&["--plan", "plan-7", "--type", "ToolCalled", "--since", "2026-01-01"]),
        ["1-1", "1-2", "1-3"]
    );
    assert!(listed(&["--until", "2026-02-11T12:58:58Z", "--group", "writers"]).is_empty());
    assert!(listed(&["--tenant", "other"]).is_empty());
    let letters = json_lines(&out(&["-o", "json"]));
    for (name, expected) in [
        ("queue", json!(DLQ)),
        ("stream", json!(STREAM)),
        ("original_id", json!("7-1")),
        ("attempts", json!(4)),
        ("reason", json!("failed")),
        ("last_failed_at", json!("2026-02-11T12:58:59.000000Z")),
    ] {
        assert_eq!(letters[0][name], expected, "{name}");
    }
    assert_eq!(letters[0]["event"]["payload"]["call_id"], json!("call-1"));
    assert!(out(&["-o", "json"]).contains(r#""n":1.50"#), "a number is as it was written");
    assert_eq!(letters[3]["fields"], json!([["raw", {"hex": "ff00"}]]));
    assert!(letters[3]["event_error"].is_string());
}

#[test]
fn a_letter_is_shown_whole_and_one_that_is_not_there_is_an_error_of_its_own() {
    let Some((server, place)) = filled() else { return };
    let url = server.url();
    let shown = stdout(place.path(), &dlq(&["show", STREAM, "1-1"], &url));
    for word in ["disk full", "its attempts are used up", "writers", "one.01", &"x".repeat(3_000)] {
        assert!(shown.contains(word), "no {word:?} in {shown}");
    }
    let json = json_lines(&stdout(place.path(), &dlq(&["show", DLQ, "1-2", "-o", "json"], &url)));
    assert_eq!(json[0]["fields"][2], json!(["plan_id", "plan-7"]));
    fails(place.path(), &dlq(&["show", STREAM, "9-9"], &url), 3, &["there is no 9-9", "planbus dlq"]);
    fails(
        place.path(),
        &dlq(&["show", "other", "1-1"], &url),
        2,
        &["other is no stream of the profile native"],
    );
    fails(place.path(), &dlq(&["list", "planbus:{none}:events"], &url), 3, &["there is no stream"]);
    fails(place.path(), &dlq(&["show", STREAM, "x"], &url), 2, &["must be like 1526919030474-0"]);
}

#[test]
fn letters_are_replayed_to_their_group_by_id_or_all_that_are_wanted() {
    let Some((server, place)) = filled() else { return };
    let url = server.url();
    let out = |arguments: &[&str]| stdout(place.path(), &dlq(arguments, &url));
    let replays = |group: &str| server.command(&["XLEN", &format!("{DLQ}:{group}:replay")]);
    assert_eq!(out(&["replay", STREAM, "1-1"]), "replayed 1 dead letter\n");
    fails(place.path(), &dlq(&["replay", STREAM, "1-1"], &url), 3, &["1 dead letter not there"]);
    assert_eq!(out(&["replay", "--all", "--error", "timed out"]), "replayed 2 dead letters\n");
    assert_eq!((replays("writers"), replays("readers")), ("2".to_owned(), "1".to_owned()));
    assert_eq!(out(&["replay", "--all", "--group", "nobody"]), "replayed 0 dead letters\n");
    // What another system moved names no group.
    fails(place.path(), &dlq(&["replay", STREAM, "1-4"], &url), 2, &["1-4", "--to GROUP"]);
    fails(
        place.path(),
        &dlq(&["replay", STREAM, "1-4", "--to", "nobody"], &url),
        3,
        &["has no group nobody"],
    );
    let report = json_lines(&out(&["replay", STREAM, "1-4", "--to", "readers", "-o", "json"]));
    assert_eq!(report, [json!({"replayed": 1, "gone": 0, "refused": []})]);
    assert_eq!(replays("readers"), "2");
    for wrong in [&["replay"][..], &["replay", STREAM], &["replay", STREAM, "1-1", "--group", "writers"]] {
        fails(place.path(), &dlq(wrong, &url), 2, &["--all"]);
    }
    assert_eq!(run(place.path(), &dlq(&["replay", STREAM, "1-1", "--all"], &url)).status.code(), Some(2));
}

#[test]
fn nothing_is_purged_unless_somebody_says_so() {
    let Some((server, place)) = filled() else { return };
    let url = server.url();
    let out = |arguments: &[&str]| stdout(place.path(), &dlq(arguments, &url));
    for action in [&["purge", STREAM, "1-1"][..], &["purge", "--all"], &["purge", STREAM, "--all"]] {
        fails(place.path(), &dlq(action, &url), 2, &["give --yes"]);
    }
    assert_eq!(server.command(&["XLEN", DLQ]), "4");
    assert_eq!(out(&["purge", STREAM, "1-1", "--yes"]), "deleted 1 dead letter\n");
    fails(place.path(), &dlq(&["purge", STREAM, "1-1", "--yes"], &url), 3, &["1 dead letter not there"]);
    assert_eq!(out(&["purge", "--all", "--group", "writers", "--yes"]), "deleted 1 dead letter\n");
    assert_eq!(out(&["purge", "--all", "--yes", "-o", "json"]), "{\"purged\":2,\"gone\":0}\n");
    let counts = json_lines(&out(&["count", "-o", "json"]));
    let expected = json!({"queue": DLQ, "stream": STREAM, "waiting": 0, "moved": 0, "dropped": 0,
        "replayed": 0, "purged": 4});
    assert_eq!(counts, [expected]);
    assert!(out(&["count"]).contains(DLQ));
}

#[test]
fn whoever_looks_at_nothing_is_told_so_and_every_line_fits_a_terminal_of_80_columns() {
    let Some((server, place)) = filled() else { return };
    let url = server.url();
    for arguments in [&["list"][..], &["show", STREAM, "1-3"], &["show", STREAM, "1-4"], &["count"]] {
        let Some(shown) = cli_support::on_terminal(place.path(), 80, &dlq(arguments, &url)) else { return };
        for line in shown.lines().filter(|line| !line.contains("{default}")) {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line:?}");
        }
    }
    let more = cli_support::on_terminal(place.path(), 80, &dlq(&["list", "--limit", "2"], &url));
    assert!(more.is_some_and(|shown| shown.contains("these are the first 2: --limit N lists more")));
    for number in 1..=120 {
        add(&server, &format!("2-{number}"), "writers", "{}", "no");
    }
    let shown = cli_support::on_terminal(place.path(), 80, &dlq(&[], &url)).unwrap_or_default();
    assert!(shown.contains("these are the first 50:"), "{shown}");
    // A program that reads them misses none.
    assert_eq!(json_lines(&stdout(place.path(), &dlq(&["-o", "json"], &url))).len(), 124);
    server.command(&["DEL", DLQ]);
    let none = cli_support::on_terminal(place.path(), 80, &dlq(&[], &url)).unwrap_or_default();
    assert!(none.contains("no dead letter matches"), "{none}");
    let none = run(place.path(), &dlq(&["count"], &url));
    let told = String::from_utf8_lossy(&none.stderr);
    assert!(none.status.success() && told.contains("no stream of the profile native ever had"), "{told}");
}
