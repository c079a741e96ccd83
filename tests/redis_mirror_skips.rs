//! What a mirror leaves out: what its profile cannot express, and what the log no longer holds. It is
//! counted once, with the reason, and never stands in a stream in part.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod mirror_support;
mod redis_support;
mod store_support;

use mirror_support::*;
use planbus::{
    redis::{MirrorState, OnInexpressible, Profile, RedisMirror, Skipped},
    *,
};
use redis_support::*;
use serde_json::json;
use store_support::*;

const TENANT_STREAM: &str = "t:default:events:main";

/// Ten events, of which the profile `tenant` cannot say those of seq 3, 4 and 8.
fn publish_some_inexpressible(store: &EventStore) {
    for number in 1..=10 {
        let event = event("plan", number);
        let event = match number {
            3 | 8 => event.with_source("one,two"),
            4 => event.with_context_ref("a,b"),
            _ => event,
        };
        store.save(&event).expect("commits");
    }
}

fn tenant(store: &EventStore, server: &RedisServer) -> redis::MirrorBuilder {
    mirror(store, &server.url()).profile(Profile::tenant())
}

/// What was skipped: its reason, how often, first and last seq.
fn figures<'a>(skipped: impl IntoIterator<Item = &'a Skipped>) -> Vec<(&'a str, u64, u64, u64)> {
    let figures = |s: &'a Skipped| (s.reason.as_str(), s.events, s.first_seq, s.last_seq);
    skipped.into_iter().map(figures).collect()
}

const EXPECTED: [(&str, u64, u64, u64); 2] =
    [("a comma in a context reference", 1, 4, 4), ("a comma in an agent id", 2, 3, 8)];

fn assert_skipped(mirror: &RedisMirror, store: &EventStore) {
    assert_eq!(figures(&mirror.status().skipped), EXPECTED);
    let stored = store.skipped().expect("reads");
    assert!(stored.iter().all(|(reader, _)| reader == "mirror.tenant"), "{stored:?}");
    assert_eq!(figures(stored.iter().map(|(_, skipped)| skipped)), EXPECTED);
}

#[test]
fn what_a_profile_cannot_express_is_left_out_and_counted_once_whatever_happens_then() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish_some_inexpressible(&store);
    let first = started(tenant(&store, &server));
    first.flush(FLUSH).expect("Redis equals the log");
    assert_skipped(&first, &store);
    let seqs = || -> Vec<String> {
        let entries = server.entries(TENANT_STREAM);
        entries.iter().map(|entry| field(entry, "_seq").expect("is ours").to_owned()).collect()
    };
    let expected = ["1", "2", "5", "6", "7", "9", "10"];
    assert_eq!(seqs(), expected);
    // Read again from the beginning.
    server.command(&["FLUSHALL"]);
    first.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(seqs(), expected);
    assert_skipped(&first, &store);
    first.stop().expect("ends");
    store.close().expect("closes");
    // By another owner, from the beginning again.
    let store = open(&dir.db());
    assert_eq!(figures(store.skipped().expect("reads").iter().map(|(_, skipped)| skipped)), EXPECTED);
    server.command(&["FLUSHALL"]);
    let second = started(tenant(&store, &server));
    second.flush(FLUSH).expect("Redis equals the log");
    assert_skipped(&second, &store);
    assert_eq!(seqs(), expected);
    let whole = server.entries(TENANT_STREAM).iter().all(|entry| field(entry, "data").is_some());
    assert!(whole, "no entry stands there in part");
}

#[test]
fn a_mirror_that_is_to_stop_before_what_it_cannot_express_is_blocked_there_and_goes_on_when_it_may_skip() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let dir = Dir::new();
    let store = open(&dir.db());
    publish_some_inexpressible(&store);
    let stopping = mirror(&store, &proxy.url()).profile(Profile::tenant());
    let stopping = started(stopping.on_inexpressible(OnInexpressible::Stop));
    wait_for_state(&stopping, MirrorState::Blocked);
    for _ in 0..3 {
        let error = stopping.flush(FLUSH).expect_err("is blocked");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let told = told(&error);
        assert!(told.contains("seq 3") && told.contains("a comma in an agent id"), "{told}");
    }
    // However often it tries, it says nothing else meanwhile, and appends nothing.
    let before = proxy.accepted();
    wait_until("it has tried again", || {
        let status = stopping.status();
        assert_eq!((status.state, status.seq), (MirrorState::Blocked, 2), "{status:?}");
        proxy.accepted() > before + 3
    });
    assert_backs_off(|| proxy.accepted() as u64);
    assert_eq!(server.entries(TENANT_STREAM).len(), 2);
    assert_eq!(store.skipped().expect("reads"), []);
    stopping.stop().expect("ends");
    let skipping = started(tenant(&store, &server));
    skipping.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(server.entries(TENANT_STREAM).len(), 7);
    assert_skipped(&skipping, &store);
}

#[test]
fn a_type_that_a_profile_does_not_have_is_left_out() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
    store.save(&Event::new("plan", DecisionMade::new("so"))).expect("commits");
    store.save(&Event::untyped("plan", "task_created", json!({}))).expect("commits");
    let mirror = started(mirror(&store, &server.url()).profile(Profile::orchestration()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(figures(&mirror.status().skipped), [("the type is not in the type map", 1, 2, 2)]);
    assert_eq!(server.entries("orchestration:events").len(), 2);
}

const LOST: &str = "no longer in the log";

#[test]
fn p9_retention_stops_at_the_mirrors_cursor_and_what_is_forced_past_it_is_counted() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..50);
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.kill();
    publish(&store, 50..100);
    wait_for_state(&mirror, MirrorState::Retrying);
    let held = store.prune(Retention::keep_last(10)).expect("prunes");
    let held_by = held.held_by.map(|cursor| (cursor.reader, cursor.seq));
    assert_eq!((held.removed, held_by), (50, Some(("mirror.native".to_owned(), 50))));
    let forced = store.prune(Retention::keep_last(10).force("mirror.native")).expect("prunes");
    assert_eq!((forced.removed, forced.first_seq), (40, Some(91)));
    server.restart();
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
    assert_eq!(figures(&mirror.status().skipped), [(LOST, 40, 51, 90)]);
    // What was in its stream once and is not in the log now is filled in no more, and was not skipped.
    server.command(&["FLUSHALL"]);
    mirror.flush(FLUSH).expect("Redis equals the log");
    publish(&store, 100..120);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(server.entries(STREAM).len(), 30);
    assert_equal(&server, &store);
    assert_eq!(figures(&mirror.status().skipped), [(LOST, 40, 51, 90)]);
}

#[test]
fn p9_streams_of_rare_types_hold_nothing_back_and_what_retention_took_is_not_called_skipped() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
    publish(&store, 1..100);
    let per_type = || mirror(&store, &server.url()).profile(Profile::per_type());
    let first = started(per_type());
    first.flush(FLUSH).expect("Redis equals the log");
    let report = store.prune(Retention::keep_last(20)).expect("prunes");
    assert_eq!((report.removed, report.held_by), (80, None));
    for stream in ["events:workflow.started", "events:workflow.progressed"] {
        server.command(&["DEL", stream]);
        first.flush(FLUSH).expect("Redis equals the log");
    }
    let progressed = || server.entries("events:workflow.progressed").len();
    assert_eq!((server.entries("events:workflow.started").len(), progressed()), (0, 20));
    first.stop().expect("ends");
    let second = started(per_type());
    second.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(progressed(), 20);
    assert_eq!(second.status().skipped, []);
}

#[test]
fn p9_a_blocked_stream_holds_retention_where_it_stands_and_gets_everything_then() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let save = |tenant: &str, numbers: std::ops::Range<usize>| {
        for number in numbers {
            store.save(&event("plan", number).with_tenant(tenant)).expect("commits");
        }
    };
    save("a", 0..10);
    save("b", 0..90);
    let first = started(mirror(&store, &server.url()));
    first.flush(FLUSH).expect("Redis equals the log");
    // Of `a` the log holds nothing any more.
    assert_eq!(store.prune(Retention::keep_last(50)).expect("prunes").removed, 50);
    server.command(&["XADD", "planbus:{a}:events", &format!("{0}-{0}", u64::MAX), "by", "somebody"]);
    server.command(&["SET", "planbus:{c}:events", "no stream"]);
    save("a", 10..20);
    save("b", 90..100);
    save("c", 0..10);
    wait_for("both are blocked", || first.status().troubled.len() == 2);
    let blocked = first.status();
    assert_eq!(blocked.state, MirrorState::Blocked, "{blocked:?}");
    let streams: Vec<&str> = blocked.troubled.iter().map(|trouble| trouble.stream.as_str()).collect();
    assert_eq!(streams, ["planbus:{a}:events", "planbus:{c}:events"]);
    assert_eq!(first.flush(FLUSH).expect_err("is blocked").kind(), ErrorKind::Storage);
    let length = |tenant: &str| server.entries(&format!("planbus:{{{tenant}}}:events")).len();
    assert_eq!(length("b"), 100, "the others go on");
    wait_for("the cursor is saved", || {
        store.cursors().expect("reads").iter().any(|cursor| cursor.stream.is_empty() && cursor.seq == 50)
    });
    let held = store.prune(Retention::keep_last(1)).expect("prunes");
    assert_eq!((held.removed, held.held_by.map(|cursor| cursor.seq)), (0, Some(50)));
    // Another process goes on with them as they are.
    drop(first);
    let mirror = started(mirror(&store, &server.url()));
    assert_eq!(mirror.flush(FLUSH).expect_err("is blocked").kind(), ErrorKind::Storage);
    server.command(&["DEL", "planbus:{a}:events", "planbus:{c}:events"]);
    wait_for("both are filled", || (length("a"), length("c")) == (10, 10));
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_eq!((length("a"), length("b"), length("c")), (10, 100, 10));
    assert_eq!(mirror.status().skipped, [], "nothing was left out");
}

#[test]
fn p7_what_a_stream_lost_and_the_log_no_longer_holds_is_counted() {
    let Some(server) = RedisServer::builder().persistence(Persistence::Rdb).start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..100);
    let first = started(mirror(&store, &server.url()));
    first.flush(FLUSH).expect("Redis equals the log");
    server.command(&["SAVE"]);
    publish(&store, 100..300);
    first.flush(FLUSH).expect("Redis equals the log");
    drop(first);
    server.kill();
    store.prune(Retention::keep_last(50)).expect("prunes");
    server.restart();
    let second = started(mirror(&store, &server.url()));
    second.flush(FLUSH).expect("Redis equals the log");
    let status = second.status();
    let skipped: Vec<_> =
        status.skipped.iter().map(|one| (one.events, one.first_seq, one.last_seq)).collect();
    assert_eq!(skipped, [(150, 101, 250)], "{status:?}");
    assert_eq!(server.entries(STREAM).len(), 150);
}
