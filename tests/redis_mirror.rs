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

const STREAM: &str = "planbus:{default}:events";
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
    let entries = server.entries(STREAM);
    assert_eq!(entries.len(), 1_300);
}

#[test]
fn a_stream_that_a_foreign_maximal_id_exhausted_is_blocked_until_it_is_deleted() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    store.save(&event("plan", 1)).expect("commits");
    let mirror = mirror(&store, &server);
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
