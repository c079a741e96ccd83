//! The table of routes.

use std::sync::Arc;

use axum::{
    Router,
    http::{StatusCode, Uri},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::{
    a2a, access, agui, api, credentials, figures, monitoring, page, problem::Problem, sse, state::Shared,
    websocket,
};

/// All routes of a server.
pub(super) fn router(state: Shared) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/assets/{*path}", get(page::asset))
        .route("/events", get(api::events::list))
        .route("/events/{event_id}", get(api::events::one))
        .route("/events/stream", get(sse::all))
        .route("/events/ws", get(websocket::all))
        .route("/plans", get(api::plans::list))
        .route("/plans/{plan_id}", get(api::plans::one))
        .route("/plans/{plan_id}/events", get(api::events::of_plan))
        .route("/plans/{plan_id}/events/stream", get(sse::plan))
        .route("/plans/{plan_id}/events/ws", get(websocket::plan))
        .route("/stats", get(figures::stats))
        .route("/metrics", get(monitoring::metrics))
        .route("/healthz", get(monitoring::healthz))
        .route("/readyz", get(monitoring::readyz))
        .merge(api::redis::routes())
        .merge(agui::routes())
        .merge(a2a::routes())
        .route("/session", post(credentials::open_session).delete(credentials::close_session))
        .route("/tickets", post(credentials::ticket))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&state.access), access::guard))
        .layer(middleware::from_fn_with_state(state.clone(), monitoring::count))
        .with_state(state)
}

async fn unknown(target: Uri) -> Response {
    // Plans are often named `parent/child`.
    let is_below = ["/plans/", "/agui/"].iter().any(|plans| target.path().starts_with(plans));
    let message = if is_below {
        "there is nothing at this path; a / inside the id of a plan is written %2F"
    } else {
        "there is nothing at this path; GET / lists what there is"
    };
    Problem::not_found(message).into_response()
}

async fn wrong_method() -> Response {
    let message = "this path does not take this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).into_response()
}
