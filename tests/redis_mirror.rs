//! The mirror: Redis Streams equal the log, over a real server, in the plain course of things.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod mirror_support;
mod redis_support;
mod store_support;

use std::time::Duration;

use mirror_support::*;
use planbus::{
    redis::{EntryId, MirrorState, Profile, Streams},
    *,
};
use redis_support::*;
use serde_json::json;
use store_support::*;

#[test]
fn p7_every_event_is_in_its_stream_once_and_in_order() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..1_234);
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    publish(&store, 1_234..1_300);
    mirror.flush(FLUSH).expect("Redis equals the log");
    let status = mirror.status();
    assert_eq!(
        (status.state, status.lag_events, status.appended),
        (MirrorState::Live, 0, 1_300),
        "{status:?}"
    );
    assert_equal(&server, &store);
}

#[test]
fn p7_an_entry_has_its_own_values_whatever_it_shares_with_the_ones_before() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let profile = Profile::native().with_key("planbus:{<tenant>}:<type>").expect("a template");
    let streams = Streams::new(endpoint(&server.url()), profile.clone());
    // Neighbours of a stream share all fields, some values, or not even the names of their fields.
    let publish = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let payload = ToolCalled::new("call", "grep", json!({"number": number / 3}));
            let event = match number % 2 {
                0 => Event::new(format!("plan-{}", number / 20), payload),
                _ => Event::new("plan", DecisionMade::new("go on")),
            };
            let event = if number % 7 < 4 { event.with_source("agent") } else { event };
            let event = if number % 5 == 0 { event.with_priority(Priority::High) } else { event };
            store.save(&event).expect("commits");
        }
    };
    let assert_equal = || {
        let log = store.read_after(0, usize::MAX).expect("reads");
        for name in ["ToolCalled", "DecisionMade"] {
            let stream = format!("planbus:{{default}}:{name}");
            let read = streams.read_after(&stream, EntryId::ZERO, 1_000, Filter::all()).expect("reads");
            let read: Vec<String> = read
                .iter()
                .map(|entry| entry.event.as_ref().expect("an event").to_json().expect("is JSON"))
                .collect();
            let wanted = log.iter().filter(|event| event.event_type().as_str() == name);
            let wanted: Vec<String> = wanted.map(|event| event.to_json().expect("is JSON")).collect();
            assert_eq!(read, wanted, "{stream}");
        }
    };
    publish(0..200);
    let mirror = started(mirror(&store, &server.url()).profile(profile).batch_max_events(30));
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal();
    // One is read again, so that the other one's batches begin with what it has.
    for at in 1..=8 {
        server.command(&["DEL", "planbus:{default}:DecisionMade"]);
        publish(200 * at..200 * at + at);
        mirror.flush(FLUSH).expect("Redis equals the log");
        assert_equal();
    }
}

#[test]
fn a_stream_that_a_foreign_maximal_id_exhausted_is_blocked_until_it_is_deleted() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    store.save(&event("plan", 1)).expect("commits");
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.command(&["XADD", STREAM, "18446744073709551615-18446744073709551615", "by", "somebody else"]);
    store.save(&event("plan", 2)).expect("commits");
    let error = mirror.flush(FLUSH).expect_err("is blocked");
    let status = mirror.status();
    assert_eq!(status.state, MirrorState::Blocked, "{status:?}");
    assert_eq!((status.troubled.len(), status.troubled[0].stream.as_str()), (1, STREAM));
    assert!(status.troubled[0].error.to_string().contains("planbus streams rebuild"), "{error:?}");
    server.command(&["DEL", STREAM]);
    wait_until("the mirror has filled it anew", || server.entries(STREAM).len() == 2);
    mirror.flush(FLUSH).expect("Redis equals the log");
}

#[test]
fn a_flush_returns_only_when_redis_equals_the_log_also_when_it_had_before() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()));
    for round in 0..8 {
        publish(&store, 0..40);
        match round % 4 {
            1 => drop(server.command(&["FLUSHALL"])),
            2 => drop(server.command(&["DEL", STREAM])),
            _ => {}
        }
        mirror.flush(FLUSH).expect("Redis equals the log");
        assert_equal(&server, &store);
        assert_eq!(mirror.status().lag_events, 0);
        // Idle, and nothing was published since.
        server.command(&["FLUSHALL"]);
        mirror.flush(FLUSH).expect("Redis equals the log");
        assert_equal(&server, &store);
    }
}

#[test]
fn a_flush_that_cannot_be_done_says_how_far_it_is_and_why() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.stop();
    publish(&store, 0..70);
    let error = mirror.flush(Duration::from_millis(50)).expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().ends_with("70 events to go"), "{error}");
    let error = mirror.flush(3 * TIMEOUT).expect_err("nobody answers");
    assert!(told(&error).contains("no answer in time"), "{}", told(&error));
    server.cont();
    mirror.flush(FLUSH).expect("Redis equals the log");
    mirror.stop().expect("ends");
    mirror.stop().expect("has ended");
    let error = mirror.flush(FLUSH).expect_err("is over");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("stopped"), "{error}");
    assert_equal(&server, &store);
}

#[test]
fn many_threads_publish_and_flush_and_each_finds_its_events_there() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (store, mirror, server) = (&store, &mirror, &server);
            scope.spawn(move || {
                for round in 0..5 {
                    let saved = store.save(&event("plan", 10 * thread + round)).expect("commits");
                    mirror.flush(FLUSH).expect("Redis equals the log");
                    let there = own(&server.entries(STREAM), store);
                    assert!(there.iter().any(|(seq, _)| *seq == saved.seq), "{} of {there:?}", saved.seq);
                }
            });
        }
    });
    assert_equal(&server, &store);
}

#[test]
fn p7_a_group_that_was_destroyed_by_hand_doubles_nothing_whatever_stands_behind_the_last_entry() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()));
    let group = format!("planbus:{}", store.store_id());
    let append = "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'by', 'others') end";
    for foreign in ["0", "1", "99", "100", "101", "250", "12000"] {
        publish(&store, 0..30);
        mirror.flush(FLUSH).expect("Redis equals the log");
        server.command(&["EVAL", append, "1", STREAM, foreign]);
        assert_eq!(server.command(&["XGROUP", "DESTROY", STREAM, &group]), "1");
        mirror.flush(FLUSH).expect("Redis equals the log");
        assert_equal(&server, &store);
    }
}

#[test]
fn a_status_says_in_words_how_a_mirror_is_doing() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..3);
    let mirror = started(mirror(&store, &server.url()).name("audit"));
    mirror.flush(FLUSH).expect("Redis equals the log");
    let status = mirror.status();
    assert_eq!((status.name.as_str(), status.state.to_string().as_str()), ("audit", "live"));
    assert_eq!((status.seq, status.head, status.appended, status.streams), (3, 3, 3, 1));
    assert_eq!(status.server.as_ref().map(|server| server.kind.as_str()), Some("redis"));
    for state in [MirrorState::CatchingUp, MirrorState::Retrying, MirrorState::Blocked, MirrorState::Forked] {
        assert_eq!(serde_json::to_value(state).expect("JSON"), state.as_str());
    }
    let shown = format!("{mirror:?}");
    assert!(shown.starts_with("RedisMirror { name: \"audit\"") && shown.contains("Live"), "{shown}");
}
