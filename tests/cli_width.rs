//! What a person at a terminal of any width sees: rows that fit, words that stay whole, and a word
//! where there is nothing to show.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;

use cli_support::{Place, fails, on_terminal, run, stdout};
use planbus::{DecisionMade, Event, EventBus, EventStore, Timestamp};
use serde_json::{Value, json};

/// Plans with long names and goals, one of which failed, with failed tools in all of them.
fn log() -> Place {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let goal = "write the notes of the release that comes after the next one, in three languages";
    let notes = bus.plan("release-notes-2026-11-21").start(json!({"goal": goal})).expect("a plan");
    notes.decide("split in two", json!({"reason": "too long"})).expect("a decision");
    let child = notes.subplan("collect-every-commit", json!({"goal": goal})).expect("a subplan");
    assert!(child.tool("git", json!({}), || Err::<(), _>("no repository")).is_err());
    child.fail("nothing to collect, as far as anybody can see from here").expect("its end");
    notes.complete(json!({})).expect("its end");
    store.close().expect("closed");
    place
}

fn widths(text: &str) -> Vec<usize> {
    text.lines().map(|line| line.chars().count()).collect()
}

#[test]
fn rows_of_plans_fit_their_terminal_and_name_plan_status_and_start() {
    let place = log();
    for columns in [20, 40, 60, 72, 80, 99, 100, 110, 120] {
        let Some(text) = on_terminal(place.path(), columns, &["plans"]) else { return };
        assert_eq!(text.lines().count(), 3, "{columns} columns: {text}");
        assert!(widths(&text).iter().all(|width| *width <= columns), "{columns} columns: {text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{columns} columns: {text:?}");
        assert!(text.contains("failed") && text.contains("completed"), "{columns} columns: {text}");
        let has = |head: &str| text.lines().next().is_some_and(|heads| heads.contains(head));
        assert_eq!(has("STARTED"), columns >= 60, "{text}");
        assert_eq!(has("GOAL"), columns >= 72, "{text}");
        assert_eq!(has("FAILED"), columns >= 110, "{text}");
        if columns >= 60 {
            assert!(text.contains("ery-commit") && text.contains("2026-11-21"), "{columns} columns: {text}");
        }
        if columns >= 80 {
            assert!(text.contains("nothing to"), "{columns} columns: {text}");
        }
    }
    let heads = "STARTED (UTC) STATUS DURATION EVENTS TOOLS FAILED PLAN GOAL";
    let piped = stdout(place.path(), &["plans"]);
    let first: Vec<&str> = piped.lines().next().expect("heads").split_whitespace().collect();
    assert_eq!(first.join(" "), heads, "a pipe gets all");
}

#[test]
fn facts_of_stats_break_between_words_and_a_head_fits_80_columns() {
    let place = log();
    let told: Value = serde_json::from_str(&stdout(place.path(), &["stats", "-o", "json"])).expect("JSON");
    let verified: Value =
        serde_json::from_str(&stdout(place.path(), &["verify", "-o", "json"])).expect("JSON");
    let head = told["head"].as_str().expect("the head");
    assert_eq!(told["head"], verified["head"], "one name for one thing");
    for columns in [60, 80, 100] {
        let Some(text) = on_terminal(place.path(), columns, &["stats"]) else { return };
        let mut too_wide = text.lines().filter(|line| line.chars().count() > columns);
        assert!(too_wide.all(|line| columns < 80 && line.ends_with(head)), "{text}");
        assert!(text.lines().any(|line| line.ends_with(head)), "a head is never broken: {text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains("of it in use, of which"), "{text}");
    }
}

#[test]
fn the_summary_of_the_demo_breaks_between_words_and_hints_at_what_there_is() {
    let place = Place::new();
    place.file("a.txt", "one\n");
    let Some(text) = on_terminal(place.path(), 80, &["-q", "demo", "--path", "tree"]) else { return };
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.join(" ").contains("each durable before the next step"), "{text}");
    let stored = text.lines().skip_while(|line| !line.contains(" stored in ")).take(2);
    assert!(stored.clone().all(|line| line.chars().count() <= 80), "{text}");
    let decisions = stdout(place.path(), &["events", "--type", "DecisionMade", "-o", "json"]);
    assert_eq!(text.contains("--type DecisionMade"), !decisions.is_empty(), "{text}");
}

#[test]
fn a_person_is_told_that_nothing_matches_a_program_is_not() {
    let place = log();
    for (arguments, note) in [
        (&["events", "--type", "NoSuchType"][..], "no event matches"),
        (&["events", "--grep", "nowhere", "--since", "1h"], "no event matches"),
        (&["plans", "--status", "running"], "no plan matches"),
    ] {
        let Some(text) = on_terminal(place.path(), 80, arguments) else { return };
        assert_eq!(text.lines().last(), Some(note), "{text}");
        let quiet = on_terminal(place.path(), 80, &[&["--quiet"], arguments].concat()).expect("script");
        assert_eq!(quiet.lines().count(), 1, "only the heads: {quiet}");
        assert!(run(place.path(), arguments).stderr.is_empty());
    }
    let some = on_terminal(place.path(), 80, &["events"]).expect("script");
    assert!(!some.contains("matches"), "{some}");
}

#[test]
fn times_in_which_nothing_can_be_are_refused() {
    let place = log();
    for command in ["events", "export"] {
        let same = &[command, "--since", "2026-03-01", "--until", "2026-03-01"];
        fails(place.path(), same, 2, &["planbus: --since 2026-03-01T00", "before --until 2026-03-01T00"]);
        fails(place.path(), &[command, "--since", "1h", "--until", "2h"], 2, &["--since", "--until"]);
        stdout(place.path(), &[command, "--since", "2h", "--until", "1h"]);
    }
}

#[test]
fn a_row_of_another_year_names_it_and_the_columns_stay_in_line() {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    let now = Timestamp::now();
    let event = || Event::new("trip", DecisionMade::new("by rail"));
    let old = event().with_timestamp("2001-02-03T04:05:06.789Z".parse::<Timestamp>().expect("a time"));
    store.save(&old).expect("an event");
    store.save(&event().with_timestamp(now)).expect("an event");
    store.close().expect("closed");
    let text = stdout(place.path(), &["events"]);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert!(rows[0].contains(" 2001-02-03 04:05:06.789  "), "{text}");
    let year = &now.to_string()[..5];
    assert!(!rows[1].contains(year), "the year of now is not repeated: {text}");
    assert_eq!(rows[0].find("DecisionMade"), rows[1].find("DecisionMade"), "{text}");
}
