//! The Python readers of the profiles: that each understands an entry as its system writes it, and
//! refuses one that its system could not read. What they say of our own entries means as much.

#![cfg(all(feature = "redis", target_os = "linux"))]

mod redis_support;

use redis_support::*;
use serde_json::{Value, json};

/// An entry written by hand from the description of a profile.
struct Sample {
    profile: &'static str,
    key: &'static str,
    fields: &'static [(&'static str, &'static str)],
    /// Some of what its reader is to understand.
    understood: Value,
    /// Fields that make the entry unreadable, and a word of the complaint; `None` takes the field away.
    broken: &'static [(&'static str, Option<&'static str>, &'static str)],
}

const ULID: &str = "01K0A1B2C3D4E5F6G7H8J9KAMB";
const UUID: &str = "01981415-8983-691c-579a-078a2499aa8b";

fn samples() -> Vec<Sample> {
    vec![
        Sample {
            profile: "native",
            key: "planbus:{default}:events",
            fields: &[
                ("event_id", ULID),
                ("event_type", "ToolCalled"),
                ("plan_id", "plan-7"),
                ("timestamp", "2026-02-11T12:58:38.123456Z"),
                ("recorded_at", "2026-02-11T12:58:38.123999Z"),
                ("tenant", "default"),
                ("source", "planner"),
                ("call_chain", r#"["root","planner"]"#),
                ("priority", "normal"),
                ("schema_version", "1"),
                ("seq", "12"),
                ("store", "5f0e"),
                ("payload", r#"{"call_id":"call-1","n":1.50}"#),
            ],
            understood: json!({"event_id": ULID, "type": "ToolCalled", "plan": "plan-7", "seq": 12,
                "store": "5f0e", "call_chain": ["root", "planner"], "causation_id": null,
                "data_text": "{\"call_id\":\"call-1\",\"n\":1.50}", "data": {"call_id": "call-1", "n": 1.5}}),
            broken: &[
                ("event_id", Some(UUID), "no ULID"),
                ("tenant", None, "missing: ['tenant']"),
                ("surprise", Some("x"), "not known: ['surprise']"),
                ("timestamp", Some("2026-02-11T12:58:38Z"), "does not match"),
                ("timestamp", Some("2026-02-11T12:58:38.123456+00:00"), "does not end in Z"),
                ("call_chain", Some(r#"["root"]"#), "without its source"),
                ("payload", Some(r#"{"a":1,"a":2}"#), "twice"),
                ("payload", Some("[]"), "no JSON object"),
                ("payload_ref", Some("{}"), "one of payload and payload_ref"),
                ("priority", Some("urgent"), "urgent"),
            ],
        },
        Sample {
            profile: "tenant",
            key: "t:acme:events:main",
            fields: &[
                ("event_id", UUID),
                ("version", "1.0"),
                ("event_type", "task.assigned"),
                ("timestamp", "2026-02-11T12:58:38.123456+00:00"),
                ("tenant_id", "acme"),
                ("priority", "high"),
                ("source_agent_id", "planner"),
                ("call_chain", "root,planner"),
                ("data", r#"{"plan_id":"plan-7"}"#),
                ("context_refs", ""),
                ("correlation_id", ""),
                ("parent_event_id", UUID),
                ("_type", "ToolCalled"),
                ("_seq", "12"),
                ("_store", "5f0e"),
            ],
            understood: json!({"event_id": ULID, "type": "task.assigned", "our_type": "ToolCalled",
                "plan": "plan-7", "seq": 12, "store": "5f0e", "timestamp": "2026-02-11T12:58:38.123456Z",
                "call_chain": ["root", "planner"], "correlation_id": null, "causation_id": ULID}),
            broken: &[
                ("event_id", Some(ULID), "ValueError"),
                ("priority", None, "KeyError: 'priority'"),
                ("event_type", Some("ToolCalled"), "'ToolCalled' is not known"),
                ("call_chain", Some(""), "call_chain"),
                ("call_chain", Some("root,other"), "call_chain"),
                ("source_agent_id", Some(""), "no text"),
                ("tenant_id", Some("other"), "another tenant"),
                ("timestamp", Some("2026-02-11T12:58:38.123456"), "does not end in +00:00"),
                ("data", Some("null"), "no JSON object"),
                ("parent_event_id", Some("None"), "ValueError"),
            ],
        },
        Sample {
            profile: "per-type",
            key: "events:workflow.started",
            fields: &[(
                "data",
                r#"{"id":"01981415-8983-691c-579a-078a2499aa8b","type":"workflow.started",
                "workflow_id":"plan-7","timestamp":"2026-02-11T12:58:38.123456+00:00","data":{"goal":"x"},
                "source_agent":null,"metadata":{"planbus":{"type":"PlanStarted","seq":1,"store":"5f0e"}}}"#,
            )],
            understood: json!({"event_id": ULID, "type": "workflow.started", "our_type": "PlanStarted",
                "is_known_type": true, "plan": "plan-7", "seq": 1, "source": null, "data": {"goal": "x"}}),
            broken: &[
                ("data", None, "KeyError"),
                ("data", Some("{}"), "the names of an event"),
                ("data", Some("{\"id\":"), "JSONDecodeError"),
            ],
        },
        Sample {
            profile: "orchestration",
            key: "orchestration:events",
            fields: &[
                ("event_id", r#""01981415-8983-691c-579a-078a2499aa8b""#),
                ("event_type", r#""task_failed""#),
                ("timestamp", r#""2026-02-11T12:58:38.123456Z""#),
                ("trace_id", "null"),
                ("source_agent_id", r#""planner""#),
                ("workflow_id", r#""plan-7""#),
                ("metadata", r#"{"planbus":{"type":"ToolCompleted","seq":2,"store":"5f0e"}}"#),
                ("task_id", r#""call-1""#),
                ("agent_id", "null"),
                ("error_message", r#""no such file""#),
                ("error_type", r#""ToolError""#),
            ],
            understood: json!({"event_id": ULID, "type": "task_failed", "our_type": "ToolCompleted",
                "plan": "plan-7", "seq": 2, "source": "planner",
                "data": {"task_id": "call-1", "agent_id": null, "error_message": "no such file",
                    "error_type": "ToolError"}}),
            broken: &[
                ("event_type", Some("task_failed"), "JSONDecodeError"),
                ("event_type", Some(r#""decision""#), "'decision' is not known"),
                ("event_id", Some(r#""plan-7""#), "ValueError"),
                ("timestamp", Some(r#""2026-02-11T12:58:38.123456+00:00""#), "does not end in Z"),
                ("trace_id", None, "KeyError: 'trace_id'"),
                ("error_message", None, "KeyError: 'error_message'"),
                ("error_type", Some("7"), "error_type is no text"),
                ("_store", Some("5f0e-"), "JSONDecodeError"),
            ],
        },
        attune("attune", "empathy:events:agent_heartbeat"),
        attune("attune-registry", "stream:agent_heartbeat"),
    ]
}

fn attune(profile: &'static str, key: &'static str) -> Sample {
    Sample {
        profile,
        key,
        fields: &[
            ("event_type", "agent_heartbeat"),
            ("timestamp", "2026-02-11T12:58:38.123456+00:00"),
            ("data", r#"{"plan_id":"plan-7","_call_chain":["planner"]}"#),
            ("source", "attune"),
            ("_seq", "3"),
        ],
        understood: json!({"event_id": null, "type": "agent_heartbeat", "plan": "plan-7", "seq": 3,
            "store": null, "source": "attune", "call_chain": ["planner"]}),
        broken: &[
            ("event_type", Some("other"), "'other' in the stream"),
            ("data", Some("text"), "JSONDecodeError"),
            ("source", None, "KeyError: 'source'"),
            ("timestamp", Some("2026-02-11T12:58:38.123456"), "does not end in +00:00"),
        ],
    }
}

fn add(redis: &RedisServer, key: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().flat_map(|&(name, value)| [name, value]);
    redis.command(&["XADD", key, "*"].into_iter().chain(fields).collect::<Vec<_>>())
}

#[test]
fn each_reader_understands_what_its_system_writes_and_takes_all_of_a_stream_once() {
    for sample in samples() {
        let Some(redis) = RedisServer::start() else { return };
        // More than a reader takes at once.
        let ids: Vec<String> = (0..25).map(|_| add(&redis, sample.key, sample.fields)).collect();
        if sample.profile == "attune-registry" {
            redis.command(&["SADD", "stream_registry", sample.key]);
        }
        // These are told their streams, as their systems are; the others find them.
        let keys: &[&str] = if ["native", "tenant"].contains(&sample.profile) { &[sample.key] } else { &[] };
        let Some(read) = read_with(sample.profile, &redis, keys) else { return };
        let lines = read.unwrap_or_else(|complaint| panic!("{}: {complaint}", sample.profile));
        let read: Vec<&str> = lines.iter().map(|line| line["entry"].as_str().expect("an id")).collect();
        assert_eq!(read, ids, "{}", sample.profile);
        for (name, value) in sample.understood.as_object().expect("an object") {
            assert_eq!(&lines[0][name], value, "{}: {name}", sample.profile);
        }
        let pending = redis.command(&["XINFO", "GROUPS", sample.key]);
        assert!(pending.contains("pending\n0"), "{}: all is acknowledged: {pending}", sample.profile);
        let Some(again) = read_with(sample.profile, &redis, keys) else { return };
        assert_eq!(again.expect("reads"), [] as [Value; 0], "{}: the group has read all", sample.profile);
    }
}

#[test]
fn each_reader_refuses_what_its_system_could_not_read_and_names_the_entry() {
    for sample in samples() {
        let Some(redis) = RedisServer::start() else { return };
        for (at, (broken, value, word)) in sample.broken.iter().enumerate() {
            let mut fields: Vec<_> =
                sample.fields.iter().copied().filter(|(name, _)| name != broken).collect();
            fields.extend(value.map(|value| (*broken, value)));
            if fields.is_empty() {
                fields.push(("nothing", "of it"));
            }
            redis.command(&["FLUSHALL"]);
            let id = add(&redis, sample.key, &fields);
            let Some(read) = read_with(sample.profile, &redis, &[sample.key]) else { return };
            let complaint = read.expect_err(&format!("{} {at}: {broken} = {value:?}", sample.profile));
            assert!(complaint.contains(word), "{} {broken}: no {word:?} in {complaint}", sample.profile);
            assert!(complaint.starts_with(&format!("{} {id}: ", sample.key)), "{complaint}");
        }
    }
}

#[test]
fn a_registry_that_names_no_stream_is_told() {
    let Some(redis) = RedisServer::start() else { return };
    redis.command(&["SADD", "stream_registry", "stream:agent_error"]);
    let Some(read) = read_with("attune-registry", &redis, &[]) else { return };
    let complaint = read.expect_err("there is no such stream");
    assert!(complaint.contains("which is none"), "{complaint}");
}
