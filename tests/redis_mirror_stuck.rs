//! What holds one stream up holds up no other, and a busy neighbour holds up none.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod mirror_support;
mod redis_support;
mod store_support;

use std::sync::atomic::{AtomicBool, Ordering};

use mirror_support::*;
use planbus::redis::MirrorState;
use redis_support::*;
use store_support::*;

/// A figure of `INFO commandstats` about a command.
fn stat(server: &RedisServer, command: &str, figure: &str) -> u64 {
    let info = server.command(&["INFO", "commandstats"]);
    let line = info.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:"))).unwrap_or_default();
    let found = line.split([':', ',']).find_map(|part| part.strip_prefix(&format!("{figure}=")));
    found.map_or(0, |number| number.trim().parse().expect("a number"))
}

#[test]
fn a_stream_that_refuses_entries_holds_up_no_other_and_is_filled_once_it_takes_them() {
    let rules = "%R~planbus:{closed}:* ~planbus:{default}:* +@all";
    let Some(server) = RedisServer::builder().tcp().acl("app", rules, "pass").start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    for number in 0..300 {
        store
            .save(&event("plan", number).with_tenant(if number % 2 == 0 { "closed" } else { "default" }))
            .expect("commits");
    }
    let mirror = started(mirror(&store, &server.url_as("app", "pass")).batch_max_events(10));
    wait_for_state(&mirror, MirrorState::Blocked);
    wait_for("the other stream has everything", || server.entries(STREAM).len() == 150);
    assert_eq!(mirror.status().seq, 0, "the closed one still lacks its first event");
    let tried = stat(&server, "xadd", "rejected_calls");
    wait_for("it is tried", || stat(&server, "xadd", "rejected_calls") > tried);
    store.save(&event("plan", 300)).expect("commits");
    wait_for("the other stream gets what comes", || server.entries(STREAM).len() == 151);
    server.command(&["ACL", "SETUSER", "app", "resetkeys", "~*"]);
    wait_for("it is filled", || server.entries("planbus:{closed}:events").len() == 150);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_eq!((server.entries("planbus:{closed}:events").len(), server.entries(STREAM).len()), (150, 151));
}

#[test]
fn p7_a_group_that_was_destroyed_is_found_again_while_somebody_else_appends_without_pause() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..5_000);
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut wire = server.wire().expect("answers");
            while !is_over.load(Ordering::Relaxed) {
                wire.call(&["XADD", STREAM, "*", "by", "somebody else"]).expect("answers");
                std::thread::yield_now();
            }
        });
        let group = format!("planbus:{}", store.store_id());
        server.command(&["XGROUP", "DESTROY", STREAM, &group]);
        publish(&store, 5_000..5_100);
        let flushed = mirror.flush(FLUSH);
        is_over.store(true, Ordering::Relaxed);
        flushed.expect("Redis equals the log");
    });
    assert_equal(&server, &store);
}

#[test]
fn a_stream_that_is_far_too_long_comes_down_to_its_length_while_events_come() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..30_000);
    let all = planbus::redis::Profile::native().with_max_len(None).expect("valid");
    let few = planbus::redis::Profile::native().with_max_len(Some(1_000)).expect("valid");
    let mirror = started(mirror(&store, &server.url()).profile(all));
    mirror.flush(FLUSH).expect("Redis equals the log");
    drop(mirror);
    let mirror = started(mirror_support::mirror(&store, &server.url()).profile(few));
    for round in 0..10 {
        publish(&store, 30_000 + round..30_001 + round);
        mirror.flush(FLUSH).expect("Redis equals the log");
    }
    let entries = server.entries(STREAM).len();
    assert!(entries <= 1_300, "{entries} entries");
}
