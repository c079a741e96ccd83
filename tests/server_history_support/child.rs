//! The processes of a history: children of the test binary that do as they are told.
//!
//! Each takes one command a line and says when it has done it. They are killed whenever a history wants
//! that, and started again on the same store and port.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use planbus::{server::Server, *};

use super::{
    events,
    naive::{Naive, NaiveServer},
    random::Random,
};
use crate::store_support::{as_child, wait_until};

const KIND: &str = "PLANBUS_TEST_KIND";
const PORT: &str = "PLANBUS_TEST_PORT";
const SEED: &str = "PLANBUS_TEST_SEED";

/// The most events that are published at once.
const BURST: usize = 30;
/// How long a client may take nothing before the server cuts it off.
const SLOW_CLIENT: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Owns the store and publishes.
    Owner,
    /// Serves a store that another process owns.
    Reader,
    /// Owns the store, publishes and serves.
    Both,
    /// As [`Kind::Both`], with the server that one writes first.
    Naive(Naive),
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Naive(naive) => naive.name().to_owned(),
            kind => format!("{kind:?}"),
        }
    }

    fn named(name: &str) -> Self {
        let kinds = [Self::Owner, Self::Reader, Self::Both].into_iter();
        let mut kinds = kinds.chain(Naive::ALL.map(Self::Naive));
        kinds.find(|kind| kind.name() == name).expect("a kind")
    }

    fn publishes(self) -> bool {
        self != Self::Reader
    }
}

/// A process, as its parent sees it.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// How many commands it has not answered.
    untold: usize,
}

impl Process {
    pub(crate) fn start(role: &str, db: &Path, kind: Kind, port: u16, seed: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        as_child(&mut command, role, db);
        command.env(KIND, kind.name()).env(PORT, port.to_string()).env(SEED, seed.to_string());
        // A child that was orphaned must not go on: its stdin ends with its parent.
        let mut child = command.stdin(Stdio::piped()).spawn().expect("starts");
        let stdin = child.stdin.take().expect("is piped");
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let mut process = Self { child, stdin, lines, untold: 1 };
        process.wait();
        process
    }

    /// Tells it something, without waiting for it.
    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.stdin, "{command}").expect("the child listens");
        self.untold += 1;
    }

    /// Waits until it has done all that it was told.
    pub(crate) fn wait(&mut self) {
        while self.untold > 0 {
            let line = self.lines.next().expect("the child answers").expect("text");
            self.untold -= usize::from(line == DONE);
        }
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("is killed");
        self.child.wait().expect("ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DONE: &str = "done";

/// The child's work: until its stdin ends.
pub(crate) fn run(db: &Path) {
    let variable = |name| std::env::var(name).expect("a child is told what to do");
    let kind = Kind::named(&variable(KIND));
    let seed: u64 = variable(SEED).parse().expect("a number");
    let store = open(db, kind);
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let bind = format!("127.0.0.1:{}", variable(PORT));
    let _server = match kind {
        Kind::Owner => None,
        Kind::Naive(naive) => {
            NaiveServer::start(&bus, &bind, naive);
            None
        }
        Kind::Reader | Kind::Both => Some(serve(&bus, &bind)),
    };
    let mut random = Random::new(seed ^ store.head().expect("reads"));
    say(DONE);
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let (command, number) = line.split_once(' ').expect("a command and a number");
        let number: u64 = number.parse().expect("a number");
        let head = store.head().expect("reads");
        match command {
            "publish" => {
                publish(&bus, head + 1..head + 1 + number, &mut random, |seq| events::event(seed, seq))
            }
            // The end begins at this seq; some of it may be there.
            "end" => publish(&bus, head + 1..number + events::ENDING, &mut random, |seq| {
                events::ending(seq - number)
            }),
            "prune" => {
                // Nobody publishes meanwhile: all up to this seq, and nothing more.
                store.prune(Retention::keep_last(head - number)).expect("prunes");
            }
            _ => panic!("no command: {line}"),
        }
        say(DONE);
    }
}

/// Opens the store once the owner before is gone, or there.
fn open(db: &Path, kind: Kind) -> EventStore {
    let options = || EventStore::options().durability(Durability::Process);
    let mut opened = None;
    wait_until("the store can be opened", || {
        let tried = if kind.publishes() { options().open(db) } else { EventStore::open_read_only(db) };
        opened = tried.ok();
        opened.is_some()
    });
    opened.expect("waited for")
}

fn serve(bus: &EventBus, bind: &str) -> Server {
    let server = Server::builder(bus).bind(bind).slow_client(SLOW_CLIENT).send_buffer_bytes(16 << 10);
    server.heartbeat(Duration::from_millis(100)).start().expect("starts")
}

/// Publishes events in bursts of the seed's.
fn publish(bus: &EventBus, seqs: std::ops::Range<u64>, random: &mut Random, event: impl Fn(u64) -> Event) {
    let mut seqs = seqs.peekable();
    while seqs.peek().is_some() {
        let burst: Vec<Event> = seqs.by_ref().take(1 + random.below(BURST)).map(&event).collect();
        bus.publish_all(burst).expect("commits");
    }
}

fn say(line: &str) {
    println!("{line}");
    // The parent waits for it, and a pipe is not flushed at the end of a line.
    std::io::stdout().flush().expect("the parent listens");
}
