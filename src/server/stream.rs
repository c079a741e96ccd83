//! [`StreamBody`]: the body of an answer that follows the log.
//!
//! Every protocol that streams over HTTP is an [`Encoder`] on top of it: the body knows when to send,
//! when to beat, and when it is over; the encoder knows the words.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame as BodyFrame;
use tokio::{
    task::JoinHandle,
    time::{Instant, Sleep},
};

use super::{
    access::Caller,
    counters::{CutReason, OpenStream, Transport},
    frame::Frame,
    state::Shared,
    subscriber::{A2AEventSubscriber, Gap, Given},
};
use crate::{
    error::Result,
    event::{EventType, PlanId, Tenant},
    filter::CompiledFilter,
};

/// What a chunk of the body holds before it is sent, unless one event is more.
const CHUNK_BYTES: usize = 32 << 10;

/// How a protocol says what happens.
pub(super) trait Encoder: Send + Unpin + 'static {
    /// As what its clients are counted.
    const TRANSPORT: Transport = Transport::Sse;

    /// Says what comes before the first event.
    fn open(&mut self, out: &mut BytesMut);
    /// Says an event; with `is_last`, the plan that the stream follows ends with it.
    fn event(&mut self, frame: &Frame, is_last: bool, out: &mut BytesMut);
    /// Says that events are missing here.
    fn gap(&mut self, gap: Gap, out: &mut BytesMut);
    /// Says that the stream is alive, and has looked at all events up to a seq: in a comment, since
    /// proxies and clients give up a stream on which nothing happens.
    fn heartbeat(&mut self, _cursor: u64, out: &mut BytesMut) {
        out.put_slice(b":\n\n");
    }
}

/// What a stream follows.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) subscriber: A2AEventSubscriber,
    /// Which of the subscriber's events are said.
    pub(super) wanted: CompiledFilter,
    /// The plan with which the stream ends, whether its end is wanted or not.
    pub(super) until: Option<(Tenant, PlanId)>,
}

/// An answer that follows the log.
pub(super) fn respond<E: Encoder>(
    state: &Shared,
    caller: Caller,
    following: Following,
    encoder: E,
) -> Response {
    let body = StreamBody {
        _open: state.counters.stream_opened(E::TRANSPORT),
        state: Arc::clone(state),
        ended: Box::pin(async move { caller.ended().await }),
        subscriber: following.subscriber,
        wanted: following.wanted,
        until: following.until,
        ending: None,
        encoder,
        is_open: false,
        is_over: false,
        heartbeat: state.options.heartbeat,
        beat: Box::pin(tokio::time::sleep(state.options.heartbeat)),
        sent: Instant::now(),
    };
    let mut response = Body::new(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx holds back what it proxies unless it is told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct StreamBody<E> {
    state: Shared,
    _open: OpenStream,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    subscriber: A2AEventSubscriber,
    wanted: CompiledFilter,
    until: Option<(Tenant, PlanId)>,
    /// An end of the plan, and whether it is its last.
    ending: Option<(Arc<Frame>, JoinHandle<Result<bool>>)>,
    encoder: E,
    is_open: bool,
    is_over: bool,
    heartbeat: Duration,
    beat: Pin<Box<Sleep>>,
    sent: Instant,
}

impl<E: Encoder> StreamBody<E> {
    /// Says what there is to say now.
    fn fill(&mut self, context: &mut Context<'_>, out: &mut BytesMut) {
        if !self.is_open {
            self.is_open = true;
            self.encoder.open(out);
        }
        while !self.is_over && out.len() < CHUNK_BYTES {
            if self.ending.is_some() {
                let Poll::Ready(()) = self.poll_ending(context, out) else { return };
                continue;
            }
            match self.subscriber.poll_given(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(Given::Frame(frame)))) => self.say(frame, out),
                Poll::Ready(Some(Ok(Given::Gap(gap)))) => {
                    self.state.counters.gap();
                    self.encoder.gap(gap, out);
                }
                Poll::Ready(Some(Err(error))) => {
                    // The client comes again with the last id that it saw.
                    tracing::warn!(target: "planbus.serve", %error, "a stream was cut");
                    self.cut(CutReason::Failed);
                }
                Poll::Ready(None) if self.state.feed().is_stopping() => self.cut(CutReason::Stopped),
                Poll::Ready(None) => self.is_over = true,
            }
        }
    }

    fn cut(&mut self, reason: CutReason) {
        self.state.counters.cut(reason);
        self.is_over = true;
    }

    fn say_wanted(&mut self, frame: &Frame, is_last: bool, out: &mut BytesMut) {
        if self.wanted.matches(frame.event()) {
            self.encoder.event(frame, is_last, out);
            self.state.counters.delivered(E::TRANSPORT, 1);
        }
    }

    fn say(&mut self, frame: Arc<Frame>, out: &mut BytesMut) {
        match &self.until {
            Some((tenant, plan)) if is_end_of(&frame, tenant, plan) => {
                let (store, tenant, plan) = (self.state.store.clone(), tenant.clone(), plan.clone());
                let seq = frame.seq();
                let look = move || {
                    let turn = store.last_turn(&tenant, &plan)?;
                    Ok(turn.is_none_or(|turn| turn.seq <= seq))
                };
                self.ending = Some((frame, self.state.feed().runtime().spawn_blocking(look)));
            }
            _ => self.say_wanted(&frame, false, out),
        }
    }

    /// Says an end of the plan once it is known whether the plan was begun again.
    fn poll_ending(&mut self, context: &mut Context<'_>, out: &mut BytesMut) -> Poll<()> {
        let Some((_, look)) = &mut self.ending else { return Poll::Ready(()) };
        let looked = ready!(Pin::new(look).poll(context));
        if let Some((frame, _)) = self.ending.take() {
            match looked {
                Ok(Ok(is_last)) => {
                    self.say_wanted(&frame, is_last, out);
                    self.is_over = is_last;
                    if is_last {
                        // Where the end was not wanted: the client knows all the same where it stands.
                        self.encoder.heartbeat(frame.seq(), out);
                    }
                }
                _ => self.cut(CutReason::Failed),
            }
        }
        Poll::Ready(())
    }
}

fn is_end_of(frame: &Frame, tenant: &Tenant, plan: &PlanId) -> bool {
    let event = frame.event();
    matches!(event.event_type(), EventType::PlanCompleted | EventType::PlanFailed)
        && event.plan_id() == plan
        && event.tenant() == tenant
}

impl<E: Encoder> http_body::Body for StreamBody<E> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let body = &mut *self;
        if body.is_over {
            return Poll::Ready(None);
        }
        if body.ended.as_mut().poll(context).is_ready() {
            body.cut(CutReason::Revoked);
            return Poll::Ready(None);
        }
        let mut out = BytesMut::new();
        body.fill(context, &mut out);
        if !out.is_empty() {
            body.sent = Instant::now();
            return Poll::Ready(Some(Ok(BodyFrame::data(out.freeze()))));
        }
        if body.is_over {
            return Poll::Ready(None);
        }
        while body.beat.as_mut().poll(context).is_ready() {
            // The timer is not set again with each event: it looks how long ago the last one was.
            let next = body.sent + body.heartbeat;
            let is_due = next <= Instant::now();
            if is_due {
                body.sent = Instant::now();
            }
            body.beat.as_mut().reset(body.sent + body.heartbeat);
            if is_due {
                body.encoder.heartbeat(body.subscriber.cursor(), &mut out);
                return Poll::Ready(Some(Ok(BodyFrame::data(out.freeze()))));
            }
        }
        Poll::Pending
    }
}

/// Writes one message of a stream of server-sent events.
pub(super) fn write_message(out: &mut BytesMut, id: Option<u64>, event: Option<&str>, data: &[&[u8]]) {
    use std::fmt::Write;
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
