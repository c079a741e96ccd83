//! A private Redis for the parts that need one, and a log of events that has been brought to it.
//!
//! Never touches a server that it did not start. Everybody speaks to it over the loopback.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use planbus::{
    Durability, Event, EventBus, EventStore, ToolCalled,
    redis::{Profile, RedisEndpoint, RedisMirror},
};
use redis::Connection;
use sea_streamer_redis::{RedisConnectOptions, RedisStreamer};
use sea_streamer_types::Streamer;
use serde_json::json;

use crate::redis_support::RedisServer;

/// The stream of the profile `native` for the tenant that events have unless they say otherwise.
pub(crate) const STREAM: &str = "planbus:{default}:events";
/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// How many events one commit brings into the log.
const COMMIT_EVENTS: usize = 1_000;

/// A Redis of our own; where none is installed that is told, and the part left out.
pub(crate) fn start(part: &str) -> Option<RedisServer> {
    for program in ["redis-server", "redis-benchmark"] {
        let asked =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if asked.is_err() {
            println!("\n{part}: left out, there is no {program} here");
            return None;
        }
    }
    RedisServer::builder().tcp().start()
}

/// Where it is, for planbus.
pub(crate) fn endpoint(server: &RedisServer) -> RedisEndpoint {
    RedisEndpoint::parse(&server.url()).expect("a URL")
}

/// A connection of the plain client.
pub(crate) fn connection(server: &RedisServer) -> Connection {
    redis::Client::open(server.url()).expect("a URL").get_connection().expect("connects")
}

/// The same of sea-streamer.
pub(crate) async fn streamer(server: &RedisServer) -> RedisStreamer {
    let url = server.url().parse().expect("a URL");
    RedisStreamer::connect(url, RedisConnectOptions::default()).await.expect("connects")
}

/// An event whose payload has about 200 bytes.
pub(crate) fn event(number: usize) -> Event {
    let arguments = json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "number": number,
        "context": "the lines round each match, as the agent sees them when it decides what to read"});
    Event::new(format!("survey-{}", number / 25), ToolCalled::new("call-17", "search", arguments))
}

/// A store that need not survive a power cut, for what only reads the log.
pub(crate) fn open(dir: &tempfile::TempDir) -> EventStore {
    let options = EventStore::options().durability(Durability::Process);
    options.open(dir.path().join("planbus.db")).expect("opens")
}

/// Puts events into a log.
pub(crate) fn fill(store: &EventStore, events: usize, event: impl Fn(usize) -> Event) {
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    for begin in (0..events).step_by(COMMIT_EVENTS) {
        bus.publish_all((begin..events.min(begin + COMMIT_EVENTS)).map(&event)).expect("commits");
    }
}

/// Brings a log to Redis, all of it.
pub(crate) fn mirror(store: &EventStore, server: &RedisServer, profile: Profile) {
    let profile = profile.with_max_len(None).expect("valid");
    let mirror = RedisMirror::builder(store, endpoint(server)).profile(profile).start().expect("starts");
    mirror.flush(LIMIT).expect("Redis equals the log");
}

/// The fields of a stream's last entry: names and values in turn.
pub(crate) fn fields(server: &RedisServer, stream: &str) -> Vec<String> {
    let entry = server.entries(stream).pop().expect("an entry");
    entry.1.into_iter().flat_map(|(name, value)| [name, value]).collect()
}
