//! The servers of events that one writes first, each with one mistake.
//!
//! They are here to be caught: a check that finds nothing wrong with them finds nothing.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use planbus::*;

/// How many events wait for a client of [`Naive::Drops`].
const QUEUE: usize = 16;
/// How long [`Naive::Seam`] waits at most for what it is to miss.
const SEAM_MAX: Duration = Duration::from_secs(1);
/// After how long without an event a stream says that it is alive.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naive {
    /// It sends what the log has, then subscribes.
    Seam,
    /// It queues for each client, and drops what does not fit.
    Drops,
    /// It goes on with the client's last event, not after it.
    Inclusive,
    /// It begins with what the log still holds, and says nothing of what it does not.
    Silent,
}

impl Naive {
    pub(crate) const ALL: [Self; 4] = [Self::Seam, Self::Drops, Self::Inclusive, Self::Silent];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Seam => "seam",
            Self::Drops => "drops",
            Self::Inclusive => "inclusive",
            Self::Silent => "silent",
        }
    }
}

/// A server of the log of the tenant `default`, whatever is asked.
pub(crate) struct NaiveServer;

impl NaiveServer {
    /// Serves until the process ends.
    pub(crate) fn start(bus: &EventBus, bind: &str, naive: Naive) {
        let listener = TcpListener::bind(bind).expect("the port is free");
        let bus = bus.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (bus, client) = (bus.clone(), client.expect("a client"));
                // A client that goes is no concern of ours.
                thread::spawn(move || serve(&bus, client, naive));
            }
        });
    }
}

fn serve(bus: &EventBus, mut client: TcpStream, naive: Naive) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut after = 0;
    for line in BufReader::new(client.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(id) = line.strip_prefix("Last-Event-ID: ") {
            after = id.parse().expect("a seq");
        }
    }
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    if naive == Naive::Inclusive {
        after = u64::saturating_sub(after, 1);
    }
    let subscribe = |events| {
        let options = ChannelOptions::bounded(events).on_full(OnFull::DropOldest);
        bus.channel(Filter::all().tenant("default"), options).expect("a channel")
    };
    let early = match naive {
        Naive::Seam => None,
        Naive::Drops => Some(subscribe(QUEUE)),
        Naive::Inclusive | Naive::Silent => Some(subscribe(100_000)),
    };
    let store = bus.store().expect("a store");
    let kept = store.stats().expect("reads").first_seq.unwrap_or(1) - 1;
    for event in store.read_after(after.max(kept), usize::MAX).expect("reads") {
        after = event.seq().expect("a seq");
        if event.tenant().as_str() == "default" {
            send(&mut client, &event)?;
        }
    }
    if naive == Naive::Seam {
        // Between the two something is published, as it is sooner or later.
        let mut next = bus.tail(Filter::all().tenant("default"), Start::After(after)).expect("a tail");
        let _ = next.next_timeout(SEAM_MAX).expect("the bus lives");
    }
    let live = early.unwrap_or_else(|| subscribe(100_000));
    loop {
        match live.recv_timeout(HEARTBEAT).expect("the bus lives") {
            Some(event) if event.seq() > Some(after) => send(&mut client, &event)?,
            Some(_) => {}
            None => chunk(&mut client, ":\n\n")?,
        }
    }
}

fn send(client: &mut TcpStream, event: &Event) -> io::Result<()> {
    let text = event.to_json().expect("JSON").replace(['\n', '\r'], " ");
    let (seq, event_type) = (event.seq().expect("a seq"), event.event_type());
    chunk(client, &format!("id: {seq}\nevent: {event_type}\ndata: {text}\n\n"))
}

fn chunk(client: &mut TcpStream, text: &str) -> io::Result<()> {
    client.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}
