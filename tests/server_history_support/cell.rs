//! A cell: a store, the processes that publish and serve it, and the clients that follow.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use planbus::{Event, EventStore};

use super::{
    ask::Ask,
    check::{self, Got, Violations},
    child::{Kind, Process},
    events,
    follower::Follower,
    port::free_port,
    random::Random,
    watch::Watch,
};
use crate::store_support::{LIMIT, memory_dir};

/// How long to let the processes work before they are looked at again.
const POLL: Duration = Duration::from_millis(2);

/// How long a naive server may take to send what there is.
const NAIVE_LIMIT: Duration = Duration::from_millis(50);

/// What a history runs in.
pub(crate) struct Cell {
    role: &'static str,
    seed: u64,
    port: u16,
    owner: Process,
    owner_kind: Kind,
    /// The process that serves, where it is another one.
    reader: Option<Process>,
    clients: Vec<Follower>,
    watch: Arc<Watch>,
    store: EventStore,
    /// All that ever was in the log.
    archive: Vec<Event>,
    pub(crate) kills: usize,
    gaps: usize,
    dir: tempfile::TempDir,
}

impl Cell {
    /// Starts the processes, of which the first owns the store.
    pub(crate) fn start(role: &'static str, seed: u64, kinds: &[Kind]) -> Self {
        let dir = memory_dir();
        let (db, port) = (dir.path().join("planbus.db"), free_port());
        let start = |kind: Kind| Process::start(role, &db, kind, port, seed);
        let owner = start(kinds[0]);
        let reader = kinds.get(1).map(|kind| start(*kind));
        let store = EventStore::open_read_only(&db).expect("opens");
        let watch = Arc::<Watch>::default();
        let (clients, archive) = (Vec::new(), Vec::new());
        Self {
            role,
            seed,
            port,
            owner,
            owner_kind: kinds[0],
            reader,
            clients,
            watch,
            store,
            archive,
            kills: 0,
            gaps: 0,
            dir,
        }
    }

    /// Lets a client follow, which is cut off so many times.
    pub(crate) fn follow(&mut self, ask: Ask, cuts: usize) {
        let seed = self.seed.wrapping_mul(100).wrapping_add(self.clients.len() as u64);
        self.clients.push(Follower::start(ask, self.port, cuts, seed, &self.watch));
    }

    /// Lets so many events be published, beside whatever comes next.
    pub(crate) fn publish(&mut self, events: usize) {
        self.owner.tell(&format!("publish {events}"));
    }

    pub(crate) fn wait_published(&mut self) {
        self.owner.wait();
        self.look();
    }

    /// Kills a process once so many of the events that are being published are in the log, and starts
    /// it again.
    pub(crate) fn kill_within(&mut self, events: usize, random: &mut Random) {
        let until = self.watch.stage().head + random.below(events) as u64;
        self.wait_for("it is published", |cell| cell.look() >= until);
        let db = self.db();
        match &mut self.reader {
            // The owner lives on, unless it is its turn.
            Some(reader) if random.below(4) > 0 => {
                reader.kill();
                *reader = Process::start(self.role, &db, Kind::Reader, self.port, self.seed);
            }
            _ => {
                self.owner.kill();
                self.owner = Process::start(self.role, &db, self.owner_kind, self.port, self.seed);
            }
        }
        self.kills += 1;
    }

    /// Waits until one of the clients has all that there is, then cuts off those that were stalled.
    pub(crate) fn let_follow(&mut self, random: &mut Random) {
        let stalled: Vec<usize> =
            (0..self.clients.len()).filter(|at| self.clients[*at].is_stalled()).collect();
        let prompt: Vec<usize> = (0..self.clients.len())
            .filter(|at| !self.clients[*at].ask.is_slow && self.clients[*at].ask.hears_places())
            .collect();
        let chosen = prompt[random.below(prompt.len())];
        let head = self.look();
        let start = Instant::now();
        self.wait_for("a client has all", |cell| {
            let client = &cell.clients[chosen];
            let is_idle = client.is_stalled() || client.is_done() || client.cursor() >= head;
            // A naive server may never send it all.
            is_idle || cell.is_naive() && start.elapsed() > NAIVE_LIMIT
        });
        stalled.iter().for_each(|at| self.clients[*at].calm());
    }

    pub(crate) fn are_cut_enough(&self) -> bool {
        self.clients.iter().all(Follower::is_cut_enough)
    }

    /// Removes all up to some seq of those that there are; what goes is kept here.
    pub(crate) fn prune(&mut self, random: &mut Random) {
        self.wait_published();
        self.keep();
        let head = self.archive.len();
        let until = head - random.below(head / 4 + 1).max(1);
        self.owner.tell(&format!("prune {until}"));
        self.owner.wait();
    }

    /// Ends the history: nobody breaks anything any more, and the last events are published.
    pub(crate) fn end(&mut self, kill: Option<&mut Random>) {
        self.wait_published();
        self.watch.calm();
        self.clients.iter().for_each(Follower::calm);
        let from = self.look() + 1;
        self.owner.tell(&format!("end {from}"));
        if let Some(random) = kill {
            self.kill_within(events::ENDING as usize, random);
            self.owner.tell(&format!("end {from}"));
        }
        self.wait_published();
        self.wait_for("all clients are done", |cell| {
            if cell.is_naive() {
                // What it has lost, the last event too, is sent to those that come again.
                thread::park_timeout(5 * NAIVE_LIMIT);
                cell.clients
                    .iter()
                    .filter(|client| !client.is_done())
                    .for_each(|client| client.proxy.cut_now());
            }
            cell.clients.iter().all(Follower::is_done)
        });
    }

    /// What was wrong for each client; the log was as the seed has it.
    pub(crate) fn violations(&mut self) -> Vec<(Ask, Violations)> {
        self.keep();
        let ending = self.archive.len() as u64 - events::ENDING;
        for (event, seq) in self.archive.iter().zip(1..) {
            let published =
                if seq > ending { events::ending(seq - ending - 1) } else { events::event(self.seed, seq) };
            assert_eq!(event.seq(), Some(seq));
            assert_eq!(event.payload_json().expect("JSON"), published.payload_json().expect("JSON"));
        }
        let floor = self.floor();
        let check = |client: &mut Follower| {
            let got = client.got();
            self.gaps += got.iter().filter(|got| matches!(got, Got::Gap { .. })).count();
            (client.ask, check::compare(&client.ask, &self.archive, floor, &got))
        };
        self.clients.iter_mut().map(check).collect()
    }

    /// How often clients were told that events are missing.
    pub(crate) fn gaps(&self) -> usize {
        self.gaps
    }

    /// Whether its server is one that must be found out.
    pub(crate) fn is_naive(&self) -> bool {
        matches!(self.owner_kind, Kind::Naive(_))
    }

    pub(crate) fn cuts(&self) -> usize {
        self.clients.iter().map(|client| client.proxy.cuts()).sum()
    }

    pub(crate) fn connections(&self) -> u64 {
        self.clients.iter().map(Follower::connections).sum()
    }

    fn db(&self) -> PathBuf {
        self.dir.path().join("planbus.db")
    }

    /// Looks how far the log is.
    fn look(&self) -> u64 {
        let head = self.store.head().expect("reads");
        self.watch.set_head(head);
        head
    }

    /// Keeps what has come since.
    fn keep(&mut self) {
        let after = self.archive.len() as u64;
        self.archive.extend(self.store.read_after(after, usize::MAX).expect("reads"));
    }

    /// The first seq that the log holds.
    fn floor(&self) -> u64 {
        self.store.stats().expect("reads").first_seq.expect("there are events")
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            if start.elapsed() > LIMIT {
                let clients: Vec<String> = self.clients.iter().map(|client| client.to_string()).collect();
                panic!("seed {}: waited too long: {what}; {clients:#?}", self.seed);
            }
            thread::park_timeout(POLL);
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (clients, connections, kills) = (self.clients.len(), self.connections(), self.kills);
        let (cuts, events) = (self.cuts(), self.archive.len().max(self.watch.stage().head as usize));
        write!(f, "{events} events, {clients} clients, {connections} connections, ")?;
        write!(f, "{cuts} cuts, {kills} kills, {} gaps", self.gaps)
    }
}
