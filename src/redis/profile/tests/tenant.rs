//! The profile `tenant`: twelve bare strings, and the marks of planbus.

use super::*;

#[test]
fn a_tenant_entry_has_the_twelve_strings_and_the_marks() {
    let entry = encoded(&Profile::tenant(), &full());
    assert_eq!(entry.key(), "t:acme:events:main");
    assert_eq!(
        entry.fields().collect::<Vec<_>>(),
        [
            ("event_id", "0197d172-6cf5-2e87-414c-310412f438ed"),
            ("version", "1.0"),
            ("event_type", "task.assigned"),
            ("timestamp", "2026-03-01T09:30:00.000000+00:00"),
            ("tenant_id", "acme"),
            ("priority", "high"),
            ("source_agent_id", "planner"),
            ("call_chain", "super\"visor,planner"),
            ("data", r#"{"plan_id":"release-notes","call_id":"call-1", "tool":"grep"}"#),
            ("context_refs", "s3://bucket/a"),
            ("correlation_id", "release"),
            ("parent_event_id", "0197d172-6cf5-2e87-414c-310412f438ec"),
            ("_type", "ToolCalled"),
            ("_seq", "42"),
            ("_store", STORE),
            ("_plan", "release-notes"),
            ("_event_id", "01JZ8Q4V7N5T3M2K1H0G9F8E7D"),
            ("_recorded_at", "2026-03-01T09:30:00.000731Z"),
            ("_trace_parent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("_schema_version", "3"),
            ("_added", "1"),
        ]
    );
}

#[test]
fn what_an_event_does_not_have_is_an_empty_string_but_for_the_agent_who_is_planbus() {
    let entry = encoded(&Profile::tenant(), &bare("PlanStarted", "{}"));
    assert_eq!(
        entry.fields().collect::<Vec<_>>(),
        [
            ("event_id", "0197d172-6cf5-2e87-414c-310412f438ed"),
            ("version", "1.0"),
            ("event_type", "task.assigned"),
            ("timestamp", "2026-03-01T09:30:00.000001+00:00"),
            ("tenant_id", "default"),
            ("priority", "normal"),
            ("source_agent_id", "planbus"),
            ("call_chain", "planbus"),
            ("data", r#"{"plan_id":"plan-7"}"#),
            ("context_refs", ""),
            ("correlation_id", "plan-7"),
            ("parent_event_id", ""),
            ("_type", "PlanStarted"),
            ("_seq", "7"),
            ("_store", STORE),
            ("_plan", "plan-7"),
            ("_event_id", "01JZ8Q4V7N5T3M2K1H0G9F8E7D"),
            ("_recorded_at", "2026-03-01T09:30:00.000731Z"),
            ("_filled", "source call_chain"),
            ("_added", "1"),
        ]
    );
}

#[test]
fn the_agent_is_the_source_or_the_last_of_the_call_chain() {
    let said = |event: Event| {
        let entry = encoded(&Profile::tenant(), &logged(event, 1));
        let back = read_back(&Profile::tenant(), &entry).expect("readable");
        let back = (back.source().map(ToString::to_string), back.call_chain().len());
        (value(&entry, "source_agent_id").to_owned(), value(&entry, "call_chain").to_owned(), back)
    };
    let event = || Event::raw("p", "PlanStarted", "{}");
    assert_eq!(said(event().with_source("a")), ("a".into(), "a".into(), (Some("a".into()), 0)));
    assert_eq!(said(event().with_call_chain(["a", "b"])), ("b".into(), "a,b".into(), (None, 2)));
    let planbus = event().with_source("planbus");
    assert_eq!(said(planbus), ("planbus".into(), "planbus".into(), (Some("planbus".into()), 0)));
}

#[test]
fn the_eight_types_have_the_names_of_the_map() {
    let key = |name: &str| (name.to_owned(), "t:default:events:main".to_owned());
    assert_eq!(
        names(&Profile::tenant(), "event_type"),
        [
            "task.assigned",
            "task.completed",
            "task.failed",
            "context.updated",
            "task.assigned",
            "task.completed",
            "task.failed",
            "handoff.request",
            "handoff.validated",
            "handoff.rejected",
        ]
        .map(key)
    );
    assert_eq!(
        encoded(&Profile::tenant(), &bare("agent.health", "{}")).fields().nth(2),
        Some(("event_type", "agent.health"))
    );
}

#[test]
fn a_stream_of_another_name_and_a_type_by_a_map_of_ones_own() {
    let profile = Profile::tenant().with_stream("tasks").expect("a name");
    let profile = profile.with_type("note", "context.updated").expect("one of the nine");
    let entry = encoded(&profile, &bare("note", "{}"));
    assert_eq!((entry.key(), value(&entry, "event_type")), ("t:default:events:tasks", "context.updated"));
    assert_eq!(read_back(&profile, &entry).expect("readable").event_type().as_str(), "note");
}

/// Why the profile cannot say an event.
fn refused(event: Event) -> (String, &'static str) {
    let reason = Profile::tenant().encode(&logged(event, 1), STORE, 1 << 20, &mut Entry::default());
    let reason = reason.expect_err("inexpressible");
    (reason.to_string(), reason.reason())
}

#[test]
fn what_nine_types_and_lists_with_commas_cannot_say_is_refused_with_the_field() {
    let event = || Event::raw("p", "PlanStarted", "{}");
    let type_reason = "the type is not in the type map";
    assert_eq!(
        refused(Event::raw("p", "note", "{}")),
        (format!("event_type: {type_reason}, got \"note\""), type_reason)
    );
    let agent = "a comma in an agent id";
    assert_eq!(refused(event().with_source("a,b")), (format!("source: {agent}, got \"a,b\""), agent));
    assert_eq!(refused(event().with_call_chain(["x", "a,b"])).0, format!("call_chain: {agent}, got \"a,b\""));
    let reference = "a comma in a context reference";
    assert_eq!(refused(event().with_context_ref("a,b")).1, reference);
    let without = Profile::tenant().without_type(&EventType::DecisionMade);
    assert!(without.encode(&bare("DecisionMade", "{}"), STORE, 1 << 20, &mut Entry::default()).is_err());
}

#[test]
fn a_plan_id_of_the_payloads_own_is_left_alone() {
    for payload in [r#"{"plan_id":"other","a":1}"#, r#"{"pl\u0061n_id":7}"#, r#"{"a":"plan_id"}"#, r#"{ }"#] {
        let event = bare("task.assigned", payload);
        let entry = encoded(&Profile::tenant(), &event);
        let data: serde_json::Value = serde_json::from_str(value(&entry, "data")).expect("JSON");
        assert!(Event::raw("p", "t", value(&entry, "data")).check().is_ok(), "no key is there twice");
        let own: serde_json::Value = serde_json::from_str(payload).expect("JSON");
        assert_eq!(data["plan_id"], own.get("plan_id").cloned().unwrap_or_else(|| "plan-7".into()));
        assert_eq!(read_back(&Profile::tenant(), &entry).expect("readable"), event);
    }
}

#[test]
fn a_payload_that_is_too_large_is_data_with_a_reference() {
    let payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(9_000));
    let mut entry = Entry::default();
    let event = bare("PlanStarted", &payload);
    Profile::tenant().encode(&event, STORE, 2_000, &mut entry).expect("the profile says it");
    assert_eq!(
        value(&entry, "data"),
        format!(r#"{{"plan_id":"plan-7","_payload_ref":{{"store":"{STORE}","seq":7,"bytes":9008}}}}"#)
    );
    let back = read_back(&Profile::tenant(), &entry).expect("readable");
    let reference = format!(r#"{{"_payload_ref":{{"store":"{STORE}","seq":7,"bytes":9008}}}}"#);
    assert_eq!(back.payload_json().expect("JSON"), reference);
    let reason = Profile::tenant().encode(&event, STORE, 100, &mut entry).expect_err("100 bytes");
    assert_eq!(reason.reason(), "the envelope is too large for an entry");
}
