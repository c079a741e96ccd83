//! What is measured: the server, a bare loop of writes, and what axum has for it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use futures_util::stream;
use parking_lot::Mutex;
use planbus::{
    Durability, Event, EventBus, EventStore,
    server::{
        Server,
        axum::{Router, response::sse, routing::get},
    },
};
use serde_json::json;
use tokio::{runtime, sync::broadcast};

/// A server of events.
pub(super) trait Subject {
    fn addr(&self) -> SocketAddr;
    fn publish(&mut self, at: u128);
    /// What the names of its threads begin with.
    fn threads(&self) -> &'static str;
}

/// A payload like those of tool calls, about 200 bytes.
fn payload(at: u128) -> serde_json::Value {
    json!({"at": at as u64, "call_id": "call-17", "tool": "search", "arguments": {"path": "src/bus/dispatch.rs",
        "pattern": "catch_unwind", "context": "the lines round each match, as the agent sees them"}})
}

/// An event that says when it was published.
pub(super) fn event(at: u128) -> Event {
    Event::untyped("survey-7", "ToolCalled", payload(at))
}

/// A bus whose store is in memory where there is room: what is measured is no disk.
fn bus() -> (tempfile::TempDir, EventBus) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let options = EventStore::options().durability(Durability::Process);
    let store = options.open(dir.path().join("planbus.db")).expect("opens");
    (dir, EventBus::builder().store(store).build().expect("builds"))
}

pub(super) struct Ours {
    server: Server,
    bus: EventBus,
    _dir: tempfile::TempDir,
}

impl Ours {
    pub(super) fn start() -> Self {
        let (dir, bus) = bus();
        let server = Server::builder(&bus).bind("127.0.0.1:0").start().expect("starts");
        Self { server, bus, _dir: dir }
    }
}

impl Subject for Ours {
    fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    fn publish(&mut self, at: u128) {
        self.bus.publish(event(at)).expect("publishes");
    }

    fn threads(&self) -> &'static str {
        "planbus-"
    }
}

/// What an event is sent as, with the same bytes for all contenders.
fn text(at: u128) -> (String, String) {
    let event = event(at).with_timestamp("2026-11-21T00:00:00Z");
    (event.event_type().to_string(), event.to_json().expect("JSON"))
}

pub(super) struct Bare {
    addr: SocketAddr,
    events: mpsc::Sender<Vec<u8>>,
}

impl Bare {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let addr = listener.local_addr().expect("an address");
        let (events, sent) = mpsc::channel::<Vec<u8>>();
        let clients: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let accepted = Arc::clone(&clients);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a client");
                let _ = stream.read(&mut [0; 1_024]).expect("a request");
                stream.set_nodelay(true).expect("an option");
                let mut clients = accepted.lock();
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nretry: 1000\n\n").expect("is sent");
                clients.push(stream);
            }
        });
        let write = move || {
            for bytes in sent {
                // Those of earlier rounds are gone.
                clients.lock().retain_mut(|stream| stream.write_all(&bytes).is_ok());
            }
        };
        thread::Builder::new().name("bare-writer".to_owned()).spawn(write).expect("a thread");
        Self { addr, events }
    }
}

impl Subject for Bare {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn publish(&mut self, at: u128) {
        let (name, data) = text(at);
        let bytes = format!("id: 1\nevent: {name}\ndata: {data}\n\n");
        self.events.send(bytes.into_bytes()).expect("is there");
    }

    fn threads(&self) -> &'static str {
        "bare-writer"
    }
}

pub(super) struct Peer {
    addr: SocketAddr,
    events: broadcast::Sender<Arc<(String, String)>>,
    _runtime: runtime::Runtime,
}

impl Peer {
    pub(super) fn start() -> Self {
        let mut builder = runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name("peer-server").enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (events, _) = broadcast::channel(1_024);
        let sender: broadcast::Sender<Arc<(String, String)>> = events.clone();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("binds");
        let addr = listener.local_addr().expect("an address");
        let follow = move || {
            let receiver = sender.subscribe();
            async move {
                let hello = sse::Event::default().retry(Duration::from_secs(1));
                let messages = stream::unfold((receiver, Some(hello)), async |(mut receiver, hello)| {
                    let message = match hello {
                        Some(hello) => hello,
                        None => {
                            let event = receiver.recv().await.ok()?;
                            sse::Event::default().id("1").event(&event.0).data(&event.1)
                        }
                    };
                    Some((Ok::<_, std::convert::Infallible>(message), (receiver, None)))
                });
                sse::Sse::new(messages).keep_alive(sse::KeepAlive::default())
            }
        };
        let router = Router::new().route("/events/stream", get(follow));
        runtime.spawn(async move { planbus::server::axum::serve(listener, router).await });
        Self { addr, events, _runtime: runtime }
    }
}

impl Subject for Peer {
    fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn publish(&mut self, at: u128) {
        self.events.send(Arc::new(text(at))).expect("clients are there");
    }

    fn threads(&self) -> &'static str {
        "peer-server"
    }
}
