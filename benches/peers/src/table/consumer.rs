//! The consumer: how fast a group gets through a stream, with a handler that does nothing.
//!
//! The limit reads and acks with the same commands and does not look at what it reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use planbus::redis::{Consumer, Delivery, Profile};
use redis::Value;
use sea_streamer_redis::{AutoCommit, AutoStreamReset, RedisConsumerOptions};
use sea_streamer_types::{Consumer as _, ConsumerGroup, ConsumerMode, ConsumerOptions, StreamKey, Streamer};

use crate::{
    measure::{Contender, medians},
    private_redis::{
        LIMIT, STREAM, connection, endpoint, event, fields, fill, mirror, open, start, streamer,
    },
    redis_support::RedisServer,
    report::{Goal, Row, print_head},
};

/// How many events a round handles.
const EVENTS: u64 = 50_000;
/// How many entries one read of the others takes.
const COUNT: usize = 100;
/// How many one read of ours takes at the most.
const OUR_COUNT: usize = 200;
/// The stream of sea-streamer's consumer, which knows entries of one field only.
const SEA_STREAM: &str = "events";
/// How many events a consumer of ours has in hand.
const PREFETCH: usize = 1_000;

pub(crate) fn run(rounds: usize) -> Vec<Row> {
    let Some(server) = start("Consumer") else { return Vec::new() };
    print_head("Consumer", rounds);
    prepare(&server);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let groups = AtomicU64::new(0);
    let group = || format!("group-{}", groups.fetch_add(1, Relaxed));
    let took = medians(
        rounds,
        EVENTS,
        &mut [
            Contender::timed(|times| bare(&server, &group(), times, COUNT)),
            Contender::timed(|times| bare(&server, &group(), times, OUR_COUNT)),
            Contender::timed(|times| ours(&server, &group(), times, 1)),
            Contender::timed(|times| ours(&server, &group(), times, 2)),
            Contender::timed(|times| ours(&server, &group(), times, 8)),
            Contender::timed(|times| runtime.block_on(sea_streamer(&server, &group(), times))),
        ],
    );
    let limit = ("XREADGROUP COUNT 100 + XACK, nothing decoded", took[0]);
    let row = Row::new("consumer", "an event through a group", limit, took[2], Goal::AtLeast(0.8))
        .peer("the same with COUNT 200, as ours reads", took[1], None)
        .peer("ours with 2 workers", took[3], None)
        .peer("ours with 8 workers", took[4], None)
        .peer("sea-streamer, one field of the same bytes", took[5], None);
    row.print();
    vec![row]
}

/// The streams that are read, in both of which all entries are of the same size.
fn prepare(server: &RedisServer) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir);
    fill(&store, EVENTS as usize, event);
    mirror(&store, server, Profile::native());
    let payload = fields(server, STREAM).concat();
    let mut connection = connection(server);
    let mut pipe = redis::pipe();
    for _ in 0..EVENTS {
        pipe.cmd("XADD").arg(SEA_STREAM).arg("*").arg("msg").arg(&payload).ignore();
    }
    pipe.exec(&mut connection).expect("appends");
}

/// A loop over the two commands, with the same client library, that looks only for the ids.
fn bare(server: &RedisServer, group: &str, times: u64, count: usize) -> Duration {
    let begun = Instant::now();
    let mut connection = connection(server);
    let made = redis::cmd("XGROUP").arg("CREATE").arg(STREAM).arg(group).arg("0").exec(&mut connection);
    made.expect("makes the group");
    let mut handled = 0;
    while handled < times {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(group).arg("one").arg("COUNT").arg(count).arg("STREAMS").arg(STREAM).arg(">");
        let answer: Value = read.query(&mut connection).expect("answers");
        let entries = nth(nth(answer, 0), 1);
        let mut ack = redis::cmd("XACK");
        ack.arg(STREAM).arg(group);
        let Value::Array(entries) = entries else { panic!("no entries") };
        for entry in entries {
            handled += 1;
            ack.arg(redis::from_redis_value::<String>(nth(entry, 0)).expect("an id"));
        }
        ack.exec(&mut connection).expect("acks");
    }
    begun.elapsed()
}

fn nth(list: Value, number: usize) -> Value {
    match list {
        Value::Array(mut items) => items.swap_remove(number),
        _ => panic!("no list"),
    }
}

/// Until all is handled and acked.
fn ours(server: &RedisServer, group: &str, times: u64, workers: usize) -> Duration {
    let begun = Instant::now();
    let handled = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&handled);
    let builder = Consumer::builder(endpoint(server)).group(group).prefetch(PREFETCH).workers(workers);
    let consumer = builder.handler(move |_: &Delivery| {
        seen.fetch_add(1, Relaxed);
    });
    let consumer = consumer.expect("starts");
    while handled.load(Relaxed) < times || consumer.status().busy > 0 {
        std::thread::park_timeout(Duration::from_micros(200));
    }
    let took = begun.elapsed();
    consumer.stop(LIMIT).expect("stops");
    took
}

/// sea-streamer's way to lose nothing: what was acked is committed while more is read.
async fn sea_streamer(server: &RedisServer, group: &str, times: u64) -> Duration {
    let begun = Instant::now();
    let streamer = streamer(server).await;
    let mut options = RedisConsumerOptions::new(ConsumerMode::LoadBalanced);
    options.set_consumer_group(ConsumerGroup::new(group)).expect("a group");
    options.set_auto_stream_reset(AutoStreamReset::Earliest);
    options.set_auto_commit(AutoCommit::Rolling);
    options.set_batch_size(COUNT);
    let key = StreamKey::new(SEA_STREAM).expect("a key");
    let consumer = streamer.create_consumer(&[key], options).await.expect("a consumer");
    for _ in 0..times {
        let message = consumer.next().await.expect("a message");
        consumer.ack(&message).expect("acks");
    }
    consumer.end().await.expect("commits");
    begun.elapsed()
}
