//! `GET /redis`: how Redis stands, its streams and groups, and how many dead letters there are.

use std::time::Duration;

use axum::{
    extract::{RawQuery, State as Extract},
    response::Response,
};
use serde_json::{Value, json};

use super::redis;
use crate::{
    redis::{GroupStatus, Health},
    server::{
        api::page,
        params::Params,
        problem::Problem,
        redis::{Found, Look, MirroredStream, Queue, told},
        state::Shared,
    },
};

/// `GET /redis`. A Redis that does not answer is told as such, with status 200.
pub(super) async fn show(
    Extract(state): Extract<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Params::parse(query.as_deref())?.finish()?;
    Ok(page::answer(to_json(&*redis(&state)?.look().await).to_string()))
}

fn to_json(look: &Look) -> Value {
    let nothing = Found::default();
    let found = look.found.as_ref().unwrap_or(&nothing);
    json!({
        "is_up": look.health.is_ok(),
        "error": look.found.as_ref().err().map(told),
        "server": look.health.as_ref().ok().map(server),
        "streams": found.streams.iter().map(stream).collect::<Value>(),
        "groups": found.groups.iter().map(group).collect::<Value>(),
        "dead_letters": found.queues.iter().map(queue).collect::<Value>(),
        "left_out": found.left_out + found.streams_left_out,
    })
}

fn server(health: &Health) -> Value {
    json!({
        "kind": health.server.kind,
        "version": health.server.version,
        "mode": health.server.mode,
        "used_memory": health.used_memory_bytes,
        "max_memory": health.max_memory_bytes,
        "clients": health.connected_clients,
        "latency_us": micros(health.latency),
        "warnings": health.server.warnings,
    })
}

fn stream(stream: &MirroredStream) -> Value {
    json!({
        "name": stream.info.name,
        "length": stream.info.length,
        "last_id": stream.info.last_id,
        "mirrored_seq": stream.mirrored_seq,
        "lag": stream.lag,
    })
}

fn group(group: &GroupStatus) -> Value {
    json!({
        "stream": group.stream,
        "group": group.info.name,
        "consumers": group.info.consumers,
        "pending": group.info.pending,
        "lag": group.info.lag,
        "waiting": group.waiting,
    })
}

fn queue(queue: &Queue) -> Value {
    json!({
        "queue": queue.count.queue,
        "waiting": queue.count.waiting,
        "replaying": queue.replaying,
    })
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
