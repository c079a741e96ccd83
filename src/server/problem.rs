//! [`Problem`]: what went wrong, as an HTTP answer.
//!
//! What is wrong with a request is told with the field's name. What is wrong with the server is told to
//! its log only: a client learns that it is so, no path and no cause.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::error::{Error, ErrorKind};

/// An error as an HTTP answer: `{"error": {"status": 404, "kind": "NotFound", "message": "..."}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The name of the [`ErrorKind`].
    pub(super) kind: &'static str,
    pub(super) message: String,
    /// With `Pruned`: the oldest seq that the log still holds.
    pub(super) oldest_seq: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), oldest_seq: None }
    }

    /// A field of the request is wrong.
    pub(super) fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidInput", format!("{field}: {problem}"))
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// The tenant has no such plan, whoever else may.
    pub(super) fn unknown_plan() -> Self {
        Self::not_found("plan_id: the log has no event of this plan")
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let told = |status, kind| Self::new(status, kind, error.to_string());
        match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidOption => {
                told(StatusCode::BAD_REQUEST, "InvalidInput")
            }
            ErrorKind::TooLarge | ErrorKind::TooDeep => told(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge"),
            ErrorKind::Unauthorized => told(StatusCode::UNAUTHORIZED, "Unauthorized"),
            ErrorKind::NotFound => told(StatusCode::NOT_FOUND, "NotFound"),
            ErrorKind::Conflict => told(StatusCode::CONFLICT, "Conflict"),
            ErrorKind::Pruned => told(StatusCode::GONE, "Pruned"),
            kind => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(target: "planbus.serve", %error, cause, "a request failed");
                if error.is_transient() || kind == ErrorKind::Closed {
                    let message = "the server cannot answer this now; try again later";
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message)
                } else {
                    let message = "the server failed; its log says how";
                    Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Storage", message)
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "error": {"status": self.status.as_u16(), "kind": self.kind, "message": self.message}
        });
        if let Some(oldest_seq) = self.oldest_seq {
            body["error"]["oldest_seq"] = oldest_seq.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
