//! P8 and P11 by what stands in the streams: entries of every profile and of the systems that they are
//! named after, and entries that are none, which are kept raw, once.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use consumer_support::{Calls, Fed, STREAM, builder, endpoint, pending};
use planbus::{
    redis::{Consumer, ConsumerState, DeadLetterQuery, DeadLetterReason, DeadLetters, Delivery, Profile},
    *,
};
use redis_support::{RedisServer, wait_for};

const PROFILES: [&str; 6] = ["native", "tenant", "per-type", "orchestration", "attune", "attune-registry"];

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn fields(pairs: &[(&str, &[u8])]) -> Fields {
    pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
}

fn add(server: &RedisServer, stream: &str, fields: &Fields) -> String {
    let mut command: Vec<&[u8]> = vec![b"XADD", stream.as_bytes(), b"*"];
    fields.iter().for_each(|(name, value)| command.extend([name.as_slice(), value]));
    server.command(&command)
}

/// Entries of the native profile's stream that hold no event of it.
fn malformed() -> BTreeMap<&'static str, Fields> {
    let typed = |more: &[(&str, &[u8])]| [fields(&[("event_type", b"note")]), fields(more)].concat();
    let many = (0..10_000).map(|number| (format!("field-{number}").into(), b"1".to_vec())).collect();
    BTreeMap::from([
        ("no type", fields(&[("payload", b"{}")])),
        ("wrong JSON", typed(&[("payload", b"{\"a\":")])),
        ("no object", typed(&[("payload", b"[1]")])),
        ("no UTF-8", typed(&[("payload", b"{\"a\":\"\xff\xfe\"}")])),
        ("a name that is no UTF-8", vec![(b"\xff\x00\r\n".to_vec(), b"\x00".to_vec())]),
        ("twice", typed(&[("payload", b"{}"), ("payload", b"{\"a\":1}")])),
        ("empty values", fields(&[("event_type", b""), ("payload", b""), ("", b"")])),
        ("10,000 fields", many),
        ("5 MB", typed(&[("payload", &vec![b'x'; 5 << 20])])),
        ("another codec", fields(&[("data", br#"{"type":"audit.failed","workflow_id":"w","data":{}}"#)])),
        ("a time that is none", typed(&[("timestamp", b"yesterday")])),
    ])
}

// A reader that dies of one, or acks it without a trace, is what others do.
#[test]
fn p11_entries_that_hold_no_event_are_kept_raw_once_and_hold_up_nobody() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let mut expected = BTreeMap::new();
    let good = |number: u8| fields(&[("event_type", b"note"), ("plan_id", &[b'a' + number % 7])]);
    for (number, fields) in (0..).zip(malformed().into_values()) {
        add(&server, STREAM, &good(number));
        expected.insert(add(&server, STREAM, &fields), fields);
    }
    let calls = Calls::default();
    let start = || {
        let noted = calls.clone();
        let builder = builder(&server, "workers").claim_idle(Duration::from_secs(30));
        builder.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts")
    };
    let consumers: Vec<Consumer> = (0..2).map(|_| start()).collect();
    let sum = |count: fn(&Consumer) -> u64| consumers.iter().map(count).sum::<u64>();
    let all = expected.len() as u64;
    wait_for("all is done", || {
        calls.all().len() as u64 == all
            && sum(|consumer| consumer.status().counts.dead_lettered) == all
            && pending(&server, STREAM, "workers") == 0
    });
    assert_eq!(sum(|consumer| consumer.status().counts.undecodable), all);
    let letters = DeadLetters::new(endpoint(&server), Profile::native());
    let page = letters.list(&DeadLetterQuery::new()).expect("lists");
    let kept: BTreeMap<String, Fields> = page
        .letters
        .into_iter()
        .map(|letter| {
            assert_eq!(letter.reason, Some(DeadLetterReason::Undecodable));
            assert!(letter.error.is_some_and(|error| !error.is_empty()));
            (letter.original_id.expect("is told").to_string(), letter.fields)
        })
        .collect();
    assert_eq!(kept.len(), expected.len());
    for (id, fields) in expected {
        assert!(kept[&id] == fields, "{id}: {} fields", kept[&id].len());
    }
    assert!(consumers.iter().all(|consumer| consumer.status().state == ConsumerState::Live));
}

#[test]
fn p8_a_consumer_of_each_profile_handles_what_a_mirror_wrote_and_streams_that_come_later() {
    for profile in PROFILES {
        let Some(server) = RedisServer::builder().tcp().start() else { return };
        let profile = Profile::named(profile).expect("is built in");
        let Some(fed) = Fed::on(server, profile.clone()) else { return };
        let mut expected: BTreeSet<EventId> = fed.publish("plan-1", 20).into_iter().collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let builder = fed.consumer("workers").profile(profile.clone());
        let consumer = builder.handler(move |delivery: &Delivery| {
            let event = delivery.event();
            noted.lock().expect("no panic").push((
                event.event_id(),
                event.plan_id().to_string(),
                event.seq(),
            ));
        });
        let consumer = consumer.expect("starts");
        wait_for("all is handled", || seen.lock().expect("no panic").len() == 20);
        // Of another type: for some profiles another stream.
        let later = Event::new("plan-1", PlanCompleted::new());
        fed.store.save(&later).expect("commits");
        expected.insert(later.event_id());
        wait_for("it is handled", || seen.lock().expect("no panic").len() == 21);
        let seen = seen.lock().expect("no panic").clone();
        let ids: BTreeSet<EventId> = seen.iter().map(|(id, ..)| *id).collect();
        assert_eq!(ids, expected, "{profile:?}");
        assert!(seen.iter().all(|(_, plan, seq)| plan == "plan-1" && seq.is_some()), "{profile:?}: {seen:?}");
        let counts = consumer.status().counts;
        assert_eq!((counts.undecodable, counts.healed, counts.duplicates), (0, 0, 0), "{profile:?}");
    }
}

/// An entry as each system writes it: profile, stream, fields, and the type and plan of its event.
fn foreign() -> Vec<(&'static str, &'static str, Fields, [&'static str; 2])> {
    let id = b"6f1c1f3e-7a57-4f0e-9d3c-0a1b2c3d4e5f".as_slice();
    let quoted = b"\"6f1c1f3e-7a57-4f0e-9d3c-0a1b2c3d4e5f\"".as_slice();
    let time = b"2026-02-11T12:58:38.123456+00:00".as_slice();
    let tenant: &[(&str, &[u8])] = &[
        ("event_id", id),
        ("version", b"1.0"),
        ("event_type", b"task.completed"),
        ("timestamp", time),
        ("tenant_id", b"acme"),
        ("priority", b"critical"),
        ("source_agent_id", b"w"),
        ("call_chain", b"b,w"),
        ("data", b"{\"workflow_id\":\"w-9\"}"),
        ("context_refs", b""),
        ("correlation_id", b""),
        ("parent_event_id", b""),
    ];
    let data = br#"{"id":"evt-1","type":"workflow.paused","workflow_id":"w-9","timestamp":"2026-02-11T12:58:38+00:00","data":{"n":1},"source_agent":"auditor","metadata":{}}"#;
    let orchestration: &[(&str, &[u8])] = &[
        ("event_id", quoted),
        ("event_type", b"\"task_failed\""),
        ("timestamp", b"\"2026-02-11T12:58:38.123456Z\""),
        ("trace_id", b"null"),
        ("source_agent_id", b"null"),
        ("workflow_id", b"\"w-9\""),
        ("metadata", b"{}"),
        ("task_id", b"\"t-1\""),
        ("retry_count", b"0"),
    ];
    let attune: &[(&str, &[u8])] = &[
        ("event_type", b"agent_heartbeat"),
        ("timestamp", time),
        ("data", b"{\"workflow_id\":\"w-9\"}"),
        ("source", b"attune"),
    ];
    vec![
        ("tenant", "t:acme:events:main", fields(tenant), ["task.completed", "w-9"]),
        ("per-type", "events:workflow.paused", fields(&[("data", data)]), ["workflow.paused", "w-9"]),
        ("orchestration", "orchestration:events", fields(orchestration), ["task_failed", "w-9"]),
        ("attune", "empathy:events:agent_heartbeat", fields(attune), ["agent_heartbeat", "w-9"]),
        ("attune-registry", "stream:agent_heartbeat", fields(attune), ["agent_heartbeat", "w-9"]),
    ]
}

#[test]
fn p8_what_the_other_systems_write_is_handled_as_their_readers_would() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    for (profile, stream, fields, expected) in foreign() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let builder = builder(&server, "workers").profile(Profile::named(profile).expect("is built in"));
        let consumer = builder.handler(move |delivery: &Delivery| {
            let event = delivery.event();
            let told = [event.event_type().to_string(), event.plan_id().to_string()];
            noted.lock().expect("no panic").push((delivery.stream().to_owned(), told));
        });
        let consumer = consumer.expect("starts");
        wait_for("it has looked", || consumer.status().state == ConsumerState::Live);
        // The stream comes while it runs, and in the registry first where there is one.
        if profile == "attune-registry" {
            server.command(&["SADD", "stream_registry", stream]);
        }
        add(&server, stream, &fields);
        wait_for(profile, || seen.lock().expect("no panic").len() == 1);
        assert_eq!(*seen.lock().expect("no panic"), [(stream.to_owned(), expected.map(str::to_owned))]);
        wait_for("it is acked", || pending(&server, stream, "workers") == 0);
    }
}

// A wildcard in XREADGROUP matches nothing.
#[test]
fn p8_a_pattern_names_streams_that_are_there_and_that_come() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let of_type = |name: &str| {
        let data = format!(
            r#"{{"type":"{name}","workflow_id":"w","timestamp":"2026-02-11T12:58:38Z","data":{{}},"source_agent":"a","metadata":{{}}}}"#
        );
        add(&server, &format!("events:{name}"), &fields(&[("data", data.as_bytes())]));
    };
    ["workflow.created", "audit.failed"].into_iter().for_each(of_type);
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let noted = seen.clone();
    let builder = builder(&server, "db_writers").profile(Profile::per_type()).streams(["events:workflow.*"]);
    let consumer = builder.handler(move |delivery: &Delivery| {
        noted.lock().expect("no panic").insert(delivery.stream().to_owned());
    });
    let consumer = consumer.expect("starts");
    wait_for("the first is handled", || seen.lock().expect("no panic").len() == 1);
    ["workflow.failed", "testing.failed"].into_iter().for_each(of_type);
    wait_for("the second is handled", || seen.lock().expect("no panic").len() == 2);
    let expected = ["events:workflow.created", "events:workflow.failed"].map(str::to_owned);
    assert_eq!(*seen.lock().expect("no panic"), BTreeSet::from(expected));
    assert_eq!(consumer.status().streams, 2);
    for name in ["audit.failed", "testing.failed"] {
        assert!(server.call(&["XINFO", "GROUPS", &format!("events:{name}")]).items().is_empty(), "{name}");
    }
}
