//! The consumer: how fast a group gets through a stream, with a handler that does nothing.
//!
//! The reference reads and acks with the same commands and does not look at what it reads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use planbus::{
    Durability, Event, EventStore, ToolCalled,
    redis::{Consumer, Profile, RedisEndpoint, RedisMirror},
};
use redis::Value;
use serde_json::json;

use super::{
    redis_support::RedisServer,
    table::{Contender, Goal, head, medians, row},
};

/// How many events a round handles.
const EVENTS: usize = 50_000;
/// How many entries one read of the reference takes.
const COUNT: &str = "100";
const STREAM: &str = "planbus:{default}:events";
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run() {
    let Some(server) = RedisServer::start() else { return };
    fill(&server);
    head("Consumer");
    let (rounds, number) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let group = |counter: &AtomicUsize, name: &str| format!("{name}-{}", counter.fetch_add(1, Relaxed));
    let mut contenders = [
        Contender::timed("bare loop", |_| bare(&server, &group(&rounds, "bare"))),
        Contender::timed("ours", |_| ours(&server, &group(&number, "ours"))),
    ];
    let took = medians(1, &mut contenders);
    let of_one = |took: f64| took / EVENTS as f64;
    let reference = "XREADGROUP COUNT 100 + XACK, nothing decoded";
    row("an event through a group", reference, of_one(took[0]), of_one(took[1]), &Goal::AtLeast(0.8));
}

/// Events with payloads of about 200 bytes.
fn fill(server: &RedisServer) {
    let dir = tempfile::tempdir().expect("a directory");
    let options = EventStore::options().durability(Durability::Process);
    let store = options.open(dir.path().join("planbus.db")).expect("opens");
    let bus = planbus::EventBus::builder().store(store.clone()).build().expect("builds");
    let event = |number: usize| {
        let arguments = json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "number": number,
            "context": "the lines round each match, as the agent sees them when it decides what to read"});
        Event::new(format!("survey-{}", number / 25), ToolCalled::new("call-17", "search", arguments))
    };
    for begin in (0..EVENTS).step_by(1_000) {
        bus.publish_all((begin..begin + 1_000).map(event)).expect("commits");
    }
    let profile = Profile::native().with_max_len(None).expect("valid");
    let mirror = RedisMirror::builder(&store, endpoint(server)).profile(profile).start().expect("starts");
    mirror.flush(LIMIT).expect("Redis equals the log");
}

fn endpoint(server: &RedisServer) -> RedisEndpoint {
    RedisEndpoint::parse(&server.url()).expect("a URL")
}

/// A loop over the two commands, with the same client library, that looks only for the ids.
fn bare(server: &RedisServer, group: &str) -> Duration {
    let begun = Instant::now();
    let client = redis::Client::open(format!("unix://{}", server.socket().display())).expect("a URL");
    let mut connection = client.get_connection().expect("connects");
    let made = redis::cmd("XGROUP").arg("CREATE").arg(STREAM).arg(group).arg("0").exec(&mut connection);
    made.expect("makes the group");
    let mut handled = 0;
    while handled < EVENTS {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(group).arg("one").arg("COUNT").arg(COUNT).arg("STREAMS").arg(STREAM).arg(">");
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

fn ours(server: &RedisServer, group: &str) -> Duration {
    let begun = Instant::now();
    let handled = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&handled);
    let builder = Consumer::builder(endpoint(server)).group(group).prefetch(1_000);
    let consumer = builder.handler(move |_: &planbus::redis::Delivery| {
        seen.fetch_add(1, Relaxed);
    });
    let consumer = consumer.expect("starts");
    while handled.load(Relaxed) < EVENTS || consumer.status().busy > 0 {
        std::thread::park_timeout(Duration::from_micros(200));
    }
    let took = begun.elapsed();
    consumer.stop(LIMIT).expect("stops");
    took
}
