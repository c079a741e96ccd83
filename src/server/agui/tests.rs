//! What a plan's events become. Whether a client's own check accepts it is asked of the client itself,
//! in `tests/server_agui.rs`.

use serde_json::{Value, json};

use super::{input::RunInput, run::Run};
use crate::event::{
    DecisionMade, Event, PlanCompleted, PlanFailed, PlanStarted, SubplanCompleted, SubplanSpawned,
    ToolCalled, ToolCompleted,
};

fn run() -> Run {
    Run::new(RunInput { thread_id: "t-1".into(), run_id: "r-1".into() })
}

/// The messages without what every message says of its event.
fn bare(messages: Vec<bytes::Bytes>) -> Vec<Value> {
    let bare = |message: bytes::Bytes| {
        assert!(!message.contains(&b'\n'), "{message:?}");
        let mut message: Value = serde_json::from_slice(&message).expect("JSON");
        let object = message.as_object_mut().expect("an object");
        object.remove("metadata");
        object.remove("timestamp");
        message
    };
    messages.into_iter().map(bare).collect()
}

fn told(run: &mut Run, event: &Event) -> Vec<Value> {
    bare(run.messages(event, false))
}

fn ended(run: &mut Run, event: &Event) -> Vec<Value> {
    bare(run.messages(event, true))
}

fn of(payload: impl crate::event::Payload) -> Event {
    Event::new("plan-7", payload)
}

fn types(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["type"].as_str().expect("a type")).collect()
}

#[test]
fn a_run_begins_with_the_names_that_the_client_gave() {
    let opening = bare(run().opening());
    assert_eq!(
        opening,
        [json!({"type": "RUN_STARTED", "threadId": "t-1", "runId": "r-1", "protocolVersion": "1.0"})]
    );
}

#[test]
fn every_message_names_its_event_and_the_seq_as_text() {
    let event = Event::raw("plan-7", "agent.note", r#"{"atoms": 123456789012345678901234567890}"#)
        .with_source("planner")
        .with_event_id("01JZ8Q4V7N5T3M2K1H0G9F8E7D")
        .with_timestamp("2026-03-01T09:30:00.000900Z");
    let message = run().messages(&event, false).remove(0);
    let text = std::str::from_utf8(&message).expect("UTF-8");
    assert_eq!(
        text,
        r#"{"type":"CUSTOM","name":"agent.note","value":{"atoms": 123456789012345678901234567890},"timestamp":1772357400000,"metadata":{"planbus":{"eventId":"01JZ8Q4V7N5T3M2K1H0G9F8E7D","eventType":"agent.note","source":"planner"}}}"#
    );
}

#[test]
fn only_the_last_message_of_an_event_moves_the_cursor() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = crate::EventStore::open(dir.path().join("planbus.db")).expect("opened");
    store.save(&of(ToolCalled::new("call-1", "grep", json!({})))).expect("saved");
    let call = store.read_after(0, 1).expect("read").remove(0);
    let messages = run().messages(&call, false);
    let origin = |message: &bytes::Bytes| {
        serde_json::from_slice::<Value>(message).expect("JSON")["metadata"]["planbus"].clone()
    };
    let seqs: Vec<Value> = messages.iter().map(|message| origin(message)["sequence"].clone()).collect();
    assert_eq!(seqs, [json!(null), json!(null), json!("1")]);
    assert!(messages.iter().all(|message| origin(message)["eventId"] == call.event_id().to_string()));
}

#[test]
fn a_tool_that_failed_is_told_from_one_that_did_not() {
    let failed = |payload| {
        let message = run().messages(&of(payload), false).remove(0);
        serde_json::from_slice::<Value>(&message).expect("JSON")["metadata"]["planbus"]["failed"].clone()
    };
    assert_eq!(failed(ToolCompleted::failed("call-1", "grep", "no such file")), true);
    assert_eq!(failed(ToolCompleted::ok("call-1", "grep", json!("no such file"))), Value::Null);
}

#[test]
fn a_tool_call_is_started_given_its_arguments_and_answered() {
    let mut run = run();
    let call = of(ToolCalled::new("call-1", "grep", json!({"q": "TODO"})));
    assert_eq!(
        told(&mut run, &call),
        [
            json!({"type": "TOOL_CALL_START", "toolCallId": "call-1", "toolCallName": "grep"}),
            json!({"type": "TOOL_CALL_ARGS", "toolCallId": "call-1", "delta": r#"{"q":"TODO"}"#}),
            json!({"type": "TOOL_CALL_END", "toolCallId": "call-1"}),
        ]
    );
    let answer = of(ToolCompleted::ok("call-1", "grep", json!("found \"it\"")));
    assert_eq!(
        told(&mut run, &answer),
        [json!({
            "type": "TOOL_CALL_RESULT", "toolCallId": "call-1", "role": "tool",
            "messageId": answer.event_id().to_string(), "content": "found \"it\"",
        })]
    );
    let content = |payload| told(&mut super::tests::run(), &of(payload))[0]["content"].clone();
    assert_eq!(content(ToolCompleted::ok("c", "grep", json!({"n": [1, 2]}))), r#"{"n":[1,2]}"#);
    assert_eq!(content(ToolCompleted::ok("c", "grep", json!(null))), "");
    assert_eq!(content(ToolCompleted::failed("c", "grep", "no such file")), "no such file");
    let no_arguments = told(&mut run, &of(ToolCalled::new("call-2", "now", json!(null))));
    assert_eq!(no_arguments[1]["delta"], "{}", "what a client parses is JSON");
}

#[test]
fn a_call_id_that_is_used_again_names_another_call_and_its_answer_goes_there() {
    let mut run = run();
    let call = |question: &str| of(ToolCalled::new("call-1", "grep", json!({"q": question})));
    let answer = || of(ToolCompleted::ok("call-1", "grep", json!(1)));
    let (first, second) = (call("a"), call("b"));
    assert_eq!(told(&mut run, &first)[0]["toolCallId"], "call-1");
    assert_eq!(told(&mut run, &answer())[0]["toolCallId"], "call-1");
    let again = format!("call-1#{}", second.event_id());
    let messages = told(&mut run, &second);
    assert!(messages.iter().all(|message| message["toolCallId"] == again.as_str()), "{messages:?}");
    assert_eq!(told(&mut run, &answer())[0]["toolCallId"], again.as_str());
    assert_eq!(told(&mut run, &answer())[0]["toolCallId"], again.as_str(), "answered twice");
}

#[test]
fn a_subplan_is_a_subagent_under_an_id_of_its_own_each_time() {
    let mut run = run();
    let spawned = || of(SubplanSpawned::new("plan-7/collect"));
    let (first, second) = (spawned(), spawned());
    assert_eq!(
        told(&mut run, &first),
        [
            json!({"type": "SUBAGENT_STARTED", "subagentRunId": first.event_id().to_string(), "name": "plan-7/collect"})
        ]
    );
    let failed = told(&mut run, &of(SubplanCompleted::failed("plan-7/collect", "no commits")));
    assert_eq!(
        failed,
        [
            json!({"type": "SUBAGENT_ERROR", "subagentRunId": first.event_id().to_string(), "message": "no commits"})
        ]
    );
    assert_eq!(told(&mut run, &second)[0]["subagentRunId"], second.event_id().to_string());
    let finished = told(&mut run, &of(SubplanCompleted::ok("plan-7/collect")));
    assert_eq!(finished[0]["type"], "SUBAGENT_FINISHED");
    assert_eq!(finished[0]["result"], json!({"subplan": "plan-7/collect", "ok": true}));
    let unasked = told(&mut run, &of(SubplanCompleted::ok("plan-7/collect")));
    assert_eq!(types(&unasked), ["CUSTOM"], "nothing ends that was not begun");
}

#[test]
fn a_completion_ends_what_is_open_and_then_the_run() {
    let mut run = run();
    told(&mut run, &of(ToolCalled::new("call-1", "grep", json!({}))));
    told(&mut run, &of(SubplanSpawned::new("one")));
    told(&mut run, &of(SubplanSpawned::new("two")));
    told(&mut run, &of(SubplanCompleted::ok("one")));
    let messages = ended(&mut run, &of(PlanCompleted::new().with("answer", json!(42))));
    assert_eq!(types(&messages), ["SUBAGENT_ERROR", "RUN_FINISHED"]);
    assert_eq!(
        messages[1],
        json!({"type": "RUN_FINISHED", "threadId": "t-1", "runId": "r-1", "result": {"answer": 42}})
    );
}

#[test]
fn a_failure_ends_the_run_with_its_error() {
    assert_eq!(
        ended(&mut run(), &of(PlanFailed::new("out of \"tokens\""))),
        [json!({"type": "RUN_ERROR", "message": "out of \"tokens\""})]
    );
    let odd = Event::untyped("plan-7", "PlanFailed", json!({"reason": {"code": 3}}));
    assert_eq!(ended(&mut run(), &odd)[0]["message"], r#"{"code":3}"#);
    let silent = Event::untyped("plan-7", "PlanFailed", json!({}));
    assert_eq!(ended(&mut run(), &silent)[0]["message"], "the plan failed");
}

#[test]
fn whatever_else_happens_is_told_by_its_type_with_its_payload() {
    let mut run = run();
    for event in [
        of(PlanStarted::new("notes")),
        of(DecisionMade::new("split in four").because("too long")),
        of(PlanCompleted::new()),
        of(PlanFailed::new("no")),
        Event::untyped("plan-7", "agent.heartbeat", json!({"queue_depth": 3})),
        Event::untyped("plan-7", "ToolCalled", json!({"tool": "grep"})),
        Event::untyped("plan-7", "ToolCalled", json!({"call_id": 7, "tool": "grep"})),
        Event::untyped("plan-7", "ToolCompleted", json!({})),
        Event::untyped("plan-7", "SubplanSpawned", json!({"subplan": null})),
        Event::untyped("plan-7", "SubplanCompleted", json!({"subplan": []})),
    ] {
        let payload: Value = serde_json::from_str(event.payload_json().expect("JSON")).expect("JSON");
        let expected = json!({"type": "CUSTOM", "name": event.event_type().as_str(), "value": payload});
        assert_eq!(told(&mut run, &event), [expected]);
    }
}

#[test]
fn who_resumes_is_told_of_what_is_open_under_the_same_ids() {
    let mut run = run();
    let spawned = of(SubplanSpawned::new("one"));
    for event in [
        &of(SubplanSpawned::new("gone")),
        &of(SubplanCompleted::ok("gone")),
        &spawned,
        &of(ToolCalled::new("call-1", "grep", json!({}))),
    ] {
        run.pass(event);
    }
    let opening = bare(run.opening());
    assert_eq!(types(&opening), ["RUN_STARTED", "SUBAGENT_STARTED"]);
    assert_eq!(opening[1]["subagentRunId"], spawned.event_id().to_string());
    let again = of(ToolCalled::new("call-1", "grep", json!({})));
    assert_eq!(told(&mut run, &again)[0]["toolCallId"], format!("call-1#{}", again.event_id()));
    assert_eq!(types(&told(&mut run, &of(SubplanCompleted::ok("one")))), ["SUBAGENT_FINISHED"]);
}

#[test]
fn what_a_run_remembers_is_bounded() {
    let mut run = run();
    for number in 0..=super::run::CALLS_MAX {
        run.pass(&of(ToolCalled::new(format!("call-{number}"), "grep", json!({}))));
        run.pass(&of(SubplanSpawned::new(format!("sub-{number}"))));
    }
    let forgotten = of(ToolCalled::new("call-0", "grep", json!({})));
    assert_eq!(told(&mut run, &forgotten)[0]["toolCallId"], "call-0");
    let beyond = format!("sub-{}", super::run::SUBPLANS_MAX);
    assert_eq!(types(&told(&mut run, &of(SubplanCompleted::ok(beyond)))), ["CUSTOM"]);
    assert_eq!(types(&told(&mut run, &of(SubplanCompleted::ok("sub-0")))), ["SUBAGENT_FINISHED"]);
}
