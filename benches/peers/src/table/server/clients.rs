//! Clients that read, and what is measured of a server that they follow.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::{io::AsyncReadExt, runtime};

use super::subject::Subject;
use crate::measure::quantile;

/// How many events a second are published.
pub(super) const EVENTS_PER_SECOND: u32 = 50;
/// How many events a measurement publishes.
const EVENTS: u32 = 150;
/// What clients look for in what they are sent: nanoseconds since the bench began.
const MARK: &[u8] = br#""at":"#;
const LIMIT: Duration = Duration::from_secs(30);

/// What is measured of one server.
pub(super) struct Figures {
    /// Nanoseconds from before the publish until a client has the event, not exceeded by 99 of 100.
    pub(super) p99: f64,
    /// Nanoseconds of the server's threads for each delivery.
    pub(super) cpu: f64,
}

/// Has clients follow a server from one thread, and publishes to them once all are there.
pub(super) fn measure(begun: Instant, clients: usize, subject: &mut dyn Subject) -> Figures {
    let took: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let (ready, is_ready) = mpsc::channel();
    let (addr, record) = (subject.addr(), Arc::clone(&took));
    let readers = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut tasks = Vec::new();
            for _ in 0..clients {
                let stream = follow(TcpStream::connect(addr).expect("connects"));
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
    paced(EVENTS, || subject.publish(begun.elapsed().as_nanos()));
    readers.join().expect("no panic");
    let cpu = (cpu_nanos(subject.threads()) - before) as f64;
    let mut took = std::mem::take(&mut *took.lock());
    assert_eq!(took.len(), EVENTS as usize * clients, "each client has each event");
    Figures { p99: quantile(&mut took, 0.99).as_nanos() as f64, cpu: cpu / took.len() as f64 }
}

/// Publishes so many times, at the pace of the table.
pub(super) fn paced(times: u32, mut publish: impl FnMut()) {
    let start = Instant::now();
    for number in 0..times {
        let next = start + Duration::from_secs(1) / EVENTS_PER_SECOND * number;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        publish();
    }
}

/// Asks for the stream, and returns when it has begun: what is published from now on is sent.
pub(super) fn follow(mut stream: TcpStream) -> TcpStream {
    let addr = stream.peer_addr().expect("is connected");
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

/// The processor time of this process's threads whose names begin with this.
pub(super) fn cpu_nanos(name: &str) -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let of = |task: fs::DirEntry| {
        let its = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if !its.starts_with(name) {
            return 0;
        }
        let times = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        times.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    tasks.map(|task| of(task.expect("a thread"))).sum()
}
