//! The mirror: Redis Streams equal the log, over a real server, in the plain course of things.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod redis_support;
mod store_support;

use std::time::Duration;

use planbus::{
    redis::{MirrorState, RedisEndpoint, RedisMirror},
    *,
};
use redis_support::*;
use store_support::*;

const FLUSH: Duration = Duration::from_secs(30);

fn mirror(store: &EventStore, server: &RedisServer) -> RedisMirror {
    let endpoint = RedisEndpoint::parse(&server.url()).expect("a URL");
    RedisMirror::builder(store, endpoint).start().expect("starts")
}

#[test]
fn p7_every_event_is_in_its_stream_once_and_in_order() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..1_234 {
        store.save(&event("plan", number)).expect("commits");
    }
    let mirror = mirror(&store, &server);
    mirror.flush(FLUSH).expect("Redis equals the log");
    for number in 1_234..1_300 {
        store.save(&event("plan", number)).expect("commits");
    }
    mirror.flush(FLUSH).expect("Redis equals the log");
    let status = mirror.status();
    assert_eq!(
        (status.state, status.lag_events, status.appended),
        (MirrorState::Live, 0, 1_300),
        "{status:?}"
    );
    let entries = server.entries("planbus:{default}:events");
    assert_eq!(entries.len(), 1_300);
}
