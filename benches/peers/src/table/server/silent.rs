//! What clients that asked for a stream and never read it cost a publisher.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use planbus::{Event, EventBus, EventStore, server::Server};
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
use serde_json::json;

use super::{
    clients::{follow, paced},
    subject::event,
};
use crate::{
    measure::{folder, median, quantile},
    report::{Goal, Row},
};

/// How many clients there are that never read.
const SILENT: usize = 100;
/// What they take at the most before they take nothing.
const RECEIVE_BYTES: usize = 4 << 10;
/// How many events a round publishes at the table's pace, and as fast as they are durable.
const PACED: u32 = 100;
const UNPACED: u32 = 200;
/// What is published so that every buffer on the way is full: more than all of them hold.
const FILLING: (usize, usize) = (32, 64 << 10);
const DELIVERED: &str = r#"planbus_deliveries_total{transport="sse"}"#;
/// Longer than a round: a server cuts off whoever takes nothing, and would end what is measured.
const SLOW_CLIENT: Duration = Duration::from_secs(600);
/// Nobody takes anything more when nothing was delivered for so long.
const REST: Duration = Duration::from_millis(100);

pub(super) fn run(rounds: usize) -> Vec<Row> {
    let (alone, beside) = (Place::open(), Place::open());
    let mut figures = [const { Vec::new() }; 4];
    for round in 0..=rounds {
        let silent = beside.silent_clients();
        let before = beside.delivered();
        let measured = [alone.paced_median(), beside.paced_median(), alone.median(), beside.median()];
        assert_eq!(beside.delivered(), before, "nobody took anything");
        drop(silent);
        if round > 0 {
            figures.iter_mut().zip(measured).for_each(|(figures, one)| figures.push(one));
        }
    }
    let [paced_alone, paced, alone, beside] = figures.map(median);
    let row = |pace, alone, beside| {
        let what = format!("durable publish {pace}, {SILENT} clients that never read");
        let row = Row::new("server", what, ("a server without clients", alone), beside, Goal::AtMost(1.05));
        row.print();
        row
    };
    vec![row("at 50 a second", paced_alone, paced), row("as fast as it is durable", alone, beside)]
}

/// A bus that is durable on a disk, with a server.
struct Place {
    server: Server,
    bus: EventBus,
    _dir: tempfile::TempDir,
}

impl Place {
    fn open() -> Self {
        let dir = folder();
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        let bus = EventBus::builder().store(store).build().expect("builds");
        let server = Server::builder(&bus).bind("127.0.0.1:0").slow_client(SLOW_CLIENT).start();
        Self { server: server.expect("starts"), bus, _dir: dir }
    }

    /// Clients that follow, with all that they have room for on the way.
    fn silent_clients(&self) -> Vec<TcpStream> {
        let clients = (0..SILENT).map(|_| follow(self.narrow())).collect();
        let (events, bytes) = FILLING;
        for _ in 0..events {
            let event = Event::untyped("survey-7", "note", json!({"text": "x".repeat(bytes)}));
            self.bus.publish(event).expect("publishes");
        }
        let (mut before, mut now) = (0, self.delivered());
        while before != now {
            thread::sleep(REST);
            (before, now) = (now, self.delivered());
        }
        clients
    }

    /// A connection that takes little.
    fn narrow(&self) -> TcpStream {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BYTES).expect("an option");
        connect(&socket, &self.server.addr()).expect("connects");
        TcpStream::from(socket)
    }

    /// How many events the server has handed on to the connections of clients.
    fn delivered(&self) -> u64 {
        let addr = self.server.addr();
        let mut stream = TcpStream::connect(addr).expect("connects");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")
            .expect("is sent");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("an answer");
        let mut lines = page.lines().filter_map(|line| line.strip_prefix(DELIVERED));
        lines.next().and_then(|count| count.trim().parse().ok()).expect("is counted")
    }

    /// What a publish takes at the table's pace.
    fn paced_median(&self) -> f64 {
        let mut took = Vec::new();
        paced(PACED, || took.push(self.publish()));
        quantile(&mut took, 0.5).as_nanos() as f64
    }

    /// What a publish takes right behind another.
    fn median(&self) -> f64 {
        let mut took: Vec<_> = (0..UNPACED).map(|_| self.publish()).collect();
        quantile(&mut took, 0.5).as_nanos() as f64
    }

    fn publish(&self) -> Duration {
        let begun = Instant::now();
        self.bus.publish(event(0)).expect("publishes");
        begun.elapsed()
    }
}
