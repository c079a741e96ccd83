//! A mirror whose Redis is not there, or refuses: it says so, costs nobody anything, and goes on by
//! itself.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod mirror_support;
mod redis_support;
mod store_support;

use std::time::{Duration, Instant};

use mirror_support::*;
use planbus::{redis::MirrorState, *};
use redis_support::*;
use store_support::*;

#[test]
fn p7_a_redis_that_is_absent_at_the_start_is_filled_by_itself_once_it_comes() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    server.kill();
    let dir = Dir::new();
    let store = open(&dir.db());
    let url = format!("redis://user:canary-7f3@127.0.0.1:{}", server.port());
    let mirror = started(mirror(&store, &url));
    publish(&store, 0..100);
    wait_for_state(&mirror, MirrorState::Retrying);
    let status = mirror.status();
    let before = (status.seq, status.head, status.lag_events, status.appended);
    assert_eq!(before, (0, 100, 100, 0), "{status:?}");
    let error = status.last_error.clone().expect("says why");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(told(&error).contains(&format!("127.0.0.1:{}", server.port())), "{}", told(&error));
    assert!(!format!("{status:?} {mirror:?} {}", told(&error)).contains("canary"), "{status:?}");
    publish(&store, 100..150);
    assert_eq!(mirror.status().lag_events, 150);
    wait_for("the lag grows with the time", || mirror.status().lag > status.lag);
    // Its user is not known there yet: somebody has to mend that.
    server.restart();
    wait_for_state(&mirror, MirrorState::Blocked);
    assert_eq!(mirror.status().last_error.map(|error| error.kind()), Some(ErrorKind::Unauthorized));
    server.command(&["ACL", "SETUSER", "user", "on", ">canary-7f3", "~*", "+@all"]);
    wait_for("the stream is filled", || server.entries(STREAM).len() == 150);
    wait_for_state(&mirror, MirrorState::Live);
    assert_equal(&server, &store);
    let status = mirror.status();
    assert_eq!((status.lag_events, status.lag, status.appended), (0, Duration::ZERO, 150));
    assert!(status.last_error.is_none() && status.server.is_some(), "{status:?}");
}

#[test]
fn p7_a_redis_that_goes_and_comes_back_has_everything_by_itself() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()));
    publish(&store, 0..50);
    mirror.flush(FLUSH).expect("Redis equals the log");
    for round in 1..4 {
        server.kill();
        publish(&store, round * 50..(round + 1) * 50);
        wait_for_state(&mirror, MirrorState::Retrying);
        // It keeps nothing over its end: everything is missing.
        server.restart();
        wait_for("the stream is filled", || server.entries(STREAM).len() == (round + 1) * 50);
        assert_equal(&server, &store);
    }
}

/// The median time of a publish.
fn median(store: &EventStore) -> Duration {
    let mut taken: Vec<Duration> = (0..400)
        .map(|number| {
            let event = event("plan", number);
            let start = Instant::now();
            store.save(&event).expect("commits");
            start.elapsed()
        })
        .collect();
    taken.sort();
    taken[taken.len() / 2]
}

#[test]
fn p7_publish_neither_fails_nor_waits_while_redis_is_away_or_stands_still() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let alone = median(&store);
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.stop();
    let stands_still = median(&store);
    server.cont();
    server.kill();
    wait_for_state(&mirror, MirrorState::Retrying);
    let away = median(&store);
    println!("a publish: {alone:?} alone, {stands_still:?} with Redis standing still, {away:?} without it");
    // One round trip to a Redis that does not answer takes thousands of times as long.
    assert!(stands_still < 20 * alone && away < 20 * alone, "{alone:?}, {stands_still:?}, {away:?}");
    server.restart();
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
}

#[test]
fn a_mirror_tries_no_oftener_than_its_delays_allow_whatever_keeps_it() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..10);
    proxy.set(Fault::Refuse);
    let first = started(mirror(&store, &proxy.url()));
    assert_backs_off(|| proxy.accepted() as u64);
    proxy.set(Fault::None);
    first.flush(FLUSH).expect("Redis equals the log");
    // One that lets it in and takes nothing.
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    publish(&store, 10..20);
    wait_for_state(&first, MirrorState::Retrying);
    assert_backs_off(|| proxy.accepted() as u64);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_for_state(&first, MirrorState::Live);
    // A replica refuses every entry.
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    server.command(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
    publish(&store, 20..30);
    wait_for_state(&first, MirrorState::Retrying);
    assert_backs_off(|| proxy.accepted() as u64);
    server.promote();
    first.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
}

#[test]
fn a_flush_does_not_wait_for_the_end_of_a_long_delay() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    server.kill();
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..10);
    let hour = Duration::from_secs(3_600);
    let endpoint = redis::RedisEndpoint::builder(&server.url()).back_off(hour, hour).back_off_jitter(0.0);
    let mirror = redis::RedisMirror::builder(&store, endpoint.build().expect("a URL"));
    let mirror = started(mirror);
    wait_for_state(&mirror, MirrorState::Retrying);
    server.restart();
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
}

#[test]
fn p9_retention_keeps_what_a_mirror_has_not_read_also_when_redis_never_came() {
    let dir = Dir::new();
    let store = open(&dir.db());
    publish(&store, 0..100);
    let mirror = started(mirror(&store, "redis://127.0.0.1:1"));
    let report = store.prune(Retention::keep_last(10)).expect("prunes");
    let held_by = report.held_by.map(|cursor| (cursor.reader, cursor.seq));
    assert_eq!((report.removed, held_by), (0, Some(("mirror.native".to_owned(), 0))));
    drop(mirror);
}

#[test]
fn a_store_that_is_closed_ends_its_mirror_whatever_redis_does() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    for fault in ["none", "still", "gone"] {
        let dir = Dir::new();
        let store = open(&dir.db());
        publish(&store, 0..20);
        let mirror = started(mirror(&store, &server.url()));
        mirror.flush(FLUSH).expect("Redis equals the log");
        match fault {
            "still" => server.stop(),
            "gone" => {
                server.kill();
                wait_for_state(&mirror, MirrorState::Retrying);
            }
            _ => {}
        }
        store.close().expect("closes");
        wait_for_state(&mirror, MirrorState::Stopped);
        assert_eq!(mirror.flush(FLUSH).expect_err("is over").kind(), ErrorKind::Closed);
        mirror.stop().expect("ends");
        assert_eq!(mirror.status().state, MirrorState::Stopped);
        if fault == "still" {
            server.cont();
        } else if fault == "gone" {
            server.restart();
        }
    }
}

#[test]
fn stopping_takes_no_longer_than_a_read_when_redis_stands_still() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()));
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.stop();
    publish(&store, 0..500);
    let start = Instant::now();
    drop(mirror);
    let taken = start.elapsed();
    server.cont();
    // The read that was under way, and time for a machine that does much else.
    assert!(taken < 8 * TIMEOUT, "{taken:?}");
}

#[test]
fn stopping_does_not_wait_until_many_streams_were_looked_at() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let dir = Dir::new();
    let store = open(&dir.db());
    let events: Vec<Event> = (0..2_000).map(|number| event(&format!("plan-{number}"), number)).collect();
    EventBus::builder().store(store.clone()).build().expect("builds").publish_all(events).expect("commits");
    let profile = redis::Profile::native().with_key("{p}:<plan>").expect("a template");
    let mirror = started(mirror(&store, &proxy.url()).profile(profile));
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.command(&["FLUSHALL"]);
    let keys = || server.command(&["DBSIZE"]).parse::<usize>().expect("a number");
    // Now each of the round trips takes 20 ms, and two are needed for each stream.
    proxy.set(Fault::Delay(Duration::from_millis(10)));
    wait_for("it looks after its streams", || keys() > 0);
    let start = Instant::now();
    drop(mirror);
    assert!(start.elapsed() < 8 * TIMEOUT, "{:?}", start.elapsed());
    assert!(keys() < 1_000, "it was far from done");
}
