//! What those who look after the server ask: `GET /metrics`, `GET /healthz`, `GET /readyz`; and the
//! count of all that was answered.
//!
//! Health is open to everybody and tells a stranger no more than yes or no. None of the three waits for
//! what is broken: a log or a Redis that does not answer in time is told as such.

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{MatchedPath, Request, State as Extract},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::time::timeout;

use super::{
    access::Caller,
    counters::OTHER_ROUTE,
    metrics::{CONTENT_TYPE, Scrape},
    problem::Problem,
    state::{Shared, State},
};
use crate::store::StoreStats;

/// How long who asks for figures waits for the store's figures.
const STORE_WAIT_MAX: Duration = Duration::from_secs(2);

/// `GET /metrics`.
pub(super) async fn metrics(Extract(state): Extract<Shared>) -> Result<Response, Problem> {
    #[cfg(feature = "redis")]
    let (store, redis) = tokio::join!(store_figures(&state), async {
        match &state.redis {
            Some(redis) => Some(redis.look().await),
            None => None,
        }
    });
    #[cfg(not(feature = "redis"))]
    let store = store_figures(&state).await;
    let scrape = Scrape {
        bus: state.bus.stats(),
        commits: state.store.commit_stats(),
        store,
        is_following: state.is_following(),
        counters: state.counters.clone(),
        #[cfg(feature = "redis")]
        redis,
    };
    let Ok(text) = scrape.into_text() else {
        // Writing into memory does not fail.
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Storage", "the page cannot be written"));
    };
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response())
}

/// The figures of the store; `None` where it does not answer in time.
pub(super) async fn store_figures(state: &State) -> Option<StoreStats> {
    let read = timeout(STORE_WAIT_MAX, state.look_up(|store| store.stats())).await;
    match read {
        Ok(Ok(stats)) => Some(stats),
        failed => {
            tracing::warn!(target: "planbus.serve", ?failed, "no figures of the store");
            None
        }
    }
}

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// `GET /readyz`: clients can be served now, or 503. Only who may see events is told which part is not
/// ready.
pub(super) async fn readyz(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let log = state.readiness.is_readable(state.look_up(|store| store.floor().map(drop))).await;
    let feed = state.is_following();
    let server = !state.feed().is_stopping();
    let is_ready = log && feed && server;
    let mut told = json!({"ready": is_ready});
    if caller.is_known() {
        told["checks"] = json!({"log": log, "feed": feed, "server": server});
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(told)).into_response()
}

/// Counts what is answered, around all that answers.
pub(super) async fn count(
    Extract(state): Extract<Shared>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let answer = next.run(request).await;
    let route = route.as_ref().map_or(OTHER_ROUTE, MatchedPath::as_str);
    state.counters.answered(route, answer.status().as_u16());
    answer
}
