//! What 1 to 1,000 streams cost the mirror, and 1 to 64 groups whoever reads one stream.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Instant,
};

use planbus::{
    Event,
    redis::{Consumer, Profile, RedisMirror},
};

use super::{
    Extent,
    plot::{Plot, Series, Unit},
};
use crate::{
    measure::median,
    private_redis::{self, LIMIT, endpoint},
    redis_support::RedisServer,
};

const STREAMS_MAX: u64 = 1_000;
const GROUPS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
/// How many events a mirror brings to Redis in a round.
const MIRRORED: u64 = 20_000;
/// How many events each group handles.
const HANDLED: u64 = 5_000;
/// How many times the mirror begins anew; the median counts.
const ROUNDS: usize = 3;

pub(super) fn run(extent: Extent<'_>) -> Vec<Plot> {
    let Some(server) = private_redis::start("streams") else { return Vec::new() };
    let sizes = extent.decades(1, STREAMS_MAX);
    let streams = |what: &str, key: &str, of: fn(u64, u64) -> Event| {
        let profile = Profile::native().with_key(key).and_then(|profile| profile.with_max_len(None));
        let profile = profile.expect("a key");
        let point = |&streams: &u64| {
            let event = |number| of(number % streams, number);
            (streams, mirroring(extent, &server, &profile, event))
        };
        Series::new(what, sizes.iter().map(point).collect())
    };
    let mirror = vec![
        streams("a stream for each tenant", "planbus:{<tenant>}:events", |stream, number| {
            event("plan-7".to_owned(), number).with_tenant(format!("tenant-{stream}"))
        }),
        streams("a stream for each plan", "planbus:{<tenant>}:<plan>", |stream, number| {
            event(format!("plan-{stream}"), number)
        }),
    ];
    let plot = |name, title: &str, x, of, series| Plot {
        name,
        title: title.to_owned(),
        x,
        y: Unit::Nanoseconds,
        of,
        series,
    };
    let groups = GROUPS.into_iter().map(|groups| (groups, consuming(extent, &server, groups))).collect();
    let groups = vec![Series::new("handled, all groups together", groups)];
    vec![
        plot("streams", "From the log to Redis, by streams", "streams", "one event", mirror),
        plot("groups", "Consumers of one stream, a group each", "groups", "one delivery", groups),
    ]
}

/// A small event.
fn event(plan: String, number: u64) -> Event {
    Event::raw(plan, "Note", format!(r#"{{"number":{number},"text":"{}"}}"#, "x".repeat(160)))
}

/// The median time in which an event of a whole log comes to Redis.
fn mirroring(
    extent: Extent<'_>,
    server: &RedisServer,
    profile: &Profile,
    event: impl Fn(u64) -> Event,
) -> f64 {
    let (folder, events) = (extent.folder(), extent.times(MIRRORED));
    let store = private_redis::open(&folder);
    private_redis::fill(&store, events as usize, |number| event(number as u64));
    let round = |_| {
        server.command(&["FLUSHALL"]);
        let begun = Instant::now();
        let mirror = RedisMirror::builder(&store, endpoint(server)).profile(profile.clone());
        mirror.start().expect("starts").flush(LIMIT).expect("Redis equals the log");
        begun.elapsed().as_nanos() as f64 / events as f64
    };
    median((0..ROUNDS).map(round).collect())
}

/// What a delivery takes where so many groups read the whole stream at once.
fn consuming(extent: Extent<'_>, server: &RedisServer, groups: u64) -> f64 {
    server.command(&["FLUSHALL"]);
    let (folder, events) = (extent.folder(), extent.times(HANDLED));
    let store = private_redis::open(&folder);
    private_redis::fill(&store, events as usize, |number| event("plan-7".to_owned(), number as u64));
    private_redis::mirror(&store, server, Profile::native());
    let (all, handled) = (groups * events, Arc::new(AtomicU64::new(0)));
    let (done, is_done) = mpsc::channel();
    let begun = Instant::now();
    let consumer = |group: u64| {
        let (handled, done) = (Arc::clone(&handled), done.clone());
        let builder = Consumer::builder(endpoint(server)).group(format!("group-{group}"));
        builder.handler(move |_: &planbus::redis::Delivery| {
            if handled.fetch_add(1, Relaxed) + 1 == all {
                // Nobody waits any more where it took too long.
                let _ = done.send(());
            }
        })
    };
    let consumers: Vec<Consumer> = (0..groups).map(|group| consumer(group).expect("starts")).collect();
    is_done.recv_timeout(LIMIT).expect("all groups have all events");
    let took = begun.elapsed();
    // All at once: each waits until its read has ended.
    thread::scope(|scope| {
        for consumer in &consumers {
            scope.spawn(|| consumer.stop(LIMIT).expect("stops"));
        }
    });
    took.as_nanos() as f64 / all as f64
}
