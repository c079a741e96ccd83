//! [`Follower`]: a client behind a proxy of its own, that is cut off again and again and goes on with the
//! last id that it saw.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

use super::{
    ask::{Ask, Form, Said},
    check::Got,
    protocol::{self, Answer, Next},
    proxy::{Ending, Fault, Proxy},
    random::Random,
    watch::Watch,
    wire::{self, Message, Pace},
};

/// How long to leave a server alone that is not there.
const POLL: Duration = Duration::from_millis(5);
/// What is kept on the way to a slow client.
const NARROW_BYTES: usize = 32 << 10;
/// Within how many bytes a connection ends: in the head of the answer, in the first messages, later.
const CUT_BYTES: [usize; 4] = [400, 3_000, 15_000, 60_000];

/// What the history sees of a client.
#[derive(Debug, Default)]
struct Progress {
    cursor: AtomicU64,
    connections: AtomicU64,
    is_done: AtomicBool,
}

/// A client that follows, on a thread of its own.
pub(crate) struct Follower {
    pub(crate) ask: Ask,
    pub(crate) proxy: Arc<Proxy>,
    /// How often it is cut off by its proxy.
    quota: usize,
    progress: Arc<Progress>,
    thread: Option<JoinHandle<Vec<Got>>>,
}

impl Follower {
    /// Begins to follow a server, to be cut off so many times.
    pub(crate) fn start(ask: Ask, port: u16, quota: usize, seed: u64, watch: &Arc<Watch>) -> Self {
        let proxy = Arc::new(Proxy::before(port));
        let progress = Arc::<Progress>::default();
        let mut random = Random::new(seed);
        let pace = if ask.is_slow {
            proxy.narrow(NARROW_BYTES);
            Pace::Slow { bytes: 50_000 + random.below(50_000), events: 60, watch: Arc::clone(watch) }
        } else {
            Pace::Prompt
        };
        let mut client = Client {
            ask,
            proxy: Arc::clone(&proxy),
            quota,
            progress: Arc::clone(&progress),
            watch: Arc::clone(watch),
            pace,
            random,
            cursor: Some("0".to_owned()),
            got: Vec::new(),
        };
        let thread = thread::spawn(move || {
            client.follow();
            client.got
        });
        Self { ask, proxy, quota, progress, thread: Some(thread) }
    }

    /// The last place that it was told.
    pub(crate) fn cursor(&self) -> u64 {
        self.progress.cursor.load(Ordering::Acquire)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.progress.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.progress.is_done.load(Ordering::Acquire)
            || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether it was cut off as often as it is to be.
    pub(crate) fn is_cut_enough(&self) -> bool {
        self.proxy.cuts() >= self.quota || self.is_done()
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.proxy.fault() == Fault::BlackHole
    }

    /// Nothing goes wrong on its way any more.
    pub(crate) fn calm(&self) {
        let was_stalled = self.is_stalled();
        self.proxy.set(Fault::None);
        if was_stalled {
            self.proxy.cut_now();
        }
    }

    /// What it was sent, once it is done.
    pub(crate) fn got(&mut self) -> Vec<Got> {
        let thread = self.thread.take().expect("is asked once");
        thread.join().unwrap_or_else(|_| panic!("{}: has failed", self.ask.name))
    }
}

struct Client {
    ask: Ask,
    proxy: Arc<Proxy>,
    quota: usize,
    progress: Arc<Progress>,
    watch: Arc<Watch>,
    pace: Pace,
    random: Random,
    cursor: Option<String>,
    got: Vec<Got>,
}

impl Client {
    fn follow(&mut self) {
        loop {
            self.prepare_fault();
            self.progress.connections.fetch_add(1, Ordering::Relaxed);
            // Whatever ended it, the next connection goes on.
            if let Ok(true) = self.connect() {
                break;
            }
            thread::park_timeout(POLL);
        }
        self.progress.is_done.store(true, Ordering::Release);
    }

    fn prepare_fault(&mut self) {
        if self.watch.stage().is_calm || self.proxy.cuts() >= self.quota || self.proxy.fault() != Fault::None
        {
            return;
        }
        let within = CUT_BYTES[self.random.below(CUT_BYTES.len())];
        let ending = match self.random.below(8) {
            0..3 => Ending::Close,
            3..6 => Ending::Reset,
            6 => Ending::HalfClose,
            _ => Ending::Stall,
        };
        self.proxy.set(Fault::EndReply { after_bytes: self.random.below(within), ending });
    }

    /// Follows over one connection; says whether there is nothing more to come.
    fn connect(&mut self) -> io::Result<bool> {
        let stream = wire::dial(self.proxy.port(), &self.pace)?;
        let forgets = self.ask.forgets && !self.watch.stage().is_calm;
        let cursor = if forgets { None } else { self.cursor.as_deref() };
        let mut stream = match protocol::open(&self.ask, cursor, stream)? {
            Answer::Stream(stream) => stream,
            Answer::Over => return Ok(true),
            Answer::Later => return Ok(false),
        };
        loop {
            match stream.next()? {
                Next::Message(message) => {
                    if self.take(message) {
                        return Ok(true);
                    }
                }
                Next::Ended => return Ok(false),
                Next::Over => return Ok(true),
            }
        }
    }

    /// Takes a message; says whether it is the last.
    fn take(&mut self, message: Message) -> bool {
        let id = message.id;
        let seq = id.as_ref().map(|id| id.parse().expect("a seq"));
        let mut is_last = false;
        let mut event_id = None;
        if let Some(text) = message.data {
            let event_type = message.event.expect("a type");
            if event_type == "Gap" {
                assert_eq!(id, None, "a gap is no place");
                self.got.push(self.ask.gap(&text));
                return false;
            }
            if id.is_none() && self.ask.form == Form::A2a {
                // The task, or an artifact, which comes again where what follows it did not arrive.
                return false;
            }
            if self.ask.names_event && self.ask.form == Form::Plain {
                let event: Value = serde_json::from_str(&text).expect("JSON");
                event_id = event["event_id"].as_str().map(str::to_owned);
            }
            let said = Said { seq: seq.expect("an event has an id"), event_type, text };
            is_last = self.ask.is_last(&said);
            self.got.push(Got::Event(said));
        }
        if let Some(seq) = seq {
            self.progress.cursor.store(seq, Ordering::Release);
            // Who names events has no name for a place between them.
            if !self.ask.names_event || event_id.is_some() {
                self.cursor = event_id.or(id);
            }
        }
        is_last
    }
}

impl fmt::Display for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cursor, cuts, fault) = (self.cursor(), self.proxy.cuts(), self.proxy.fault());
        let (name, connections, is_done) = (self.ask.name, self.connections(), self.is_done());
        write!(f, "{name}: at {cursor}, {connections} connections, {cuts} cuts, {fault:?}, done: {is_done}")
    }
}
