//! What 1 to 5,000 clients of server-sent events cost: until they have an event, and for each delivery.
//!
//! Server, publisher and clients are one process on one machine: at thousands of clients what they wait
//! for is the processor, theirs and the server's.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parking_lot::Mutex;
use planbus::{Durability, Event, EventBus, EventStore, server::Server};
use tokio::{io::AsyncReadExt, runtime};

use super::{
    Extent,
    plot::{Plot, Series, Unit},
};
use crate::measure::quantile;

const CLIENTS: [u64; 5] = [1, 10, 100, 1_000, 5_000];
/// How many events a measurement publishes, and how many to a thousand clients or more.
const EVENTS: u32 = 100;
const EVENTS_TO_MANY: u32 = 30;
const MANY: u64 = 1_000;
/// How long it is from one publish to the next: for any number of clients, and at the least for each, so
/// that the machine has done with one event before the next comes.
const PACE: Duration = Duration::from_millis(20);
const PACE_A_CLIENT: Duration = Duration::from_micros(100);
/// The descriptors of a client, both ends, and what else the process has open.
const DESCRIPTORS_EACH: u64 = 2;
const DESCRIPTORS_BESIDE: u64 = 200;
/// What clients look for in what they are sent: nanoseconds since the bench began.
const MARK: &[u8] = br#""at":"#;
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(extent: Extent<'_>) -> Vec<Plot> {
    let most = clients_max(5_000);
    let sizes = CLIENTS.into_iter().filter(|clients| *clients <= if extent.is_quick { 100 } else { most });
    let place = Place::new(extent);
    let (mut half, mut late, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for clients in sizes {
        let figures = measure(&place, clients);
        half.push((clients, figures.median));
        late.push((clients, figures.p99));
        cpu.push((clients, figures.cpu));
    }
    let plot = |name, title: &str, of, series| Plot {
        name,
        title: title.to_owned(),
        x: "clients",
        y: Unit::Nanoseconds,
        of,
        series,
    };
    let latency =
        vec![Series::new("publish to client, median", half), Series::new("publish to client, p99", late)];
    let cpu = vec![Series::new("the server's processor time", cpu)];
    vec![
        plot("clients", "Server-sent events, by clients", "from before the publish", latency),
        plot("clients-cpu", "What a delivery costs the server, by clients", "one delivery", cpu),
    ]
}

/// How many clients there may be, with the limit of descriptors raised as far as it goes.
pub(super) fn clients_max(wanted: u64) -> u64 {
    let needed = wanted * DESCRIPTORS_EACH + DESCRIPTORS_BESIDE;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard).expect("a limit below the hard one");
    }
    let most = (soft.max(needed.min(hard)).saturating_sub(DESCRIPTORS_BESIDE)) / DESCRIPTORS_EACH;
    if most < wanted {
        println!("\nthe hard limit of {hard} descriptors allows {most} clients, both ends in one process");
    }
    most
}

/// A bus and a server of it. Its store is in memory where there is room: what is measured is no disk.
pub(super) struct Place {
    server: Server,
    bus: EventBus,
    _dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new(extent: Extent<'_>) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| extent.folder());
        let options = EventStore::options().durability(Durability::Process);
        let store = options.open(dir.path().join("planbus.db")).expect("opens");
        let bus = EventBus::builder().store(store).build().expect("builds");
        let server = Server::builder(&bus).bind("127.0.0.1:0").connections_max(100_000);
        Self { server: server.start().expect("starts"), bus, _dir: dir }
    }

    fn publish(&self, at: Duration) {
        let payload = format!(
            r#"{{"at":{},"call_id":"call-17","tool":"search","arguments":{{"path":"src/bus/dispatch.rs"}}}}"#,
            at.as_nanos()
        );
        self.bus.publish(Event::raw("survey-7", "ToolCalled", payload)).expect("publishes");
    }

    /// A client that has been told that its stream has begun: what is published from now on is sent.
    pub(super) fn connect(&self) -> TcpStream {
        let addr: SocketAddr = self.server.addr();
        let mut stream = TcpStream::connect(addr).expect("connects");
        write!(stream, "GET /events/stream HTTP/1.1\r\nHost: {addr}\r\n\r\n").expect("is sent");
        let (mut seen, mut buffer) = (Vec::new(), [0; 1_024]);
        while !seen.windows(5).any(|part| part == b"retry") {
            let count = stream.read(&mut buffer).expect("an answer");
            assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..count]);
        }
        stream
    }
}

struct Figures {
    median: f64,
    p99: f64,
    /// Nanoseconds of the server's threads for each delivery.
    cpu: f64,
}

fn measure(place: &Place, clients: u64) -> Figures {
    let (begun, took) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let events = if clients < MANY { EVENTS } else { EVENTS_TO_MANY };
    let streams: Vec<TcpStream> = (0..clients).map(|_| place.connect()).collect();
    let record = Arc::clone(&took);
    let (ready, is_ready) = mpsc::channel();
    let readers = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let follow = |stream: TcpStream| {
                stream.set_nonblocking(true).expect("an option");
                let stream = tokio::net::TcpStream::from_std(stream).expect("a socket");
                tokio::spawn(read(stream, begun, events, Arc::clone(&record)))
            };
            let tasks: Vec<_> = streams.into_iter().map(follow).collect();
            ready.send(()).expect("is waited for");
            for task in tasks {
                tokio::time::timeout(LIMIT, task).await.expect("in time").expect("no panic");
            }
        });
    });
    is_ready.recv_timeout(LIMIT).expect("clients are there");
    let (before, start) = (server_nanos(), Instant::now());
    let pace = PACE.max(PACE_A_CLIENT * clients as u32);
    for number in 0..events {
        thread::sleep((start + pace * number).saturating_duration_since(Instant::now()));
        place.publish(begun.elapsed());
    }
    readers.join().expect("no panic");
    let cpu = (server_nanos() - before) as f64;
    let mut took = std::mem::take(&mut *took.lock());
    assert_eq!(took.len() as u64, u64::from(events) * clients, "each client has each event");
    let mut part = |part| quantile(&mut took, part).as_nanos() as f64;
    let (median, p99) = (part(0.5), part(0.99));
    Figures { median, p99, cpu: cpu / took.len() as f64 }
}

/// Reads a stream until it has all events, and notes how old each was.
async fn read(
    mut stream: tokio::net::TcpStream,
    begun: Instant,
    events: u32,
    record: Arc<Mutex<Vec<Duration>>>,
) {
    let (mut took, mut text, mut buffer) = (Vec::new(), Vec::new(), vec![0; 2_048]);
    while took.len() < events as usize {
        let count = stream.read(&mut buffer).await.expect("is sent");
        assert!(count > 0, "the stream ended");
        let now = begun.elapsed();
        text.extend_from_slice(&buffer[..count]);
        while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
            if let Some(at) = published_at(&text[..end]) {
                took.push(now.saturating_sub(at));
            }
            text.drain(..end + 2);
        }
    }
    record.lock().append(&mut took);
}

/// When a message's event was published; `None` for heartbeats.
fn published_at(message: &[u8]) -> Option<Duration> {
    let from = message.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    let digits = message[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let nanos = std::str::from_utf8(&message[from..from + digits]).ok()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// The processor time of the server's threads.
fn server_nanos() -> u64 {
    let of = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if !name.starts_with("planbus-") {
            return 0;
        }
        let times = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    fs::read_dir("/proc/self/task").expect("Linux").map(|task| of(task.expect("a thread"))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_when_it_was_published_and_a_heartbeat_does_not() {
        assert_eq!(
            published_at(br#"id: 1\ndata: {"payload":{"at":1200}}"#),
            Some(Duration::from_nanos(1_200))
        );
        assert_eq!(published_at(b": alive"), None);
    }
}
