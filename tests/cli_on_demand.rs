//! `planbus demo --serve` as an agent: a message starts a survey, confined to the directory of the demo,
//! and a survey can be cancelled.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod serve_support;
mod server_support;
mod store_support;

use std::{fs, os::unix::fs::symlink};

use cli_support::{Place, ends, of_type, planbus, text};
use planbus::EventType;
use serde_json::{Value, json};
use serve_support::Serving;
use server_support::agent;

/// Enough files that a survey of them is still at work when it is cancelled.
const MANY_FILES: usize = 2_000;

/// A demo of a small tree that is done and goes on serving.
fn demo(place: &Place) -> Serving {
    let arguments = ["demo", "--path", "tree/small", "--serve", "127.0.0.1:0"];
    let mut serving = Serving::start(planbus(place.path()).args(arguments));
    serving.wait_until_still_serving();
    serving
}

fn place() -> Place {
    let place = Place::new();
    place.file("small/a.txt", "one TODO\n");
    place.file("small/deep/er/c.rs", "fn main() {}\n");
    place
}

/// As [`place`], with a folder that takes long.
fn large_place() -> Place {
    let place = place();
    for number in 0..MANY_FILES {
        place.file(&format!("small/many/{}/{number}.txt", number % 40), "TODO\n");
    }
    // The demo itself surveys the rest alone.
    fs::rename(place.tree.join("small/many"), place.tree.join("many")).expect("moved");
    place
}

fn ask(serving: &Serving, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let request = agent().post(format!("{}/a2a", serving.url)).header("A2A-Version", "1.0");
    let mut answer = request.send(body).expect("an answer");
    serde_json::from_str(&answer.body_mut().read_to_string().expect("a body")).expect("JSON")
}

fn send(serving: &Serving, text: &str, waits: bool) -> Value {
    let message =
        json!({"messageId": "m-1", "contextId": "talk-1", "role": "ROLE_USER", "parts": [{"text": text}]});
    ask(serving, "SendMessage", json!({"message": message, "configuration": {"returnImmediately": !waits}}))
}

#[test]
fn a_message_is_answered_with_the_survey_of_the_folder_that_it_names() {
    let place = place();
    let serving = demo(&place);
    for (message, files) in [("survey deep", 1), (" deep/er/ ", 1), ("Survey .", 2), ("survey", 2)] {
        let before = place.events().len();
        let answer = send(&serving, message, true);
        let task = &answer["result"]["task"];
        assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{message}: {answer}");
        assert_eq!(task["contextId"], "talk-1");
        assert_eq!(task["artifacts"][0]["parts"][0]["data"]["files"], files, "{message}: {answer}");
        let events = &place.events()[before..];
        let read = of_type(events, &EventType::ToolCalled);
        let read = read.iter().filter(|event| text(event, "tool") == "read_file").count();
        assert_eq!(read, files, "{message}");
        assert!(events.iter().all(|event| event.correlation_id().is_some_and(|id| id.as_str() == "talk-1")));
        assert!(ends(events).values().all(|end| *end == Some(true)), "{message}");
    }
    assert_eq!(serving.interrupt().code, Some(0));
}

#[test]
fn p11_no_message_leads_out_of_the_directory_or_to_what_a_survey_passes_over() {
    let place = place();
    place.file("secret/key.txt", "TODO\n");
    place.file("small/.hidden/key.txt", "TODO\n");
    place.file("small/node_modules/x/key.txt", "TODO\n");
    symlink("../secret", place.tree.join("small/link")).expect("a link");
    symlink("..", place.tree.join("small/deep/up")).expect("a link");
    let serving = demo(&place);
    let before = place.events().len();
    let outside = place.tree.join("secret").to_string_lossy().into_owned();
    let long = "a/".repeat(3_000);
    for (message, told) in [
        ("survey ..", "without `..`"),
        ("survey deep/../../secret", "without `..`"),
        (&*outside, "from the served one"),
        ("/", "from the served one"),
        ("survey link", "symbolic link"),
        ("survey deep/up/deep", "symbolic link"),
        ("survey .hidden", "hidden"),
        ("survey node_modules/x", "dependencies"),
        ("survey a.txt", "a file"),
        ("survey nowhere", "could not be looked at"),
        ("survey a\0b", "could not be looked at"),
        ("", "survey FOLDER"),
        (&long, "survey FOLDER"),
    ] {
        let answer = send(&serving, message, true);
        let problem = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(problem.contains(told) || message.is_empty() && !problem.is_empty(), "{message:?}: {answer}");
    }
    assert_eq!(place.events().len(), before, "nothing was begun");
}

#[test]
fn a_survey_is_cancelled_and_others_go_on() {
    let place = large_place();
    let serving = demo(&place);
    fs::rename(place.tree.join("many"), place.tree.join("small/many")).expect("moved");
    let other = send(&serving, "survey many", false)["result"]["task"]["id"].clone();
    let started = send(&serving, "survey many", false);
    let id = started["result"]["task"]["id"].as_str().expect("a task").to_owned();
    assert_eq!(started["result"]["task"]["status"]["state"], "TASK_STATE_WORKING", "{started}");
    let cancelled = ask(&serving, "CancelTask", json!({"id": id}));
    let status = &cancelled["result"]["status"];
    assert_eq!(status["state"], "TASK_STATE_FAILED", "{cancelled}");
    assert!(status.to_string().contains("cancelled"), "{cancelled}");
    let again = ask(&serving, "CancelTask", json!({"id": id}));
    assert_eq!(again["error"]["code"], -32002, "{again}");
    let task = ask(&serving, "GetTask", json!({"id": other}));
    assert_eq!(task["result"]["status"]["state"], "TASK_STATE_WORKING", "{task}");
}

#[test]
fn more_surveys_than_may_run_are_refused_and_ctrl_c_ends_those_that_do() {
    let place = large_place();
    let mut serving = demo(&place);
    fs::rename(place.tree.join("many"), place.tree.join("small/many")).expect("moved");
    for _ in 0..4 {
        let started = send(&serving, "survey many", false);
        assert_eq!(started["result"]["task"]["status"]["state"], "TASK_STATE_WORKING", "{started}");
    }
    let refused = send(&serving, "survey many", false);
    assert!(refused["error"]["message"].to_string().contains("4 surveys run already"), "{refused}");
    let stdout = serving.child.stdout.take();
    assert_eq!(serving.interrupt().code, Some(0));
    drop(stdout);
    let ends = ends(&place.events());
    assert!(ends.values().all(Option::is_some), "no plan is left open");
    assert!(ends.values().filter(|end| **end == Some(false)).count() >= 4);
}
