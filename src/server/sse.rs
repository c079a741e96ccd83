//! Server-sent events: `GET /events/stream` and `GET /plans/{plan_id}/events/stream`.
//!
//! `id:` is the seq, `event:` the event type, `data:` the event. A client that was cut off goes on with
//! the last id that it saw, which its browser sends by itself.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use axum::{
    Extension,
    extract::{Path, RawQuery, State as Extract},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::BytesMut;

use super::{
    access::Caller,
    counters::Transport,
    following::{self, Asked},
    form::Form,
    frame::Frame,
    params::Params,
    problem::Problem,
    rendering::Rendering,
    state::Shared,
    stream::{self, Encoder},
    subscriber::Gap,
};

/// A client that was cut off comes again after this long, and up to as long more: not all at once.
const RETRY_MS: u64 = 1_000;

/// `GET /events/stream`.
pub(super) async fn all(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    follow(&state, caller, None, query.as_deref(), &headers).await
}

/// `GET /plans/{plan_id}/events/stream`.
pub(super) async fn plan(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path(plan_id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    follow(&state, caller, Some(plan_id), query.as_deref(), &headers).await
}

async fn follow(
    state: &Shared,
    caller: Caller,
    plan_id: Option<String>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::parse(query)?;
    let rendering = params.read::<Rendering, _>("format")?.unwrap_or_default();
    let asked = Asked::read(params, &caller, plan_id, headers)?;
    let Some(following) = following::open(state, asked).await? else {
        // The one answer after which a browser does not come again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    Ok(stream::respond(state, caller, following, Sse { rendering }))
}

/// Says events as server-sent events.
struct Sse {
    rendering: Rendering,
}

impl Sse {
    /// What a browser calls an event. It hears those alone whose names it was told before: what a page
    /// follows, which is to see types that nobody knew, has none.
    fn name<'a>(&self, frame: &'a Frame) -> Option<&'a str> {
        let is_for_page = self.rendering == Rendering::Text(Form::Brief);
        (!is_for_page).then(|| frame.event().event_type().as_str())
    }
}

impl Encoder for Sse {
    const TRANSPORT: Transport = Transport::Sse;

    fn open(&mut self, out: &mut BytesMut) {
        use std::fmt::Write;
        let jitter = RandomState::new().hash_one(()) % RETRY_MS;
        let _ = write!(out, "retry: {}\n\n", RETRY_MS + jitter);
    }

    fn event(&mut self, frame: &Frame, _: bool, out: &mut BytesMut) {
        let texts = frame.messages(self.rendering);
        for (at, text) in texts.iter().enumerate() {
            // A client that is cut off between two messages of an event is sent both again.
            let id = (at + 1 == texts.len()).then(|| frame.seq());
            stream::write_message(out, id, self.name(frame), &[text]);
        }
    }

    fn gap(&mut self, gap: Gap, out: &mut BytesMut) {
        stream::write_message(out, None, Some("Gap"), &[following::gap_json(gap).as_bytes()]);
    }

    /// An id without data moves the place from which a browser goes on, and calls no listener.
    fn heartbeat(&mut self, cursor: u64, out: &mut BytesMut) {
        use std::fmt::Write;
        let _ = write!(out, ":\nid: {cursor}\n\n");
    }
}
