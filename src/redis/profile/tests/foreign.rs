//! Entries that planbus did not write: how they become events, and which are refused.

use super::*;

type Written<'a> = &'a [(&'a str, &'a str)];

fn raw(fields: Written<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn read(profile: &str, key: &str, fields: Written<'_>) -> Result<Event> {
    let profile = Profile::named(profile).expect("built in");
    assert_eq!(profile.origin(&raw(fields)), None);
    profile.decode(key, "1772357400000-3", &raw(fields))
}

const TENANT: Written<'static> = &[
    ("event_id", "6f1c1f3e-7a57-4f0e-9d3c-0a1b2c3d4e5f"),
    ("version", "1.0"),
    ("event_type", "task.completed"),
    ("timestamp", "2026-02-11T12:58:38.123456+00:00"),
    ("tenant_id", "acme"),
    ("priority", "critical"),
    ("source_agent_id", "worker"),
    ("call_chain", "boss,worker"),
    ("data", r#"{"result": 1.0, "workflow_id": "w-9"}"#),
    ("context_refs", "a,b"),
    ("correlation_id", "c-1"),
    ("parent_event_id", ""),
];

#[test]
fn a_foreign_entry_of_tenant_keeps_all_that_it_says() {
    let event = read("tenant", "t:acme:events:main", TENANT).expect("readable");
    assert_eq!(event.event_id().as_u128(), 0x6f1c_1f3e_7a57_4f0e_9d3c_0a1b_2c3d_4e5f);
    assert_eq!(event.event_type().as_str(), "task.completed");
    assert_eq!((event.plan_id().as_str(), event.seq()), ("w-9", None));
    assert_eq!(event.timestamp().to_string(), "2026-02-11T12:58:38.123456Z");
    assert_eq!((event.tenant().as_str(), event.priority()), ("acme", Priority::Critical));
    assert_eq!(
        (event.source().map(ToString::to_string), event.call_chain().len()),
        (Some("worker".into()), 2)
    );
    assert_eq!((event.context_refs().len(), event.causation_id()), (2, None));
    assert_eq!(event.correlation_id().map(ToString::to_string), Some("c-1".into()));
    assert_eq!(event.payload_json().expect("JSON"), r#"{"result": 1.0, "workflow_id": "w-9"}"#);
}

#[test]
fn the_plan_is_named_by_the_mark_the_workflow_the_correlation_or_the_entry() {
    let base = [("event_type", "note"), ("timestamp", "2026-02-11T12:58:38"), ("source", "x")];
    let plan = |more: Written<'_>, data: &str| {
        let fields = [base.as_slice(), more, &[("data", data)]].concat();
        let event = read("attune", "empathy:events:note", &fields).expect("readable");
        event.plan_id().as_str().to_owned()
    };
    assert_eq!(plan(&[("_plan", "p"), ("workflow_id", "w")], "{}"), "p");
    assert_eq!(plan(&[("workflow_id", "w"), ("correlation_id", "c")], "{}"), "w");
    assert_eq!(plan(&[("correlation_id", "c")], r#"{"workflow_id":"w"}"#), "w");
    assert_eq!(plan(&[], r#"{"correlation_id":"c","workflow_id":""}"#), "c");
    assert_eq!(plan(&[], "{}"), "1772357400000-3");
}

#[test]
fn an_entry_without_an_id_gets_one_that_is_always_the_same() {
    let fields: Written<'_> = &[("event_type", "note"), ("timestamp", "2026-02-11T12:58:38"), ("data", "{}")];
    let id =
        |key: &str, id: &str| Profile::attune().decode(key, id, &raw(fields)).expect("readable").event_id();
    let one = id("empathy:events:note", "1772357400000-3");
    assert_eq!(one, id("empathy:events:note", "1772357400000-3"));
    assert_ne!(one, id("empathy:events:note", "1772357400000-4"));
    assert_ne!(one, id("empathy:events:other", "1772357400000-3"));
    assert_eq!(one.as_u128() >> 80, 1_772_357_400_000);
    let many: std::collections::HashSet<_> =
        (0..2_000).map(|number| id("empathy:events:note", &format!("1772357400000-{number}"))).collect();
    assert_eq!(many.len(), 2_000);
    // Written down, so that no later version gives another one.
    assert_eq!(one.to_string(), "01KJMBQDE0HAH5JFY2XPR6S298");
}

#[test]
fn a_time_without_an_offset_is_in_utc() {
    let fields: Written<'_> =
        &[("event_type", "note"), ("timestamp", "2026-02-11T12:58:38.5"), ("data", "{}")];
    let event = read("attune", "empathy:events:note", fields).expect("readable");
    assert_eq!(event.timestamp().to_string(), "2026-02-11T12:58:38.500000Z");
}

#[test]
fn a_foreign_entry_of_per_type_keeps_its_data() {
    let data = r#"{"id":"evt-1","type":"audit.failed","workflow_id":"w-1","timestamp":"2026-02-11T12:58:38+00:00","data":{"n":1},"source_agent":"auditor","metadata":{"correlation_id":"c-1"}}"#;
    let event = read("per-type", "events:audit.failed", &[("data", data)]).expect("readable");
    assert_eq!((event.event_type().as_str(), event.plan_id().as_str()), ("audit.failed", "w-1"));
    assert_eq!(event.payload_json().expect("JSON"), r#"{"n":1}"#);
    assert_eq!(event.source().map(ToString::to_string), Some("auditor".into()));
    assert_eq!(event.correlation_id().map(ToString::to_string), Some("c-1".into()));
    // Its own id is neither a UUID nor a ULID.
    assert_eq!(event.event_id().as_u128() >> 80, 1_772_357_400_000);
}

#[test]
fn a_foreign_entry_of_orchestration_keeps_its_class_fields_as_the_payload() {
    let fields: Written<'_> = &[
        ("event_id", r#""6f1c1f3e-7a57-4f0e-9d3c-0a1b2c3d4e5f""#),
        ("event_type", r#""task_failed""#),
        ("timestamp", r#""2026-02-11T12:58:38.123456Z""#),
        ("trace_id", "null"),
        ("source_agent_id", "null"),
        ("workflow_id", r#""w\u002d1""#),
        ("metadata", r#"{"dlq_retry_count":3}"#),
        ("task_id", r#""t-1""#),
        ("retry_count", "0"),
    ];
    let event = read("orchestration", "orchestration:events", fields).expect("readable");
    assert_eq!((event.plan_id().as_str(), event.source()), ("w-1", None));
    assert_eq!(
        event.payload_json().expect("JSON"),
        r#"{"metadata":{"dlq_retry_count":3},"task_id":"t-1","retry_count":0}"#
    );
}

#[test]
fn a_foreign_entry_of_native_needs_only_a_type() {
    let event = read("native", "planbus:{acme}:events", &[("event_type", "note")]).expect("readable");
    assert_eq!((event.tenant().as_str(), event.plan_id().as_str()), ("acme", "1772357400000-3"));
    assert_eq!(event.timestamp().to_string(), "2026-03-01T09:30:00.000000Z");
    assert_eq!(event.payload_json().expect("JSON"), "{}");
}

#[test]
fn p11_a_wrong_entry_is_refused_with_its_place_and_the_field() {
    let refused = |profile: &str, key: &str, fields: &[(Vec<u8>, Vec<u8>)]| {
        let profile = Profile::named(profile).expect("built in");
        profile.decode(key, "5-1", fields).expect_err("undecodable").to_string()
    };
    let without =
        |name: &str| raw(TENANT).into_iter().filter(|(own, _)| own != name.as_bytes()).collect::<Vec<_>>();
    let with = |name: &str, value: &[u8]| {
        let mut fields = without(name);
        fields.push((name.into(), value.into()));
        fields
    };
    let twice = [raw(TENANT), raw(&[("data", "{}")])].concat();
    let key = "t:acme:events:main";
    for (fields, problem) in [
        (without("event_type"), "event_type: is missing"),
        (without("timestamp"), "timestamp: is missing"),
        (without("data"), "data: is missing"),
        (twice, "data: is given twice"),
        (with("data", b"\xff"), "data: is not UTF-8"),
        (with("data", b"[1]"), "data: must be a JSON object"),
        (with("data", br#"{"workflow_id":7}"#), "data.workflow_id: must be a JSON string"),
        (with("data", br#"{"a":1,"a":2}"#), r#"payload: has the key "a" twice"#),
        (with("event_type", b"no type"), "event_type: must match"),
        (with("timestamp", b"yesterday"), "timestamp: must be an RFC 3339 time"),
        (with("priority", b"urgent"), "priority: must be low, normal, high or critical"),
        (with("call_chain", b"boss"), "call_chain: must contain the source"),
        (with("_plan", b"a\nb"), "plan_id: must not contain control characters"),
        (with("tenant_id", b"evil"), "tenant: is \"evil\" in the entry and \"acme\" in its key"),
        (with("_store", b"x"), "_seq: is missing"),
    ] {
        let error = refused("tenant", key, &fields);
        assert!(error.starts_with("stream \"t:acme:events:main\", entry 5-1: "), "{error}");
        assert!(error.contains(problem), "{error}, not {problem}");
    }
    let json = raw(&[("event_type", "task_failed")]);
    assert!(
        refused("orchestration", "orchestration:events", &json).contains("event_type: must be a JSON string")
    );
    let data = raw(&[("data", r#"{"type":"note"}"#)]);
    assert!(refused("per-type", "events:note", &data).contains("data.timestamp: is missing"));
    assert!(
        refused("native", "planbus:{acme}:events", &raw(&[("payload", "{}")]))
            .contains("event_type: is missing")
    );
}

#[test]
fn p11_an_entry_of_planbus_that_somebody_changed_is_refused_with_the_mark() {
    for (name, changed, problem) in [
        ("_seq", "0", "_seq: must be a whole number from 1"),
        ("_seq", "-1", "_seq: must be a whole number from 1"),
        ("_added", "9", "data: must have 9 members"),
        ("_added", "x", "_added: must be a whole number"),
        ("_filled", "plan", "_filled: must name source or call_chain"),
        ("_event_id", "no-id", "event_id: must be a ULID"),
        ("_schema_version", "{}", "_schema_version: must be a whole number"),
        ("_recorded_at", "now", "timestamp: must be an RFC 3339 time"),
    ] {
        let mut fields = fields(&encoded(&Profile::tenant(), &full()));
        fields.retain(|(own, _)| own != name.as_bytes());
        fields.push((name.into(), changed.into()));
        let error = Profile::tenant().decode("t:acme:events:main", "5-1", &fields).expect_err(name);
        assert!(error.to_string().contains(problem), "{error}, not {problem}");
    }
}
