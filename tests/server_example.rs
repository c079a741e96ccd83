//! The example `live_server`: what it prints can be done, and a message that is sent again runs nothing
//! twice.

#![cfg(feature = "server")]

mod server_support;

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use server_support::{Sse, agent};

const SECRET: &str = "a-secret-of-this-test";

/// The example that was built beside this test, killed when dropped.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_smallest_server_lets_its_owner_in_and_runs_a_message_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let test = env::current_exe().expect("this binary");
    let profile = test.parent().and_then(Path::parent).expect("stands in target/PROFILE/deps");
    let mut command = Command::new(profile.join("examples/live_server"));
    command.arg("127.0.0.1:0").env("PLANBUS_SECRET", SECRET).current_dir(directory.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut example = Example(command.spawn().expect("cargo build --examples"));
    // Kept: it prints more.
    let mut stdout = BufReader::new(example.0.stdout.take().expect("piped"));
    let mut told = String::new();
    stdout.read_line(&mut told).expect("UTF-8");
    let url = told.split_once('\'').and_then(|(_, rest)| rest.split_once("/events/")).expect("a URL").0;

    assert_eq!(agent().get(format!("{url}/plans")).call().expect("an answer").status(), 401);
    let bearer = format!("Bearer {SECRET}");
    let message = json!({"message": {
        "messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": "how many words"}],
    }});
    let send = || -> Value {
        let request = agent().post(format!("{url}/a2a/v1/message:send"));
        let request = request.header("Authorization", &bearer).header("A2A-Version", "1.0");
        let mut answer = request.send_json(&message).expect("an answer");
        answer.body_mut().read_json().expect("JSON")
    };
    let task = send();
    assert_eq!(task["task"]["id"], "words/m-1", "{task}");
    let stream = Sse::open(&format!("{url}/plans/words%2Fm-1/events/stream"), &[("Authorization", &bearer)]);
    let types: Vec<_> = stream.expect("a stream").map(|message| message.event.expect("a type")).collect();
    assert_eq!(types, ["PlanStarted", "ToolCalled", "ToolCompleted", "PlanCompleted"]);
    let again = send();
    assert_eq!(again["task"]["artifacts"][0]["parts"][0]["data"], json!({"words": 3}), "{again}");
    let mut plan = agent().get(format!("{url}/plans/words%2Fm-1"));
    plan = plan.header("Authorization", &bearer);
    let plan: Value = plan.call().expect("an answer").body_mut().read_json().expect("JSON");
    assert_eq!(plan["last_seq"], 4, "it was run once: {plan}");

    drop(example.0.stdin.take());
    assert!(example.0.wait().expect("is ours").success());
}
