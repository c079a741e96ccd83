//! The administration of streams, on real servers: what there is, how it stands, reading, deleting,
//! rebuilding.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod redis_support;
mod store_support;

use std::{collections::BTreeSet, time::Duration};

use planbus::{
    redis::{EntryId, MirrorState, Profile, RedisEndpoint, RedisMirror, Streams},
    *,
};
use redis_support::*;
use serde_json::json;
use store_support::*;

const FLUSH: Duration = Duration::from_secs(30);
const STREAM: &str = "planbus:{default}:events";

fn endpoint(server: &RedisServer) -> RedisEndpoint {
    RedisEndpoint::parse(&server.url()).expect("a URL")
}

fn native(server: &RedisServer) -> Streams {
    Streams::new(endpoint(server), Profile::native())
}

/// A store of so many events, mirrored.
fn mirrored(server: &RedisServer, dir: &Dir, events: usize) -> (EventStore, RedisMirror) {
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..events {
        store.save(&event("plan", number)).expect("commits");
    }
    let mirror = RedisMirror::builder(&store, endpoint(server)).start().expect("starts");
    mirror.flush(FLUSH).expect("Redis equals the log");
    (store, mirror)
}

fn seqs(entries: &[planbus::redis::StreamEntry]) -> Vec<u64> {
    entries.iter().filter_map(|entry| entry.event.as_ref().ok()?.seq()).collect()
}

#[test]
fn a_list_has_the_streams_of_the_profile_sorted_and_their_dead_letters_apart() {
    let Some(server) = RedisServer::start() else { return };
    for key in
        ["planbus:{b}:events", "planbus:{a}:events", "planbus:{a}:events:dlq", "planbus:events", "other"]
    {
        server.command(&["XADD", key, "*", "a", "1"]);
    }
    server.command(&["SET", "planbus:{c}:events", "no stream"]);
    let list = native(&server).list().expect("lists");
    assert_eq!(list.streams, ["planbus:{a}:events", "planbus:{b}:events"]);
    assert_eq!(list.dead_letters, ["planbus:{a}:events:dlq"]);
}

#[test]
fn a_list_is_whole_whatever_else_the_server_holds() {
    let Some(server) = RedisServer::start() else { return };
    let mut wire = server.wire().expect("connects");
    for number in 0..5_000 {
        wire.send(&["SET", &format!("key:{number}"), "1"]).expect("sends");
    }
    for number in 0..1_500 {
        wire.send(&["XADD", &format!("planbus:{{t{number}}}:events"), "*", "a", "1"]).expect("sends");
    }
    (0..6_500).for_each(|_| drop(wire.receive().expect("answers")));
    assert_eq!(native(&server).list().expect("lists").streams.len(), 1_500);
}

#[test]
fn a_list_has_the_streams_of_every_master_of_a_cluster() {
    let Some(cluster) = Cluster::start(false) else { return };
    let expected: BTreeSet<String> = (0..600).map(|tenant| format!("planbus:{{t{tenant}}}:events")).collect();
    for key in &expected {
        cluster.master_of(key).command(&["XADD", key, "*", "a", "1"]);
    }
    let endpoint =
        RedisEndpoint::parse(&format!("redis+cluster://{}", cluster.addresses().join(","))).expect("a URL");
    let streams = Streams::new(endpoint, Profile::native());
    let list = streams.list().expect("lists").streams;
    assert_eq!(list, expected.into_iter().collect::<Vec<_>>());
    let infos = streams.infos(&list[..50]).expect("looks");
    assert_eq!(infos.len(), 50);
}

#[test]
fn info_tells_groups_from_mirrors_and_who_holds_trimming_back() {
    for kind in [ServerKind::Redis7, ServerKind::Redis62, ServerKind::Valkey] {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        let dir = Dir::new();
        let (store, _mirror) = mirrored(&server, &dir, 10);
        let streams = native(&server);
        let info = streams.info(STREAM).expect("is there");
        assert_eq!((info.length, info.groups.len(), &info.held_by), (10, 0, &None), "{kind:?}");
        assert!(info.bytes.is_some_and(|bytes| bytes > 500) && info.first_id < info.last_id);
        assert!(info.last_id.and_then(EntryId::time).is_some());
        let [mirror] = &info.mirrors[..] else { panic!("{info:?}") };
        assert_eq!((mirror.seq, &mirror.store), (10, &store.stats().expect("stats").store_id));

        server.command(&["XGROUP", "CREATE", STREAM, "done", "$"]);
        server.command(&["XGROUP", "CREATE", STREAM, "slow", "0"]);
        server.command(&["XREADGROUP", "GROUP", "slow", "one", "COUNT", "4", "STREAMS", STREAM, ">"]);
        let ids: Vec<String> = server.entries(STREAM).into_iter().map(|(id, _)| id).collect();
        server.command(&["XACK", STREAM, "slow", &ids[0], &ids[2]]);
        let info = streams.info(STREAM).expect("is there");
        let [done, slow] = &info.groups[..] else { panic!("{info:?}") };
        assert_eq!((done.name.as_str(), done.lag, done.pending), ("done", Some(0), 0), "{kind:?}");
        assert_eq!((slow.consumers, slow.pending), (1, 2));
        assert_eq!(slow.oldest_pending_id.map(|id| id.to_string()).as_ref(), Some(&ids[1]));
        assert_eq!(slow.last_delivered_id.to_string(), ids[3]);
        assert_eq!(slow.lag, Some(6), "{kind:?}");
        let hold = info.held_by.expect("slow holds it");
        assert_eq!((hold.group.as_str(), hold.from_id.to_string()), ("slow", ids[1].clone()));
        // Before 7.0 a server cannot tell, and more than these are not counted.
        for number in 0..95 {
            server.command(&["XADD", STREAM, "*", "number", &number.to_string()]);
        }
        let lags =
            |info: &planbus::redis::StreamInfo| info.groups.iter().map(|group| group.lag).collect::<Vec<_>>();
        let slow = (kind != ServerKind::Redis62).then_some(101);
        assert_eq!(lags(&streams.info(STREAM).expect("is there")), [Some(95), slow], "{kind:?}");
    }
}

#[test]
fn recent_entries_come_newest_first_with_a_filter_across_pages() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..1_500 {
        let plan = if number % 500 == 7 { "rare" } else { "plan" };
        store.save(&event(plan, number)).expect("commits");
    }
    let mirror = RedisMirror::builder(&store, endpoint(&server)).start().expect("starts");
    mirror.flush(FLUSH).expect("Redis equals the log");
    let streams = native(&server);
    let newest = streams.recent(STREAM, 3, Filter::all()).expect("reads");
    assert_eq!(seqs(&newest), [1_500, 1_499, 1_498]);
    let rare = streams.recent(STREAM, 100, Filter::all().plan("rare")).expect("reads");
    assert_eq!(seqs(&rare), [1_008, 508, 8]);
    let all = streams.recent(STREAM, 10_000, Filter::all()).expect("reads");
    assert_eq!(seqs(&all), (1..=1_500).rev().collect::<Vec<_>>());
    let after = streams.read_after(STREAM, all[1_499 - 600].id, 700, Filter::all()).expect("reads");
    assert_eq!(seqs(&after), (602..=1_301).collect::<Vec<_>>());
    let from_start = streams.read_after(STREAM, EntryId::ZERO, 10_000, Filter::all()).expect("reads");
    assert_eq!(from_start.len(), 1_500);
    let log = store.read_after(0, 10_000).expect("reads");
    for (entry, event) in from_start.iter().zip(log) {
        let read = entry.event.as_ref().expect("an event");
        assert_eq!(
            (read.event_id(), read.payload_json().ok()),
            (event.event_id(), event.payload_json().ok())
        );
    }
}

#[test]
fn p11_an_entry_that_holds_no_event_is_given_raw_and_in_its_place() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let (store, mirror) = mirrored(&server, &dir, 1);
    let raw: [&[u8]; 9] =
        [b"XADD", STREAM.as_bytes(), b"*", b"dup", b"\xff\x00", b"other", b"2", b"dup", b"\x1b[2J"];
    server.call(&raw);
    store.save(&event("plan", 2)).expect("commits");
    mirror.flush(FLUSH).expect("Redis equals the log");
    for filter in [Filter::all(), Filter::all().plan("plan")] {
        let entries = native(&server).recent(STREAM, 10, filter).expect("reads");
        assert_eq!(entries.len(), 3);
        assert!(entries[0].event.is_ok() && entries[2].event.is_ok());
        let expected: [(&[u8], &[u8]); 3] = [(b"dup", b"\xff\x00"), (b"other", b"2"), (b"dup", b"\x1b[2J")];
        let fields: Vec<(&[u8], &[u8])> = entries[1].fields.iter().map(|(n, v)| (&n[..], &v[..])).collect();
        assert_eq!(fields, expected);
        let error = entries[1].event.as_ref().expect_err("no event");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let others = native(&server).recent(STREAM, 10, Filter::all().tenant("other")).expect("reads");
    assert!(others.is_empty(), "p10: another tenant's stream: {others:?}");
}

#[test]
fn p7_a_rebuilt_stream_keeps_its_groups_and_gets_every_event_again() {
    for kind in [ServerKind::Redis7, ServerKind::Redis62, ServerKind::Valkey] {
        let Some(server) = RedisServer::builder().kind(kind).start() else { continue };
        let dir = Dir::new();
        let (store, mirror) = mirrored(&server, &dir, 30);
        server.command(&["XGROUP", "CREATE", STREAM, "workers", "$"]);
        server.command(&["XADD", STREAM, "*", "foreign", "1"]);
        let report = native(&server).rebuild(STREAM).expect("rebuilds");
        assert_eq!((report.removed, &report.groups[..]), (31, &["workers".to_owned()][..]));
        mirror.flush(FLUSH).expect("Redis equals the log");
        let read = native(&server).read_after(STREAM, EntryId::ZERO, 100, Filter::all()).expect("reads");
        assert_eq!(seqs(&read), (1..=30).collect::<Vec<_>>(), "{kind:?}");
        let info = native(&server).info(STREAM).expect("is there");
        assert_eq!(info.groups[0].name, "workers");
        let delivered =
            server.command(&["XREADGROUP", "GROUP", "workers", "one", "COUNT", "1", "STREAMS", STREAM, ">"]);
        assert!(delivered.contains(&read[0].id.to_string()), "{delivered}");
        drop(store);
    }
}

#[test]
fn p7_a_rebuild_mends_a_stream_that_a_foreign_maximal_id_blocks() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let (store, mirror) = mirrored(&server, &dir, 3);
    server.command(&["XADD", STREAM, &EntryId::MAX.to_string(), "foreign", "1"]);
    store.save(&event("plan", 4)).expect("commits");
    wait_until("the mirror is blocked", || mirror.status().state == MirrorState::Blocked);
    assert_eq!(native(&server).recent(STREAM, 1, Filter::all()).expect("reads")[0].id, EntryId::MAX);
    native(&server).rebuild(STREAM).expect("rebuilds");
    wait_until("the mirror goes on", || mirror.status().state == MirrorState::Live);
    mirror.flush(FLUSH).expect("Redis equals the log");
    let read = native(&server).read_after(STREAM, EntryId::ZERO, 100, Filter::all()).expect("reads");
    assert_eq!(seqs(&read), [1, 2, 3, 4]);
}

#[test]
fn a_deleted_stream_is_gone_until_its_mirror_makes_it_again() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let (_store, mirror) = mirrored(&server, &dir, 3);
    mirror.stop().expect("stops");
    let streams = native(&server);
    streams.delete(STREAM).expect("deletes");
    assert!(streams.list().expect("lists").streams.is_empty());
    assert_eq!(streams.delete(STREAM).expect_err("is gone").kind(), ErrorKind::NotFound);
}

#[test]
fn what_is_not_there_is_told_from_what_is_no_stream_and_from_a_server_that_is_away() {
    let Some(server) = RedisServer::start() else { return };
    server.command(&["SET", "text", "1"]);
    let streams = native(&server);
    let kinds = |name: &str| {
        [
            streams.info(name).map(|_| ()),
            streams.recent(name, 1, Filter::all()).map(|_| ()),
            streams.read_after(name, EntryId::ZERO, 1, Filter::all()).map(|_| ()),
            streams.trim(name, planbus::redis::TrimRule::MaxLen(1), false).map(|_| ()),
            streams.rebuild(name).map(|_| ()),
            streams.delete(name),
        ]
        .map(|result| result.expect_err(name).kind())
    };
    assert_eq!(kinds("nowhere"), [ErrorKind::NotFound; 6]);
    assert_eq!(kinds("text"), [ErrorKind::InvalidInput; 6]);
    for count in [0, 10_001] {
        let error = streams.recent("nowhere", count, Filter::all()).expect_err("a wrong count");
        assert_eq!(error.to_string(), format!("count: must be 1 to 10000, got {count}"));
    }
    server.kill();
    assert_eq!(kinds("nowhere"), [ErrorKind::Unavailable; 6]);
    assert_eq!(streams.list().expect_err("away").kind(), ErrorKind::Unavailable);
}

#[test]
fn health_tells_the_server_and_what_it_holds_of_the_profile() {
    let Some(server) = RedisServer::start() else { return };
    server.command(&["XADD", STREAM, "*", "a", "1"]);
    server.command(&["XADD", &format!("{STREAM}:dlq"), "*", "a", "1"]);
    let health = native(&server).health().expect("healthy");
    assert_eq!((health.streams, health.dead_letters, health.profile.as_str()), (Some(1), Some(1), "native"));
    let json = json!(health);
    assert!(json["status"].is_string() && json["streams"] == 1 && json["not_counted"].is_null(), "{json}");
}

#[test]
fn health_is_told_where_the_streams_cannot_be_counted() {
    let Some(server) = RedisServer::builder().acl("app", "~* +@all -scan", "s3cret").start() else { return };
    let uncounted = |streams: Streams| {
        let json = json!(streams.health().expect("the server answers"));
        assert!(json["status"] == "healthy" || json["status"] == "degraded", "{json}");
        assert!(json["streams"].is_null() && json["dead_letters"].is_null(), "{json}");
        json["not_counted"].as_str().expect("why").to_owned()
    };
    let url = server.url_as("app", "s3cret");
    let no_scan = Streams::new(RedisEndpoint::parse(&url).expect("a URL"), Profile::native());
    assert_eq!(uncounted(no_scan), "redis: count streams: refused by the server");
    let append = "for i = 1, 10001 do redis.call('XADD', 'planbus:{t' .. i .. '}:events', '*', 'a', i) end";
    server.command(&["EVAL", append, "0"]);
    assert_eq!(uncounted(native(&server)), "list streams: the profile has more than 10000");
    server.command(&["DEBUG", "POPULATE", "1000001"]);
    assert_eq!(uncounted(native(&server)), "count streams: the server holds more than 1000000 keys");
}

#[test]
fn a_profile_with_a_registry_is_listed_by_it_and_a_deleted_stream_leaves_it() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    store.save(&Event::new("plan", PlanStarted::new("goal"))).expect("commits");
    store.save(&event("plan", 1)).expect("commits");
    let profile = Profile::named("attune-registry").expect("a profile");
    let mirror = RedisMirror::builder(&store, endpoint(&server)).profile(profile.clone()).start();
    let mirror = mirror.expect("starts");
    mirror.flush(FLUSH).expect("Redis equals the log");
    mirror.stop().expect("stops");
    server.command(&["XADD", "stream:unregistered", "*", "a", "1"]);
    server.command(&["SADD", "stream_registry", "stream:gone"]);
    let streams = Streams::new(endpoint(&server), profile);
    let list = streams.list().expect("lists").streams;
    assert_eq!(list, ["stream:PlanStarted", "stream:ToolCalled"]);
    streams.delete("stream:PlanStarted").expect("deletes");
    assert_eq!(streams.list().expect("lists").streams, ["stream:ToolCalled"]);
    assert_eq!(server.command(&["SISMEMBER", "stream_registry", "stream:PlanStarted"]), "0");
}

#[test]
fn the_dead_letters_of_a_profile_without_braces_are_no_streams_of_it() {
    let Some(server) = RedisServer::start() else { return };
    for key in ["events:workflow.started", "events:workflow.started:dlq", "events:alone:dlq", "events:"] {
        server.command(&["XADD", key, "*", "a", "1"]);
    }
    let list = Streams::new(endpoint(&server), Profile::named("per-type").expect("a profile")).list();
    let list = list.expect("lists");
    assert_eq!(list.streams, ["events:workflow.started"]);
    assert_eq!(list.dead_letters, ["events:workflow.started:dlq"]);
}
