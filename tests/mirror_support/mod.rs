//! What the tests of the mirror share: stores that it reads, and whether a stream equals the log.
//!
//! Looks into streams with a client and a reader of its own.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    error::Error as _,
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

use planbus::{
    redis::{MirrorBuilder, MirrorState, RedisEndpoint, RedisMirror},
    *,
};

use crate::{
    redis_support::{Entry, RedisServer, wait_for},
    store_support::event,
};

pub(crate) const STREAM: &str = "planbus:{default}:events";

/// More than any flush of a test needs.
pub(crate) const FLUSH: Duration = Duration::from_secs(30);

/// The delays of an endpoint that does not let a test wait long.
pub(crate) const FIRST_DELAY: Duration = Duration::from_millis(20);
pub(crate) const MAX_DELAY: Duration = Duration::from_millis(200);
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);

/// An endpoint that does not let a test wait long.
pub(crate) fn endpoint(url: &str) -> RedisEndpoint {
    let builder = RedisEndpoint::builder(url).back_off(FIRST_DELAY, MAX_DELAY).back_off_jitter(0.0);
    let builder = builder.connect_timeout(TIMEOUT).read_timeout(TIMEOUT).write_timeout(TIMEOUT);
    builder.build().expect("a URL")
}

/// A store that need not survive a power cut.
pub(crate) fn open(db: &Path) -> EventStore {
    EventStore::options().durability(Durability::Process).open(db).expect("opens")
}

/// Publishes events of these numbers.
pub(crate) fn publish(store: &EventStore, numbers: Range<usize>) {
    for number in numbers {
        store.save(&event("plan", number)).expect("commits");
    }
}

/// A mirror of the native profile, to be started.
pub(crate) fn mirror(store: &EventStore, url: &str) -> MirrorBuilder {
    RedisMirror::builder(store, endpoint(url))
}

pub(crate) fn started(builder: MirrorBuilder) -> RedisMirror {
    builder.start().expect("starts")
}

/// Waits until a mirror is in this state.
pub(crate) fn wait_for_state(mirror: &RedisMirror, state: MirrorState) {
    let mut seen = mirror.status();
    wait_for(&format!("the mirror is {state}, it is {seen:?}"), || {
        seen = mirror.status();
        seen.state == state
    });
}

/// The whole chain of an error, as the program prints it.
pub(crate) fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        told += &format!(": {cause}");
        next = cause.source();
    }
    told
}

/// A field of an entry.
pub(crate) fn field<'a>(entry: &'a Entry, name: &str) -> Option<&'a str> {
    entry.1.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// The seqs and event ids of the entries of the native profile that a store's mirror wrote.
pub(crate) fn own(entries: &[Entry], store: &EventStore) -> Vec<(u64, String)> {
    let of_store = entries.iter().filter(|entry| field(entry, "store") == Some(store.store_id()));
    let id = |entry| {
        let seq = field(entry, "seq").and_then(|seq| seq.parse().ok()).expect("a seq");
        (seq, field(entry, "event_id").expect("an id").to_owned())
    };
    of_store.map(id).collect()
}

/// The seqs and event ids of the events that the log holds.
pub(crate) fn logged(store: &EventStore) -> Vec<(u64, String)> {
    let log = store.read_after(log_floor(store), usize::MAX).expect("reads");
    log.iter().map(|event| (event.seq().expect("is in the log"), event.event_id().to_string())).collect()
}

/// The seq before the first that the log holds.
pub(crate) fn log_floor(store: &EventStore) -> u64 {
    store.stats().expect("figures").first_seq.map_or(0, |first| first - 1)
}

/// Checks that a stream has every event of the log once and in order.
pub(crate) fn assert_equal(server: &RedisServer, store: &EventStore) {
    assert_eq!(own(&server.entries(STREAM), store), logged(store), "the stream equals the log");
}

/// Checks that a mirror which cannot go on tries at most as often as its delays allow; `tries` says
/// how often it has.
pub(crate) fn assert_backs_off(tries: impl Fn() -> u64) {
    let (start, before) = (Instant::now(), tries());
    wait_for("it tries again", || tries() >= before + 10);
    let (made, taken) = (tries() - before, start.elapsed());
    // Doubled from the first: 20, 40, 80, 160 ms, then 200 ms each.
    let at_most = 5 + taken.as_millis() / MAX_DELAY.as_millis();
    assert!(u128::from(made) <= at_most, "{made} tries in {taken:?}");
}
