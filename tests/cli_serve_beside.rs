//! `--serve` of `demo` and `import`: the work is followed while it goes on, and can be looked at when it
//! is done.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;
mod serve_support;
mod server_support;
mod store_support;

use std::{
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, Stdio},
};

use cli_support::{Place, planbus};
use planbus::EventType;
use serde_json::Value;
use serve_support::Serving;
use server_support::agent;
use store_support::wait_until;

const DEMO: [&str; 5] = ["demo", "--path", "tree", "--serve", "127.0.0.1:0"];

fn demo(place: &Place, arguments: &[&str]) -> Serving {
    Serving::start(planbus(place.path()).args(DEMO).args(arguments))
}

fn import(place: &Place, arguments: &[&str]) -> (Serving, ChildStdin) {
    let mut command = planbus(place.path());
    command.args(["import", "-", "--serve", "127.0.0.1:0"]).args(arguments).stdin(Stdio::piped());
    let mut serving = Serving::start(&mut command);
    let stdin = serving.child.stdin.take().expect("piped");
    (serving, stdin)
}

fn line(kind: &str, data: &str) -> String {
    format!(r#"{{"plan":"plan","parent":null,"kind":"{kind}","agent":"agent","at":null,"data":{data}}}"#)
}

#[test]
fn a_demo_says_what_it_did_and_serves_it_until_ctrl_c() {
    let place = Place::with_tree();
    let mut serving = demo(&place, &["-o", "json"]);
    let mut stdout = BufReader::new(serving.child.stdout.take().expect("piped"));
    let mut told = String::new();
    stdout.read_line(&mut told).expect("its summary, before it ends");
    let told: Value = serde_json::from_str(&told).expect("an object");
    serving.wait_until_still_serving();
    let plan = told["plan_id"].as_str().expect("a plan");
    let events = place.events();
    let sent: Vec<_> = serving.follow("/events/stream?after=0").take(events.len()).collect();
    let logged = events.iter().map(|event| event.to_json().expect("JSON"));
    assert!(sent.into_iter().map(|message| message.data).eq(logged), "what is sent is what the log has");
    let last = serving.follow(&format!("/plans/{plan}/events/stream")).last().expect("a message");
    assert_eq!(last.event.as_deref(), Some("PlanCompleted"));
    let ended = serving.interrupt();
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert_eq!(stdout.lines().count(), 0, "the summary is all on stdout");
}

#[test]
fn what_a_demo_says_to_ask_for_shows_its_own_tenant() {
    let place = Place::with_tree();
    let mut serving = demo(&place, &["--tenant", "acme", "-o", "json"]);
    for about in ["all events", "this plan"] {
        let path = serving.told_path(about);
        assert_eq!(serving.follow(&path).message().seq(), 1, "{path}");
    }
    let path = serving.told_path("plans");
    let plans: Value = agent()
        .get(format!("{}{path}", serving.url))
        .call()
        .expect("an answer")
        .into_body()
        .read_json()
        .expect("JSON");
    assert_eq!(plans["plans"][0]["tenant"], "acme");
}

#[test]
fn the_environment_may_name_the_file_of_tokens_beside_other_work_too() {
    let place = Place::with_tree();
    std::fs::write(place.path().join("tokens.txt"), "ops * a-secret-for-all-tenants\n").expect("a file");
    let run = |arguments: &[&str]| {
        let mut command = planbus(place.path());
        command.args(arguments).env("PLANBUS_TOKEN_FILE", "tokens.txt");
        command
    };
    let serving = Serving::start(&mut run(&DEMO));
    assert_eq!(agent().get(format!("{}/plans", serving.url)).call().expect("an answer").status(), 401);
    let ended = serving.interrupt();
    assert!(ended.stderr.contains("Bearer SECRET"), "{ended:?}");
    let alone = run(&["demo", "--path", "tree"]).output().expect("runs");
    assert!(alone.status.success(), "the variable alone asks for no server: {alone:?}");
}

#[test]
fn ctrl_c_while_the_demo_works_ends_its_plans_and_its_server() {
    let place = Place::new();
    for number in 0..1_000 {
        place.file(&format!("{}/{number}.txt", number % 40), "TODO\n");
    }
    let serving = demo(&place, &[]);
    let mut stream = serving.follow("/events/stream?after=0&type=ToolCalled");
    stream.message();
    let ended = serving.interrupt();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("interrupted: every open plan was ended as failed"), "{ended:?}");
    assert!(!ended.stderr.contains("still serving"), "{ended:?}");
    let events = place.events();
    assert_eq!(events.last().expect("events").event_type(), &EventType::PlanFailed);
}

#[test]
fn lines_of_an_import_are_sent_one_by_one_and_after_its_end() {
    let place = Place::new();
    let (mut serving, mut stdin) = import(&place, &["-o", "json"]);
    writeln!(stdin, "{}", line("plan_started", "{}")).expect("written");
    wait_until("the plan has begun", || place.events().len() == 1);
    let mut stream = serving.follow("/plans/plan/events/stream");
    assert_eq!(stream.message().seq(), 1);
    for seq in 2..=20 {
        writeln!(stdin, "{}", line("decision", &format!(r#"{{"decision":"{seq}"}}"#))).expect("written");
        // Before there is a next one.
        assert_eq!(stream.message().seq(), seq);
    }
    writeln!(stdin, "{}", line("plan_completed", "{}")).expect("written");
    assert_eq!(stream.message().event.as_deref(), Some("PlanCompleted"));
    assert_eq!(stream.next(), None, "the plan has ended");
    drop(stdin);
    serving.wait_until_still_serving();
    assert_eq!(serving.follow("/events/stream?after=0").seqs(21), (1..=21).collect::<Vec<_>>());
    let ended = serving.interrupt();
    let told: Value = serde_json::from_str(&ended.stdout).expect("one object");
    assert_eq!((ended.code, &told["new"]), (Some(0), &21.into()));
}

#[test]
fn an_import_serves_on_after_lines_that_it_passed_over_and_ends_where_it_fails() {
    let place = Place::new();
    let (mut serving, mut stdin) = import(&place, &["--keep-going"]);
    writeln!(stdin, "{}\nno JSON", line("decision", r#"{"decision":"1"}"#)).expect("written");
    drop(stdin);
    serving.wait_until_still_serving();
    assert_eq!(serving.follow("/events/stream?after=0").message().seq(), 1);
    let ended = serving.interrupt();
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert!(ended.stderr.contains("1 bad line passed over"), "{ended:?}");

    let (serving, mut stdin) = import(&place, &[]);
    writeln!(stdin, "no JSON").expect("written");
    let ended = serving.ended();
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert!(ended.stderr.contains("import: ended at a bad line"), "{ended:?}");
}

#[test]
fn ctrl_c_while_an_import_waits_for_lines_ends_it_as_interrupted() {
    let place = Place::new();
    let (serving, stdin) = import(&place, &[]);
    let ended = serving.interrupt();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("import again to go on"), "{ended:?}");
    drop(stdin);
}
