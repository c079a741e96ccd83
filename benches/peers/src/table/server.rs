//! Server-sent events: how long after a publish its clients have it, what a delivery costs the server,
//! and what clients that never read cost a publisher.
//!
//! The limit writes the same bytes to the same number of sockets in a bare loop and does nothing else.
//! The peer is what one writes with axum alone: its own `Sse` on a broadcast channel, nothing stored.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
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
use tokio::{io::AsyncReadExt, runtime, sync::broadcast};

use super::table::{Contender, Goal, head, medians, quantile, row};

/// How many events a second are published while latencies are taken.
const EVENTS_PER_SECOND: u32 = 50;
/// How many events a measurement publishes.
const EVENTS: u32 = 250;
/// How many events a round publishes beside clients that do not read.
const PUBLISHES: u64 = 400;
/// How many clients there are that never read.
const SILENT: usize = 100;
/// What clients look for in what they are sent: nanoseconds since the bench began.
const MARK: &[u8] = br#""at":"#;
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn run() {
    head("Server-sent events at 50 events a second: publish to client, p99, and processor time a delivery");
    let begun = Instant::now();
    for (clients, most_ms) in [(1, 1.0), (100, 5.0), (1_000, 25.0)] {
        let bare = measure(begun, clients, &mut Bare::start());
        let peer = measure(begun, clients, &mut Peer::start());
        let ours = measure(begun, clients, &mut Ours::start());
        let what = format!("{clients} clients");
        row(&what, "bare writes", bare.p99, ours.p99, &Goal::Nanos(most_ms * 1e6));
        row(&what, "axum Sse on broadcast, no log", peer.p99, ours.p99, &Goal::Nanos(most_ms * 1e6));
        if clients == 1 {
            // What is done once for all clients is no delivery's.
            continue;
        }
        let what = format!("processor time a delivery, {clients} clients");
        row(&what, "bare writes", bare.cpu, ours.cpu, &Goal::Nanos(12e3));
        row(&what, "axum Sse on broadcast, no log", peer.cpu, ours.cpu, &Goal::Nanos(12e3));
    }
    head("A publisher beside clients that never read");
    silent();
}

/// What is measured of one server.
struct Figures {
    /// Nanoseconds from before the publish until a client has the event, not exceeded by 99 of 100.
    p99: f64,
    /// Nanoseconds of the server's threads for each delivery.
    cpu: f64,
}

/// A server of events.
trait Subject {
    fn addr(&self) -> SocketAddr;
    fn publish(&mut self, at: u128);
    /// What the names of its threads begin with.
    fn threads(&self) -> &'static [&'static str];
}

fn measure(begun: Instant, clients: usize, subject: &mut dyn Subject) -> Figures {
    let took: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let (ready, is_ready) = mpsc::channel();
    let (addr, record) = (subject.addr(), Arc::clone(&took));
    let readers = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for _ in 0..clients {
                let stream = connect(addr);
                stream.set_nonblocking(true).expect("an option");
                let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
                tasks.push(tokio::spawn(read(stream, begun, Arc::clone(&record))));
            }
            ready.send(()).expect("is waited for");
            for task in tasks {
                tokio::time::timeout(LIMIT, task).await.expect("in time").expect("no panic");
            }
        });
    });
    is_ready.recv_timeout(LIMIT).expect("clients are there");
    let before = cpu_nanos(subject.threads());
    let start = Instant::now();
    for number in 0..EVENTS {
        let next = start + Duration::from_secs(1) / EVENTS_PER_SECOND * number;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        subject.publish(begun.elapsed().as_nanos());
    }
    readers.join().expect("no panic");
    let cpu = (cpu_nanos(subject.threads()) - before) as f64;
    let mut took = std::mem::take(&mut *took.lock());
    assert_eq!(took.len(), EVENTS as usize * clients, "each client has each event");
    Figures { p99: quantile(&mut took, 0.99).as_nanos() as f64, cpu: cpu / took.len() as f64 }
}

/// Asks for the stream, and returns when it has begun: what is published from now on is sent.
fn connect(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("connects");
    stream.set_nodelay(true).expect("an option");
    write!(stream, "GET /events/stream HTTP/1.1\r\nHost: {addr}\r\n\r\n").expect("is sent");
    let mut seen = Vec::new();
    let mut buffer = [0; 4_096];
    while !seen.windows(5).any(|part| part == b"retry") {
        let count = stream.read(&mut buffer).expect("an answer");
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    stream
}

/// Reads a stream until it has all events, and notes how old each was.
async fn read(mut stream: tokio::net::TcpStream, begun: Instant, record: Arc<Mutex<Vec<Duration>>>) {
    let (mut took, mut text, mut buffer) = (Vec::new(), Vec::new(), vec![0; 16 << 10]);
    while took.len() < EVENTS as usize {
        let count = stream.read(&mut buffer).await.expect("is sent");
        assert!(count > 0, "the stream ended");
        let now = begun.elapsed();
        text.extend_from_slice(&buffer[..count]);
        let mut from = 0;
        while let Some(found) = text[from..].windows(MARK.len()).position(|part| part == MARK) {
            let begin = from + found + MARK.len();
            let digits = text[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if begin + digits == text.len() {
                break;
            }
            let at = std::str::from_utf8(&text[begin..begin + digits]).expect("digits");
            took.push(now.saturating_sub(Duration::from_nanos(at.parse().expect("a number"))));
            from = begin + digits;
        }
        text.drain(..from);
    }
    record.lock().append(&mut took);
}

/// The processor time of this process's threads of these names.
fn cpu_nanos(names: &[&str]) -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let of = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if !names.iter().any(|wanted| name.starts_with(wanted)) {
            return 0;
        }
        let times = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    tasks.map(|task| of(task.expect("a thread"))).sum()
}

/// A payload like those of tool calls, about 200 bytes.
fn payload(at: u128) -> serde_json::Value {
    json!({"at": at as u64, "call_id": "call-17", "tool": "search", "arguments": {"path": "src/bus/dispatch.rs",
        "pattern": "catch_unwind", "context": "the lines round each match, as the agent sees them"}})
}

fn event(at: u128) -> Event {
    Event::untyped("survey-7", "ToolCalled", payload(at))
}

/// A bus whose store is in memory where there is room: what is measured is no disk.
fn bus() -> (tempfile::TempDir, EventBus) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let options = EventStore::options().durability(Durability::Process);
    let store = options.open(dir.path().join("planbus.db")).expect("opens");
    (dir, EventBus::builder().store(store).build().expect("builds"))
}

struct Ours {
    server: Server,
    bus: EventBus,
    _dir: tempfile::TempDir,
}

impl Ours {
    fn start() -> Self {
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

    fn threads(&self) -> &'static [&'static str] {
        &["planbus-"]
    }
}

/// What an event is sent as, with the same bytes for all contenders.
fn text(at: u128) -> (String, String) {
    let event = event(at).with_timestamp("2026-11-21T00:00:00Z");
    (event.event_type().to_string(), event.to_json().expect("JSON"))
}

struct Bare {
    addr: SocketAddr,
    events: mpsc::Sender<Vec<u8>>,
}

impl Bare {
    fn start() -> Self {
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
                clients.lock().iter_mut().for_each(|stream| drop(stream.write_all(&bytes)));
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

    fn threads(&self) -> &'static [&'static str] {
        &["bare-writer"]
    }
}

struct Peer {
    addr: SocketAddr,
    events: broadcast::Sender<Arc<(String, String)>>,
    _runtime: runtime::Runtime,
}

impl Peer {
    fn start() -> Self {
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

    fn threads(&self) -> &'static [&'static str] {
        &["peer-server"]
    }
}

/// Publishes as fast as it is durable, beside clients that asked for a stream and never read it.
fn silent() {
    let place = || {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        let bus = EventBus::builder().store(store).build().expect("builds");
        let server = Server::builder(&bus).bind("127.0.0.1:0").start().expect("starts");
        (server, bus, dir)
    };
    let (beside, alone) = (place(), place());
    let publish = |bus: &EventBus, times: u64| {
        let one = |_| {
            let begun = Instant::now();
            bus.publish(event(0)).expect("publishes");
            begun.elapsed()
        };
        let mut took: Vec<Duration> = (0..PUBLISHES).map(one).collect();
        quantile(&mut took, 0.5) * u32::try_from(times).expect("fits")
    };
    let figures = medians(
        1,
        &mut [
            Contender::timed("alone", |times| publish(&alone.1, times)),
            Contender::timed("beside", |times| {
                // New ones each round: a server cuts off whoever does not read.
                let _silent: Vec<TcpStream> = (0..SILENT).map(|_| connect(beside.0.addr())).collect();
                publish(&beside.1, times)
            }),
        ],
    );
    let what = format!("durable publish, {SILENT} clients that never read");
    row(&what, "a server without clients", figures[0], figures[1], &Goal::AtMost(1.05));
}
