//! The families of other systems: which types they have, and what their payloads keep.

use planbus::{
    Event, EventBus, Filter, Payload,
    families::{attune, orchestration, tenant, workflow},
    testing::Recorder,
};
use serde_json::json;

fn name<P: Payload>() -> String {
    P::EVENT_TYPE.as_str().to_owned()
}

#[test]
fn every_type_of_the_four_systems_is_there_once() {
    let families = [tenant::TYPES, workflow::TYPES, orchestration::TYPES, attune::TYPES];
    assert_eq!(families.map(<[_]>::len), [9, 27, 13, 4]);
    for types in families {
        let mut sorted = types.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), types.len(), "{types:?}");
    }
    assert_eq!(name::<tenant::HandoffRejected>(), "handoff.rejected");
    assert_eq!(name::<workflow::DeploymentPendingConfirmation>(), "deployment.pending_confirmation");
    assert_eq!(name::<orchestration::WorkflowResumed>(), "workflow_resumed");
    assert_eq!(name::<attune::CoordinationSignal>(), "coordination_signal");
}

#[test]
fn a_field_that_a_type_does_not_name_is_kept_in_its_order() {
    let text = r#"{"task_id":"t","error_message":"no","error_type":"E","z":1,"a":{"b":[2]}}"#;
    let event = Event::raw("p", "task_failed", text);
    let failed = event.payload::<orchestration::TaskFailed>().expect("its shape").into_owned();
    assert_eq!((failed.error_type.as_str(), failed.retry_count), ("E", None));
    assert_eq!(Event::new("p", failed).payload_json().expect("JSON"), text);
}

#[test]
fn an_absent_field_that_a_type_needs_is_an_error_that_names_the_type() {
    let event = Event::raw("p", "task_failed", r#"{"task_id":"t"}"#);
    let error = event.payload::<orchestration::TaskFailed>().expect_err("no error_message");
    assert_eq!(error.to_string(), "payload: is not a task_failed");
}

#[test]
fn a_handler_of_a_type_gets_that_type_only() {
    let bus = EventBus::builder().in_memory().build().expect("an in-memory bus");
    let beats =
        Recorder::start(&bus, Filter::all().types([attune::AgentHeartbeat::EVENT_TYPE])).expect("starts");
    let typed = bus.subscribe_to::<orchestration::TaskCreated>(Filter::all(), |_, task| {
        assert_eq!((task.task_id.as_str(), task.timeout_seconds), ("t-1", Some(5)));
    });
    let mut task = orchestration::TaskCreated::new("t-1", "summarise", json!({"pages": [1, 2]}));
    task.timeout_seconds = Some(5);
    let published = bus.publish(Event::new("p", task)).expect("published");
    assert_eq!((published.delivered, published.failed), (1, 0));
    bus.publish(Event::new("p", attune::AgentHeartbeat::new().with("load", 0.5))).expect("published");
    assert_eq!(beats.events().len(), 1);
    drop(typed);
}
