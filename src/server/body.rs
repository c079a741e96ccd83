//! The body of a request: as large as it may be, and no slower than it may come.

use std::time::Duration;

use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
};
use bytes::Bytes;
use http_body::Body;

use super::problem::Problem;

/// The most bytes of a request's body.
pub(super) const BODY_MAX_BYTES: usize = 4 << 20;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a request's body.
pub(super) async fn read(request: Request) -> Result<Bytes, Problem> {
    let too_large = || {
        let message = format!("body: must be at most {BODY_MAX_BYTES} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message)
    };
    if request.body().size_hint().lower() > BODY_MAX_BYTES as u64 {
        // It says so itself: nothing of it is waited for.
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
        Ok(Err(_)) => Err(Problem::invalid("body", "was not sent whole")),
        Err(_) => {
            let message = format!("body: was not sent within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "Timeout", message))
        }
    }
}
