//! [`Clients`]: those that follow the log over server-sent events, a thread each.
//!
//! A client keeps numbers of what it was sent, and its place; never an event.

use std::{
    io::BufReader,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use super::{
    tally::{Marks, Tally},
    watch::Watch,
    wire::{self, Pace},
};

/// After so many events a guest goes, and comes again.
const GUEST_EVENTS: u64 = 200;
/// A slow client reads so many bytes, then waits until the log has gone on by so many events: more than
/// they have, so that it is late and not lost.
const SLOW_BYTES: usize = 2 << 20;
const SLOW_EVENTS: u64 = 50;
/// What clients ask for that want one type.
const TYPES: [&str; 5] = ["PlanStarted", "PlanFailed", "DecisionMade", "SubplanCompleted", "context.read"];

/// What a client is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It follows all events.
    All,
    /// So does this one, and goes and comes again with the last id that it saw.
    Guest,
    /// So does this one, and reads now and then.
    Slow,
    /// It wants one type.
    Typed(&'static str),
}

impl Kind {
    /// Of ten clients two follow all, one comes and goes, every second time one is slow, and the others
    /// want one type.
    fn of(number: usize) -> Self {
        match number % 20 {
            0 | 1 | 10 | 11 => Self::All,
            2 | 12 => Self::Guest,
            3 => Self::Slow,
            other => Self::Typed(TYPES[other % TYPES.len()]),
        }
    }

    fn event_type(self) -> Option<&'static str> {
        match self {
            Self::Typed(name) => Some(name),
            _ => None,
        }
    }
}

/// One client.
struct Client {
    kind: Kind,
    tally: Mutex<Tally>,
    faults: Mutex<Vec<String>>,
}

/// All of them.
pub(super) struct Clients {
    clients: Vec<Arc<Client>>,
    threads: Vec<JoinHandle<()>>,
    ends: Arc<AtomicBool>,
    watch: Arc<Watch>,
    /// How often one came again.
    returns: Arc<AtomicU64>,
}

impl Clients {
    /// So many clients of a server, from the log's beginning.
    pub(super) fn start(port: u16, count: usize) -> Self {
        let (ends, watch, returns) = <(Arc<AtomicBool>, Arc<Watch>, Arc<AtomicU64>)>::default();
        let (mut clients, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let client = Arc::new(Client {
                kind: Kind::of(number),
                tally: Mutex::default(),
                faults: Mutex::default(),
            });
            clients.push(Arc::clone(&client));
            let (ends, watch, returns) = (Arc::clone(&ends), Arc::clone(&watch), Arc::clone(&returns));
            threads.push(thread::spawn(move || {
                let mut place = "0".to_owned();
                while !ends.load(Relaxed) {
                    if let Err(error) = client.visit(port, &mut place, &watch)
                        && !ends.load(Relaxed)
                        && client.kind != Kind::Slow
                    {
                        lock(&client.faults).push(format!("was cut off: {error}"));
                    }
                    returns.fetch_add(1, Relaxed);
                }
            }));
        }
        Self { clients, threads, ends, watch, returns }
    }

    /// How often one went and came again.
    pub(super) fn returns(&self) -> u64 {
        self.returns.load(Relaxed)
    }

    /// The last seq that a client was sent.
    pub(super) fn head(&self) -> u64 {
        self.watch.stage().head
    }

    /// Whether all have what the log had.
    pub(super) fn have(&self, marks: &Marks) -> bool {
        self.clients.iter().all(|client| client.has(marks))
    }

    /// Whether all have it that do not wait for the log to go on.
    pub(super) fn have_at_once(&self, marks: &Marks) -> bool {
        self.clients.iter().all(|client| client.kind == Kind::Slow || client.has(marks))
    }

    /// Nothing more comes: who is slow reads on.
    pub(super) fn calm(&self) {
        self.watch.calm();
    }

    /// What is wrong with what they were sent, once the log has ended.
    pub(super) fn faults(&self, marks: &Marks) -> Vec<String> {
        let mut faults = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            let (has, wanted) = (*lock(&client.tally), marks.of(client.kind.event_type()));
            if has != wanted {
                faults.push(format!("client {number} ({:?}) has {has:?}, the log {wanted:?}", client.kind));
            }
            faults.extend(lock(&client.faults).iter().map(|fault| format!("client {number}: {fault}")));
        }
        faults
    }

    /// The server is about to end.
    pub(super) fn will_end(&self) {
        self.ends.store(true, Relaxed);
    }

    /// Waits for their ends, which come with the server's; whether none panicked.
    pub(super) fn join(self) -> bool {
        self.threads.into_iter().map(JoinHandle::join).all(|end| end.is_ok())
    }
}

impl Client {
    fn has(&self, marks: &Marks) -> bool {
        lock(&self.tally).last_seq >= marks.of(self.kind.event_type()).last_seq
    }

    /// Follows until it or the server goes.
    fn visit(&self, port: u16, place: &mut String, watch: &Arc<Watch>) -> std::io::Result<()> {
        let pace = match self.kind {
            Kind::Slow => Pace::Slow { bytes: SLOW_BYTES, events: SLOW_EVENTS, watch: Arc::clone(watch) },
            _ => Pace::Prompt,
        };
        let query = self.kind.event_type().map(|name| format!("?type={name}")).unwrap_or_default();
        let request = format!(
            "GET /events/stream{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {place}\r\n\r\n"
        );
        let answer = wire::ask(wire::dial(port, &pace)?, &request)?;
        if answer.status != 200 {
            return Err(std::io::Error::other(format!("answered with {}", answer.status)));
        }
        let mut body = BufReader::new(answer.body);
        let mut left = if self.kind == Kind::Guest { GUEST_EVENTS } else { u64::MAX };
        while left > 0
            && let Some(message) = wire::message(&mut body)?
        {
            if message.event.as_deref() == Some("gap") {
                lock(&self.faults).push(format!("was told of a gap: {:?}", message.data));
            }
            let Some(id) = message.id else { continue };
            id.clone_into(place);
            if message.data.is_some() {
                self.take(id.parse().expect("a seq"));
                watch.set_head(lock(&self.tally).last_seq.max(watch.stage().head));
                left -= 1;
            }
        }
        Ok(())
    }

    fn take(&self, seq: u64) {
        let mut tally = lock(&self.tally);
        let is_next = match self.kind.event_type() {
            None => seq == tally.last_seq + 1,
            Some(_) => seq > tally.last_seq,
        };
        if !is_next {
            lock(&self.faults).push(format!("was sent {seq} after {}", tally.last_seq));
        }
        tally.add(seq);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A client that panicked is a fault by its thread's end.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
