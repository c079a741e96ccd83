//! Several mirrors side by side, and what one of them is told to do: each option is checked, each
//! mirror does its own work once, and one that is told something else begins anew.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod mirror_support;
mod redis_support;
mod store_support;

use mirror_support::*;
use planbus::{
    redis::{MirrorBuilder, MirrorState, Profile, RedisMirror},
    *,
};
use redis_support::*;
use store_support::*;

/// Nobody listens there.
const NOWHERE: &str = "redis://127.0.0.1:1";

fn refused(builder: MirrorBuilder, kind: ErrorKind, words: &str) {
    let error = builder.start().expect_err(words);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{words:?} in {error}");
}

#[test]
fn an_option_out_of_its_range_is_refused_by_its_name() {
    let dir = Dir::new();
    let store = open(&dir.db());
    let builder = || mirror(&store, NOWHERE);
    for (builder, words) in [
        (builder().batch_max_events(0), "batch_max_events: must be 1 to 2000, got 0"),
        (builder().batch_max_events(2_001), "batch_max_events: must be 1 to 2000, got 2001"),
        (builder().batch_max_bytes(1_023), "batch_max_bytes: must be 1024 to"),
        (builder().batch_max_bytes(usize::MAX), "batch_max_bytes: must be"),
        (builder().entry_max_bytes(0), "entry_max_bytes: must be 1024 to"),
        (builder().entry_max_bytes((16 << 20) + 1), "entry_max_bytes: must be"),
        (builder().filter(Filter::all()), "name: must be given with a filter"),
        (builder().name(""), "name: must match"),
        (builder().name("a b"), "name: must match"),
        (builder().name("x".repeat(58)), "name: must match [A-Za-z0-9][A-Za-z0-9._-]{0,56}, got"),
    ] {
        refused(builder, ErrorKind::InvalidOption, words);
    }
    refused(builder().name("f").filter(Filter::all().plan("")), ErrorKind::InvalidInput, "plan");
    let cluster = "redis+cluster://127.0.0.1:1";
    let per_type = mirror(&store, cluster).profile(Profile::per_type());
    refused(per_type, ErrorKind::InvalidOption, "dlq_key {events:<type>}:dlq");
    // What was refused has taken no name.
    drop(started(builder()));
    drop(started(builder().name("f")));
    store.close().expect("closes");
    refused(builder(), ErrorKind::Closed, "closed");
    let reader = EventStore::open_read_only(dir.db()).expect("opens");
    refused(mirror(&reader, NOWHERE), ErrorKind::ReadOnly, "read-only");
}

#[test]
fn a_name_belongs_to_one_mirror_of_a_store_until_that_is_dropped() {
    let dirs = [Dir::new(), Dir::new()];
    let [store, other] = [&dirs[0], &dirs[1]].map(|dir| open(&dir.db()));
    let first = started(mirror(&store, NOWHERE));
    refused(mirror(&store, NOWHERE), ErrorKind::InvalidOption, "name: another mirror");
    refused(mirror(&store, NOWHERE).name("native"), ErrorKind::InvalidOption, "is called native");
    let _elsewhere = started(mirror(&other, NOWHERE));
    let second = started(mirror(&store, NOWHERE).name("second"));
    drop(first);
    let again = started(mirror(&store, NOWHERE));
    again.stop().expect("ends");
    // A mirror that was stopped does nothing more, and keeps no other one out.
    drop(started(mirror(&store, NOWHERE)));
    refused(mirror(&store, NOWHERE).name("second"), ErrorKind::InvalidOption, "name");
    drop(second);
}

#[test]
fn bus_store_and_mirror_may_go_in_any_order() {
    let Some(server) = RedisServer::start() else { return };
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let dir = Dir::new();
        let store = open(&dir.db());
        let bus = EventBus::builder().store(store.clone()).build().expect("builds");
        let mirror = started(mirror(&store, &server.url()));
        bus.publish(event("plan", 1)).expect("commits");
        mirror.flush(FLUSH).expect("Redis equals the log");
        let (mut bus, mut store, mut mirror) = (Some(bus), Some(store), Some(mirror));
        for which in order {
            match which {
                0 => drop(bus.take()),
                1 => drop(store.take()),
                _ => drop(mirror.take()),
            }
        }
        // All have let it go.
        open(&dir.db()).close().expect("closes");
    }
}

#[test]
fn p7_mirrors_of_one_log_do_their_own_work_side_by_side() {
    let Some(server) = RedisServer::start() else { return };
    let Some(second) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let url = server.url();
    let mirrors = [
        started(mirror(&store, &url)),
        started(mirror(&store, &second.url()).name("second")),
        started(mirror(&store, &url).profile(Profile::per_type())),
        started(mirror(&store, &url).profile(Profile::orchestration())),
        started(mirror(&store, &url).profile(Profile::attune_registry())),
    ];
    for round in 0..3 {
        store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
        publish(&store, round * 200..round * 200 + 199);
        if round == 1 {
            server.command(&["FLUSHALL"]);
        }
    }
    for mirror in &mirrors {
        mirror.flush(FLUSH).expect("Redis equals the log");
    }
    assert_equal(&server, &store);
    assert_equal(&second, &store);
    let lengths = [
        ("events:workflow.started", 3),
        ("events:workflow.progressed", 597),
        ("orchestration:events", 600),
        ("stream:ToolCalled", 597),
    ];
    for (stream, length) in lengths {
        assert_eq!(server.entries(stream).len(), length, "{stream}");
    }
    let cursors = store.cursors().expect("reads");
    let own = cursors.iter().filter(|cursor| cursor.stream.is_empty());
    assert!(own.clone().all(|cursor| cursor.seq == 600), "{cursors:?}");
    assert_eq!(own.count(), 5);
}

fn filtered(store: &EventStore, server: &RedisServer, name: &str, event_type: &str) -> RedisMirror {
    started(mirror(store, &server.url()).name(name).filter(Filter::all().types([event_type])))
}

#[test]
fn p7_two_filters_fill_one_stream_with_each_event_once_whatever_is_lost() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let tools = filtered(&store, &server, "tools", "ToolCalled");
    let plans = filtered(&store, &server, "plans", "PlanStarted");
    let groups = ["tools", "plans"].map(|name| format!("planbus:{}:{name}", store.store_id()));
    for round in 0..5 {
        for number in 0..60 {
            store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
            store.save(&event("plan", number)).expect("commits");
        }
        match round {
            1 => drop(server.command(&["FLUSHALL"])),
            2 => drop(server.command(&["XGROUP", "DESTROY", STREAM, &groups[0]])),
            3 => groups.iter().for_each(|group| drop(server.command(&["XGROUP", "DESTROY", STREAM, group]))),
            _ => {}
        }
        tools.flush(FLUSH).expect("has its events there");
        plans.flush(FLUSH).expect("has its events there");
        let all = own(&server.entries(STREAM), &store);
        let (mut odd, mut even): (Vec<_>, Vec<_>) = all.into_iter().partition(|(seq, _)| seq % 2 == 1);
        assert!(odd.is_sorted() && even.is_sorted(), "each in its order");
        odd.append(&mut even);
        odd.sort();
        assert_eq!(odd, logged(&store), "after round {round}");
    }
}

#[test]
fn a_mirror_that_is_given_another_key_fills_the_new_streams_and_leaves_the_old_ones_alone() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..50);
    let first = started(mirror(&store, &server.url()));
    first.flush(FLUSH).expect("Redis equals the log");
    first.stop().expect("ends");
    let renamed = Profile::native().with_key("other:{<tenant>}").expect("a template");
    let second = started(mirror(&store, &server.url()).profile(renamed));
    second.flush(FLUSH).expect("Redis equals the log");
    publish(&store, 50..60);
    second.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(own(&server.entries("other:{default}"), &store), logged(&store));
    assert_eq!(server.entries(STREAM).len(), 50);
    server.command(&["DEL", STREAM]);
    second.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(server.command(&["EXISTS", STREAM]), "0", "it does not come back");
}

#[test]
fn streams_that_were_taken_out_of_their_registry_are_put_back_by_an_idle_mirror() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
    publish(&store, 0..10);
    let mirror = started(mirror(&store, &server.url()).profile(Profile::attune_registry()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    let registered = || {
        let mut names: Vec<String> =
            server.call(&["SMEMBERS", "stream_registry"]).items().iter().map(Reply::to_string).collect();
        names.sort();
        names
    };
    let expected = ["stream:PlanStarted", "stream:ToolCalled"];
    assert_eq!(registered(), expected);
    server.command(&["DEL", "stream_registry"]);
    wait_for("the set is there again", || registered() == expected);
    server.command(&["SREM", "stream_registry", expected[0]]);
    wait_for("the set is whole again", || registered() == expected);
    assert_eq!(mirror.status().state, MirrorState::Live);
}
