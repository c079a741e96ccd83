//! A2A with the client of those who made it, `a2a-sdk`, over each of its bindings: plans are followed,
//! listed, started and cancelled, and what cannot be done is refused with the right error.

#![cfg(feature = "server")]

mod a2a_support;
mod server_support;

use std::time::Duration;

use a2a_support::*;
use planbus::*;
use serde_json::{Value, json};
use server_support::*;

/// A plan id with all that makes paths hard.
const PLAN: &str = "notes/ü 1\u{2028}";

/// A server of a bus, with an agent that answers messages.
fn served() -> Live {
    Live::with_bus(|bus, builder| builder.executor(Agent::new(bus)))
}

/// Runs a plan to its end.
fn run_plan(bus: &EventBus, plan: &str) {
    let run = bus.plan(plan).source("writer").start(json!({"goal": "notes"})).expect("starts");
    go_on(&run);
    run.complete(json!({"answer": 42})).expect("completes");
}

fn go_on(run: &PlanRun) {
    run.tool("read", json!({"path": "x"}), || Ok::<_, &str>("text")).expect("runs");
    run.decide("split", json!({"reason": "large"})).expect("decides");
    run.subplan("part", json!({})).expect("spawns").complete(json!({})).expect("completes");
}

/// What the log holds of a plan after a seq: seq and type.
fn logged(live: &Live, plan: &str, after: u64) -> Vec<(String, String)> {
    let events = live.bus.store().expect("a store").list_by_plan(plan, None).expect("reads");
    let events = events.iter().filter(|event| event.seq() > Some(after));
    events.map(|event| (event.seq().unwrap_or(0).to_string(), event.event_type().to_string())).collect()
}

/// The events that a stream brought: seq and type, in order.
fn brought(items: &[Value]) -> Vec<(String, String)> {
    let updates = items.iter().filter_map(|item| item.get("statusUpdate"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    updates
        .map(|update| (text(&update["metadata"]["sequence"]), text(&update["metadata"]["eventType"])))
        .collect()
}

fn last_sequence(task: &Value) -> u64 {
    task["metadata"]["lastSequence"].as_str().expect("a text").parse().expect("a seq")
}

#[test]
fn p6_every_binding_follows_a_running_plan_to_its_end_and_has_each_event_once_in_order() {
    let Some(python) = python() else { return };
    for binding in BINDINGS {
        let live = Live::start();
        let run = live.bus.plan(PLAN).source("writer").start(json!({"goal": "notes"})).expect("starts");
        live.note("another", 1);
        let mut client = A2aClient::start(&python, &live.server.url(), binding);
        client.tell(&json!({"do": "follow", "params": {"id": PLAN}}));
        let task = client.next().expect("a stream").expect("a task")["task"].clone();
        assert_eq!((&task["id"], &task["contextId"]), (&json!(PLAN), &json!(PLAN)), "{binding}");
        assert_eq!(task["status"]["state"], "TASK_STATE_WORKING");
        assert_eq!(task["metadata"]["goal"], "notes");
        go_on(&run);
        live.note("another", 2);
        run.complete(json!({"answer": 42})).expect("completes");
        let items = client.rest().expect("ends by itself");
        assert_eq!(brought(&items), logged(&live, PLAN, last_sequence(&task)), "{binding}");
        let [.., artifact, end] = &items[..] else { panic!("{items:?}") };
        assert_eq!(artifact["artifactUpdate"]["artifact"]["parts"][0]["data"], json!({"answer": 42.0}));
        assert_eq!(end["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED", "{binding}");
        let called = &items[0]["statusUpdate"]["metadata"];
        assert_eq!((&called["payload"]["tool"], &called["source"]), (&json!("read"), &json!("writer")));
    }
}

#[test]
fn a_failure_is_told_with_its_error() {
    let Some(python) = python() else { return };
    let live = Live::start();
    let run = live.bus.plan("p").start(json!({})).expect("starts");
    let mut client = A2aClient::start(&python, &live.server.url(), "jsonrpc");
    client.tell(&json!({"do": "follow", "params": {"id": "p"}}));
    client.next().expect("a stream").expect("a task");
    run.fail("no disk").expect("fails");
    let items = client.rest().expect("ends by itself");
    let status = &items.last().expect("a status")["statusUpdate"]["status"];
    assert_eq!(status["state"], "TASK_STATE_FAILED");
    assert_eq!(status["message"]["parts"][0]["text"], "no disk");
    let task = client.ask_one(json!({"do": "get", "params": {"id": "p"}})).expect("a task");
    assert_eq!(task["status"], *status);
}

#[test]
fn every_binding_goes_on_behind_a_place_and_replays_a_plan_that_has_ended() {
    let Some(python) = python() else { return };
    let live = Live::start();
    run_plan(&live.bus, PLAN);
    let all = logged(&live, PLAN, 0);
    for binding in BINDINGS {
        let mut client = A2aClient::start(&python, &live.server.url(), binding);
        for (at, (seq, _)) in all.iter().enumerate().step_by(3) {
            let follow = json!({"do": "follow", "params": {"id": PLAN}, "last_event_id": seq});
            let items = client.ask(follow).expect("a replay");
            assert_eq!(items[0]["task"]["status"]["state"], "TASK_STATE_COMPLETED", "{binding}");
            assert_eq!(brought(&items[1..]), all[at + 1..], "{binding} after {seq}");
        }
        let last = &all.last().expect("events").0;
        let follow = json!({"do": "follow", "params": {"id": PLAN}, "last_event_id": last});
        assert_eq!(client.ask(follow).expect("the task").len(), 1, "{binding}: nothing is left to replay");
        let refused = client.ask(json!({"do": "follow", "params": {"id": PLAN}})).expect_err("has ended");
        assert_eq!(refused.0, "UnsupportedOperationError", "{binding}: {refused:?}");
        for command in ["follow", "get", "cancel"] {
            let refused =
                client.ask(json!({"do": command, "params": {"id": "nobody"}})).expect_err("unknown");
            assert_eq!(refused.0, "TaskNotFoundError", "{binding}: {refused:?}");
        }
        let refused = client.ask(json!({"do": "cancel", "params": {"id": PLAN}})).expect_err("has ended");
        assert_eq!(refused.0, "TaskNotCancelableError", "{binding}: {refused:?}");
        let task = client.ask_one(json!({"do": "get", "params": {"id": PLAN}})).expect("a task");
        assert_eq!(task["artifacts"][0]["parts"][0]["data"], json!({"answer": 42.0}), "{binding}");
        let send = json!({"do": "send", "params": message("m", "hello")});
        let refused = client.ask(send).expect_err("nobody runs plans");
        assert_eq!(refused.0, "UnsupportedOperationError", "{binding}: {refused:?}");
    }
}

#[test]
fn tasks_are_listed_in_pages_by_their_last_change() {
    let Some(python) = python() else { return };
    let live = Live::start();
    for at in 1..=5 {
        run_plan(&live.bus, &format!("p{at}"));
    }
    let run = live.bus.plan("p1").start(json!({})).expect("starts again");
    for binding in ["jsonrpc", "rest"] {
        let mut client = A2aClient::start(&python, &live.server.url(), binding);
        let mut list =
            |params: Value| client.ask_one(json!({"do": "list", "params": params})).expect("a page");
        let mut ids = Vec::new();
        let mut token = json!("");
        loop {
            // The plans and their five subplans.
            let page = list(json!({"pageSize": 4, "pageToken": token}));
            assert_eq!((&page["totalSize"], &page["pageSize"]), (&json!(10), &json!(4)), "{binding}");
            let tasks = page["tasks"].as_array().expect("tasks").clone();
            ids.extend(tasks.iter().map(|task| task["id"].as_str().expect("an id").to_owned()));
            token = page["nextPageToken"].clone();
            if token.as_str().is_none_or(str::is_empty) {
                break;
            }
            assert_eq!(tasks.len(), 4, "{binding}");
        }
        let expected = ["p1", "p5", "p5/part", "p4", "p4/part", "p3", "p3/part", "p2", "p2/part", "p1/part"];
        assert_eq!(ids, expected, "{binding}");
        let working = list(json!({"status": "TASK_STATE_WORKING"}));
        assert_eq!((&working["totalSize"], &working["tasks"][0]["id"]), (&json!(1), &json!("p1")));
        let of_p3 = list(json!({"contextId": "p3", "includeArtifacts": true}));
        let parts: Vec<_> =
            of_p3["tasks"].as_array().expect("tasks").iter().map(|task| &task["artifacts"]).collect();
        assert_eq!(parts.len(), 2, "{binding}: the plan and its subplan");
        assert_eq!(parts[0][0]["parts"][0]["data"], json!({"answer": 42.0}));
        let canceled = list(json!({"status": "TASK_STATE_CANCELED"}));
        assert!(canceled.get("tasks").is_none(), "{binding}: no plan is ever in this state");
        let since = working["tasks"][0]["status"]["timestamp"].clone();
        assert_eq!(list(json!({"statusTimestampAfter": since}))["totalSize"], 1);
    }
    run.complete(json!({})).expect("completes");
}

#[test]
fn every_binding_starts_plans_with_messages_and_cancels_them() {
    let Some(python) = python() else { return };
    for binding in BINDINGS {
        let live = served();
        let mut client = A2aClient::start(&python, &live.server.url(), binding);
        // A client that does not stream waits for the end.
        let mut hello = message("m-1", "hello");
        hello["message"]["contextId"] = json!("talk-1");
        let sent =
            client.ask_one(json!({"do": "send", "params": hello, "streaming": false})).expect("an answer");
        let task = &sent["task"];
        assert_eq!((&task["id"], &task["contextId"]), (&json!("answer-m-1"), &json!("talk-1")), "{binding}");
        assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{binding}");
        assert_eq!(task["artifacts"][0]["parts"][0]["data"]["answer"], "found");
        // One that streams is sent every event from the start.
        let items = client.ask(json!({"do": "send", "params": message("m-2", "hello")})).expect("a stream");
        assert_eq!(items[0]["task"]["id"], "answer-m-2", "{binding}");
        assert_eq!(brought(&items[1..]), logged(&live, "answer-m-2", 0), "{binding}");
        // One that does not wait is told how the plan stands.
        let mut wait = message("m-3", "wait");
        wait["configuration"] = json!({"returnImmediately": true});
        let sent =
            client.ask_one(json!({"do": "send", "params": wait, "streaming": false})).expect("an answer");
        assert_eq!(sent["task"]["status"]["state"], "TASK_STATE_WORKING", "{binding}");
        let cancel = json!({"do": "cancel", "params": {"id": "answer-m-3"}});
        let task = client.ask_one(cancel.clone()).expect("cancels");
        assert_eq!(task["status"]["message"]["parts"][0]["text"], "cancelled", "{binding}");
        assert_eq!(client.ask(cancel).expect_err("has ended").0, "TaskNotCancelableError", "{binding}");
        let mut late = message("m-4", "more");
        late["message"]["taskId"] = json!("answer-m-1");
        let refused = client.ask(json!({"do": "send", "params": late})).expect_err("takes no message");
        assert_eq!(refused.0, "UnsupportedOperationError", "{binding}");
        let refused =
            client.ask(json!({"do": "send", "params": message("m-5", "nonsense")})).expect_err("refused");
        assert_eq!(refused.0, "InvalidParamsError", "{binding}: {refused:?}");
        let foreign = live.bus.plan("foreign").start(json!({})).expect("starts");
        let refused =
            client.ask(json!({"do": "cancel", "params": {"id": "foreign"}})).expect_err("not its own");
        assert_eq!(refused.0, "TaskNotCancelableError", "{binding}: {refused:?}");
        foreign.complete(json!({})).expect("completes");
    }
}

#[test]
fn the_default_client_survives_a_plan_that_is_silent_for_a_minute() {
    let Some(python) = python() else { return };
    let live = Live::start();
    let run = live.bus.plan("p").start(json!({})).expect("starts");
    let mut clients = BINDINGS.map(|binding| A2aClient::start(&python, &live.server.url(), binding));
    for client in &mut clients {
        client.tell(&json!({"do": "follow", "params": {"id": "p"}}));
        client.next().expect("a stream").expect("a task");
    }
    let silence = clients[0].next_within(Duration::from_secs(60));
    assert!(silence.is_none(), "{silence:?}");
    run.complete(json!({})).expect("completes");
    for client in &mut clients {
        assert_eq!(client.rest().expect("ends by itself").len(), 2);
    }
}

#[test]
fn the_card_tells_where_the_server_is_under_the_name_that_the_client_uses() {
    let Some(python) = python() else { return };
    let live = Live::start();
    let url = live.server.url().replace("127.0.0.1", "localhost");
    for binding in BINDINGS {
        let card = A2aClient::start(&python, &url, binding).ask_one(json!({"do": "card"})).expect("a card");
        let interface = |at: usize| card["supportedInterfaces"][at]["url"].as_str().unwrap_or_default();
        assert_eq!(interface(0), format!("{url}/a2a"), "{binding}");
        assert_eq!(card["capabilities"]["streaming"], true);
    }
}

#[test]
fn p11_numbers_beyond_a_double_end_no_stream_and_lose_no_digit() {
    let Some(python) = python() else { return };
    let live = Live::start();
    let run = live.bus.plan("p").start(json!({})).expect("starts");
    let mut clients = BINDINGS.map(|binding| A2aClient::start(&python, &live.server.url(), binding));
    for client in &mut clients {
        client.tell(&json!({"do": "follow", "params": {"id": "p"}}));
        client.next().expect("a stream").expect("a task");
    }
    let huge = format!(r#"{{"far":1e400,"long":1{},"id":9007199254740993,"half":0.5}}"#, "0".repeat(400));
    live.bus.publish(Event::raw("p", "measured", huge)).expect("publishes");
    run.complete(json!({})).expect("completes");
    for client in &mut clients {
        let items = client.rest().expect("ends by itself");
        let payload = &items[0]["statusUpdate"]["metadata"]["payload"];
        assert_eq!((&payload["far"], &payload["half"]), (&json!("1e400"), &json!(0.5)));
        assert_eq!(payload["id"], "9007199254740993");
        assert_eq!(payload["long"].as_str().map(str::len), Some(401));
        assert_eq!(items.len(), 3);
    }
}
