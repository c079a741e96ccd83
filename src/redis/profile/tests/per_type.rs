//! The profile `per-type`: the whole event as JSON in one field.

use super::*;

#[test]
fn a_per_type_entry_is_one_field_of_json() {
    let entry = encoded(&Profile::per_type(), &full());
    assert_eq!(entry.key(), "events:workflow.progressed");
    let data = concat!(
        r#"{"id":"0197d172-6cf5-2e87-414c-310412f438ed","type":"workflow.progressed","#,
        r#""workflow_id":"release-notes","timestamp":"2026-03-01T09:30:00.000000+00:00","#,
        r#""data":{"call_id":"call-1", "tool":"grep"},"source_agent":"planner","#,
        r#""metadata":{"call_chain":["super\"visor","planner"],"causation_id":"0197d172-6cf5-2e87-414c-310412f438ec","#,
        r#""planbus":{"type":"ToolCalled","seq":42,"store":"01JZ8Q4V7N5T3M2K1H0G9F8E7S","plan":"release-notes","#,
        r#""event_id":"01JZ8Q4V7N5T3M2K1H0G9F8E7D","recorded_at":"2026-03-01T09:30:00.000731Z","#,
        r#""trace_parent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","schema_version":3,"#,
        r#""tenant":"acme","priority":"high","context_refs":["s3://bucket/a"],"correlation_id":"release"}}}"#,
    );
    assert_eq!(entry.fields().collect::<Vec<_>>(), [("data", data)]);
}

#[test]
fn an_event_without_an_agent_is_from_planbus() {
    let entry = encoded(&Profile::per_type(), &bare("PlanStarted", "{}"));
    let data = concat!(
        r#"{"id":"0197d172-6cf5-2e87-414c-310412f438ed","type":"workflow.started","#,
        r#""workflow_id":"plan-7","timestamp":"2026-03-01T09:30:00.000001+00:00","#,
        r#""data":{},"source_agent":"planbus","metadata":{"#,
        r#""planbus":{"type":"PlanStarted","seq":7,"store":"01JZ8Q4V7N5T3M2K1H0G9F8E7S","plan":"plan-7","#,
        r#""event_id":"01JZ8Q4V7N5T3M2K1H0G9F8E7D","recorded_at":"2026-03-01T09:30:00.000731Z","#,
        r#""filled":"source","tenant":"default"}}}"#,
    );
    assert_eq!(entry.fields().collect::<Vec<_>>(), [("data", data)]);
}

#[test]
fn the_eight_types_have_the_streams_of_the_map_and_any_other_has_its_own() {
    let keys: Vec<_> = names(&Profile::per_type(), "data").into_iter().map(|(_, key)| key).collect();
    assert_eq!(
        keys,
        [
            "events:workflow.started",
            "events:workflow.completed",
            "events:workflow.failed",
            "events:workflow.progressed",
            "events:workflow.progressed",
            "events:workflow.progressed",
            "events:workflow.progressed",
            "events:workflow.created",
            "events:workflow.progressed",
            "events:workflow.progressed",
        ]
    );
    for own in ["system.task_queued", "note", "agent-9.x_y"] {
        assert_eq!(encoded(&Profile::per_type(), &bare(own, "{}")).key(), format!("events:{own}"));
    }
}

#[test]
fn a_failed_outcome_can_have_a_name_of_its_own() {
    let profile = Profile::per_type().with_type("ToolCompleted", "testing.completed").expect("a name");
    let profile = profile.with_failed_type("ToolCompleted", "testing.failed").expect("in the map");
    let keys: Vec<_> = names(&profile, "data").into_iter().map(|(_, key)| key).skip(5).take(2).collect();
    assert_eq!(keys, ["events:testing.completed", "events:testing.failed"]);
}
