//! P12: `planbus verify` names the first row that somebody changed with plain `sqlite3`, and an
//! independent verifier in Python comes to the same answer. Backups are checked by the same measure.

#![cfg(feature = "cli")]

mod cli_support;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use cli_support::{Place, events_of, fails, run, stdout};
use planbus::*;
use serde_json::{Value, json};

/// How many events [`log`] holds.
const EVENTS: i64 = 40;

/// A place with a log of many kinds of events.
fn log() -> Place {
    let place = Place::new();
    let bus = EventBus::builder()
        .store(EventStore::open(place.path().join("planbus.db")).expect("a store"))
        .build()
        .expect("a bus");
    let full = |n: i64| {
        Event::untyped(
            "plän/日本",
            "agent.note",
            json!({"text": "a\u{0}b \u{1f980}", "n": n, "quote": "'\""}),
        )
        .with_tenant("acme")
        .with_source("plänner")
        .with_call_chain(["supervisor", "plänner"])
        .with_correlation_id("root")
        .with_causation_id(EventId::generate())
        .with_priority(Priority::Critical)
        .with_context_ref("s3://bucket/ü")
        .with_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    };
    for n in 0..EVENTS / 2 {
        bus.publish(full(n)).expect("publishes");
        bus.publish(Event::raw("plan-7", "atoms", format!(r#"{{"n": {n}.50e2, "t":"\u0000\ud83e\udd80"}}"#)))
            .expect("publishes");
    }
    bus.store().expect("has one").close().expect("closes");
    place
}

/// Edits the store with the real `sqlite3`.
fn edit(place: &Path, sql: &str) -> bool {
    let mut command = Command::new("sqlite3");
    command.current_dir(place).args(["-bail", "planbus.db", sql]).stdin(Stdio::null());
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(_) => {
            println!("skipped: there is no sqlite3 to edit a log with");
            false
        }
    }
}

/// What the program and the Python verifier say of the store: they must agree.
fn verdict(place: &Path, head: Option<&str>) -> (i32, Value) {
    let head: Vec<&str> = head.map(|head| vec!["--head", head]).unwrap_or_default();
    let output = run(place, &[&["verify", "-o", "json"], &head[..]].concat());
    let code = output.status.code().expect("no signal");
    let told = String::from_utf8_lossy(&output.stdout);
    let ours: Value = serde_json::from_str(&told).unwrap_or(Value::Null);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/verify.py");
    let Ok(python) =
        Command::new("python3").current_dir(place).arg(script).args(&head).arg("planbus.db").output()
    else {
        println!("no python3 to verify a log with a second time");
        return (code, ours);
    };
    let told = String::from_utf8_lossy(&python.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&python.stderr);
    assert_eq!(python.status.code(), Some(code), "the verdicts: {ours} {told}{stderr}");
    if ours.is_object() {
        for key in ["events", "first_seq", "last_seq", "head", "first_bad_seq"] {
            let theirs = told.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            let our = ours[key].as_str().map_or_else(|| ours[key].to_string(), str::to_owned);
            assert_eq!(theirs.unwrap_or("null"), our, "{key}: {ours} {told}");
        }
    }
    (code, ours)
}

/// A prune as retention does it: rows 1 to n go, and the anchor moves with them.
fn prune(through: i64) -> String {
    format!(
        "BEGIN;
         UPDATE store_meta SET value = (SELECT chain FROM plan_events WHERE id = {through}) WHERE key = 'chain_anchor';
         INSERT OR REPLACE INTO store_meta VALUES ('chain_anchor_seq', {through});
         DELETE FROM plan_events WHERE id <= {through};
         COMMIT"
    )
}

#[test]
fn p12_a_sound_log_is_told_so_with_its_head_also_beside_its_owner() {
    let place = log();
    let (code, found) = verdict(place.path(), None);
    assert_eq!((code, &found["sound"], &found["events"]), (0, &json!(true), &json!(EVENTS)), "{found}");
    let owner = EventStore::open(place.path().join("planbus.db")).expect("opens");
    let beside = verdict(place.path(), None);
    assert_eq!(beside, (0, found.clone()));
    assert_eq!(owner.verify().expect("reads").head.to_string(), found["head"]);
    owner.save(&Event::new("plan-8", PlanStarted::new("more"))).expect("saves");
    let head = found["head"].as_str().expect("text");
    let (code, grown) = verdict(place.path(), Some(head));
    assert_eq!((code, &grown["kept_head_seq"]), (0, &json!(EVENTS)), "the log may have grown: {grown}");
    let table = stdout(place.path(), &["verify"]);
    assert!(table.contains("41, seq 1 to 41") && table.contains(grown["head"].as_str().expect("text")));
    fails(place.path(), &["verify", "--head", "abc"], 2, &["--head", "64 hexadecimal digits"]);
    fails(place.path(), &["verify", "--db", "none.db"], 3, &["none.db"]);
}

#[test]
fn p12_an_empty_log_is_sound() {
    let place = Place::new();
    EventStore::open(place.path().join("planbus.db")).and_then(|store| store.close()).expect("creates");
    let (code, found) = verdict(place.path(), None);
    assert_eq!((code, &found["events"], &found["last_seq"]), (0, &json!(0), &json!(0)), "{found}");
}

#[test]
fn p12_verify_names_the_first_row_that_was_changed_removed_or_put_in_with_plain_sqlite3() {
    const COPY: &str = "event_type, plan_id, timestamp, recorded_at, payload, tenant, source, call_chain,
        correlation_id, causation_id, trace_parent, priority, context_refs, schema_version, chain
        FROM plan_events WHERE id = 12";
    let id = "'01JZ8Q4V7N5T3M2K1H0G9F8E7D'";
    let tamperings: &[(&str, i64)] = &[
        ("UPDATE plan_events SET source = 'eve' WHERE id = 17", 17),
        ("UPDATE plan_events SET payload = replace(payload, '1', '2') WHERE id >= 21", 21),
        ("UPDATE plan_events SET call_chain = NULL WHERE id = 5", 5),
        ("UPDATE plan_events SET source = '' WHERE id = 4", 4),
        ("UPDATE plan_events SET payload = CAST(x'ff00fe' AS TEXT) WHERE id = 8", 8),
        ("UPDATE plan_events SET schema_version = 2 WHERE id = 40", 40),
        ("UPDATE plan_events SET chain = zeroblob(32) WHERE id = 9", 9),
        ("UPDATE plan_events SET chain = x'00' WHERE id = 9", 9),
        (
            "UPDATE plan_events SET recorded_at = timestamp, id = id WHERE id = 30; DELETE FROM plan_events WHERE id = 31",
            30,
        ),
        ("DELETE FROM plan_events WHERE id = 1", 1),
        ("DELETE FROM plan_events WHERE id <= 6", 1),
        ("DELETE FROM plan_events WHERE id = 23", 23),
        ("DELETE FROM plan_events WHERE id = 40", 40),
        ("DELETE FROM plan_events WHERE id > 33", 34),
        ("DELETE FROM plan_events", 1),
        (&format!("INSERT INTO plan_events SELECT 41, {id}, {COPY}"), 41),
        (&format!("INSERT INTO plan_events SELECT 50, {id}, {COPY}"), 41),
        (&format!("INSERT INTO plan_events SELECT 0, {id}, {COPY}"), 0),
        (&format!("INSERT INTO plan_events SELECT -7, {id}, {COPY}"), -7),
        (
            &format!(
                "DELETE FROM plan_events WHERE id = 20; INSERT INTO plan_events SELECT 20, {id}, {COPY}"
            ),
            20,
        ),
        (
            "UPDATE plan_events SET id = -1 WHERE id = 14; UPDATE plan_events SET id = 14 WHERE id = 27;
             UPDATE plan_events SET id = 27 WHERE id = -1",
            14,
        ),
        ("UPDATE store_meta SET value = zeroblob(32) WHERE key = 'chain_anchor'", 1),
        ("UPDATE store_meta SET value = '01JZ8Q4V7N5T3M2K1H0G9F8E7D' WHERE key = 'store_id'", 1),
        ("INSERT INTO store_meta VALUES ('chain_anchor_seq', 3)", 1),
        ("INSERT INTO store_meta VALUES ('chain_anchor_seq', 9223372036854775807)", 1),
    ];
    for (sql, first_bad) in tamperings {
        let place = log();
        if !edit(place.path(), sql) {
            return;
        }
        let (code, found) = verdict(place.path(), None);
        assert_eq!((code, &found["first_bad_seq"]), (6, &json!(first_bad)), "{sql}: {found}");
        assert_eq!(found["sound"], false);
        let output = run(place.path(), &["verify"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{stderr}");
        assert!(
            stderr.starts_with("planbus: ")
                && [" ", ", "].iter().any(|end| stderr.contains(&format!("row {first_bad}{end}"))),
            "{sql}: {stderr}"
        );
    }
}

#[test]
fn p12_what_retention_prunes_leaves_a_log_that_is_sound_from_its_anchor_on() {
    let place = log();
    let head_of = |seq: i64| {
        let sql = format!("SELECT lower(hex(chain)) FROM plan_events WHERE id = {seq}");
        let log = rusqlite::Connection::open(place.path().join("planbus.db")).expect("opens");
        log.query_row(&sql, [], |row| row.get::<_, String>(0)).expect("is there")
    };
    let (early, at_anchor, late) = (head_of(5), head_of(12), head_of(30));
    if !edit(place.path(), &prune(12)) {
        return;
    }
    let (code, found) = verdict(place.path(), None);
    assert_eq!(
        (code, &found["first_seq"], &found["events"]),
        (0, &json!(13), &json!(EVENTS - 12)),
        "{found}"
    );
    for (head, seq) in [(at_anchor, 12), (late.clone(), 30)] {
        assert_eq!(verdict(place.path(), Some(&head)).1["kept_head_seq"], seq);
    }
    let (code, found) = verdict(place.path(), Some(&early));
    assert_eq!(code, 6, "{found}");
    assert!(found["problems"][0].as_str().is_some_and(|told| told.contains("pruned beyond it")), "{found}");
    for (sql, first_bad) in [
        ("UPDATE plan_events SET source = 'eve' WHERE id = 13", 13),
        ("UPDATE store_meta SET value = 11 WHERE key = 'chain_anchor_seq'", 12),
        ("UPDATE store_meta SET value = zeroblob(32) WHERE key = 'chain_anchor'", 12),
    ] {
        assert!(edit(place.path(), sql));
        assert_eq!(verdict(place.path(), None).1["first_bad_seq"], first_bad, "{sql}");
    }
}

#[test]
fn p12_a_tail_cut_without_a_trace_and_a_log_rewritten_whole_are_found_with_a_kept_head() {
    let place = log();
    let kept = verdict(place.path(), None).1["head"].as_str().expect("text").to_owned();
    let cut = "DELETE FROM plan_events WHERE id > 33; UPDATE sqlite_sequence SET seq = 33";
    if !edit(place.path(), cut) {
        return;
    }
    assert_eq!(verdict(place.path(), None).0, 0, "nothing in the file tells");
    let (code, found) = verdict(place.path(), Some(&kept));
    assert_eq!((code, &found["events"]), (6, &json!(33)), "{found}");
    assert!(found["problems"][0].as_str().is_some_and(|told| told.contains("cut, rewritten")), "{found}");
}

#[test]
fn p12_triggers_changed_definitions_and_damaged_indexes_are_found_and_additions_are_noted() {
    let cases = [
        ("CREATE TRIGGER quiet AFTER INSERT ON plan_events BEGIN DELETE FROM cursors; END", 6, "trigger quiet"),
        ("DROP VIEW tool_calls; CREATE VIEW tool_calls AS SELECT 1 AS tool", 6, "view tool_calls"),
        ("DROP INDEX plan_events_plan", 6, "index plan_events_plan: is missing"),
        ("UPDATE sqlite_sequence SET seq = 3", 6, "sqlite_sequence"),
        (
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'tenant, plan_id, id', 'tenant, source, id')
             WHERE name = 'plan_events_plan'",
            6,
            "plan_events_plan",
        ),
        ("CREATE TABLE my_notes(text); CREATE INDEX my_index ON plan_events(source)", 0, "table my_notes"),
    ];
    for (sql, code, told) in cases {
        let place = log();
        if !edit(place.path(), sql) {
            return;
        }
        let output = run(place.path(), &["verify", "-o", "json"]);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(output.status.code(), Some(code), "{sql}: {found}");
        assert!(found.to_string().contains(told), "{sql}: {found}");
        assert_eq!(found["events"], EVENTS, "the rows are sound");
    }
}

#[test]
fn p6_an_owner_never_gives_the_seqs_of_a_tail_that_was_cut_again_and_the_hole_stays_to_be_seen() {
    for (cut, last) in [("DELETE FROM plan_events WHERE id > 33", 33), ("DELETE FROM plan_events", 0)] {
        let place = log();
        if !edit(place.path(), cut) {
            return;
        }
        let store = EventStore::open(place.path().join("planbus.db")).expect("opens");
        assert_eq!(store.read_after(last, 10).expect_err("told").kind(), ErrorKind::Pruned, "{cut}");
        let saved = store.save(&Event::new("plan-8", PlanStarted::new("more"))).expect("saves");
        assert_eq!(saved.seq, EVENTS as u64 + 1);
        assert_eq!(store.read_after(last, 10).expect_err("told").kind(), ErrorKind::Pruned, "{cut}");
        store.close().expect("closes");
        let (code, found) = verdict(place.path(), None);
        assert_eq!((code, &found["first_bad_seq"]), (6, &json!(last + 1)), "{found}");
    }
}

#[test]
fn a_backup_beside_the_owner_is_checked_and_comes_back_as_the_store() {
    let place = log();
    let at = place.path();
    let db = at.join("planbus.db");
    let owner = EventStore::open(&db).expect("opens");
    owner.save(&Event::new("plan-8", PlanStarted::new("more"))).expect("saves");
    let told = stdout(at, &["backup", "monday.db", "-o", "json"]);
    let report: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&report["events"], &report["sound"]), (&json!(EVENTS + 1), &json!(true)), "{report}");
    assert!(stdout(at, &["backup", "tuesday.db"]).contains("backed up to "));
    fails(at, &["backup", "monday.db"], 2, &["back up to monday.db", "is there already", "never replaces"]);
    fails(at, &["backup", "none/monday.db"], 3, &["none"]);
    let pid = std::process::id().to_string();
    fails(at, &["restore", "monday.db"], 4, &["restore monday.db", &pid]);
    let before = events_of(&db);
    owner.close().expect("closes");
    fails(at, &["restore", "monday.db"], 2, &["planbus.db is there already", "move it away first"]);
    assert!(stdout(at, &["restore", "monday.db", "--db", "new.db"]).starts_with("restored to new.db\n"));
    assert_eq!(events_of(&at.join("new.db")), before);
    assert_eq!(stdout(at, &["verify", "--db", "new.db"]), stdout(at, &["verify"]), "the same log");
    fails(at, &["restore", "none.db", "--db", "newer.db"], 3, &["restore none.db"]);
    std::fs::write(at.join("notes.txt"), "not a database at all\n").expect("a file");
    fails(at, &["restore", "notes.txt", "--db", "newer.db"], 5, &["notes.txt"]);
}

#[test]
fn what_is_not_sound_is_backed_up_as_evidence_with_6_and_never_restored() {
    let place = log();
    let at = place.path();
    if !edit(at, "UPDATE plan_events SET source = 'eve' WHERE id = 17") {
        return;
    }
    let output = run(at, &["backup", "evidence.db"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("evidence.db is not sound: row 17 was changed"), "{stderr}");
    fails(at, &["restore", "evidence.db", "--db", "new.db"], 6, &["restore evidence.db: row 17 was changed"]);
    assert!(at.join("evidence.db").exists() && !at.join("new.db").exists());
}

#[test]
fn a_terminal_is_told_what_is_done_with_how_many_events_and_a_pipe_is_not() {
    let place = log();
    let program = env!("CARGO_BIN_EXE_planbus");
    let on_terminal = |arguments: &str| {
        let mut script = Command::new("script");
        script.args(["-qec", &format!("'{program}' {arguments}"), "/dev/null"]).current_dir(place.path());
        script.env_remove("PLANBUS_DB").env("TERM", "xterm").stdin(Stdio::null());
        script.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for (arguments, told) in [
        ("verify", "checking 40 events ...\r\u{1b}[K"),
        ("backup monday.db", "copying and checking 40 events ...\r\u{1b}[K"),
        ("restore monday.db --db new.db", "copying and checking 40 events ...\r\u{1b}[K"),
        ("verify --quiet", ""),
    ] {
        let Some(shown) = on_terminal(arguments) else {
            println!("skipped: there is no `script` here");
            return;
        };
        assert!(shown.starts_with(told) && shown.contains("sound events"), "{arguments}: {shown:?}");
        assert_eq!(shown.contains("..."), !told.is_empty(), "{arguments}: {shown:?}");
    }
    assert!(run(place.path(), &["verify"]).stderr.is_empty());
}
