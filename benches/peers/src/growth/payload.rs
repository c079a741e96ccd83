//! What payloads of 100 B to 4 MiB cost: to make durable, to read back, to bring to Redis.

use std::time::{Duration, Instant};

use planbus::{Event, EventBus, EventStore, redis::Profile};

use super::{
    Extent,
    plot::{Plot, Series, Unit},
};
use crate::{measure::quantile, private_redis, redis_support::RedisServer};

/// The largest is the largest that a store takes unless it is told otherwise.
const SIZES: [u64; 6] = [100, 1_000, 10_000, 100_000, 1_000_000, planbus::PAYLOAD_MAX_BYTES as u64];
/// How many bytes of payloads a size publishes at most, and how many events.
const BYTES_MAX: u64 = 128 << 20;
const EVENTS_MAX: u64 = 1_000;

pub(super) fn run(extent: Extent<'_>) -> Vec<Plot> {
    let redis = private_redis::start("payload");
    let sizes = SIZES.into_iter().filter(|size| !extent.is_quick || *size <= 100_000);
    let (mut publish, mut read, mut mirror) = (Vec::new(), Vec::new(), Vec::new());
    for size in sizes {
        let events = extent.times((BYTES_MAX / size).min(EVENTS_MAX)).max(3);
        let dir = extent.folder();
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        publish.push((size, publishing(&store, size, events)));
        read.push((size, reading(&store)));
        if let Some(server) = &redis {
            mirror.push((size, mirroring(&store, server) / events as f64));
        }
    }
    let mut series = vec![Series::new("durable publish", publish), Series::new("read by its id", read)];
    if !mirror.is_empty() {
        series.push(Series::new("from the log to Redis", mirror));
    }
    vec![Plot {
        name: "payload",
        title: "An event, by the size of its payload".to_owned(),
        x: "bytes of payload",
        y: Unit::Nanoseconds,
        of: "one event",
        series,
    }]
}

/// The median of publishing events of this size, built before the clock starts.
fn publishing(store: &EventStore, size: u64, events: u64) -> f64 {
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let frame = r#"{"text":""}"#.len();
    let text = "x".repeat(size as usize - frame);
    let one = |_| {
        let event = Event::raw("plan-7", "Note", format!(r#"{{"text":"{text}"}}"#));
        let begun = Instant::now();
        bus.publish(event).expect("publishes");
        begun.elapsed()
    };
    let mut took: Vec<Duration> = (0..events).map(one).collect();
    quantile(&mut took, 0.5).as_nanos() as f64
}

/// The median of reading each of these events, and its payload.
fn reading(store: &EventStore) -> f64 {
    let ids: Vec<_> = (0..store.head().expect("a head"))
        .map(|before| store.read_after(before, 1).expect("reads")[0].event_id())
        .collect();
    let one = |id| {
        let begun = Instant::now();
        let event = store.get(id).expect("reads").expect("is there");
        assert!(!event.payload_json().expect("a payload").is_empty());
        begun.elapsed()
    };
    let mut took: Vec<Duration> = ids.into_iter().map(one).collect();
    quantile(&mut took, 0.5).as_nanos() as f64
}

/// How long all of a log takes to be in Redis.
fn mirroring(store: &EventStore, server: &RedisServer) -> f64 {
    server.command(&["FLUSHALL"]);
    let begun = Instant::now();
    private_redis::mirror(store, server, Profile::native());
    let took = begun.elapsed();
    server.command(&["FLUSHALL"]);
    took.as_nanos() as f64
}
