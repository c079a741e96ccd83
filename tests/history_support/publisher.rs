//! The process that publishes and mirrors: a child of the test binary that does as it is told.
//!
//! It takes one command a line and answers each that asks something with one line. It is killed
//! whenever a history wants that, and started again on the same store.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use planbus::{
    redis::{Profile, RedisEndpoint, RedisMirror},
    *,
};

use super::naive::NaiveMirror;
use crate::store_support::{as_child, event, wait_until};

/// Where the child finds Redis, and which mirror it is to run.
const URL: &str = "PLANBUS_TEST_URL";
const MIRROR: &str = "PLANBUS_TEST_MIRROR";

/// The mirror that is no profile's.
pub(crate) const NAIVE: &str = "naive";

/// Of so many events in a row, each type and each tenant has one.
pub(crate) const RARE: usize = 30;

/// What to add to a URL so that a history does not wait long for what is lost.
pub(crate) const IMPATIENT: &str =
    "?connect_timeout=300ms&read_timeout=300ms&write_timeout=300ms&back_off_first=20ms&back_off_max=200ms";

/// The child, as its parent sees it.
pub(crate) struct Publisher {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Publisher {
    /// Starts a child that runs the test `role`, on the store at `db`.
    pub(crate) fn start(role: &str, db: &Path, url: &str, mirror: &str) -> Self {
        // A child that was orphaned must not go on: its stdin ends with its parent.
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        as_child(&mut command, role, db);
        command.env(URL, url).env(MIRROR, mirror);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("starts");
        let stdin = child.stdin.take().expect("is piped");
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let mut publisher = Self { child, stdin, lines };
        publisher.answer("ready");
        publisher
    }

    /// Lets it publish so many events, beside whatever comes next.
    pub(crate) fn publish(&mut self, events: usize) {
        self.tell(&format!("publish {events}"));
    }

    /// Waits until all that it was told to publish is in the log.
    pub(crate) fn wait_published(&mut self) {
        self.tell("published");
        self.answer("published");
    }

    /// Waits until its mirror says that Redis equals the log; else what it says.
    pub(crate) fn flush(&mut self, limit: Duration) -> Result<(), String> {
        self.tell(&format!("flush {}", limit.as_millis()));
        let told = self.answer("flush ");
        if told == "ok" { Ok(()) } else { Err(told) }
    }

    /// The state of its mirror.
    pub(crate) fn state(&mut self) -> String {
        self.tell("state");
        self.answer("state ")
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("is killed");
        self.child.wait().expect("ends");
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.stdin, "{command}").expect("the child listens");
    }

    /// Waits for the line that begins so, and gives the rest of it.
    fn answer(&mut self, begin: &str) -> String {
        loop {
            let line = self.lines.next().expect("the child answers").expect("text");
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The mirror that the child runs.
enum Mirror {
    Real(RedisMirror),
    Naive(NaiveMirror),
}

/// The child's work: until its stdin ends.
pub(crate) fn run(db: &Path) {
    let url = std::env::var(URL).expect("a child is given a URL");
    let store = open(db);
    let mirror = match std::env::var(MIRROR).expect("a child is given a mirror").as_str() {
        NAIVE => Mirror::Naive(NaiveMirror::start(&store, &url)),
        profile => {
            let endpoint = RedisEndpoint::parse(&format!("{url}{IMPATIENT}")).expect("a URL");
            let profile = Profile::named(profile).and_then(|profile| profile.with_max_len(None));
            let builder = RedisMirror::builder(&store, endpoint).profile(profile.expect("is built in"));
            Mirror::Real(builder.batch_max_events(100).start().expect("starts"))
        }
    };
    let (orders, taken) = channel();
    let (done, finished) = channel();
    let publishing = store.clone();
    thread::spawn(move || publish(&publishing, &taken, &done));
    say("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("publish", events) => {
                orders.send(events.parse().expect("a number")).expect("the publisher lives");
            }
            ("published", _) => {
                orders.send(0).expect("the publisher lives");
                let () = finished.recv().expect("the publisher lives");
                say("published");
            }
            ("flush", millis) => {
                let limit = Duration::from_millis(millis.parse().expect("a number"));
                say(&format!("flush {}", mirror.flush(limit)));
            }
            ("state", _) => say(&format!("state {}", mirror.state())),
            _ => panic!("no command: {line}"),
        }
    }
}

impl Mirror {
    fn flush(&self, limit: Duration) -> String {
        match self {
            Self::Real(mirror) => match mirror.flush(limit) {
                Ok(()) => "ok".to_owned(),
                Err(error) => format!("{error:?} {:?}", mirror.status()).replace('\n', " "),
            },
            Self::Naive(mirror) => match mirror.flush(limit) {
                true => "ok".to_owned(),
                false => "not yet".to_owned(),
            },
        }
    }

    fn state(&self) -> String {
        match self {
            Self::Real(mirror) => mirror.status().state.to_string(),
            Self::Naive(_) => "unknown".to_owned(),
        }
    }
}

/// Opens the store as its owner, once the one before is gone.
fn open(db: &Path) -> EventStore {
    let mut opened = None;
    wait_until("the store is free", || {
        opened = EventStore::options().durability(Durability::Process).open(db).ok();
        opened.is_some()
    });
    opened.expect("waited for")
}

/// Publishes what is ordered; 0 asks to be told when all before it is done.
fn publish(store: &EventStore, orders: &Receiver<usize>, done: &std::sync::mpsc::Sender<()>) {
    let mut number = 0;
    for events in orders {
        if events == 0 && done.send(()).is_err() {
            return;
        }
        for _ in 0..events {
            number += 1;
            store.save(&varied(number)).expect("commits");
        }
    }
}

/// Events of two tenants and several types, some of them rare, so that streams are many and sparse.
fn varied(number: usize) -> Event {
    let plan = format!("plan-{}", number % 7);
    let event = match number % RARE {
        0 => Event::new(plan, PlanStarted::new("a goal")),
        1 => Event::new(plan, SubplanSpawned::new("a part")),
        number if number % 3 == 0 => Event::raw(plan, "agent.heartbeat", r#"{"queue_depth":3}"#),
        _ => event(&plan, number),
    };
    if number.is_multiple_of(5) { event.with_tenant("acme") } else { event }
}

fn say(line: &str) {
    println!("{line}");
    // The parent waits for it, and a pipe is not flushed at the end of a line.
    std::io::stdout().flush().expect("the parent listens");
}
