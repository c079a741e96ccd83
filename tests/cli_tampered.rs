//! P11, P12: the program on a log that somebody edited with plain `sqlite3`: no command is silent,
//! endless or a panic, and `prune` leaves the evidence.

#![cfg(feature = "cli")]

mod cli_support;

use std::process::Command;

use cli_support::{Place, fails, run, stdout};
use planbus::{Event, EventBus, EventStore, PlanStarted};
use serde_json::Value;

/// A closed log of 100 events that was edited; `None` where there is no `sqlite3` for that.
fn edited(sql: &str) -> Option<Place> {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    bus.publish_all((0..100).map(|_| Event::new("plan-1", PlanStarted::new("tidy up")))).expect("commits");
    store.close().expect("closes");
    let edit = Command::new("sqlite3").current_dir(place.path()).args(["-bail", "planbus.db", sql]).output();
    let Ok(edit) = edit else {
        println!("skipped: there is no sqlite3 to edit a log with");
        return None;
    };
    assert!(edit.status.success(), "{sql}: {}", String::from_utf8_lossy(&edit.stderr));
    Some(place)
}

fn first_bad_seq(place: &Place) -> Value {
    let output = run(place.path(), &["verify", "-o", "json"]);
    assert_eq!(output.status.code(), Some(6));
    let found: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    found["first_bad_seq"].clone()
}

#[test]
fn p11_every_command_names_a_row_whose_seq_no_event_can_have() {
    for id in [0, -5, i64::MIN, i64::MAX] {
        let Some(place) = edited(&format!(
            "CREATE TEMP TABLE copy AS SELECT * FROM plan_events WHERE id = 1;
             UPDATE copy SET id = {id}, event_id = '01JZ8Q4V7N5T3M2K1H0G9F8E7D';
             INSERT INTO plan_events SELECT * FROM copy"
        )) else {
            return;
        };
        let told = format!("planbus: plan_events row {id}: no event can have this seq");
        let commands: [&[&str]; 12] = [
            &["events"],
            &["events", "--type", "PlanFailed", "--last", "3"],
            &["events", "--after", "50"],
            &["events", "--follow"],
            &["export"],
            &["export", "--plan", "plan-1", "--format", "csv"],
            &["plans"],
            &["show", "plan-1"],
            &["stats"],
            &["prune", "--keep", "10"],
            &["prune", "--older-than", "0s"],
            &["prune", "--keep", "10", "--dry-run"],
        ];
        for command in commands {
            fails(place.path(), command, 5, &[&told, "run `planbus verify`"]);
        }
        assert_eq!(first_bad_seq(&place), id.min(101), "the row is there still");
    }
}

#[test]
fn p12_prune_refuses_to_remove_a_row_that_was_changed_and_says_what_to_do() {
    let Some(place) = edited("UPDATE plan_events SET source = 'eve' WHERE id = 30") else { return };
    let at = place.path();
    let pruned: Value =
        serde_json::from_str(&stdout(at, &["prune", "--keep", "71", "-o", "json"])).expect("JSON");
    assert_eq!(pruned["removed"], 29, "what is sound before it goes");
    let words =
        ["planbus: prune the log: row 30 was changed", "keep the file as evidence, or restore a backup"];
    fails(at, &["prune", "--keep", "10"], 6, &words);
    fails(at, &["prune", "--older-than", "0s"], 6, &words);
    assert_eq!(first_bad_seq(&place), 30);
    let stats: Value = serde_json::from_str(&stdout(at, &["stats", "-o", "json"])).expect("JSON");
    assert_eq!(stats["events"], 71, "nothing was removed");
}

#[test]
fn p12_a_log_whose_end_was_cut_off_keeps_its_last_events() {
    let Some(place) = edited("DELETE FROM plan_events WHERE id > 40") else { return };
    let at = place.path();
    let text = stdout(at, &["prune", "--keep", "10"]);
    assert!(text.contains("removed        30 events, up to seq 30\n"), "{text}");
    let stats: Value = serde_json::from_str(&stdout(at, &["stats", "-o", "json"])).expect("JSON");
    assert_eq!(
        (&stats["events"], &stats["first_seq"], &stats["last_seq"]),
        (&10.into(), &31.into(), &100.into())
    );
    let text = stdout(at, &["prune", "--older-than", "0s"]);
    assert!(text.contains("log begins at  seq 40\n"), "{text}");
    assert_eq!(first_bad_seq(&place), 41);
}
