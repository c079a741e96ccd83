//! The body of a request: read whole, as large as it may be and no slower than it may come.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use tokio::time::{Instant, timeout};

use super::{options::Options, problem::Problem};

/// How much of a body that is too large is read and thrown away, so that a client that sends all before
/// it listens hears why it was refused.
const DISCARDED_BYTES_MAX: usize = 4 << 20;
/// How long such a client is waited for, once it sends nothing more.
const DISCARD_WAIT_MAX: Duration = Duration::from_millis(500);

/// Reads a request's body.
pub(super) async fn read(options: &Options, headers: &HeaderMap, mut body: Body) -> Result<Bytes, Problem> {
    let bytes_max = options.body_bytes_max;
    let deadline = Instant::now() + options.request_time;
    let mut is_too_large = body.size_hint().lower() > bytes_max as u64;
    // Who waits to be asked for its body is answered before it sends it.
    if is_too_large && headers.contains_key(header::EXPECT) {
        return Err(too_large(bytes_max));
    }
    let (mut kept, mut read) = (BytesMut::new(), 0_usize);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = if is_too_large { left.min(DISCARD_WAIT_MAX) } else { left };
        let frame = timeout(wait, poll_fn(|context| Pin::new(&mut body).poll_frame(context))).await;
        let data = match frame {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) if !is_too_large => return Ok(kept.freeze()),
            _ if is_too_large => return Err(too_large(bytes_max)),
            Ok(_) => return Err(Problem::invalid("body", "was not sent whole")),
            Err(_) => {
                let message = format!("body: must be sent within {:?}", options.request_time);
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "Timeout", message));
            }
        };
        read = read.saturating_add(data.len());
        is_too_large |= read > bytes_max;
        if !is_too_large {
            kept.extend_from_slice(&data);
        } else if read > bytes_max.saturating_add(DISCARDED_BYTES_MAX) {
            return Err(too_large(bytes_max));
        } else {
            kept = BytesMut::new();
        }
    }
}

/// Refuses a body that is not said to be JSON: pages of other sites can send other types unasked.
#[cfg(feature = "redis")]
pub(super) fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let said = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json")
        && headers.get_all(header::CONTENT_TYPE).iter().count() == 1
    {
        return Ok(());
    }
    let message = "Content-Type: must be application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "InvalidInput", message))
}

fn too_large(bytes_max: usize) -> Problem {
    let message = format!("body: must be at most {bytes_max} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message)
}
