//! What the tests of a server's Redis share: a log, its mirror, a server of both, and what it answers.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::time::Duration;

use planbus::redis::{Profile, RedisMirror, Streams};
use serde_json::Value;

use crate::{
    consumer_support::endpoint,
    redis_support::RedisServer,
    server_support::{
        Live,
        wire::{Answer, ask},
    },
};

pub(crate) const STREAM: &str = "planbus:{default}:events";
pub(crate) const QUEUE: &str = "planbus:{default}:events:dlq";
/// The queue as a part of a path.
pub(crate) const QUEUE_PATH: &str = "planbus:%7Bdefault%7D:events:dlq";
pub(crate) const REPLAY: &str = "POST /redis/dead-letters/replay";
/// How long a mirror may take.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// The streams of the native profile on a Redis.
pub(crate) fn streams(redis: &RedisServer) -> Streams {
    Streams::new(endpoint(redis), Profile::native())
}

/// A server that looks at this Redis.
pub(crate) fn watching(redis: &RedisServer) -> Live {
    Live::with(|builder| builder.redis(streams(redis)))
}

/// A mirror of a server's log.
pub(crate) fn mirror(live: &Live, redis: &RedisServer) -> RedisMirror {
    let store = live.bus.store().expect("a store");
    let mirror = RedisMirror::builder(store, endpoint(redis)).start().expect("starts");
    mirror.flush(FLUSH_MAX).expect("Redis equals the log");
    mirror
}

/// Posts JSON as a program does.
pub(crate) fn post(live: &Live, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    ask(live.server.addr(), line, &headers, body)
}

/// Replays letters, as a program does: status and answer.
pub(crate) fn replay(live: &Live, body: &Value) -> (u16, Value) {
    let answer = post(live, REPLAY, &[], &body.to_string());
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

/// How a request was refused: status, kind and message.
pub(crate) fn refusal((status, answer): (u16, Value)) -> (u16, String, String) {
    let text = |name: &str| answer["error"][name].as_str().unwrap_or_default().to_owned();
    (status, text("kind"), text("message"))
}

/// Adds a letter as planbus writes it.
pub(crate) fn add_letter(redis: &RedisServer, id: &str, group: &str, error: &str) {
    let fields = [
        ("event_id", "01K0A1B2C3D4E5F6G7H8J9KAMB"),
        ("event_type", "note"),
        ("plan_id", "plan"),
        ("timestamp", "2026-02-11T12:58:38.123456Z"),
        ("tenant", "default"),
        ("payload", "{}"),
        ("_dlq_group", group),
        ("_dlq_original_stream", STREAM),
        ("_dlq_original_id", "7-1"),
        ("_dlq_retry_count", "4"),
        ("_dlq_error", error),
        ("_dlq_reason", "failed"),
        ("_dlq_fields", "7"),
    ];
    let words = fields.iter().flat_map(|(name, value)| [*name, *value]);
    let command: Vec<&str> = ["XADD", QUEUE, id].into_iter().chain(words).collect();
    redis.command(&command);
}
