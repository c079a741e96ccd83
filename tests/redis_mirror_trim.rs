//! What a mirror keeps of a stream, and how much it sends at once.

#![cfg(all(feature = "redis", feature = "sqlite"))]

mod mirror_support;
mod redis_support;
mod store_support;

use std::{thread, time::Duration};

use mirror_support::*;
use planbus::{
    redis::{Profile, Streams},
    *,
};
use redis_support::*;
use serde_json::json;
use store_support::*;

/// How many entries a stream may have beyond its limit: it is trimmed when it got a hundred, and a
/// mirror trims what is more than a hundred too many.
const SLACK: usize = 200;

fn kept(entries: u64) -> Profile {
    Profile::native().with_max_len(Some(entries)).expect("a limit")
}

#[test]
fn a_stream_keeps_about_as_many_entries_as_its_profile_says_also_over_many_short_runs() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    for run in 0..30 {
        let mirror = mirror(&store, &server.url()).profile(kept(100)).batch_max_events(50);
        let mirror = started(mirror);
        publish(&store, run * 40..(run + 1) * 40);
        mirror.flush(FLUSH).expect("Redis equals the log");
        let length = server.entries(STREAM).len();
        assert!(length <= 100 + SLACK + 50, "{length} after run {run}");
    }
    let seqs: Vec<u64> = own(&server.entries(STREAM), &store).iter().map(|(seq, _)| *seq).collect();
    assert!(seqs.len() >= 100, "{} are left", seqs.len());
    let first = seqs[0];
    assert_eq!(seqs, (first..=1_200).collect::<Vec<_>>(), "the newest, and all of them");
    // What was trimmed is not missed.
    let mirror = started(mirror(&store, &server.url()).profile(kept(100)));
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(mirror.status().appended, 0);
}

/// Reads as a group does; the ids.
fn read(server: &RedisServer, count: usize) -> Vec<String> {
    let command =
        ["XREADGROUP", "GROUP", "workers", "one", "COUNT", &count.to_string(), "STREAMS", STREAM, ">"];
    let stream = server.call(&command).items().into_iter().next().expect("there are unread ones").items();
    let entries = stream.into_iter().nth(1).expect("a key and entries").items();
    entries.into_iter().map(|entry| entry.items()[0].to_string()).collect()
}

#[test]
fn p9_a_mirror_trims_nothing_that_a_group_has_not_read_and_acked_and_says_who_holds_it() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let mirror = started(mirror(&store, &server.url()).profile(kept(100)));
    publish(&store, 0..50);
    mirror.flush(FLUSH).expect("Redis equals the log");
    server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    publish(&store, 50..800);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(server.entries(STREAM).len(), 800, "nobody has read them");
    assert_eq!(mirror.status().trim_held_by, [(STREAM.to_owned(), "workers".to_owned())]);
    let ids = read(&server, 600);
    publish(&store, 800..1_000);
    mirror.flush(FLUSH).expect("Redis equals the log");
    assert_eq!(server.entries(STREAM).len(), 1_000, "read, and not acked");
    for id in &ids[..500] {
        server.command(&["XACK", STREAM, "workers", id]);
    }
    publish(&store, 1_000..1_600);
    mirror.flush(FLUSH).expect("Redis equals the log");
    let left = server.entries(STREAM);
    assert_eq!(left[0].0, ids[500], "the oldest that is not acked");
    assert_eq!(mirror.status().trim_held_by.len(), 1);
    server.command(&["XGROUP", "DESTROY", STREAM, "workers"]);
    publish(&store, 1_600..2_200);
    mirror.flush(FLUSH).expect("Redis equals the log");
    // The group of the mirror itself, and those of others, hold nothing.
    let left = server.entries(STREAM).len();
    assert!((100..=100 + SLACK + 500).contains(&left), "{left}");
    assert_eq!(mirror.status().trim_held_by, []);
}

/// An event with a payload of about so many bytes.
fn large(bytes: usize) -> Event {
    Event::new("plan", ToolCalled::new("call", "read", json!({ "text": "x".repeat(bytes) })))
}

#[test]
fn an_event_too_large_for_an_entry_is_referred_to_and_one_that_fits_is_there_whole() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    let sizes = [100, 900 << 10, 1 << 20, 3 << 20, (4 << 20) - 1_000, 200];
    for bytes in sizes {
        store.save(&large(bytes)).expect("commits");
    }
    let default = started(mirror(&store, &server.url()));
    default.flush(FLUSH).expect("Redis equals the log");
    assert_equal(&server, &store);
    let all = started(
        mirror(&store, &server.url())
            .name("all")
            .entry_max_bytes(8 << 20)
            .profile(Profile::native().with_key("all:{<tenant>}").expect("a template")),
    );
    all.flush(FLUSH).expect("Redis equals the log");
    let log = store.read_after(0, 10).expect("reads");
    let entries = server.entries(STREAM);
    for (at, event) in log.iter().enumerate() {
        let bytes: usize = entries[at].1.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= 1 << 20, "entry {at} has {bytes} bytes");
        if (2..5).contains(&at) {
            let referred = field(&entries[at], "payload_ref").expect("a reference in place of the payload");
            let referred: serde_json::Value = serde_json::from_str(referred).expect("JSON");
            let length = event.payload_json().expect("JSON").len();
            let expected = json!({ "store": store.store_id(), "seq": at + 1, "bytes": length });
            assert_eq!(referred, expected);
        } else {
            assert_eq!(field(&entries[at], "payload"), event.payload_json().ok());
        }
        assert_eq!(field(&server.entries("all:{default}")[at], "payload"), event.payload_json().ok());
    }
    // Whoever reads the stream sees which event it is, and where the rest is.
    let streams = Streams::new(endpoint(&server.url()), Profile::native());
    let found = streams.recent(STREAM, 10, Filter::all()).expect("reads");
    for (entry, event) in found.iter().rev().zip(&log) {
        assert_eq!(entry.event.as_ref().expect("an event").event_id(), event.event_id());
    }
}

fn save_large(store: &EventStore, events: usize, bytes: usize) {
    for _ in 0..events {
        store.save(&large(bytes)).expect("commits");
    }
}

/// How many bytes of payload each script appended, by what the server saw.
fn batches(server: &RedisServer, act: impl FnOnce()) -> Vec<usize> {
    let mut monitor = server.wire().expect("connects");
    monitor.call(&["MONITOR"]).expect("is told all");
    let watching = thread::spawn(move || {
        let mut batches = Vec::new();
        loop {
            let line = monitor.receive().expect("is told all").to_string();
            if line.contains("\"ECHO\" \"over\"") {
                return batches;
            }
            match batches.last_mut() {
                _ if line.contains("] \"EVAL\"") => batches.push(0),
                Some(bytes) if line.contains("lua] \"XADD\"") => *bytes += line.len(),
                _ => {}
            }
        }
    });
    act();
    server.command(&["ECHO", "over"]);
    watching.join().expect("no panic").into_iter().filter(|bytes| *bytes > 0).collect()
}

#[test]
fn a_batch_has_no_more_bytes_and_events_than_it_may() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    const EVENT: usize = 300_000;
    save_large(&store, 40, EVENT);
    publish(&store, 0..500);
    let found = batches(&server, || {
        let mirror = started(mirror(&store, &server.url()).batch_max_bytes(1 << 20).batch_max_events(100));
        mirror.flush(FLUSH).expect("Redis equals the log");
    });
    assert_equal(&server, &store);
    let (large, small): (Vec<usize>, Vec<usize>) = found.iter().partition(|bytes| **bytes > EVENT);
    assert_eq!((large.len(), small.len()), (10, 5), "{found:?}");
    // About 1 MiB, and the one that brought it there.
    assert!(large.iter().all(|bytes| *bytes < (1 << 20) + EVENT + 10_000), "{large:?}");
}

#[test]
fn the_largest_payloads_and_the_smallest_batches_get_there() {
    let Some(server) = RedisServer::start() else { return };
    let dir = Dir::new();
    let store = open(&dir.db());
    save_large(&store, 6, (4 << 20) - 1_000);
    publish(&store, 0..20);
    let builder = mirror(&store, &server.url()).entry_max_bytes(16 << 20);
    let mirror = started(builder.batch_max_bytes(1_024).batch_max_events(1));
    mirror.flush(Duration::from_secs(60)).expect("Redis equals the log");
    assert_equal(&server, &store);
}
