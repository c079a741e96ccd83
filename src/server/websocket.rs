//! WebSockets: `GET /events/ws` and `GET /plans/{plan_id}/events/ws`.
//!
//! The parameters and the content of server-sent events: an event is a text message
//! `{"event": "ToolCalled", "id": "42", "data": {...}}`. What a client sends is read and left alone.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use axum::{
    Error, Extension,
    extract::{
        Path, RawQuery, State as Extract,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::HeaderMap,
    response::Response,
};
use bytes::{BufMut, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, timeout};

use super::{
    access::Caller,
    counters::{CutReason, Transport},
    followed::{Ending, Followed, Said},
    following::{self, Asked},
    frame::Frame,
    listener::{self, Place},
    params::Params,
    problem::Problem,
    rendering::Rendering,
    state::Shared,
};

/// The largest message that a client may send.
const MESSAGE_MAX_BYTES: usize = 4 << 10;
/// The largest that is read at all, so that a somewhat larger one is still answered in order.
const READ_MAX_BYTES: usize = 64 << 10;
/// What is read at once; every client has such a buffer.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// What is written at once, unless one event is more.
const WRITE_BUFFER_BYTES: usize = 32 << 10;
/// How long the client's half of a goodbye is waited for.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// What a request has beside its address.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
    /// Kept until the connection ends, so that it counts as one and a stop waits for it.
    place: Option<Place>,
    query: Option<String>,
    headers: HeaderMap,
    upgrade: Upgrade,
}

/// `GET /events/ws`.
pub(super) async fn all(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    place: Option<Extension<Place>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let place = place.map(|Extension(place)| place);
    follow(&state, None, Client { caller, place, query, headers, upgrade }).await
}

/// `GET /plans/{plan_id}/events/ws`.
pub(super) async fn plan(
    Extract(state): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    place: Option<Extension<Place>>,
    Path(plan_id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let place = place.map(|Extension(place)| place);
    follow(&state, Some(plan_id), Client { caller, place, query, headers, upgrade }).await
}

async fn follow(state: &Shared, plan_id: Option<String>, client: Client) -> Result<Response, Problem> {
    let Client { caller, place, query, headers, upgrade } = client;
    let upgrade = upgrade
        .map_err(|rejected| Problem::new(rejected.status(), "InvalidInput", rejected.body_text()))?
        .max_frame_size(READ_MAX_BYTES)
        .max_message_size(READ_MAX_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES);
    let mut params = Params::parse(query.as_deref())?;
    let rendering = params.read::<Rendering, _>("format")?.unwrap_or_default();
    let asked = Asked::read(params, &caller, plan_id, &headers)?;
    let following = following::open(state, asked).await?;
    let state = state.clone();
    Ok(upgrade.on_upgrade(async move |socket| {
        let patience = state.options.slow_client;
        let mut talk = Talk { socket, rendering, patience, asked_at: None, is_flushed: true };
        let counters = Arc::clone(&state.counters);
        let goodbye = match following {
            Some(following) => {
                talk.follow(Followed::new(&state, caller, following, Transport::WebSocket)).await
            }
            // It has ended before, and the client has it all.
            None => Ok(Goodbye::from(Ending::Plan)),
        };
        match goodbye {
            Ok(goodbye) => talk.end(goodbye).await,
            Err(error) if listener::is_slow(&error) => counters.cut(CutReason::Slow),
            Err(_) => {}
        }
        drop(place);
    }))
}

/// One client's connection.
struct Talk {
    socket: WebSocket,
    rendering: Rendering,
    /// How long a client may leave a ping unanswered, or take nothing of what it is sent.
    patience: Duration,
    /// The first ping since which nothing was heard of the client.
    asked_at: Option<Instant>,
    is_flushed: bool,
}

enum Next {
    Said(Said),
    Heard(Message),
    /// It sent what is no message.
    Unreadable,
    Gone,
}

/// How a connection ends.
enum Goodbye {
    /// We say so first.
    Told(u16, &'static str),
    /// The client did.
    Answered,
    /// The client is not there any more.
    Gone,
}

impl From<Ending> for Goodbye {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Plan => Self::Told(close_code::NORMAL, "plan ended"),
            Ending::Server => Self::Told(close_code::AWAY, "the server stops"),
            Ending::Caller => Self::Told(close_code::POLICY, "access was taken back"),
            Ending::Failure => Self::Told(close_code::ERROR, "the log could not be read"),
        }
    }
}

impl Talk {
    async fn follow(&mut self, mut followed: Followed) -> Result<Goodbye, Error> {
        loop {
            match self.next(&mut followed).await? {
                Next::Said(Said::Event { frame, .. }) => self.event(&frame).await?,
                Next::Said(Said::Gap(gap)) => {
                    let gap = following::gap_json(gap);
                    self.write(message("Gap", None, gap.as_bytes())?).await?;
                }
                Next::Said(Said::Alive { cursor }) => {
                    let now = Instant::now();
                    if now - *self.asked_at.get_or_insert(now) > self.patience {
                        return Err(slow());
                    }
                    self.write(Message::Ping(cursor.to_string().into())).await?;
                }
                Next::Said(Said::End(ending)) => return Ok(ending.into()),
                Next::Heard(Message::Close(_)) => return Ok(Goodbye::Answered),
                Next::Heard(Message::Binary(_)) => {
                    return Ok(Goodbye::Told(close_code::UNSUPPORTED, "a message must be text"));
                }
                Next::Heard(Message::Text(text)) if text.len() > MESSAGE_MAX_BYTES => {
                    return Ok(Goodbye::Told(close_code::SIZE, "a message must be at most 4,096 bytes"));
                }
                Next::Heard(_) => self.asked_at = None,
                Next::Unreadable => {
                    let problem = "a message must be at most 4,096 bytes, as the protocol has it";
                    return Ok(Goodbye::Told(close_code::SIZE, problem));
                }
                Next::Gone => return Ok(Goodbye::Gone),
            }
        }
    }

    /// Waits for what is to be said and for the client, and sends meanwhile what was written.
    async fn next(&mut self, followed: &mut Followed) -> Result<Next, Error> {
        poll_fn(|context| {
            if let Poll::Ready(heard) = self.socket.poll_next_unpin(context) {
                return Poll::Ready(Ok(match heard {
                    Some(Ok(message)) => Next::Heard(message),
                    Some(Err(_)) => Next::Unreadable,
                    None => Next::Gone,
                }));
            }
            if let Poll::Ready(said) = followed.poll_said(context) {
                return Poll::Ready(Ok(Next::Said(said)));
            }
            if !self.is_flushed {
                ready!(self.socket.poll_flush_unpin(context))?;
                self.is_flushed = true;
            }
            Poll::Pending
        })
        .await
    }

    async fn event(&mut self, frame: &Frame) -> Result<(), Error> {
        let texts = frame.messages(self.rendering);
        for (at, text) in texts.iter().enumerate() {
            // A client that is cut off between two messages of an event is sent both again.
            let id = (at + 1 == texts.len()).then(|| frame.seq());
            self.write(message(frame.event().event_type().as_str(), id, text)?).await?;
        }
        Ok(())
    }

    /// Waits until there is room for a message. A connection of our own is no less strict; one of
    /// another application may have no limit.
    async fn write(&mut self, message: Message) -> Result<(), Error> {
        self.is_flushed = false;
        timeout(self.patience, self.socket.feed(message)).await.unwrap_or_else(|_| Err(slow()))
    }

    /// Says goodbye, and waits for the client to do so too: whoever closes at once may take back what
    /// is still on its way.
    async fn end(mut self, goodbye: Goodbye) {
        if matches!(goodbye, Goodbye::Gone) {
            return;
        }
        let _ = timeout(GOODBYE_TIMEOUT, async {
            if let Goodbye::Told(code, reason) = goodbye {
                let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
                self.socket.send(Message::Close(Some(frame))).await?;
            }
            while let Some(Ok(_)) = self.socket.recv().await {}
            Ok::<_, Error>(())
        })
        .await;
    }
}

/// What became of a client that took nothing, or said nothing.
fn slow() -> Error {
    Error::new(io::Error::from(io::ErrorKind::TimedOut))
}

/// One message, with the seq where the event ends with it.
fn message(event: &str, id: Option<u64>, data: &[u8]) -> Result<Message, Error> {
    use std::fmt::Write;
    const AROUND_BYTES: usize = 64;
    let mut out = BytesMut::with_capacity(AROUND_BYTES + event.len() + data.len());
    // Writing into memory does not fail; an event type has no character that JSON escapes.
    let _ = match id {
        Some(id) => write!(out, r#"{{"event":"{event}","id":"{id}","data":"#),
        None => write!(out, r#"{{"event":"{event}","id":null,"data":"#),
    };
    out.put_slice(data);
    out.put_u8(b'}');
    Utf8Bytes::try_from(out.freeze()).map(Message::Text).map_err(Error::new)
}
