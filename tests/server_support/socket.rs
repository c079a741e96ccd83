//! A client of the server's WebSockets.

use std::net::TcpStream;

use serde_json::Value;
use tungstenite::{
    Message, WebSocket,
    client::IntoClientRequest,
    handshake::client::Response,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{Live, PATIENCE};

/// A client of a WebSocket.
pub(crate) struct Socket {
    pub(crate) inner: WebSocket<TcpStream>,
    /// How many pings came, and the last one's content.
    pub(crate) pings: usize,
    pub(crate) last_ping: Option<String>,
}

impl Socket {
    /// Opens a WebSocket, or says what else was answered: status and body.
    pub(crate) fn open(live: &Live, path: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        let stream = TcpStream::connect(live.server.addr()).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("sets");
        let url = format!("ws://{}{path}", live.server.addr());
        let mut request = url.into_client_request().expect("a request");
        for (name, value) in headers {
            let name = tungstenite::http::HeaderName::try_from(*name).expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        match tungstenite::client(request, stream) {
            Ok((inner, _)) => Ok(Self { inner, pings: 0, last_ping: None }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(refused(*answer))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message as JSON; `None` once the server has said goodbye.
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.read() {
            Ok(text) => Some(serde_json::from_str(&text).expect("JSON")),
            Err(_) => None,
        }
    }

    /// The next message, or how the server said goodbye.
    pub(crate) fn read(&mut self) -> Result<String, Option<CloseFrame>> {
        loop {
            match self.inner.read().expect("a message") {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Ping(content) => self.ping(&content),
                Message::Close(frame) => return Err(frame),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits for pings, while nothing else may come.
    pub(crate) fn pings(&mut self, count: usize) {
        while self.pings < count {
            let Message::Ping(content) = self.inner.read().expect("a message") else {
                panic!("something else than a ping")
            };
            self.ping(&content);
        }
    }

    fn ping(&mut self, content: &[u8]) {
        self.pings += 1;
        self.last_ping = Some(std::str::from_utf8(content).expect("UTF-8").to_owned());
    }

    /// Reads to the end: the messages, then the code and the reason of the goodbye.
    pub(crate) fn rest(&mut self) -> (Vec<Value>, u16, String) {
        let mut messages = Vec::new();
        loop {
            match self.read() {
                Ok(text) => messages.push(serde_json::from_str(&text).expect("JSON")),
                Err(frame) => {
                    let frame = frame.unwrap_or(CloseFrame { code: CloseCode::Status, reason: "".into() });
                    return (messages, frame.code.into(), frame.reason.to_string());
                }
            }
        }
    }

    /// The next messages' seqs.
    pub(crate) fn seqs(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| seq(&self.next().expect("a message"))).collect()
    }
}

/// The seq of a message.
pub(crate) fn seq(message: &Value) -> u64 {
    message["id"].as_str().expect("an id").parse().expect("a seq")
}

fn refused(answer: Response) -> (u16, String) {
    let body = answer.body().clone().unwrap_or_default();
    (answer.status().as_u16(), String::from_utf8_lossy(&body).into_owned())
}
