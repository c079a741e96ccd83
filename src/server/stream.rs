//! [`StreamBody`]: the body of an answer that follows the log.
//!
//! Every protocol that streams over HTTP is an [`Encoder`] on top of it: what is said, and when, is
//! decided in [`Followed`]; the encoder knows the words.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame as BodyFrame;

use super::{
    access::Caller,
    counters::Transport,
    followed::{Ending, Followed, Following, Said},
    frame::Frame,
    state::Shared,
    subscriber::Gap,
};

/// What a chunk of the body holds before it is sent, unless one event is more.
const CHUNK_BYTES: usize = 32 << 10;

/// What a message needs at the most beside its data and its event: the words, line ends, and an id.
const AROUND_BYTES: usize = 64;

/// How a protocol says what happens.
pub(super) trait Encoder: Send + Unpin + 'static {
    /// As what its clients count.
    const TRANSPORT: Transport;

    /// Says what comes before the first event.
    fn open(&mut self, out: &mut BytesMut);
    /// Says an event; with `is_last`, the plan that the stream follows ends with it.
    fn event(&mut self, frame: &Frame, is_last: bool, out: &mut BytesMut);
    /// Says that events are missing here.
    fn gap(&mut self, gap: Gap, out: &mut BytesMut);
    /// Says that the stream ends here, though what it follows goes on.
    fn cut(&mut self, _out: &mut BytesMut) {}
    /// Says that the stream is alive, and has looked at all events up to a seq: in a comment, since
    /// proxies and clients give up a stream on which nothing happens.
    fn heartbeat(&mut self, _cursor: u64, out: &mut BytesMut) {
        out.put_slice(b":\n\n");
    }
}

/// An answer that follows the log.
pub(super) fn respond<E: Encoder>(
    state: &Shared,
    caller: Caller,
    following: Following,
    encoder: E,
) -> Response {
    let followed = Followed::new(state, caller, following, E::TRANSPORT);
    let body = StreamBody { followed, encoder, is_open: false, is_over: false };
    let mut response = Body::new(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx holds back what it proxies unless it is told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct StreamBody<E> {
    followed: Followed,
    encoder: E,
    is_open: bool,
    is_over: bool,
}

impl<E: Encoder> StreamBody<E> {
    /// Says what there is to say now.
    fn fill(&mut self, context: &mut Context<'_>, out: &mut BytesMut) {
        if !self.is_open {
            self.is_open = true;
            self.encoder.open(out);
        }
        while !self.is_over && out.len() < CHUNK_BYTES {
            let Poll::Ready(said) = self.followed.poll_said(context) else { return };
            match said {
                Said::Event { frame, is_last } => self.encoder.event(&frame, is_last, out),
                Said::Gap(gap) => self.encoder.gap(gap, out),
                Said::Alive { cursor } => self.encoder.heartbeat(cursor, out),
                Said::End(ending) => {
                    self.is_over = true;
                    if ending != Ending::Plan {
                        self.encoder.cut(out);
                    }
                }
            }
        }
    }
}

impl<E: Encoder> http_body::Body for StreamBody<E> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let mut out = BytesMut::new();
        self.fill(context, &mut out);
        if !out.is_empty() {
            return Poll::Ready(Some(Ok(BodyFrame::data(out.freeze()))));
        }
        if self.is_over { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// Writes one message of a stream of server-sent events.
pub(super) fn write_message(out: &mut BytesMut, id: Option<u64>, event: Option<&str>, data: &[&[u8]]) {
    use std::fmt::Write;
    // Grown once: what stands round the data is short.
    out.reserve(data.iter().map(|part| part.len()).sum::<usize>() + event.map_or(0, str::len) + AROUND_BYTES);
    if let Some(id) = id {
        // Writing into memory does not fail.
        let _ = writeln!(out, "id: {id}");
    }
    if let Some(event) = event {
        let _ = writeln!(out, "event: {event}");
    }
    out.put_slice(b"data: ");
    data.iter().for_each(|part| out.put_slice(part));
    out.put_slice(b"\n\n");
}
