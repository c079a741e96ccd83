//! P7 in every profile: what the readers of its system understand is the log, event by event, but for
//! those that the profile cannot express, which are counted.
//!
//! The log holds the recorded runs at hand (see `trace_support`) and events that are hard to express.

#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;
mod redis_support;
mod store_support;
mod trace_support;

use std::{collections::HashMap, time::Duration};

use cli_support::stdout;
use planbus::{
    redis::{Profile, RedisEndpoint, RedisMirror},
    *,
};
use redis_support::*;
use serde_json::{Value, json};
use store_support::Dir;
use trace_support::{real_files, sample};

/// The profiles that are built in.
const PROFILES: [&str; 6] = ["native", "tenant", "per-type", "orchestration", "attune", "attune-registry"];

/// The most bytes of an entry: of the events here, only the one that is made too large is larger.
const ENTRY_BYTES: usize = 512 << 10;

const FLUSH: Duration = Duration::from_secs(60);

/// A log of recorded runs and of hard events.
fn fill(dir: &Dir) -> EventStore {
    let mut arguments = vec!["import".to_owned()];
    let files = [vec![sample()], real_files().unwrap_or_default()].concat();
    arguments.extend(files.iter().map(|file| file.to_str().expect("UTF-8").to_owned()));
    stdout(dir.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let store = EventStore::open(dir.db()).expect("opens");
    let hard = json!({"quotes": "\"\\", "line": "a\r\nb", "2028": "\u{2028}", "emoji": "\u{1f980}", "nul": "\0",
        "plan_id": "its own", "_call_chain": 7, "number": 1.50e-7, "big": u64::MAX, "none": null, "": {"": []}});
    let raw = |event_type: &str, payload: Value| Event::raw("plan {1}:*", event_type, payload.to_string());
    let failed = |event_type: &str| raw(event_type, json!({"call_id": "c", "subplan": "s", "ok": false}));
    let events = [
        raw("ToolCalled", hard.clone()).with_source("a,b"),
        raw("DecisionMade", hard.clone()).with_source("a").with_context_ref("x,y"),
        raw("DecisionMade", hard).with_source("é 1").with_call_chain(["root", "é 1"]),
        failed("ToolCompleted").with_source("a").with_priority(Priority::Critical),
        failed("SubplanCompleted").with_correlation_id("other").with_causation_id(EventId::from_u128(7)),
        raw("PlanFailed", json!({"error": "no"})),
        raw("agent.heartbeat", json!({})).with_schema_version(3),
        raw("task.assigned", json!({"plan_id": "own"})).with_context_ref("ref"),
        raw("workflow.cancelled", json!({})),
        raw("PlanCompleted", json!({"result": "x".repeat(ENTRY_BYTES)})),
        raw("agent_started", json!({"agent_id": "a", "agent_type": "t", "capabilities": ["x"]})),
    ];
    for event in events {
        store.save(&event).expect("commits");
    }
    store
}

/// What an event is called in a profile; `None` where it has no name there.
fn name<'a>(profile: &str, event_type: &'a str, ok: bool) -> Option<&'a str> {
    let [tenant, per_type, orchestration] = match (event_type, ok) {
        ("PlanStarted", _) => ["task.assigned", "workflow.started", "workflow_started"],
        ("PlanCompleted", _) => ["task.completed", "workflow.completed", "workflow_completed"],
        ("PlanFailed", _) => ["task.failed", "workflow.failed", "workflow_failed"],
        ("DecisionMade", _) => ["context.updated", "workflow.progressed", ""],
        ("ToolCalled", _) => ["task.assigned", "workflow.progressed", "task_started"],
        ("ToolCompleted", true) => ["task.completed", "workflow.progressed", "task_completed"],
        ("ToolCompleted", false) => ["task.failed", "workflow.progressed", "task_failed"],
        ("SubplanSpawned", _) => ["handoff.request", "workflow.created", "workflow_created"],
        ("SubplanCompleted", true) => ["handoff.validated", "workflow.progressed", "workflow_completed"],
        ("SubplanCompleted", false) => ["handoff.rejected", "workflow.progressed", "workflow_failed"],
        // Of one system's own family, or of none.
        ("task.assigned", _) => ["task.assigned", "task.assigned", ""],
        ("agent_started", _) => ["", "agent_started", "agent_started"],
        (other, _) => ["", other, ""],
    };
    let name = match profile {
        "tenant" => tenant,
        "per-type" => per_type,
        "orchestration" => orchestration,
        _ => event_type,
    };
    (!name.is_empty()).then_some(name)
}

/// Whether a profile can express an event.
fn is_expressible(profile: &str, event: &Event) -> bool {
    let mut texts: Vec<&str> = event.call_chain().iter().map(AgentId::as_str).collect();
    texts.extend(event.source().map(AgentId::as_str));
    texts.extend(event.context_refs().iter().map(String::as_str));
    profile != "tenant" || !texts.iter().any(|text| text.contains(','))
}

/// The name of an event in a profile, where it is to be in a stream.
fn expected_name(profile: &str, event: &Event) -> Option<String> {
    let payload: Value = serde_json::from_str(event.payload_json().expect("JSON")).expect("JSON");
    let ok = payload["ok"] != json!(false);
    let name = name(profile, event.event_type().as_str(), ok)?;
    is_expressible(profile, event).then(|| name.to_owned())
}

fn check(profile: &str, store: &str, event: &Event, line: &Value) {
    let shown = format!("{profile} {:?}: {line}", event.seq());
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    assert_eq!(text("type"), expected_name(profile, event), "{shown}");
    assert_eq!(text("our_type").as_deref(), Some(event.event_type().as_str()), "{shown}");
    assert_eq!(text("store").as_deref(), Some(store), "{shown}");
    assert_eq!(text("timestamp"), Some(event.timestamp().to_string()), "{shown}");
    let [id, plan] = match profile {
        // Their events have the id of their entry, and their plan may be one of the payload.
        "attune" | "attune-registry" => ["our_id", "our_plan"],
        "tenant" => ["event_id", "our_plan"],
        _ => ["event_id", "plan"],
    };
    assert_eq!(text(id), Some(event.event_id().to_string()), "{shown}");
    assert_eq!(text(plan).as_deref(), Some(event.plan_id().as_str()), "{shown}");
    if let Some(source) = event.source() {
        assert_eq!(text("source").as_deref(), Some(source.as_str()), "{shown}");
    }
    if !event.call_chain().is_empty() && line["data"]["_call_chain"] != 7 {
        assert_eq!(line["call_chain"], json!(event.call_chain()), "{shown}");
    }
    if profile == "native" {
        check_all(event, line, &shown);
    }
    let payload = event.payload_json().expect("JSON");
    let (data, reference) = match profile {
        "native" => (&line["data"], &line["reference"]),
        "orchestration" => (&line["data"]["payload"], &line["data"]["payload"]["_payload_ref"]),
        _ => (&line["data"], &line["data"]["_payload_ref"]),
    };
    if payload.len() > ENTRY_BYTES {
        assert_eq!(
            reference,
            &json!({"store": store, "seq": event.seq(), "bytes": payload.len()}),
            "{shown}"
        );
        return;
    }
    let payload: Value = serde_json::from_str(payload).expect("JSON");
    for (name, value) in payload.as_object().expect("an object") {
        assert_eq!(&data[name], value, "{name}: {shown}");
    }
}

/// What only the profile `native` says.
fn check_all(event: &Event, line: &Value, shown: &str) {
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let payload = event.payload_json().ok().filter(|payload| payload.len() <= ENTRY_BYTES);
    assert_eq!(text("data_text").as_deref(), payload, "byte for byte: {shown}");
    assert_eq!(text("recorded_at"), event.recorded_at().map(|at| at.to_string()), "{shown}");
    assert_eq!(text("tenant").as_deref(), Some(event.tenant().as_str()), "{shown}");
    assert_eq!(text("correlation_id"), event.correlation_id().map(|id| id.as_str().to_owned()), "{shown}");
    assert_eq!(text("causation_id"), event.causation_id().map(|id| id.to_string()), "{shown}");
    assert_eq!(text("priority").as_deref(), Some(event.priority().as_str()), "{shown}");
    assert_eq!(line["context_refs"], json!(event.context_refs()), "{shown}");
    assert_eq!(line["schema_version"], json!(event.schema_version()), "{shown}");
}

#[test]
fn p7_the_readers_of_every_profile_find_the_log_in_redis_or_its_events_counted_as_skipped() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = fill(&dir);
    let events = store.read_after(0, usize::MAX).expect("reads");
    let by_seq: HashMap<u64, &Event> =
        events.iter().map(|event| (event.seq().expect("of the log"), event)).collect();
    // Side by side, into one server.
    let mirrors = PROFILES.map(|profile| {
        let profile = Profile::named(profile).expect("is built in").with_max_len(None).expect("keeps all");
        let endpoint = RedisEndpoint::parse(&server.url()).expect("a URL");
        let mirror = RedisMirror::builder(&store, endpoint).profile(profile).entry_max_bytes(ENTRY_BYTES);
        mirror.start().expect("starts")
    });
    for (profile, mirror) in PROFILES.into_iter().zip(&mirrors) {
        mirror.flush(FLUSH).expect("Redis equals the log");
        let keys: &[&str] = match profile {
            "native" => &["planbus:{default}:events"],
            "tenant" => &["t:default:events:main"],
            _ => &[],
        };
        let Some(read) = read_with(profile, &server, keys) else { return };
        let mut lines = read.unwrap_or_else(|complaint| panic!("{profile}: {complaint}"));
        let seq = |line: &Value| line["seq"].as_u64().expect("a seq");
        // A stream after the other, each in the order of the log.
        let in_order =
            |pair: &[Value]| pair[0]["stream"] != pair[1]["stream"] || seq(&pair[0]) < seq(&pair[1]);
        assert!(lines.windows(2).all(in_order), "{profile}");
        lines.sort_by_key(seq);
        let expected = events.iter().filter(|event| expected_name(profile, event).is_some());
        let expected: Vec<u64> = expected.filter_map(Event::seq).collect();
        assert_eq!(lines.iter().map(seq).collect::<Vec<_>>(), expected, "{profile}: each once");
        for line in &lines {
            check(profile, store.store_id(), by_seq[&seq(line)], line);
        }
        let skipped: u64 = mirror.status().skipped.iter().map(|skipped| skipped.events).sum();
        assert_eq!(skipped, (events.len() - lines.len()) as u64, "{profile}: {:?}", mirror.status().skipped);
        println!("{profile}: {} events, {} mapped, {skipped} skipped", events.len(), lines.len());
    }
}
