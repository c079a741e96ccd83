//! The mirror: how fast the log reaches Redis, how soon one event does, and what publishing costs
//! beside it, with Redis and while Redis is away.
//!
//! The limit of the first row is `redis-benchmark` on the same server, with entries of the same fields
//! and bytes; that of the second is a bare client; that of the others is publishing without a mirror.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use planbus::{
    EventStore,
    redis::{Profile, RedisEndpoint, RedisMirror},
};
use sea_streamer_types::{Producer, StreamKey, Streamer};

use crate::{
    measure::{Contender, folder, medians, quantile},
    private_redis::{
        LIMIT, STREAM, connection, endpoint, event, fields, fill, mirror, open, start, streamer,
    },
    python::Python,
    redis_support::{RedisServer, Wire},
    report::{Goal, Row, print_head},
};

/// How many events a round brings from the log to Redis.
const EVENTS: u64 = 50_000;
/// How many single events a round waits for.
const SINGLE_EVENTS: usize = 100;
/// How many events a round publishes, each durable by itself.
const PUBLISHED_EVENTS: u64 = 500;
/// The peer in Python does one part in so many of a round.
const PYTHON_PARTS: u32 = 5;

pub(crate) fn run(rounds: usize) -> Vec<Row> {
    let Some(server) = start("Mirror") else { return Vec::new() };
    print_head("Mirror", rounds);
    let mut rows = vec![catching_up(&server, rounds), visible(&server, rounds)];
    rows.extend(beside(&server, rounds));
    rows.extend(away(rounds));
    rows.iter().for_each(Row::print);
    rows
}

/// From the log into Redis. How durable the log is makes no difference to its reader.
fn catching_up(server: &RedisServer, rounds: usize) -> Row {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir);
    fill(&store, EVENTS as usize, event);
    mirror(&store, server, Profile::native());
    let words = fields(server, STREAM);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut contenders = vec![
        Contender::timed(|times| benchmark(server, &words, times)),
        Contender::timed(|_| emptied(server, || mirror(&store, server, Profile::native()))),
        Contender::timed(|times| emptied(server, || pipelined(server, &words, times, 64))),
        Contender::timed(|times| emptied(server, || pipelined(server, &words, times, 500))),
        Contender::timed(|times| emptied(server, || runtime.block_on(sea_streamed(server, &words, times)))),
    ];
    let work = format!("pipeline redis://127.0.0.1:{} python:pipelined 500", server.port());
    contenders.extend(Python::start().map(|python| python.contender(work, PYTHON_PARTS)));
    let took = medians(rounds, EVENTS, &mut contenders);
    let limit = ("`redis-benchmark -c 1 -P 64`, XADD of the same fields", took[0]);
    let row = Row::new("mirror", "an event from the log to Redis", limit, took[1], Goal::AtLeast(0.5));
    let peers = [
        "pipelines of 64 XADD, one fixed entry",
        "pipelines of 500 XADD, one fixed entry",
        "sea-streamer, flushed, one field of the same bytes",
        "redis-py, pipelines of 500 XADD",
    ];
    peers.iter().zip(&took[2..]).fold(row, |row, (name, nanos)| row.peer(name, *nanos, None))
}

/// How long this takes on an empty server.
fn emptied(server: &RedisServer, work: impl FnOnce()) -> Duration {
    server.command(&["FLUSHALL"]);
    let begun = Instant::now();
    work();
    begun.elapsed()
}

/// How long `redis-benchmark` says that it took for as many entries.
fn benchmark(server: &RedisServer, words: &[String], times: u64) -> Duration {
    server.command(&["FLUSHALL"]);
    let mut command = Command::new("redis-benchmark");
    command.args([
        "-p",
        &server.port().to_string(),
        "-c",
        "1",
        "-P",
        "64",
        "-n",
        &times.to_string(),
        "--csv",
    ]);
    let output = command.args(["XADD", STREAM, "*"]).args(words).output().expect("redis-benchmark runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // "test","rps",... and below it the figures.
    let per_second = text.lines().last().and_then(|line| line.rsplit("\",\"").nth(6)).map(str::to_owned);
    let per_second: f64 =
        per_second.and_then(|figure| figure.parse().ok()).expect("figures of redis-benchmark");
    Duration::from_secs_f64(times as f64 / per_second)
}

/// The plain client: nothing is read, nothing encoded, and a lost answer would double entries.
fn pipelined(server: &RedisServer, words: &[String], times: u64, size: u64) {
    let mut connection = connection(server);
    for _ in 0..times.div_ceil(size) {
        let mut pipe = redis::pipe();
        for _ in 0..size {
            pipe.cmd("XADD").arg(STREAM).arg("*").arg(words).ignore();
        }
        pipe.exec(&mut connection).expect("appends");
    }
}

/// The producer of sea-streamer: as many bytes, in the one field that it knows.
async fn sea_streamed(server: &RedisServer, words: &[String], times: u64) {
    let streamer = streamer(server).await;
    let key = StreamKey::new("events").expect("a key");
    let mut producer = streamer.create_producer(key, Default::default()).await.expect("a producer");
    let payload = words.concat();
    for _ in 0..times {
        drop(producer.send(payload.as_str()).expect("sends"));
    }
    producer.flush().await.expect("flushes");
}

/// From the publish of one event until another client has read it, with an idle mirror, beside an XADD
/// by a bare client.
fn visible(server: &RedisServer, rounds: usize) -> Row {
    server.command(&["FLUSHALL"]);
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(&dir);
    let mirror = RedisMirror::builder(&store, endpoint(server)).start().expect("starts");
    store.save(&event(0)).expect("commits");
    mirror.flush(LIMIT).expect("Redis equals the log");
    let words = fields(server, STREAM);
    let add: Vec<&str> = ["XADD", STREAM, "*"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let (mut reader, mut writer) = (server.wire().expect("answers"), server.wire().expect("answers"));
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for number in 1..=rounds * SINGLE_EVENTS {
        bare.push(until_read(server, &mut reader, || _ = writer.call(&add).expect("appends")));
        ours.push(until_read(server, &mut reader, || _ = store.save(&event(number)).expect("commits")));
        // What the bare client added is no event of the log: the mirror goes on behind it.
        mirror.flush(LIMIT).expect("Redis equals the log");
    }
    let [bare, ours] = [bare, ours].map(|mut took| quantile(&mut took, 0.99).as_nanos() as f64);
    let limit = ("XADD by a bare client until it is read, p99", bare);
    Row::new("mirror", "publish until a reader in Redis has it, p99", limit, ours, Goal::Nanos(5e6))
}

/// How long it takes from here until a client that waits at the stream has something.
fn until_read(server: &RedisServer, reader: &mut Wire, make: impl FnOnce()) -> Duration {
    reader.send(&["XREAD", "BLOCK", "10000", "STREAMS", STREAM, "$"]).expect("listens");
    // The server must have begun to wait before the event comes.
    while !server.command(&["INFO", "clients"]).contains("blocked_clients:1") {}
    let begun = Instant::now();
    make();
    reader.receive().expect("answers");
    begun.elapsed()
}

/// Publishing beside a mirror that brings each event to Redis meanwhile.
fn beside(server: &RedisServer, rounds: usize) -> Vec<Row> {
    server.command(&["FLUSHALL"]);
    publishing("beside a live mirror", endpoint(server), rounds, &[("median", 0.5, 1.25)])
}

/// Publishing beside a mirror whose Redis is not there.
fn away(rounds: usize) -> Vec<Row> {
    let dir = tempfile::tempdir().expect("a directory");
    let nowhere = format!("unix://{}", dir.path().join("nobody.sock").display());
    let endpoint = RedisEndpoint::parse(&nowhere).expect("a URL");
    publishing("while Redis is away", endpoint, rounds, &[("median", 0.5, 1.05), ("p99", 0.99, 1.25)])
}

/// Publishing beside a mirror, as durable as it is unless somebody says otherwise, against publishing
/// without one. A figure is its name, the part of all times that it is, and its goal.
fn publishing(
    circumstance: &str,
    endpoint: RedisEndpoint,
    rounds: usize,
    figures: &[(&str, f64, f64)],
) -> Vec<Row> {
    let dir = folder();
    let open = |name: &str| EventStore::open(dir.path().join(name)).expect("opens");
    let (alone, beside) = (open("alone.db"), open("beside.db"));
    let _mirror = RedisMirror::builder(&beside, endpoint).start().expect("starts");
    let mut rows = Vec::new();
    for &(what, part, goal) in figures {
        let took = medians(
            rounds,
            PUBLISHED_EVENTS,
            &mut [
                Contender::timed(|times| publish(&alone, times, part)),
                Contender::timed(|times| publish(&beside, times, part)),
            ],
        );
        let what = format!("durable publish {circumstance}, {what}");
        let limit = ("without a mirror", took[0]);
        rows.push(Row::new("mirror", what, limit, took[1], Goal::AtMost(goal)));
    }
    rows
}

/// Publishes one event after the other: as if each took what this part of them does not exceed.
fn publish(store: &EventStore, times: u64, part: f64) -> Duration {
    let one = |number: u64| {
        let event = event(number as usize);
        let begun = Instant::now();
        store.save(&event).expect("commits");
        begun.elapsed()
    };
    let mut took: Vec<Duration> = (0..times).map(one).collect();
    quantile(&mut took, part) * u32::try_from(times).expect("few")
}
