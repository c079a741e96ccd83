//! The profiles `attune` and `attune-registry`: four fields, and the marks of planbus.

use super::*;

#[test]
fn an_attune_entry_has_four_fields_and_the_marks() {
    let entry = encoded(&Profile::attune(), &full());
    assert_eq!(entry.key(), "empathy:events:ToolCalled");
    let data = concat!(
        r#"{"plan_id":"release-notes","_call_chain":["super\"visor","planner"],"#,
        r#""_causation_id":"01JZ8Q4V7N5T3M2K1H0G9F8E7C","call_id":"call-1", "tool":"grep"}"#
    );
    assert_eq!(
        entry.fields().collect::<Vec<_>>(),
        [
            ("event_type", "ToolCalled"),
            ("timestamp", "2026-03-01T09:30:00.000000+00:00"),
            ("data", data),
            ("source", "planner"),
            ("_type", "ToolCalled"),
            ("_seq", "42"),
            ("_store", STORE),
            ("_plan", "release-notes"),
            ("_event_id", "01JZ8Q4V7N5T3M2K1H0G9F8E7D"),
            ("_recorded_at", "2026-03-01T09:30:00.000731Z"),
            ("_trace_parent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("_schema_version", "3"),
            ("_tenant", "acme"),
            ("_priority", "high"),
            ("_context_refs", r#"["s3://bucket/a"]"#),
            ("_correlation_id", "release"),
            ("_added", "3"),
        ]
    );
}

#[test]
fn every_type_keeps_its_name_in_its_own_stream() {
    let types = [
        "PlanStarted",
        "PlanCompleted",
        "PlanFailed",
        "DecisionMade",
        "ToolCalled",
        "ToolCompleted",
        "ToolCompleted",
        "SubplanSpawned",
        "SubplanCompleted",
        "SubplanCompleted",
    ];
    for (profile, prefix) in [(Profile::attune(), "empathy:events:"), (Profile::attune_registry(), "stream:")]
    {
        let expected: Vec<_> = types.map(|name| (name.to_owned(), format!("{prefix}{name}"))).into();
        assert_eq!(names(&profile, "event_type"), expected);
        assert_eq!(
            encoded(&profile, &bare("agent_heartbeat", "{}")).key(),
            format!("{prefix}agent_heartbeat")
        );
    }
}

#[test]
fn only_the_profile_with_a_registry_has_one() {
    assert_eq!(Profile::attune_registry().registry(), Some("stream_registry"));
    assert_eq!(Profile::attune().registry(), None);
}

#[test]
fn what_the_payload_says_under_our_names_is_kept_and_ours_becomes_a_field() {
    let payload = r#"{"_call_chain":"mine","plan_id":[],"_causation_id":null}"#;
    let event = Event::raw("p", "note", payload).with_source("b").with_call_chain(["a", "b"]);
    let event = logged(event.with_causation_id("01JZ8Q4V7N5T3M2K1H0G9F8E7C"), 3);
    let entry = encoded(&Profile::attune(), &event);
    assert_eq!(value(&entry, "data"), payload);
    assert_eq!(value(&entry, "_call_chain"), r#"["a","b"]"#);
    assert_eq!(value(&entry, "_causation_id"), "01JZ8Q4V7N5T3M2K1H0G9F8E7C");
    assert_eq!(value(&entry, "_added"), "0");
    assert_eq!(read_back(&Profile::attune(), &entry).expect("readable"), event);
}
