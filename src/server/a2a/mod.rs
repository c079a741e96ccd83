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

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::State as Extract,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};

use self::fault::{Fault, FaultKind};
use super::state::Shared;

/// The largest body of a request: a message with data as large as a payload may be, and some more.
const BODY_MAX_BYTES: usize = 5 << 20;

/// How long a request's body may take to come.
const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

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
    let base = format!("{scheme}://{}", text("host").unwrap_or(&state.options.bind));
    let has_executor = state.options.executor.is_some();
    let card = card::card(card::CardFacts { base: &base, has_executor, needs_token: false });
    let kind = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (kind, card).into_response()
}

/// The body of a request. One that says that it is too large is refused before it has come.
async fn read_body(body: Body) -> fault::Result<Bytes> {
    let refused = |problem: String| Fault::new(FaultKind::InvalidRequest, format!("body: {problem}"));
    if body.size_hint().lower() > BODY_MAX_BYTES as u64 {
        return Err(refused(format!("must be at most {BODY_MAX_BYTES} bytes")));
    }
    match tokio::time::timeout(BODY_WAIT_MAX, axum::body::to_bytes(body, BODY_MAX_BYTES)).await {
        Ok(read) => read.map_err(|cause| refused(format!("cannot be read: {cause}"))),
        Err(_) => Err(refused(format!("must have come within {BODY_WAIT_MAX:?}"))),
    }
}
