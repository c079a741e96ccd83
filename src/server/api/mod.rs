//! The JSON API: events and plans, in pages.
//!
//! A list is `{"events": [...], "next": "/events?after=100"}`: `next` is the path of what follows, null
//! where there is no more. It names a place in the log, so that a client that goes on while events are
//! published is given none twice and misses none. Events stand there as the log has them.

mod found;
mod page;

pub(super) mod events;
pub(super) mod plans;
pub(super) mod redis;

use axum::response::Response;
use serde_json::json;

/// `GET /`: what there is to ask for.
pub(super) async fn index() -> Response {
    let routes = [
        "/events",
        "/events/{event_id}",
        "/events/stream",
        "/events/ws",
        "/plans",
        "/plans/{plan_id}",
        "/plans/{plan_id}/events",
        "/plans/{plan_id}/events/stream",
        "/plans/{plan_id}/events/ws",
        "/.well-known/agent-card.json",
        "/a2a",
        "/a2a/v1/message:send",
        "/a2a/v1/message:stream",
        "/a2a/v1/tasks",
        "/agui/{plan_id}",
        "/redis",
        "/redis/pending",
        "/redis/dead-letters",
        "/redis/dead-letters/{stream}/{id}",
        "/redis/dead-letters/replay",
        "/session",
        "/tickets",
        "/stats",
        "/metrics",
        "/healthz",
        "/readyz",
    ];
    page::answer(
        json!({"name": "planbus", "version": env!("CARGO_PKG_VERSION"), "routes": routes}).to_string(),
    )
}
