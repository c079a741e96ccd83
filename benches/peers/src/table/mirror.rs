//! The mirror: how fast the log reaches Redis, how soon one event does, and what publishing costs
//! beside it, with Redis and while Redis is away.
//!
//! The reference of the first row is `redis-benchmark` on the same server, with entries of the same
//! fields and bytes; that of the others is publishing without a mirror.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use planbus::{
    Durability, Event, EventStore, ToolCalled,
    redis::{Profile, RedisEndpoint, RedisMirror},
};
use serde_json::json;

use super::{
    redis_support::{RedisServer, Wire},
    table::{Contender, Goal, head, medians, quantile, row},
};

/// How many events a round brings from the log to Redis.
const EVENTS: usize = 20_000;
/// How many single events a round waits for.
const SINGLE_EVENTS: usize = 300;
/// How many events a round publishes, each durable by itself.
const PUBLISHED_EVENTS: u64 = 500;
const STREAM: &str = "planbus:{default}:events";
const LIMIT: Duration = Duration::from_secs(60);

/// An event whose payload has about 200 bytes.
fn event(number: usize) -> Event {
    let arguments = json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "number": number,
        "context": "the lines round each match, as the agent sees them when it decides what to read"});
    Event::new(format!("survey-{}", number / 25), ToolCalled::new("call-17", "search", arguments))
}

pub(crate) fn run() {
    let Some(server) = RedisServer::start() else { return };
    head("Mirror");
    catching_up(&server);
    visible(&server);
    beside(&server);
    away();
}

/// A store that need not survive a power cut: where publishing is no part of the figure.
fn open(dir: &tempfile::TempDir) -> EventStore {
    let options = EventStore::options().durability(Durability::Process);
    options.open(dir.path().join("planbus.db")).expect("opens")
}

fn endpoint(server: &RedisServer) -> RedisEndpoint {
    RedisEndpoint::parse(&server.url()).expect("a URL")
}

/// From the log into Redis, beside `redis-benchmark` with entries of the same fields. How durable the
/// log is makes no difference to its reader.
fn catching_up(server: &RedisServer) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir);
    let bus = planbus::EventBus::builder().store(store.clone()).build().expect("builds");
    for begin in (0..EVENTS).step_by(1_000) {
        bus.publish_all((begin..begin + 1_000).map(event)).expect("commits");
    }
    let mirror_all = || {
        server.command(&["FLUSHALL"]);
        let begun = Instant::now();
        let profile = Profile::native().with_max_len(None).expect("valid");
        let mirror = RedisMirror::builder(&store, endpoint(server)).profile(profile).start().expect("starts");
        mirror.flush(LIMIT).expect("Redis equals the log");
        begun.elapsed()
    };
    mirror_all();
    let entry = server.entries(STREAM).pop().expect("an entry");
    let words: Vec<String> = entry.1.into_iter().flat_map(|(name, value)| [name, value]).collect();
    let mut contenders = [
        Contender::timed("redis-benchmark", |_| benchmark(server, &words)),
        Contender::timed("ours", |_| mirror_all()),
    ];
    let took = medians(1, &mut contenders);
    let of_one = |took: f64| took / EVENTS as f64;
    let reference = "`redis-benchmark -c 1 -P 64`, XADD of the same fields";
    row("an event from the log to Redis", reference, of_one(took[0]), of_one(took[1]), &Goal::AtLeast(0.5));
}

/// How long `redis-benchmark` says that it took for as many entries.
fn benchmark(server: &RedisServer, words: &[String]) -> Duration {
    server.command(&["FLUSHALL"]);
    let mut command = Command::new("redis-benchmark");
    let socket = server.socket();
    command.arg("-s").arg(socket).args(["-c", "1", "-P", "64", "-n", &EVENTS.to_string(), "--csv"]);
    let output = command.args(["XADD", STREAM, "*"]).args(words).output().expect("redis-benchmark runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "test","rps",... and below it the figures.
    let per_second = text.lines().last().and_then(|line| line.rsplit("\",\"").nth(6)).map(str::to_owned);
    let per_second: f64 =
        per_second.and_then(|figure| figure.parse().ok()).expect("figures of redis-benchmark");
    Duration::from_secs_f64(EVENTS as f64 / per_second)
}

/// From the publish of one event until another client has read it, with an idle mirror.
fn visible(server: &RedisServer) {
    server.command(&["FLUSHALL"]);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir);
    let mirror = RedisMirror::builder(&store, endpoint(server)).start().expect("starts");
    store.save(&event(0)).expect("commits");
    mirror.flush(LIMIT).expect("Redis equals the log");
    let mut wire: Wire = server.wire().expect("answers");
    let mut took = Vec::new();
    for number in 1..=SINGLE_EVENTS {
        wire.send(&["XREAD", "BLOCK", "10000", "STREAMS", STREAM, "$"]).expect("listens");
        // The server must have begun to wait before the event comes.
        while !server.command(&["INFO", "clients"]).contains("blocked_clients:1") {}
        let begun = Instant::now();
        store.save(&event(number)).expect("commits");
        wire.receive().expect("answers");
        took.push(begun.elapsed());
    }
    let p99 = quantile(&mut took, 0.99).as_nanos() as f64;
    row("publish until a reader in Redis has it, p99", "-", 0.0, p99, &Goal::Nanos(5e6));
}

/// Publishing beside a mirror that brings each event to Redis meanwhile.
fn beside(server: &RedisServer) {
    server.command(&["FLUSHALL"]);
    publishing("beside a live mirror", endpoint(server), &[("median", 0.5, 1.25)]);
}

/// Publishing beside a mirror whose Redis is not there.
fn away() {
    let dir = tempfile::tempdir().expect("a directory");
    let nowhere = format!("unix://{}", dir.path().join("nobody.sock").display());
    let endpoint = RedisEndpoint::parse(&nowhere).expect("a URL");
    publishing("while Redis is away", endpoint, &[("median", 0.5, 1.05), ("p99", 0.99, 1.25)]);
}

/// Publishing beside a mirror, as durable as it is unless somebody says otherwise, against publishing
/// without one. A figure is its name, the part of all times that it is, and its goal.
fn publishing(circumstance: &str, endpoint: RedisEndpoint, figures: &[(&str, f64, f64)]) {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |name: &str| EventStore::open(dir.path().join(name)).expect("opens");
    let (alone, beside) = (open("alone.db"), open("beside.db"));
    let _mirror = RedisMirror::builder(&beside, endpoint).start().expect("starts");
    for &(what, part, goal) in figures {
        let mut number = 0;
        let mut publish = |store: &EventStore, times: u64| {
            let mut took: Vec<Duration> = (0..times)
                .map(|_| {
                    number += 1;
                    let event = event(number);
                    let begun = Instant::now();
                    store.save(&event).expect("commits");
                    begun.elapsed()
                })
                .collect();
            quantile(&mut took, part) * u32::try_from(times).expect("few")
        };
        let publish = std::cell::RefCell::new(&mut publish);
        let mut contenders = [
            Contender::timed("alone", |times| publish.borrow_mut()(&alone, times)),
            Contender::timed("beside", |times| publish.borrow_mut()(&beside, times)),
        ];
        let took = medians(PUBLISHED_EVENTS, &mut contenders);
        let what = format!("durable publish {circumstance}, {what}");
        row(&what, "without a mirror", took[0], took[1], &Goal::AtMost(goal));
    }
}
