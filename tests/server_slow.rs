//! Clients that read slowly, or not at all, and clients that go.

#![cfg(feature = "server")]

mod server_support;

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use planbus::Event;
use serde_json::json;
use server_support::{Live, socket::Socket, wait_until};

/// More than the server keeps of the log for those who follow, in number and in bytes.
const MANY: u64 = 10_000;
const TEXT_BYTES: usize = 2_000;
/// How long after a client's end its subscription may last.
const GONE_WITHIN: Duration = Duration::from_millis(10);

/// Publishes many large events at once, numbered on.
fn publish_many(live: &Live, count: u64) {
    let text = "x".repeat(TEXT_BYTES);
    for _ in 0..count / 1_000 {
        let events = (0..1_000).map(|at| Event::untyped("plan", "note", json!({"at": at, "text": text})));
        live.bus.publish_all(events).expect("publishes");
    }
}

/// Asks for a stream by hand and reads nothing but its first bytes.
fn ask(live: &Live, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(live.server.addr()).expect("connects");
    let host = live.server.addr();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("asks");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

fn followers(live: &Live) -> usize {
    live.server.stats().followers
}

#[test]
fn p6_a_client_that_rests_while_the_log_runs_away_is_sent_all_of_it_in_order() {
    let live = Live::with(|server| server.slow_client(Duration::from_secs(600)));
    live.note("plan", 0);
    let mut stream = live.follow("/events/stream?after=0");
    let mut socket = Socket::open(&live, "/events/ws?after=0", &[]).expect("a WebSocket");
    assert_eq!((stream.seqs(1), socket.seqs(1)), (vec![1], vec![1]));
    // Nobody reads meanwhile.
    publish_many(&live, MANY);
    let wanted: Vec<u64> = (2..=MANY + 1).collect();
    assert!(stream.seqs(MANY as usize) == wanted, "server-sent events");
    assert!(socket.seqs(MANY as usize) == wanted, "a WebSocket");
}

#[test]
fn a_client_that_reads_nothing_is_cut_and_others_are_served() {
    let live = Live::with(|server| server.send_buffer_bytes(4 << 10).slow_client(Duration::from_secs(2)));
    publish_many(&live, MANY);
    let stuck: Vec<TcpStream> = (0..8).map(|_| ask(&live, "/events/stream?after=0")).collect();
    let mut socket = Socket::open(&live, "/events/ws?after=0", &[]).expect("a WebSocket");
    assert_eq!(socket.seqs(1), [1]);
    let mut reading = live.follow("/events/stream");
    let seq = live.note("plan", 1);
    assert_eq!(reading.message().seq(), seq, "others are served");
    wait_until("those that read nothing are cut", || followers(&live) == 1);
    drop((stuck, socket));
}

#[test]
fn a_client_that_goes_is_followed_no_longer() {
    let live = Live::start();
    live.note("plan", 1);
    let best = |open: &dyn Fn() -> TcpStream, how: Shutdown| {
        let tries = (0..20).map(|_| {
            let stream = open();
            wait_until("it follows", || followers(&live) == 1);
            let begun = Instant::now();
            stream.shutdown(how).expect("goes");
            wait_until("it is gone", || followers(&live) == 0);
            begun.elapsed()
        });
        tries.min().expect("tries")
    };
    let sse = || ask(&live, "/events/stream?after=0");
    let websocket = || {
        let mut socket = Socket::open(&live, "/events/ws?after=0", &[]).expect("a WebSocket");
        assert_eq!(socket.seqs(1), [1]);
        socket.inner.get_ref().try_clone().expect("a handle")
    };
    for how in [Shutdown::Write, Shutdown::Both] {
        for (name, open) in
            [("server-sent events", &sse as &dyn Fn() -> TcpStream), ("a WebSocket", &websocket)]
        {
            let best = best(open, how);
            println!("{name}, {how:?}: gone after {best:?}");
            assert!(best < GONE_WITHIN, "{name}, {how:?}: {best:?}");
        }
    }
}
