//! `POST` and `DELETE /session`, `POST /tickets`: for clients that cannot send a token with a request.
//!
//! A page has a session, in a cookie that its scripts cannot read. A browser's `EventSource` or
//! `WebSocket` has a ticket, which is good once and for a minute.

use axum::{
    Extension, Json,
    extract::State as Extract,
    http::{HeaderMap, StatusCode, header::SET_COOKIE},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    access::{Caller, SESSION_TIME, Shown, TICKET_TIME},
    problem::Problem,
    state::Shared,
};

/// `POST /session`, with a token: one session must not prolong itself by another.
pub(super) async fn open_session(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    match caller.shown() {
        Shown::Token => {}
        Shown::Nothing => return Err(needless()),
        Shown::Session | Shown::Ticket => {
            let message = "Authorization: a session is opened with a token";
            return Err(Problem::new(StatusCode::FORBIDDEN, "Unauthorized", message));
        }
    }
    let cookie = state.access.open_session(&caller)?;
    Ok(([(SET_COOKIE, cookie)], Json(json!({"expires_in": SESSION_TIME.as_secs()}))).into_response())
}

/// `DELETE /session`.
pub(super) async fn close_session(Extract(state): Extract<Shared>, headers: HeaderMap) -> Response {
    (StatusCode::NO_CONTENT, [(SET_COOKIE, state.access.close_session(&headers))]).into_response()
}

/// `POST /tickets`.
pub(super) async fn ticket(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    if caller.shown() == Shown::Nothing {
        return Err(needless());
    }
    let ticket = state.access.ticket(&caller)?;
    Ok(Json(json!({"ticket": ticket, "expires_in": TICKET_TIME.as_secs()})).into_response())
}

/// A server without tokens.
fn needless() -> Problem {
    Problem::not_found("this server asks for no token")
}
