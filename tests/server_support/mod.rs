//! What the tests of the server share: a bus that is served, and clients of its streams.
//!
//! The clients here are for what real ones cannot be made to do; those that a user would run have tests
//! of their own.

#![allow(dead_code)]

pub(crate) mod guarded;
pub(crate) mod listed;
pub(crate) mod socket;
pub(crate) mod wire;

use std::{
    io::{BufRead, BufReader},
    time::{Duration, Instant},
};

use planbus::{
    Event, EventBus, EventStore,
    server::{Server, ServerBuilder},
};
use serde_json::{Value, json};
use ureq::{Agent, http::Response};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until a condition holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not so in time: {what}");
        std::thread::yield_now();
    }
}

/// A bus with a store, and a server of it.
pub(crate) struct Live {
    pub(crate) server: Server,
    pub(crate) bus: EventBus,
    pub(crate) dir: tempfile::TempDir,
}

impl Live {
    pub(crate) fn start() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(options: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        Self::with_bus(|_, builder| options(builder))
    }

    /// With options that need the bus.
    pub(crate) fn with_bus(options: impl FnOnce(&EventBus, ServerBuilder) -> ServerBuilder) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        let bus = EventBus::builder().store(store).build().expect("a bus");
        let server = options(&bus, Server::builder(&bus).bind("127.0.0.1:0")).start().expect("starts");
        Self { server, bus, dir }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    /// Publishes a note of a plan; its seq.
    pub(crate) fn note(&self, plan: &str, at: u64) -> u64 {
        let published = self.bus.publish(Event::untyped(plan, "note", json!({"at": at}))).expect("publishes");
        published.seq.expect("a seq")
    }

    /// What a path answers: status and JSON.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let mut response = agent().get(self.url(path)).call().expect("an answer");
        let text = response.body_mut().read_to_string().expect("a body");
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) fn follow(&self, path: &str) -> Sse {
        Sse::open(&self.url(path), &[]).expect("a stream")
    }
}

pub(crate) fn agent() -> Agent {
    let config = Agent::config_builder().http_status_as_error(false).timeout_recv_body(Some(PATIENCE));
    let config = config.timeout_recv_response(Some(PATIENCE));
    config.timeout_connect(Some(PATIENCE)).build().into()
}

/// One message of a stream of server-sent events.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: String,
}

impl Message {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }

    pub(crate) fn seq(&self) -> u64 {
        self.id.as_ref().expect("an id").parse().expect("a seq")
    }
}

/// A client of server-sent events, as the specification has it: an iterator over messages with data.
pub(crate) struct Sse {
    lines: std::io::Lines<BufReader<Box<dyn std::io::Read>>>,
    /// The last id that was seen, with data or without.
    pub(crate) last_id: Option<String>,
    pub(crate) comments: usize,
    /// Why the stream ended, where it did not end by itself.
    pub(crate) cut: Option<std::io::Error>,
}

impl Sse {
    /// Opens a stream, or says what else was answered.
    pub(crate) fn open(url: &str, headers: &[(&str, &str)]) -> Result<Self, Box<Response<String>>> {
        let request =
            headers.iter().fold(agent().get(url), |request, (name, value)| request.header(*name, *value));
        let mut response = request.call().expect("an answer");
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if response.status() != 200 || kind != Some("text/event-stream") {
            let text = response.body_mut().read_to_string().expect("a body");
            let (parts, _) = response.into_parts();
            return Err(Box::new(Response::from_parts(parts, text)));
        }
        let reader: Box<dyn std::io::Read> = Box::new(response.into_body().into_reader());
        Ok(Self { lines: BufReader::new(reader).lines(), last_id: None, comments: 0, cut: None })
    }

    /// The next message, which must come.
    pub(crate) fn message(&mut self) -> Message {
        self.next().unwrap_or_else(|| panic!("the stream ended: {:?}", self.cut))
    }

    /// The next messages' seqs.
    pub(crate) fn seqs(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.message().seq()).collect()
    }
}

impl Iterator for Sse {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let mut message = Message::default();
        let mut has_data = false;
        loop {
            let line = match self.lines.next()? {
                Ok(line) => line,
                Err(error) => {
                    self.cut = Some(error);
                    return None;
                }
            };
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() && has_data => return Some(message),
                "" if line.is_empty() => message = Message::default(),
                "" => self.comments += 1,
                "id" => {
                    message.id = Some(value.to_owned());
                    self.last_id = Some(value.to_owned());
                }
                "event" => message.event = Some(value.to_owned()),
                "data" => {
                    if has_data {
                        message.data.push('\n');
                    }
                    message.data.push_str(value);
                    has_data = true;
                }
                _ => {}
            }
        }
    }
}
