//! A2A: plans as tasks that agents of other makers follow, in versions 1.0 and 0.3.
//!
//! `POST /a2a` speaks JSON-RPC in both versions, `/a2a/v1/..` HTTP+JSON in 1.0, and
//! `/.well-known/agent-card.json` tells clients so. A task is a plan, its context the plan's correlation
//! id. What the protocol has no words for is in `metadata`: the events, with their seq.

mod call;
mod card;
mod fault;
mod follow;
mod request;
mod rest;
mod rpc;
mod tasks;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State as Extract,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};

use self::fault::{Fault, FaultKind};
use super::{
    body,
    state::{Shared, State},
};

/// The routes of A2A.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/.well-known/agent-card.json", get(agent_card))
        .route("/a2a", post(rpc::answer))
        .route("/a2a/", post(rpc::answer))
        .route("/a2a/v1/{*path}", any(rest::answer))
}

/// `GET /.well-known/agent-card.json`
async fn agent_card(Extract(state): Extract<Shared>, headers: HeaderMap) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // The address under which the client knows this server, also behind a proxy.
    let scheme = if text("x-forwarded-proto") == Some("https") { "https" } else { "http" };
    let seen = || format!("{scheme}://{}", text("host").unwrap_or(&state.options.bind));
    let base = state
        .options
        .access
        .public_url
        .as_deref()
        .map_or_else(seen, |url| url.trim_end_matches('/').to_owned());
    let has_executor = state.options.executor.is_some();
    let card =
        card::card(card::CardFacts { base: &base, has_executor, needs_token: !state.access.is_open() });
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (kind, card).into_response()
}

/// The body of a request.
async fn read_body(state: &State, headers: &HeaderMap, body: Body) -> fault::Result<Bytes> {
    let read = body::read(&state.options, headers, body).await;
    read.map_err(|problem| Fault::new(FaultKind::InvalidRequest, problem.message))
}
