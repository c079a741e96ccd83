//! AG-UI, with the client that its makers publish: what that refuses, a frontend would not show.

#![cfg(feature = "server")]

mod client_support;
mod server_support;

use std::io::{Read, Write};

use client_support::Client;
use planbus::*;
use serde_json::{Value, json};
use server_support::Live;

const SCRIPT: &str = "js/agui_follow.cjs";

/// A client attached to a plan; `None` where the test is to return.
fn attach(live: &Live, path: &str, options: &Value) -> Option<Client> {
    Client::start(SCRIPT, &[&live.url(path), &options.to_string()])
}

/// What a client was told to the end of a run that it accepted.
struct Told {
    events: Vec<Value>,
    end: Value,
}

impl Told {
    fn new(lines: Vec<Value>) -> Self {
        let (mut events, mut end) = (Vec::new(), Value::Null);
        for mut line in lines {
            match line.as_object_mut().and_then(|line| line.iter_mut().next()) {
                Some((key, event)) if key == "event" => events.push(event.take()),
                Some((key, told)) if key == "end" => end = told.take(),
                _ => panic!("after {events:#?}: {line}"),
            }
        }
        assert!(end.is_object(), "the run ended: {events:?}");
        Self { events, end }
    }

    fn types(&self) -> Vec<&str> {
        self.events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
    }

    /// The places in the log that it was told of, in the order in which it was.
    fn seqs(&self) -> Vec<u64> {
        let seqs = self.events.iter().filter_map(|event| event["metadata"]["planbus"]["sequence"].as_str());
        seqs.map(|seq| seq.parse().expect("a seq")).collect()
    }
}

fn log_of(live: &Live, plan: &str) -> Vec<u64> {
    let log = live.bus.store().expect("a store").list_by_plan(plan, None).expect("reads");
    log.iter().map(|event| event.seq().expect("a seq")).collect()
}

#[test]
fn p6_an_agui_client_follows_a_running_plan_to_its_end() {
    let live = Live::start();
    let run = live.bus.plan("notes/v1 ü").source("planner").start(json!({"goal": "notes"})).expect("starts");
    let names = json!({"threadId": "thread-1", "runId": "run-1"});
    let Some(mut client) = attach(&live, "/agui/notes%2Fv1%20%C3%BC", &names) else { return };
    let started = client.expect_next();
    assert_eq!(started["event"]["type"], "RUN_STARTED");
    assert_eq!(
        (&started["event"]["threadId"], &started["event"]["runId"]),
        (&json!("thread-1"), &json!("run-1"))
    );
    assert_eq!(client.expect_next()["event"]["name"], "PlanStarted");

    live.note("another", 1);
    run.decide("split in two", json!({"reason": "two chapters"})).expect("publishes");
    assert_eq!(client.expect_next()["event"]["value"]["decision"], "split in two", "while the plan runs");
    run.tool("grep", json!({"q": "TODO"}), || Ok::<_, std::io::Error>("src/lib.rs")).expect("runs");
    let _ = run.tool("read", json!({"p": "x"}), || Err::<(), _>(std::io::Error::other("no such file")));
    let subplan = run.subplan("collect", json!({})).expect("starts");
    subplan.complete(json!({"commits": 12})).expect("completes");
    run.complete(json!({"sections": 2})).expect("completes");

    let told = Told::new(client.finish());
    let tool = ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"];
    let expected = [&tool[..], &tool, &["SUBAGENT_STARTED", "SUBAGENT_FINISHED", "RUN_FINISHED"]].concat();
    assert_eq!(told.types(), expected);
    assert_eq!([&log_of(&live, "notes/v1 ü")[..2], &told.seqs()].concat(), log_of(&live, "notes/v1 ü"));
    assert_eq!(told.end["result"]["sections"], 2);
    // As the client keeps it: a call and its answer, twice.
    let messages = told.end["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 4, "{messages:#?}");
    assert_eq!(messages[0]["toolCalls"][0]["function"]["arguments"], r#"{"q":"TODO"}"#);
    assert_eq!(messages[1]["toolCallId"], messages[0]["toolCalls"][0]["id"]);
    assert_eq!(messages[3]["content"], "no such file");
}

#[test]
fn p6_a_client_that_comes_late_or_after_the_end_gets_the_plan_whole() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").start(json!({})).expect("starts");
    for at in 0..300 {
        live.note("plan-7", at);
    }
    let Some(mut late) = attach(&live, "/agui/plan-7", &json!({})) else { return };
    let first = late.expect_next();
    run.fail("out of tokens").expect("fails");
    let told = Told::new([vec![first], late.finish()].concat());
    assert_eq!(told.seqs(), log_of(&live, "plan-7"));
    let failed = told.events.last().expect("an end");
    assert_eq!((&failed["type"], &failed["message"]), (&json!("RUN_ERROR"), &json!("out of tokens")));
    assert_eq!(failed["code"], Value::Null, "the plan failed, not the connection");

    let after = Told::new(attach(&live, "/agui/plan-7", &json!({})).expect("a client").finish());
    assert_eq!(after.seqs(), told.seqs());
    assert_eq!(after.types(), told.types());
}

#[test]
fn p6_a_client_that_was_cut_off_goes_on_after_the_last_sequence_that_it_saw() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").start(json!({})).expect("starts");
    let spawned = run.subplan("collect", json!({})).expect("starts");
    let publish = |payload| live.bus.publish(Event::new("plan-7", payload)).expect("publishes");
    publish(ToolCalled::new("call-1", "grep", json!({"q": 1})));
    // In the middle of what the tool call becomes: RUN_STARTED, PlanStarted, subagent, call and no more.
    let Some(cut) = attach(&live, "/agui/plan-7", &json!({"leaveAfter": 4})) else { return };
    let lines = cut.finish();
    assert_eq!(lines[3]["event"]["type"], "TOOL_CALL_START");
    let seen = |lines: &[Value]| -> Vec<u64> {
        let seqs = lines.iter().filter_map(|line| line["event"]["metadata"]["planbus"]["sequence"].as_str());
        seqs.map(|seq| seq.parse().expect("a seq")).collect()
    };
    let before = seen(&lines);
    let last = before.last().expect("some").to_string();
    publish(ToolCalled::new("call-1", "grep", json!({"q": 2})));
    spawned.complete(json!({})).expect("completes");
    run.complete(json!({})).expect("completes");

    let options = json!({"headers": {"Last-Event-ID": last}});
    let rest = Told::new(attach(&live, "/agui/plan-7", &options).expect("a client").finish());
    assert_eq!([before, rest.seqs()].concat(), log_of(&live, "plan-7"), "once each, in order");
    assert_eq!(rest.types()[..2], ["RUN_STARTED", "SUBAGENT_STARTED"], "what is open has a beginning");
    assert_eq!(lines[2]["event"]["subagentRunId"], rest.events[1]["subagentRunId"], "under the same id");
    let calls: Vec<_> = rest.events.iter().filter(|event| event["type"] == "TOOL_CALL_START").collect();
    assert_eq!(calls[0]["toolCallId"], "call-1");
    assert_ne!(calls[1]["toolCallId"], "call-1", "the second use of an id is another call");

    // By the id of an event, and behind the end: the run ends all the same.
    for cursor in [log_of(&live, "plan-7").last().expect("some").to_string(), {
        let log = live.bus.store().expect("a store").list_by_plan("plan-7", None).expect("reads");
        log.last().expect("some").event_id().to_string()
    }] {
        let options = json!({"headers": {"Last-Event-ID": cursor}});
        let end = Told::new(attach(&live, "/agui/plan-7", &options).expect("a client").finish());
        assert_eq!(end.types(), ["RUN_STARTED", "RUN_FINISHED"], "{cursor}");
    }
}

/// What a plan may do next, of which nothing has to make sense.
fn any_event(plan: &str, random: &mut impl FnMut(usize) -> usize) -> Event {
    let call = format!("call-{}", random(3));
    let subplan = format!("{plan}/{}", random(3));
    let result =
        [json!("a \u{2028} b\r\n\u{85}"), json!({"n": [1.5e300, null]}), json!(null)][random(3)].clone();
    match random(14) {
        0 => Event::new(plan, PlanStarted::new("again")),
        1 => Event::new(plan, PlanCompleted::new().with("at", result)),
        2 => Event::new(plan, PlanFailed::new("failed, and begun again")),
        3 | 4 => Event::new(plan, ToolCalled::new(call, "grep", result)),
        5 => Event::new(plan, ToolCompleted::ok(call, "grep", result)),
        6 => Event::new(plan, ToolCompleted::failed(call, "", "no such file")),
        7 | 8 => Event::new(plan, SubplanSpawned::new(subplan)),
        9 => Event::new(plan, SubplanCompleted::ok(subplan)),
        10 => Event::new(plan, SubplanCompleted::failed(subplan, "")),
        11 => Event::new(plan, DecisionMade::new("one of them").because("why not")),
        12 => Event::raw(
            plan,
            ["RUN_FINISHED", "agent.note", "ToolCalled"][random(3)],
            "{\n \"type\": \"RUN_STARTED\"\n}",
        ),
        _ => Event::untyped(plan, "SubplanSpawned", json!({"subplan": 7, "goal": {}})),
    }
}

#[test]
fn whatever_a_plan_does_the_clients_own_check_accepts_it() {
    let live = Live::start();
    for seed in 1..=5_u64 {
        let mut state = seed;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let plan = format!("hard-{seed}");
        let events: Vec<Event> = (0..60).map(|_| any_event(&plan, &mut random)).collect();
        live.bus.publish_all(events).expect("publishes");
        live.bus.publish(Event::new(&*plan, PlanStarted::new("once more"))).expect("publishes");
        live.bus.publish(Event::new(&*plan, PlanCompleted::new())).expect("publishes");

        let log = log_of(&live, &plan);
        let Some(client) = attach(&live, &format!("/agui/{plan}"), &json!({})) else { return };
        let whole = Told::new(client.finish());
        assert_eq!(whole.seqs(), log, "seed {seed}");
        let at = random(log.len());
        let options = json!({"headers": {"Last-Event-ID": log[at].to_string()}});
        let rest = attach(&live, &format!("/agui/{plan}"), &options).expect("a client");
        let rest = Told::new(rest.finish());
        assert_eq!(rest.seqs(), log[(at + 1).min(log.len() - 1)..], "seed {seed}, after {}", log[at]);
        let starts = |told: &Told| told.types().iter().filter(|kind| **kind == "RUN_STARTED").count();
        assert_eq!((starts(&whole), starts(&rest)), (1, 1), "a plan that is begun again is one run");
    }
}

#[test]
fn p9_a_client_whose_place_is_gone_is_told_of_the_gap() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").start(json!({})).expect("starts");
    for at in 0..20 {
        live.note("plan-7", at);
    }
    run.complete(json!({})).expect("completes");
    live.bus.store().expect("a store").prune(Retention::keep_last(5)).expect("prunes");
    let options = json!({"headers": {"Last-Event-ID": "3"}});
    let Some(client) = attach(&live, "/agui/plan-7", &options) else { return };
    let told = Told::new(client.finish());
    assert_eq!((&told.events[1]["type"], &told.events[1]["name"]), (&json!("CUSTOM"), &json!("Gap")));
    assert_eq!(told.events[1]["value"], json!({"after_seq": 3, "oldest_seq": 18}));
    assert_eq!(told.seqs(), log_of(&live, "plan-7"));
    assert_eq!(told.types().last(), Some(&"RUN_FINISHED"));
}

#[test]
fn p10_a_plan_of_another_tenant_with_the_same_id_is_another_run() {
    let live = Live::start();
    for tenant in ["default", "acme"] {
        let run = live.bus.plan("plan-7").tenant(tenant).start(json!({"goal": tenant})).expect("starts");
        run.complete(json!({"of": tenant})).expect("completes");
    }
    for (path, tenant) in [("/agui/plan-7?tenant=acme", "acme"), ("/agui/plan-7", "default")] {
        let Some(client) = attach(&live, path, &json!({})) else { return };
        let told = Told::new(client.finish());
        assert_eq!(told.types(), ["RUN_STARTED", "CUSTOM", "RUN_FINISHED"]);
        assert_eq!(
            (&told.events[1]["value"]["goal"], &told.end["result"]["of"]),
            (&json!(tenant), &json!(tenant))
        );
    }
}

#[test]
fn the_largest_payload_reaches_the_client_which_takes_ten_megabytes_at_a_time() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").start(json!({})).expect("starts");
    // Two bytes each in the payload, and four as text in a message.
    let quotes = "\"".repeat(PAYLOAD_MAX_BYTES / 2 - 100);
    let call = ToolCalled::new("call-1", "grep", json!({"q": quotes}));
    live.bus.publish(Event::new("plan-7", call)).expect("publishes");
    run.complete(json!({})).expect("completes");
    let Some(client) = attach(&live, "/agui/plan-7", &json!({})) else { return };
    let told = Told::new(client.finish());
    let arguments =
        told.end["messages"][0]["toolCalls"][0]["function"]["arguments"].as_str().expect("arguments");
    assert_eq!(serde_json::from_str::<Value>(arguments).expect("JSON")["q"], quotes);
}

#[test]
fn a_client_that_is_left_by_the_server_is_not_told_that_the_run_went_well() {
    let live = Live::start();
    let _run = live.bus.plan("plan-7").start(json!({})).expect("starts");
    let Some(mut client) = attach(&live, "/agui/plan-7", &json!({})) else { return };
    client.expect_next();
    client.expect_next();
    assert!(live.server.stop(client_support::LIMIT), "nothing had to be cut");
    let told = Told::new(client.finish());
    assert_eq!(told.types(), ["RUN_ERROR"]);
    assert_eq!(told.events[0]["code"], "disconnected");
}

#[test]
fn p11_what_cannot_be_attached_to_is_refused_by_name() {
    let live = Live::with(|builder| builder.body_bytes_max(4 << 20));
    live.note("plan-7", 1);
    let post = |path: &str, body: &[u8], cursor: &str| {
        let request = server_support::agent().post(live.url(path)).header("Last-Event-ID", cursor);
        let mut response = request.send(body).expect("an answer");
        let text = response.body_mut().read_to_string().expect("a body");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        (response.status().as_u16(), answer["error"]["message"].as_str().expect("a message").to_owned())
    };
    let unknown = "plan_id: the log has no event of this plan".to_owned();
    assert_eq!(post("/agui/plan-8", b"{}", ""), (404, unknown.clone()));
    assert_eq!(post("/agui/plan-7?tenant=acme", b"{}", ""), (404, unknown), "P10");
    assert_eq!(post("/agui/plan-7", b"{\"runId\":7}", ""), (400, "runId: must be a string".into()));
    assert_eq!(post("/agui/plan-7", b"7", "").0, 400);
    assert_eq!(post("/agui/plan-7", b"\xff\xfe", "").0, 400);
    assert!(post("/agui/plan-7", b"{}", "x y").1.starts_with("Last-Event-ID: "));
    assert!(post("/agui/plan-7?tenat=a", b"{}", "").1.starts_with("tenat: "));
    assert!(post("/agui/a%0ab", b"{}", "").1.starts_with("plan_id: "));
    let mut largest = vec![b' '; 4 << 20];
    largest[..2].copy_from_slice(b"{}");
    assert_eq!(post("/agui/plan-8", &largest, "").0, 404, "taken");
    // One byte more is refused by its head: the answer does not wait for the rest.
    let mut stream = std::net::TcpStream::connect(live.server.addr()).expect("connects");
    let head = "POST /agui/plan-7 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4194305\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("body: must be at most 4194304 bytes"), "{answer}");
}
