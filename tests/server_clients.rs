//! Streams of a plan, followed by other makers' clients: each event once, in the order of the log.

#![cfg(feature = "server")]

mod client_support;
mod server_support;

use client_support::Client;
use planbus::*;
use serde_json::{Value, json};
use server_support::Live;

/// A client of server-sent events; `None` where the test is to return.
fn follow(live: &Live, path: &str, options: &Value) -> Option<Client> {
    Client::start("sse_follow.py", &[&live.url(path), &options.to_string()])
}

/// The seqs of what a client was sent, as `id` and in the event itself.
fn seqs(lines: &[Value]) -> Vec<u64> {
    let events = lines.iter().filter(|line| line.get("event").is_some());
    let seq = |line: &Value| {
        let seq = line["data"]["seq"].as_u64().unwrap_or_else(|| panic!("no event: {line}"));
        assert_eq!(line["id"], seq.to_string());
        assert_eq!(line["event"], line["data"]["event_type"]);
        seq
    };
    events.map(seq).collect()
}

fn connections(lines: &[Value]) -> usize {
    lines.iter().filter(|line| line.get("status").is_some()).count()
}

/// The log's events of a plan, as clients are to have them.
fn log_of(live: &Live, plan: &str) -> Vec<Event> {
    live.bus.store().expect("a store").list_by_plan(plan, None).expect("reads")
}

fn seqs_of(log: &[Event]) -> Vec<u64> {
    log.iter().map(|event| event.seq().expect("a seq")).collect()
}

#[test]
fn p6_httpx_follows_a_running_plan_to_its_end_through_cuts() {
    let live = Live::start();
    let run = live.bus.plan("notes/v1 ü").source("planner").start(json!({"goal": "notes"})).expect("starts");
    let path = "/plans/notes%2Fv1%20%C3%BC/events/stream";
    let Some(mut client) = follow(&live, path, &json!({"cut_after": 7})) else { return };
    let mut lines = vec![client.expect_next(), client.expect_next()];
    assert_eq!(lines[0]["type"], "text/event-stream");
    assert_eq!(lines[1]["event"], "PlanStarted", "while the plan runs");
    for at in 0..50 {
        run.tool("grep", json!({"q": format!("a\u{2028}b\u{85}\r\n{at}")}), || Ok::<_, String>(()))
            .expect("runs");
        live.note("another", at);
        if at % 10 == 0 {
            // The client keeps up, so that its cuts fall between what is old and what is new.
            let seq = seqs_of(&log_of(&live, "notes/v1 ü")).pop();
            while lines.last().is_none_or(|line| line["data"]["seq"].as_u64() != seq) {
                lines.push(client.expect_next());
            }
        }
    }
    run.complete(json!({"sections": 4})).expect("completes");
    lines.extend(client.finish());
    let log = log_of(&live, "notes/v1 ü");
    assert_eq!(seqs(&lines), seqs_of(&log), "once each, in order");
    assert!(connections(&lines) > log.len() / 7, "{} connections", connections(&lines));
    let sent: Vec<&Value> =
        lines.iter().filter(|line| line.get("event").is_some()).map(|line| &line["data"]).collect();
    for (sent, event) in sent.iter().zip(&log) {
        let event: Value = serde_json::from_str(&event.to_json().expect("JSON")).expect("JSON");
        assert_eq!(**sent, event, "as it is in the log");
    }
}

#[test]
fn p6_httpx_follows_the_log_through_cuts_and_misses_nothing() {
    let live = Live::start();
    live.note("plan", 0);
    let last = EventId::generate();
    let options = json!({"cut_after": 5, "last_event_id": "0", "until": "402"});
    let Some(mut client) = follow(&live, "/events/stream?type=note", &options) else { return };
    let mut lines = vec![client.expect_next(), client.expect_next()];
    for at in 1..200 {
        live.note(&format!("plan-{}", at % 3), at);
        // Not asked for.
        live.bus.publish(Event::untyped("plan", "alarm", json!({}))).expect("publishes");
    }
    live.note("plan", 200);
    live.bus.publish(Event::untyped("plan", "alarm", json!({})).with_event_id(last)).expect("publishes");
    let end = live.bus.publish(Event::untyped("plan", "note", json!({}))).expect("publishes");
    assert_eq!(end.seq, Some(402));
    lines.extend(client.finish());
    let notes = live.bus.store().expect("a store").read_after(0, usize::MAX).expect("reads");
    let notes: Vec<Event> = notes.into_iter().filter(|event| event.event_type().as_str() == "note").collect();
    assert_eq!(seqs(&lines), seqs_of(&notes), "once each, in order");
    assert!(connections(&lines) > notes.len() / 5, "{} connections", connections(&lines));
}

#[test]
fn p6_a_client_that_was_killed_goes_on_where_it_was() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").start(json!({})).expect("starts");
    for at in 0..20 {
        live.note("plan-7", at);
    }
    let Some(mut client) = follow(&live, "/plans/plan-7/events/stream", &json!({})) else { return };
    let lines: Vec<Value> = (0..10).map(|_| client.expect_next()).collect();
    client.kill();
    let before = seqs(&lines);
    run.complete(json!({})).expect("completes");
    let options = json!({"last_event_id": before.last().expect("some").to_string()});
    let rest = follow(&live, "/plans/plan-7/events/stream", &options).expect("a client").finish();
    assert_eq!([before, seqs(&rest)].concat(), seqs_of(&log_of(&live, "plan-7")));
}

/// The JavaScript client of A2A; `None` where the test is to return.
fn subscribe(live: &Live, plan: &str, transport: &str, after: &str) -> Option<Client> {
    Client::start("js/a2a_follow.cjs", &[&live.server.url(), plan, transport, after])
}

/// The seqs that a client of A2A was told of.
fn updates(lines: &[Value]) -> Vec<u64> {
    let sequence = |line: &Value| {
        let update = line.get("statusUpdate").or(line.get("artifactUpdate"))?;
        update["metadata"]["sequence"].as_str()?.parse().ok()
    };
    lines.iter().filter_map(sequence).collect()
}

/// Follows a plan with the JavaScript client, live, killed in the middle, and again from its cursor.
fn a2a_follows(transport: &str) {
    let live = Live::start();
    let plan = "notes/v1 ü";
    let run = live.bus.plan(plan).source("planner").start(json!({"goal": "notes"})).expect("starts");
    let Some(mut client) = subscribe(&live, plan, transport, "") else { return };
    let read = client.expect_next();
    assert_eq!(
        (&read["task"]["id"], &read["task"]["status"]["state"]),
        (&json!(plan), &json!("TASK_STATE_WORKING"))
    );
    let snapshot = client.expect_next();
    assert_eq!(snapshot["task"], read["task"], "the stream begins with the task");
    let before = live.bus.store().expect("a store").head().expect("a head");

    for at in 0..20 {
        run.tool("grep", json!({"q": at}), || Ok::<_, String>(())).expect("runs");
        live.note("another", at);
        run.decide("a\u{2028}b", json!({})).expect("publishes");
    }
    let seen: Vec<Value> = (0..10).map(|_| client.expect_next()).collect();
    client.kill();
    let seen = updates(&seen);
    let cursor = seen.last().expect("some").to_string();
    let mut again = subscribe(&live, plan, transport, &cursor).expect("a client");
    let _ = (again.expect_next(), again.expect_next());
    run.complete(json!({"sections": 4})).expect("completes");
    let rest = again.finish();

    let mut told = [seen, updates(&rest)].concat();
    // The last event is told as the result and as the end.
    told.dedup();
    let log = seqs_of(&log_of(&live, plan));
    assert_eq!(told, log[log.iter().filter(|seq| **seq <= before).count()..], "once each, in order");
    let [.., result, end, over] = rest.as_slice() else { panic!("{rest:?}") };
    assert_eq!(result["artifactUpdate"]["artifact"]["parts"][0]["data"]["sections"], 4, "{result}");
    assert_eq!(end["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(over["end"], true);

    let late = subscribe(&live, plan, transport, "").expect("a client").finish();
    assert_eq!(late[0]["task"]["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(late[1]["refused"]["name"], "UnsupportedOperationError", "{late:?}");
    let unknown = subscribe(&live, "nowhere", transport, "").expect("a client").finish();
    assert_eq!(unknown[0]["refused"]["name"], "TaskNotFoundError", "{unknown:?}");
}

#[test]
fn p6_the_javascript_client_of_a2a_follows_a_plan_over_json_rpc() {
    a2a_follows("JSONRPC");
}

#[test]
fn p6_the_javascript_client_of_a2a_follows_a_plan_over_http_and_json() {
    a2a_follows("HTTP+JSON");
}
