//! The profile `orchestration`: every field a JSON value, those of the class beside the common ones.

use super::*;

#[test]
fn an_orchestration_entry_has_json_in_every_field() {
    let entry = encoded(&Profile::orchestration(), &full());
    assert_eq!(entry.key(), "orchestration:events");
    let metadata = concat!(
        r#"{"call_chain":["super\"visor","planner"],"causation_id":"0197d172-6cf5-2e87-414c-310412f438ec","#,
        r#""planbus":{"type":"ToolCalled","seq":42,"store":"01JZ8Q4V7N5T3M2K1H0G9F8E7S","plan":"release-notes","#,
        r#""event_id":"01JZ8Q4V7N5T3M2K1H0G9F8E7D","recorded_at":"2026-03-01T09:30:00.000731Z","#,
        r#""trace_parent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","schema_version":3,"#,
        r#""tenant":"acme","priority":"high","context_refs":["s3://bucket/a"],"correlation_id":"release"}}"#,
    );
    assert_eq!(
        entry.fields().collect::<Vec<_>>(),
        [
            ("event_id", r#""0197d172-6cf5-2e87-414c-310412f438ed""#),
            ("event_type", r#""task_started""#),
            ("timestamp", r#""2026-03-01T09:30:00.000000Z""#),
            ("trace_id", r#""4bf92f3577b34da6a3ce929d0e0e4736""#),
            ("source_agent_id", r#""planner""#),
            ("workflow_id", r#""release-notes""#),
            ("metadata", metadata),
            ("task_id", r#""call-1""#),
            ("task_type", r#""grep""#),
            ("agent_id", r#""planner""#),
            ("input_data", "{}"),
            ("payload", r#"{"call_id":"call-1", "tool":"grep"}"#),
        ]
    );
}

/// The fields between `metadata` and `payload`.
fn class_fields(event: &Event) -> Vec<(String, String)> {
    let entry = encoded(&Profile::orchestration(), event);
    let class = entry.fields().skip_while(|(name, _)| *name != "metadata").skip(1);
    let class = class.take_while(|(name, _)| *name != "payload");
    class.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_eight_types_have_the_names_of_the_map_and_the_fields_of_the_class() {
    let missing = "event_type: the type is not in the type map, got \"DecisionMade\"";
    let expected: [(&str, &[(&str, &str)]); 10] = [
        ("workflow_started", &[("execution_id", r#""plan-7""#), ("workflow_name", r#""plan-7""#)]),
        (
            "workflow_completed",
            &[
                ("execution_id", r#""plan-7""#),
                ("workflow_name", r#""plan-7""#),
                ("total_execution_time_ms", "4000"),
                ("tasks_completed", "0"),
            ],
        ),
        (
            "workflow_failed",
            &[
                ("execution_id", r#""plan-7""#),
                ("workflow_name", r#""plan-7""#),
                ("error_message", r#""no \"disk\"""#),
                ("failed_task_id", "null"),
            ],
        ),
        (missing, &[]),
        (
            "task_started",
            &[
                ("task_id", r#""call-1""#),
                ("task_type", r#""grep""#),
                ("agent_id", "null"),
                ("input_data", r#"{"q":"TODO"}"#),
            ],
        ),
        (
            "task_completed",
            &[
                ("task_id", r#""call-1""#),
                ("agent_id", r#""planbus""#),
                ("result_data", r#"{"result":[1]}"#),
                ("execution_time_ms", "1"),
            ],
        ),
        (
            "task_failed",
            &[
                ("task_id", r#""call-1""#),
                ("agent_id", "null"),
                ("error_message", r#""no such file""#),
                ("error_type", r#""ToolError""#),
                ("retry_count", "0"),
            ],
        ),
        (
            "workflow_created",
            &[
                ("workflow_name", r#""plan-7/a""#),
                ("workflow_version", r#""1.0""#),
                ("orchestration_pattern", r#""plan""#),
                ("total_tasks", "0"),
            ],
        ),
        (
            "workflow_completed",
            &[
                ("execution_id", r#""plan-7/a""#),
                ("workflow_name", r#""plan-7/a""#),
                ("total_execution_time_ms", "2000"),
                ("tasks_completed", "0"),
            ],
        ),
        (
            "workflow_failed",
            &[
                ("execution_id", r#""plan-7/a""#),
                ("workflow_name", r#""plan-7/a""#),
                ("error_message", r#""gave up""#),
                ("failed_task_id", "null"),
            ],
        ),
    ];
    let names = names(&Profile::orchestration(), "event_type");
    for ((event, (name, fields)), (written, key)) in outcomes().iter().zip(expected).zip(names) {
        if name == missing {
            assert_eq!((written.as_str(), key.as_str()), (missing, ""));
            continue;
        }
        assert_eq!((written, key.as_str()), (format!("\"{name}\""), "orchestration:events"));
        let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(class_fields(event), fields);
    }
}

#[test]
fn an_event_of_the_family_has_the_fields_of_its_payload_and_documented_values_for_the_others() {
    let payload = r#"{"task_id":"t-1","task_type":"sum","input_data":{"n":1e400},"more":true}"#;
    let fields = [
        ("task_id", r#""t-1""#),
        ("task_type", r#""sum""#),
        ("agent_id", "null"),
        ("input_data", r#"{"n":1e400}"#),
        ("timeout_seconds", "300"),
    ];
    let event = bare("task_created", payload);
    assert_eq!(class_fields(&event), fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(
        read_back(&Profile::orchestration(), &encoded(&Profile::orchestration(), &event)).expect("readable"),
        event
    );
}

#[test]
fn every_type_of_the_family_has_the_fields_that_its_class_documents() {
    use crate::families::orchestration as family;
    use serde_json::json;

    let fields = |event: Event| {
        let entry = encoded(&Profile::orchestration(), &logged(event, 1));
        let read = |(name, value): (&str, &str)| {
            (name.to_owned(), serde_json::from_str(value).expect("JSON in every field"))
        };
        entry.fields().filter(|(name, _)| *name != "payload").map(read).collect::<serde_json::Map<_, _>>()
    };
    // What a payload needs is all there when the class' fields are read as one.
    for name in family::TYPES {
        let object = serde_json::Value::Object(fields(Event::raw("p", *name, "{}"))).to_string();
        let event = Event::raw("p", *name, object);
        let complete = match *name {
            "task_created" => event.payload::<family::TaskCreated>().is_ok(),
            "task_completed" => event.payload::<family::TaskCompleted>().is_ok(),
            "task_failed" => event.payload::<family::TaskFailed>().is_ok(),
            "agent_started" => event.payload::<family::AgentStarted>().is_ok(),
            "agent_stopped" => event.payload::<family::AgentStopped>().is_ok(),
            "agent_failed" => event.payload::<family::AgentFailed>().is_ok(),
            "workflow_created" => event.payload::<family::WorkflowCreated>().is_ok(),
            "workflow_started" => event.payload::<family::WorkflowStarted>().is_ok(),
            "workflow_completed" => event.payload::<family::WorkflowCompleted>().is_ok(),
            "workflow_failed" => event.payload::<family::WorkflowFailed>().is_ok(),
            _ => true,
        };
        assert!(complete, "{name}: {event:?}");
    }
    let stopped = Event::new("p", family::AgentStopped::new("a", "done", 1.5));
    let fields = fields(stopped);
    assert_eq!((&fields["agent_id"], &fields["uptime_seconds"]), (&json!("a"), &json!(1.5)));
}

#[test]
fn beside_a_reference_only_short_fields_are_written() {
    let payload =
        format!(r#"{{"call_id":"call-1","tool":"grep","ok":true,"result":"{}"}}"#, "x".repeat(9_000));
    let mut entry = Entry::default();
    let event = bare("ToolCompleted", &payload);
    Profile::orchestration().encode(&event, STORE, 4_096, &mut entry).expect("the profile says it");
    assert_eq!((value(&entry, "task_id"), value(&entry, "result_data")), (r#""call-1""#, "{}"));
    let bytes = payload.len();
    let reference = format!(r#"{{"_payload_ref":{{"store":"{STORE}","seq":7,"bytes":{bytes}}}}}"#);
    assert_eq!(value(&entry, "payload"), reference);
}
