//! Events as A2A shows them, in both versions: byte for byte, and as the public types read them.

use serde_json::{Value, json};

use super::*;
use crate::event::{DecisionMade, PlanCompleted, PlanFailed, PlanStarted, ToolCalled};

const BOTH: [Dialect; 2] = [Dialect::V1, Dialect::V03];

/// An event as the log gives it: with a seq, and in common with the root plan.
fn stored(seq: u64, event: Event) -> Event {
    let mut event = event
        .with_timestamp("2026-01-01T00:00:00Z")
        .with_event_id("01JZ0000000000000000000000")
        .with_correlation_id("root");
    event.envelope_mut().seq = Some(seq);
    event
}

fn shown(dialect: Dialect, event: &Event) -> Vec<Value> {
    let messages = updates(dialect, event);
    assert!(messages.iter().all(|message| !message.contains('\n')));
    messages.iter().map(|message| serde_json::from_str(message).expect("JSON")).collect()
}

fn plan(status: PlanStatus) -> PlanSummary {
    let at = "2026-01-01T00:00:00Z".parse().expect("a time");
    PlanSummary {
        tenant: crate::event::Tenant::default(),
        plan_id: "plan/7 ü".try_into().expect("valid"),
        parent: None,
        status,
        goal: Some("a goal".into()),
        source: None,
        started_at: at,
        ended_at: None,
        duration: None,
        correlation_id: Some("root".try_into().expect("valid")),
        status_since: at,
        status_seq: 1,
        events: 3,
        tool_calls: 0,
        failed_tool_calls: 0,
        decisions: 0,
        subplans: 0,
        error: None,
        first_seq: 1,
        last_seq: 9,
    }
}

#[test]
fn an_event_is_one_status_with_its_envelope() {
    let event = stored(9, Event::new("p", ToolCalled::new("c-1", "grep", json!({"q": "x"}))));
    let metadata = json!({
        "eventId": "01JZ0000000000000000000000", "eventType": "ToolCalled", "sequence": "9",
        "tenant": "default", "priority": "normal", "schemaVersion": 1,
        "payload": {"call_id": "c-1", "tool": "grep", "arguments": {"q": "x"}},
    });
    let status = json!({"state": "TASK_STATE_WORKING", "timestamp": "2026-01-01T00:00:00.000000Z"});
    assert_eq!(
        shown(Dialect::V1, &event),
        [json!({"statusUpdate": {
            "taskId": "p", "contextId": "root", "status": status, "metadata": metadata,
        }})]
    );
    let status = json!({"state": "working", "timestamp": "2026-01-01T00:00:00.000000Z"});
    assert_eq!(
        shown(Dialect::V03, &event),
        [json!({
            "kind": "status-update", "taskId": "p", "contextId": "root", "status": status, "final": false,
            "metadata": metadata,
        })]
    );
}

#[test]
fn a_completion_is_the_result_and_then_the_last_status() {
    let event = Event::raw("p", "PlanCompleted", r#"{"duration_us":5,"answer":42,"big":9007199254740993}"#);
    let event = stored(2, event);
    let [artifact, status] = &shown(Dialect::V1, &event)[..] else { panic!("two messages") };
    assert_eq!(
        *artifact,
        json!({"artifactUpdate": {
            "taskId": "p", "contextId": "root", "lastChunk": true,
            "artifact": {
                "artifactId": "result",
                "parts": [{"data": {"answer": 42, "big": "9007199254740993"}}],
            },
        }})
    );
    assert_eq!(status["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");
    let [artifact, status] = &shown(Dialect::V03, &event)[..] else { panic!("two messages") };
    assert_eq!(artifact["kind"], "artifact-update");
    assert_eq!(artifact["artifact"]["parts"][0]["kind"], "data");
    assert_eq!((&status["status"]["state"], &status["final"]), (&json!("completed"), &json!(true)));
    let empty = stored(3, Event::new("p", PlanCompleted::new()));
    let parts = &shown(Dialect::V1, &empty)[0]["artifactUpdate"]["artifact"]["parts"];
    assert_eq!(*parts, json!([{"data": {}}]));
}

#[test]
fn a_failure_says_why_in_its_status() {
    let event = stored(2, Event::new("p", PlanFailed::new("no disk")));
    let message = json!({
        "messageId": "01JZ0000000000000000000000", "role": "ROLE_AGENT", "parts": [{"text": "no disk"}],
        "taskId": "p", "contextId": "root",
    });
    let [status] = &shown(Dialect::V1, &event)[..] else { panic!("one message") };
    assert_eq!(status["statusUpdate"]["status"]["state"], "TASK_STATE_FAILED");
    assert_eq!(status["statusUpdate"]["status"]["message"], message);
    let [status] = &shown(Dialect::V03, &event)[..] else { panic!("one message") };
    assert_eq!(status["status"]["message"]["role"], "agent");
    assert_eq!((&status["status"]["message"]["kind"], &status["final"]), (&json!("message"), &json!(true)));
    let odd = stored(2, Event::raw("p", "PlanFailed", r#"{"error":{"code":5}}"#));
    let text = &shown(Dialect::V1, &odd)[0]["statusUpdate"]["status"]["message"]["parts"][0]["text"];
    assert_eq!(text, r#"{"code":5}"#);
    let silent = stored(2, Event::raw("p", "PlanFailed", "{}"));
    assert!(shown(Dialect::V1, &silent)[0]["statusUpdate"]["status"].get("message").is_none());
}

#[test]
fn a_task_holds_its_result_or_its_failure() {
    let end = stored(9, Event::new("p", PlanCompleted::new().with("answer", 42)));
    let completed = plan(PlanStatus::Completed);
    let shown = snapshot(Dialect::V1, task(Dialect::V1, &completed, Some(&end)));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(
        shown["task"],
        json!({
            "id": "plan/7 ü", "contextId": "root",
            "status": {"state": "TASK_STATE_COMPLETED", "timestamp": "2026-01-01T00:00:00.000000Z"},
            "artifacts": [{"artifactId": "result", "parts": [{"data": {"answer": 42}}]}],
            "metadata": {"goal": "a goal", "lastSequence": "9"},
        })
    );
    let end = stored(9, Event::new("p", PlanFailed::new("no disk")));
    let failed = plan(PlanStatus::Failed);
    let shown = snapshot(Dialect::V03, task(Dialect::V03, &failed, Some(&end)));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&shown["kind"], &shown["status"]["state"]), (&json!("task"), &json!("failed")));
    assert_eq!(shown["status"]["message"]["parts"], json!([{"kind": "text", "text": "no disk"}]));
}

#[test]
fn the_public_types_read_what_is_written_and_write_it_again() {
    let events = [
        stored(1, Event::new("p", PlanStarted::new("a goal"))),
        stored(2, Event::new("p", DecisionMade::new("split"))),
        stored(3, Event::new("p", PlanCompleted::new().with("answer", json!({"a": [1, null]})))),
        stored(4, Event::new("p", PlanFailed::new("no disk"))),
    ];
    for event in &events {
        for message in updates(Dialect::V1, event) {
            let read: a2a::StreamResponse = serde_json::from_str(&message).expect("reads");
            let again = serde_json::to_value(&read).expect("writes");
            let again: a2a::StreamResponse = serde_json::from_value(again).expect("reads");
            assert_eq!(again, read, "{message}");
        }
    }
    let running = plan(PlanStatus::Running);
    let shown = snapshot(Dialect::V1, task(Dialect::V1, &running, None));
    let a2a::StreamResponse::Task(read) = serde_json::from_str(&shown).expect("reads") else {
        panic!("a task")
    };
    assert_eq!((read.id.as_str(), read.context_id.as_str()), ("plan/7 ü", "root"));
    assert_eq!(read.status.state, a2a::TaskState::Working);
}

#[test]
fn p9_a_gap_is_a_status_that_names_it() {
    for dialect in BOTH {
        let bounds = GapBounds { after: Some("3".into()), oldest: "9".into() };
        let text = gap(dialect, ("p", "root"), GapMetadata { gap: bounds });
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let update = json.get("statusUpdate").unwrap_or(&json);
        assert_eq!(update["metadata"], json!({"gap": {"after": "3", "oldest": "9"}}));
    }
}
