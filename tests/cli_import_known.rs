//! `planbus import`: what is told of lines that the log holds already.

#![cfg(feature = "cli")]

mod cli_support;

use std::{fs, path::Path, process::Output};

use cli_support::{Place, run};
use serde_json::{Value, json};

/// A run of plan `main` whose first and last line are the same in every run.
fn recorded(decisions: &[&str]) -> String {
    let line = |kind: &str, data: Value| {
        json!({"plan": "main", "parent": null, "kind": kind, "agent": "agent", "at": null, "data": data})
            .to_string()
    };
    let start = line("plan_started", json!({"goal": "mend it"}));
    let between = decisions.iter().map(|decision| line("decision", json!({"decision": decision})));
    let end = line("plan_completed", json!({}));
    [start].into_iter().chain(between).chain([end]).map(|line| line + "\n").collect()
}

fn import(at: &Path, arguments: &[&str]) -> (Output, String) {
    let output = run(at, &[&["import"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    (output, told)
}

fn by_file(output: &Output) -> Value {
    let summary: Value = serde_json::from_slice(&output.stdout).expect("one object");
    summary["by_file"].clone()
}

fn counts(file: &str, new: u64, known: u64) -> Value {
    json!({"file": file, "new": new, "known": known, "bad": 0})
}

#[test]
fn another_run_with_the_same_plan_id_is_not_taken_for_known_without_a_word() {
    let place = Place::new();
    fs::write(place.path().join("run1.jsonl"), recorded(&["a", "b"])).expect("a file");
    fs::write(place.path().join("run2.jsonl"), recorded(&["c", "d"])).expect("a file");
    let (output, told) = import(place.path(), &["run1.jsonl", "run2.jsonl", "-o", "json"]);
    assert_eq!(
        told,
        "run2.jsonl:4: is in the log already, while lines before it are new: plan main has another run there, or \
         the middle of the file was changed since its last import\n"
    );
    assert_eq!(by_file(&output), json!([counts("run1.jsonl", 4, 0), counts("run2.jsonl", 2, 2)]));

    let (output, told) = import(place.path(), &["run2.jsonl", "run1.jsonl"]);
    assert_eq!(told, "", "both are known as a whole");
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("run")).collect();
    assert_eq!(rows, ["  0      4    0  run2.jsonl", "  0      4    0  run1.jsonl"], "{table}");
}

#[test]
fn a_file_that_has_grown_is_no_other_run_and_one_that_was_changed_in_its_middle_is_told() {
    let place = Place::new();
    let file = place.path().join("run.jsonl");
    let whole = recorded(&["a", "b", "c", "d"]);
    let head: String = whole.lines().take(3).map(|line| format!("{line}\n")).collect();
    fs::write(&file, head).expect("a file");
    import(place.path(), &["run.jsonl"]);
    fs::write(&file, &whole).expect("a file");
    let (output, told) = import(place.path(), &["run.jsonl", "-o", "json"]);
    assert_eq!((told.as_str(), by_file(&output)), ("", json!([counts("run.jsonl", 3, 3)])));

    fs::write(&file, whole.replace(r#""b""#, r#""B""#)).expect("a file");
    let (output, told) = import(place.path(), &["run.jsonl", "-o", "json"]);
    assert!(told.starts_with("run.jsonl:4: is in the log already"), "{told}");
    assert_eq!(
        (told.lines().count(), by_file(&output)),
        (1, json!([counts("run.jsonl", 1, 5)])),
        "told once"
    );
}

#[test]
fn of_many_files_a_table_lists_the_first_and_json_all() {
    let place = Place::new();
    let names: Vec<String> = (0..23).map(|number| format!("run-{number}.jsonl")).collect();
    for name in &names {
        fs::write(place.path().join(name), recorded(&[])).expect("a file");
    }
    let arguments: Vec<&str> = names.iter().map(String::as_str).collect();
    let (output, told) = import(place.path(), &arguments);
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(told, "", "copies of one file are known as a whole");
    assert_eq!(table.matches(".jsonl").count(), 20, "{table}");
    assert!(table.contains("and 3 more; -o json lists all\n"), "{table}");
    let (output, _) = import(place.path(), &[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(by_file(&output).as_array().map(Vec::len), Some(23));
}
