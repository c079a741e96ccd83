//! [`Stream`]: the protocols that clients speak, each as a stream of messages with ids.

use std::io::{self, BufReader};

use serde::Deserialize;
use serde_json::value::RawValue;
use tungstenite::{HandshakeError, WebSocket, protocol::frame::coding::CloseCode};

use super::{
    ask::{Ask, Form},
    wire::{self, Body, Message, Paced},
};

/// The largest message that a WebSocket takes; an event may be larger than the library's own limit of a frame.
const MESSAGE_MAX_BYTES: usize = 64 << 20;

/// What a server answers to one who wants to follow.
pub(crate) enum Answer {
    Stream(Box<Stream>),
    /// The client has it all.
    Over,
    /// Not now.
    Later,
}

/// Messages over one connection.
#[allow(clippy::large_enum_variant, reason = "there is one for each client")]
pub(crate) enum Stream {
    Sse(BufReader<Body>),
    WebSocket(WebSocket<Paced>),
}

/// What comes next over a connection.
pub(crate) enum Next {
    Message(Message),
    /// Nothing more over this connection; what ended it is not said.
    Ended,
    /// The plan has ended.
    Over,
}

/// Asks to follow after a place in the log.
pub(crate) fn open(ask: &Ask, cursor: Option<&str>, stream: Paced) -> io::Result<Answer> {
    if ask.form == Form::WebSocket {
        return open_socket(ask, cursor, stream);
    }
    let answer = wire::ask(stream, &ask.request(cursor))?;
    match (answer.status, answer.content_type.as_str()) {
        (200, "text/event-stream") => Ok(Answer::Stream(Box::new(Stream::Sse(BufReader::new(answer.body))))),
        (204, _) => Ok(Answer::Over),
        (503, _) => Ok(Answer::Later),
        (200, "application/json") if ask.form == Form::A2a => {
            let text = io::read_to_string(answer.body)?;
            // The task is not there yet.
            assert!(text.contains("-32001"), "{}: after {cursor:?}: {text}", ask.name);
            Ok(Answer::Later)
        }
        (status, _) => {
            panic!("{}: after {cursor:?}: {status}: {:?}", ask.name, io::read_to_string(answer.body))
        }
    }
}

fn open_socket(ask: &Ask, cursor: Option<&str>, stream: Paced) -> io::Result<Answer> {
    let after = cursor.map(|id| format!("&after={id}")).unwrap_or_default();
    let url = format!("ws://127.0.0.1{}{after}", ask.path("ws"));
    let config = tungstenite::protocol::WebSocketConfig::default()
        .max_frame_size(Some(MESSAGE_MAX_BYTES))
        .max_message_size(Some(MESSAGE_MAX_BYTES));
    match tungstenite::client::client_with_config(url, stream, Some(config)) {
        Ok((socket, _)) => Ok(Answer::Stream(Box::new(Stream::WebSocket(socket)))),
        Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
            assert_eq!(answer.status(), 503, "{}: after {cursor:?}: {answer:?}", ask.name);
            Ok(Answer::Later)
        }
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

impl Stream {
    pub(crate) fn next(&mut self) -> io::Result<Next> {
        match self {
            Self::Sse(body) => Ok(wire::message(body)?.map_or(Next::Ended, Next::Message)),
            Self::WebSocket(socket) => loop {
                match socket.read().map_err(|error| io::Error::other(error.to_string()))? {
                    tungstenite::Message::Text(text) => return Ok(Next::Message(message(&text))),
                    tungstenite::Message::Close(Some(frame)) if frame.code == CloseCode::Normal => {
                        assert_eq!(frame.reason.as_str(), "plan ended");
                        return Ok(Next::Over);
                    }
                    tungstenite::Message::Close(_) => return Ok(Next::Ended),
                    // The library answers pings with the next read.
                    _ => {}
                }
            },
        }
    }
}

/// A message of a WebSocket.
fn message(text: &str) -> Message {
    #[derive(Deserialize)]
    struct Framed<'a> {
        event: String,
        id: Option<String>,
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let framed: Framed = serde_json::from_str(text).expect("a message");
    Message { id: framed.id, event: Some(framed.event), data: Some(framed.data.get().to_owned()) }
}
