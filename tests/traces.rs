//! Recorded agent runs go in and come out again, line by line and field by field.
//!
//! The same promises hold for the project's own sample and, where they are at hand, for the runs of
//! real agents: in the folder that PLANBUS_TRACES names, else in `../shared/traces`.

#![cfg(feature = "cli")]

mod cli_support;
mod store_support;
mod trace_support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cli_support::{run, stdout};
use planbus::Event;
use serde_json::Value;
use store_support::{Dir, has_program};
use trace_support::{Recorded, of_cloud_events, of_csv, of_sqlite3, real_files, recorded, sample};

/// Imports files, and gives the summary.
fn import(directory: &Path, files: &[PathBuf]) -> Value {
    let mut arguments = vec!["import", "-o", "json"];
    arguments.extend(files.iter().map(|file| file.to_str().expect("UTF-8")));
    serde_json::from_str(&stdout(directory, &arguments)).expect("one object")
}

/// The lines of files: the file's name, the line's number, the line.
fn lines_of(files: &[PathBuf]) -> Vec<(String, usize, Recorded)> {
    let lines = files.iter().flat_map(|file| {
        let name = file.file_name().expect("a name").to_str().expect("UTF-8");
        let lines = recorded(&fs::read_to_string(file).expect("a file"));
        lines.into_iter().map(|(number, line)| (name.to_owned(), number, line))
    });
    lines.collect()
}

/// Everything that must hold of any files.
fn check(files: &[PathBuf]) {
    let dir = Dir::new();
    let expected = lines_of(files);
    let count = expected.len() as u64;
    let told = import(dir.path(), files);
    assert_eq!((&told["new"], &told["known"], &told["bad"]), (&count.into(), &0.into(), &0.into()));

    let events = stdout(dir.path(), &["events", "-o", "json"]);
    let events: Vec<&str> = events.lines().collect();
    let found: Vec<_> = events.iter().map(|event| Recorded::of_event(event)).collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let export = |format: &str| stdout(dir.path(), &["export", "--format", format]);
    assert_eq!(export("jsonl").lines().collect::<Vec<_>>(), events);
    assert_eq!(of_csv(&export("csv")), events);
    assert_eq!(of_cloud_events(&export("cloudevents")), events);
    if has_program("sqlite3", &["-version"]) {
        assert_eq!(of_sqlite3(&dir.db()), events);
    } else {
        println!("skipped: no sqlite3 to read the log with");
    }

    let mut reversed = files.to_vec();
    reversed.reverse();
    for files in [files, &reversed] {
        let told = import(dir.path(), files);
        assert_eq!((&told["new"], &told["known"]), (&0.into(), &count.into()));
        let types = told["events_by_type"].as_object().expect("counts");
        assert_eq!(types.values().filter_map(Value::as_u64).sum::<u64>(), count);
    }
    assert_eq!(stdout(dir.path(), &["export"]).lines().collect::<Vec<_>>(), events, "nothing has changed");

    stdout(dir.path(), &["plans"]);
    stdout(dir.path(), &["plans", "-o", "tree"]);
    let plans: BTreeSet<&str> = expected.iter().map(|(_, _, line)| line.plan.as_str()).collect();
    assert_eq!(told["plans"], plans.len() as u64);
    for plan in plans {
        stdout(dir.path(), &["show", plan]);
        let of_plan = expected.iter().filter(|(_, _, line)| line.plan == plan).count();
        assert_eq!(stdout(dir.path(), &["export", "--plan", plan]).lines().count(), of_plan);
    }
}

#[test]
fn every_line_of_the_sample_comes_out_as_it_went_in() {
    check(&[sample()]);
}

#[test]
fn every_line_of_real_agents_comes_out_as_it_went_in() {
    if let Some(files) = real_files() {
        println!("{} lines of {} files", lines_of(&files).len(), files.len());
        check(&files);
    }
}

#[test]
fn the_page_s_lines_become_the_events_that_the_page_shows() {
    let page = include_str!("../EVENTS.md");
    let fenced = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).expect(language);
        rest.split("```").next().expect(language)
    };
    let dir = Dir::new();
    let file = dir.path().join("trip.jsonl");
    fs::write(&file, fenced("trace")).expect("a file");
    import(dir.path(), &[file]);
    let shown = |line: &str| {
        let event = Event::from_json(line).expect("an event");
        event.to_json().expect("JSON")
    };
    // All but what the log gave them.
    let found = stdout(dir.path(), &["export"]);
    let found = found.lines().map(|line| {
        let event = line.split_once(",\"event_id\"").map(|(_, rest)| format!("{{\"event_id\"{rest}"));
        let event = event.expect("an id");
        let (before, rest) = event.split_once("\"recorded_at\":").expect("a time");
        let (_, after) = rest.split_once(',').expect("more fields");
        format!("{before}{after}")
    });
    let expected: Vec<String> = fenced("imported").lines().map(shown).collect();
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(expected.len(), 5);
}

#[test]
fn the_sample_has_every_oddity_of_real_runs() {
    let dir = Dir::new();
    let told = import(dir.path(), &[sample()]);
    assert!(told["plans_without_end"].as_u64() > Some(0) && told["calls_without_answer"].as_u64() > Some(0));
    let lines: Vec<Recorded> = lines_of(&[sample()]).into_iter().map(|(_, _, line)| line).collect();
    let times: Vec<&str> = lines.iter().filter_map(|line| line.at.as_ref()?.as_str()).collect();
    let plans: BTreeSet<&str> = lines.iter().map(|line| line.plan.as_str()).collect();
    let data: Vec<Value> = lines.iter().map(|line| serde_json::from_str(&line.data).expect("JSON")).collect();
    let has = |what: &str, is_there: bool| assert!(is_there, "the sample has no {what}");
    has("line without a time", lines.iter().any(|line| line.at == Some(Value::Null)));
    has("line without the key", lines.iter().any(|line| line.at.is_none()));
    has("equal times", times.windows(2).any(|pair| pair[0] == pair[1]));
    has("time that goes back", times.windows(2).any(|pair| pair[0] > pair[1]));
    has("time with an offset", times.iter().any(|time| !time.ends_with('Z')));
    has("time before 1970", times.iter().any(|time| *time < "1970"));
    let without =
        |name: &str| data.iter().filter_map(|data| data[name].as_str()).any(|plan| !plans.contains(plan));
    has("child without lines", without("subplan"));
    has(
        "parent without lines",
        lines.iter().filter_map(|line| line.parent.as_deref()).any(|plan| !plans.contains(plan)),
    );
    let calls: Vec<(&str, &Value)> = lines
        .iter()
        .zip(&data)
        .filter(|(line, _)| line.kind == "tool_called")
        .map(|(line, data)| (line.plan.as_str(), &data["call_id"]))
        .collect();
    has(
        "call id of two plans",
        calls.iter().any(|(plan, call)| calls.iter().any(|(other, same)| plan != other && call == same)),
    );
    has("ok: null", data.iter().any(|data| data.get("ok") == Some(&Value::Null)));
    for name in ["args", "input"] {
        has(name, data.iter().any(|data| data.get(name).is_some()));
    }
    has("list of contents", data.iter().any(|data| data["content"].is_array()));
    has("kind of its own", lines.iter().any(|line| line.kind == "price_seen"));
    has("blank line", fs::read_to_string(sample()).expect("a file").lines().any(str::is_empty));
}

#[test]
fn a_plan_with_its_subplans_is_exported_in_the_order_of_the_log() {
    let dir = Dir::new();
    import(dir.path(), &[sample()]);
    let all = stdout(dir.path(), &["export"]);
    let wanted: Vec<&str> = all.lines().filter(|line| line.contains("\"plan_id\":\"trip/")).collect();
    assert_eq!(wanted.len(), 14);
    let told = stdout(dir.path(), &["export", "--plan", "trip/book", "--subplans"]);
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted);
    let types = ["export", "--plan", "trip/book", "--subplans", "--type", "PlanStarted,price_seen"];
    assert_eq!(stdout(dir.path(), &types).lines().count(), 3);
    let after = ["export", "--plan", "trip/book", "--subplans", "--after", "12"];
    assert_eq!(stdout(dir.path(), &after).lines().collect::<Vec<_>>(), wanted[12..]);
    assert!(run(dir.path(), &["export", "--subplans"]).status.code() == Some(2));
}
