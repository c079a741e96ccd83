//! The runtime: a child of the test binary that publishes, mirrors, serves, prunes and asks questions,
//! as an agent runtime does, until it is told to end.
//!
//! It takes one command a line and answers each with one line of JSON.

use std::{
    io::{Write, stdin, stdout},
    panic,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use planbus::{
    redis::{Profile, RedisEndpoint, RedisMirror},
    server::Server,
    *,
};
use serde::{Deserialize, Serialize};

use super::{LIMIT, agents::Agent, naive::Naive, pace::Pace, tally::Marks, wait};

/// Where the child finds Redis, and which mistake it is to make.
pub(super) const URL: &str = "PLANBUS_SOAK_REDIS";
pub(super) const NAIVE: &str = "PLANBUS_SOAK_NAIVE";

/// How many threads publish.
pub(super) const PUBLISHERS: u64 = 4;
/// What the stream keeps: about what the warm-up brings.
const STREAM_EVENTS: u64 = 4_000;
/// How often the log is pruned and asked questions.
const UPKEEP: Duration = Duration::from_secs(2);
/// What a channel holds: its reader is never that far behind.
const CHANNEL_EVENTS: usize = 10_000;
/// How long a tail waits before it looks whether the run is over.
const TAIL: Duration = Duration::from_millis(100);
/// How long a mirror may take to have all, and a server to end.
const END: Duration = Duration::from_secs(30);

/// How the runtime is, as it says itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Look {
    pub(super) port: u16,
    pub(super) head: u64,
    /// How many events the log holds.
    pub(super) held: u64,
    pub(super) mirror_lag: u64,
    pub(super) marks: Marks,
    /// How long a publish took since the last look.
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
    /// What must not happen, and did.
    pub(super) faults: Vec<String>,
}

/// What the threads of the runtime share.
#[derive(Default)]
struct Shared {
    pace: Pace,
    marks: Mutex<Marks>,
    /// In microseconds, since the last look.
    publishes: Mutex<Vec<u64>>,
    published: AtomicU64,
    /// How many events the log is to keep; 0 for all.
    kept: AtomicU64,
    handled: AtomicU64,
    received: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Shared {
    fn fault(&self, fault: String) {
        lock(&self.faults).push(fault);
    }
}

/// The child's work, in a folder: until its stdin ends.
pub(crate) fn run(folder: &Path) {
    let shared = Arc::new(Shared::default());
    let telling = Arc::clone(&shared);
    panic::set_hook(Box::new(move |panic| telling.fault(format!("a panic: {panic}"))));
    let mut runtime = Runtime::start(folder, shared);
    runtime.say();
    for line in stdin().lines() {
        let line = line.expect("text");
        let mut words = line.split(' ');
        let command = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        match command {
            "burst" => runtime.burst(number()),
            "pace" => {
                let gap = Duration::from_micros(number());
                runtime.shared.kept.store(number(), Relaxed);
                runtime.shared.pace.keep(Some(gap));
            }
            "look" => {}
            "hush" => runtime.hush(),
            "end" => return runtime.end(),
            _ => panic!("no command: {line}"),
        }
        runtime.say();
    }
}

struct Runtime {
    shared: Arc<Shared>,
    bus: EventBus,
    mirror: Option<RedisMirror>,
    server: Server,
    publishers: Vec<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
    upkeep: Option<(Sender<()>, JoinHandle<()>)>,
    _handlers: Vec<Subscription>,
}

impl Runtime {
    fn start(folder: &Path, shared: Arc<Shared>) -> Self {
        let store = EventStore::open(folder.join("planbus.db")).expect("opens");
        let telling = Arc::clone(&shared);
        let bus = EventBus::builder()
            .store(store.clone())
            .on_handler_failure(move |failure| telling.fault(format!("a handler failed: {failure:?}")))
            .build()
            .expect("a bus");
        let mirror = std::env::var(URL).ok().map(|url| {
            let endpoint = RedisEndpoint::parse(&url).expect("a URL");
            let profile = Profile::native().with_max_len(Some(STREAM_EVENTS)).expect("a length");
            RedisMirror::builder(&store, endpoint).profile(profile).start().expect("starts")
        });
        let server = Server::builder(&bus).bind("127.0.0.1:0").search();
        let server = match &mirror {
            Some(mirror) => server.mirror(mirror),
            None => server,
        };
        let server = server.start().expect("starts");

        let counting = Arc::clone(&shared);
        let count = move |_: &Event| {
            counting.handled.fetch_add(1, Relaxed);
        };
        let mut handlers = vec![bus.subscribe(Filter::all(), count).expect("subscribes")];
        let naive = std::env::var(NAIVE).ok().and_then(|name| Naive::named(&name));
        handlers.extend(naive.and_then(|naive| naive.subscribe(&bus)));
        let readers = vec![follow(&bus, &shared), receive(&bus, &shared)];
        let publishers = (0..PUBLISHERS).map(|number| publish(&bus, &shared, number)).collect();
        let upkeep = Some(look_after(&store, &shared));
        Self { shared, bus, mirror, server, publishers, readers, upkeep, _handlers: handlers }
    }

    fn store(&self) -> &EventStore {
        self.bus.store().expect("has a store")
    }

    /// Publishes so many events at once, and waits for them.
    fn burst(&self, events: u64) {
        let until = self.shared.published.load(Relaxed) + events;
        self.shared.pace.burst(events);
        if !wait(LIMIT, || self.shared.published.load(Relaxed) >= until) {
            self.shared.fault(format!("{events} events were not published in {LIMIT:?}"));
        }
    }

    /// Ends publishing, and waits until Redis and every handler have all.
    fn hush(&mut self) {
        self.shared.pace.end();
        for publisher in self.publishers.drain(..) {
            // A panic is among the faults already.
            let _ = publisher.join();
        }
        if let Some((stop, upkeep)) = self.upkeep.take() {
            drop(stop);
            let _ = upkeep.join();
        }
        if let Some(Err(error)) = self.mirror.as_ref().map(|mirror| mirror.flush(END)) {
            self.shared.fault(format!("the mirror has not all: {error:?}"));
        }
        let published = self.shared.published.load(Relaxed);
        wait(LIMIT, || self.shared.received.load(Relaxed) >= published);
        let stats = self.bus.stats();
        let counted =
            [stats.published, self.shared.handled.load(Relaxed), self.shared.received.load(Relaxed)];
        if counted != [published; 3] || stats.dropped + stats.failed + stats.panicked != 0 {
            self.shared
                .fault(format!("{published} were published, a handler or channel lost some: {stats:?}"));
        }
        match self.store().verify() {
            Ok(report) if report.is_sound() => {}
            report => self.shared.fault(format!("the log is not as it was written: {report:?}")),
        }
    }

    fn end(self) {
        self.bus.close();
        drop(self.server);
        if let Some(mirror) = &self.mirror {
            mirror.stop().expect("stops");
        }
        for reader in self.readers {
            let _ = reader.join();
        }
    }

    /// Says how it is.
    fn say(&self) {
        let stats = self.store().stats().expect("figures");
        let seen = || lock(&self.shared.marks).all.last_seq;
        if !wait(LIMIT, || seen() >= stats.last_seq) {
            self.shared.fault(format!("the tail is at {}, the log at {}", seen(), stats.last_seq));
        }
        let mut took = std::mem::take(&mut *lock(&self.shared.publishes));
        took.sort_unstable();
        let quantile = |of: usize| took.get(took.len() * of / 100).copied().unwrap_or(0);
        let look = Look {
            port: self.server.addr().port(),
            head: stats.last_seq,
            held: stats.events,
            mirror_lag: self.mirror.as_ref().map_or(0, |mirror| mirror.status().lag_events),
            marks: lock(&self.shared.marks).clone(),
            p50_us: quantile(50),
            p99_us: quantile(99),
            faults: lock(&self.shared.faults).clone(),
        };
        println!("{}", serde_json::to_string(&look).expect("JSON"));
        // The parent waits for it, and a pipe is not flushed at the end of a line.
        stdout().flush().expect("the parent listens");
    }
}

/// An agent that publishes at the pace of all.
fn publish(bus: &EventBus, shared: &Arc<Shared>, number: u64) -> JoinHandle<()> {
    let (bus, shared) = (bus.clone(), Arc::clone(shared));
    thread::spawn(move || {
        let mut due = Instant::now();
        for mut events in Agent::new(number) {
            let count = events.len() as u64;
            if !shared.pace.next(count, &mut due) {
                return;
            }
            let start = Instant::now();
            match events.pop() {
                Some(event) if events.is_empty() => drop(bus.publish(event).expect("publishes")),
                last => drop(bus.publish_all(events.into_iter().chain(last)).expect("publishes")),
            }
            lock(&shared.publishes).push(start.elapsed().as_micros() as u64);
            shared.published.fetch_add(count, Relaxed);
        }
    })
}

/// A tail that sees all, and keeps in numbers what.
fn follow(bus: &EventBus, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    let mut tail = bus.tail(Filter::all(), Start::Beginning).expect("a tail");
    thread::spawn(move || {
        loop {
            match tail.next_timeout(TAIL) {
                Ok(Some(event)) => {
                    let seq = event.seq().expect("is in the log");
                    let mut marks = lock(&shared.marks);
                    if seq != marks.all.last_seq + 1 {
                        shared.fault(format!("the tail went from {} to {seq}", marks.all.last_seq));
                    }
                    marks.add(seq, event.event_type().as_str());
                }
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => return shared.fault(format!("the tail ended: {error:?}")),
            }
        }
    })
}

/// A channel's reader.
fn receive(bus: &EventBus, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    let channel = bus.channel(Filter::all(), ChannelOptions::bounded(CHANNEL_EVENTS)).expect("a channel");
    thread::spawn(move || {
        while channel.recv().is_ok() {
            shared.received.fetch_add(1, Relaxed);
        }
    })
}

/// Prunes now and then, and asks what an auditor asks; until what is returned is dropped.
fn look_after(store: &EventStore, shared: &Arc<Shared>) -> (Sender<()>, JoinHandle<()>) {
    let (store, shared) = (store.clone(), Arc::clone(shared));
    let (stop, stopped) = channel();
    let look_after = move || {
        while stopped.recv_timeout(UPKEEP) == Err(RecvTimeoutError::Timeout) {
            if let Err(error) = upkeep(&store, shared.kept.load(Relaxed)) {
                shared.fault(format!("upkeep: {error:?}"));
            }
        }
    };
    (stop, thread::spawn(look_after))
}

fn upkeep(store: &EventStore, kept: u64) -> Result<()> {
    if kept > 0 {
        store.prune(Retention::keep_last(kept))?;
    }
    let plans = store.plans(PlanQuery::new().newest_change_first().limit(20))?;
    for plan in plans.iter().take(3) {
        let plan = plan.plan_id.as_str();
        store.list_by_plan(plan, Some(&[EventType::ToolCalled]))?;
        store.plan_tree(plan)?;
    }
    store.query(EventQuery::new().types(["ToolCompleted"]).text("run_tests").newest_first().limit(50))?;
    store.stats().map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a thread that panicked left is still true, and the panic is told.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
