//! [`Scene`]: a run from its start to its end, and what was seen of it.
//!
//! The load keeps to what the machine can do: the rate is a part of what the readers took in the warm-up.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    LIMIT,
    child::Child,
    clients::Clients,
    groups::Groups,
    judge::{Course, Moment, Slice},
    naive::Naive,
    process::Usage,
    runtime::{Look, PUBLISHERS},
    tally::Marks,
    wait,
};
use crate::{redis_support::RedisServer, server_support::agent, store_support::Dir};

/// So often a slice is looked at.
const MOMENTS: u32 = 6;
/// How many events the warm-up has: more than the server keeps in memory for those who follow.
const WARM_UP_EVENTS: u64 = 4_500;
/// The rate is at most this, and this part of what the readers took in the warm-up, when all was there
/// at once.
const RATE_MAX: f64 = 400.0;
const RATE_MIN: f64 = 20.0;
const RATE_PART: f64 = 0.25;
/// The log keeps so many slices, and at least what the warm-up brought.
const KEPT_SLICES: f64 = 2.0;
/// How long a reader may take to have what was in the log at the end of a slice.
const PATIENCE: Duration = Duration::from_secs(30);

/// What sets the pace of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rhythm {
    /// A slice has a time, and events at a rate.
    Timed { slice: Duration },
    /// A slice has so many events, at once.
    Counted { events: u64 },
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) naive: Option<Naive>,
    pub(crate) rhythm: Rhythm,
    pub(crate) slices: usize,
    pub(crate) clients: usize,
    /// Whether there are a mirror and consumer groups.
    pub(crate) has_redis: bool,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) course: Course,
    /// What was seen that must not happen.
    pub(crate) faults: Vec<String>,
    /// Events a second; 0 where events were counted.
    pub(crate) rate: f64,
    /// How often a client went and came again.
    pub(crate) returns: u64,
}

/// Those who take part.
struct Cast {
    runtime: Child,
    clients: Clients,
    groups: Option<Groups>,
    redis: Option<RedisServer>,
    url: String,
    faults: Vec<String>,
}

impl Scene {
    /// Plays it, with the test `test` as the runtime's process; `None` where the test is to return.
    pub(crate) fn play(self, test: &str) -> Option<Outcome> {
        let redis = if self.has_redis { Some(RedisServer::builder().tcp().start()?) } else { None };
        let redis_url = redis.as_ref().map(RedisServer::url);
        let (dir, effects) = (Dir::new(), Dir::new());
        let (runtime, look) = Child::start(test, dir.path(), redis_url.as_deref(), self.naive);
        let mut cast = Cast {
            runtime,
            clients: Clients::start(look.port, self.clients),
            groups: redis_url.map(|url| Groups::start(&url, effects.path())),
            redis,
            url: format!("http://127.0.0.1:{}", look.port),
            faults: Vec::new(),
        };
        let shown = cast.warm_up(self.warm_up_events());
        let rate = match self.rhythm {
            Rhythm::Timed { .. } => (shown * RATE_PART).clamp(RATE_MIN, RATE_MAX),
            Rhythm::Counted { .. } => 0.0,
        };
        let kept = self.kept(rate);
        if let Rhythm::Timed { .. } = self.rhythm {
            let gap = Duration::from_secs(1).mul_f64(PUBLISHERS as f64 / rate);
            cast.runtime.tell(&format!("pace {} {kept}", gap.as_micros()));
        }
        let pinned = (self.naive == Some(Naive::Pinned)).then(|| pin(dir.path()));
        let mut course = Course::default();
        for _ in 0..self.slices {
            for _ in 0..MOMENTS {
                self.go_on(&mut cast);
                course.moments.push(cast.moment());
            }
            course.slices.push(cast.slice(kept));
        }
        drop(pinned);
        let returns = cast.clients.returns();
        Some(Outcome { course, faults: cast.end(), rate, returns })
    }

    fn warm_up_events(self) -> u64 {
        match self.rhythm {
            Rhythm::Timed { .. } => WARM_UP_EVENTS,
            Rhythm::Counted { events } => events,
        }
    }

    /// How many events the log is to keep.
    fn kept(self, rate: f64) -> u64 {
        match self.rhythm {
            Rhythm::Timed { slice } => {
                (rate * slice.as_secs_f64() * KEPT_SLICES).max(WARM_UP_EVENTS as f64) as u64
            }
            Rhythm::Counted { .. } => u64::MAX / 2,
        }
    }

    /// Lets the run go on until its next moment.
    fn go_on(self, cast: &mut Cast) {
        match self.rhythm {
            Rhythm::Timed { slice } => {
                let end = Instant::now() + slice / MOMENTS;
                while let Some(left) = end.checked_duration_since(Instant::now()) {
                    thread::park_timeout(left);
                }
            }
            Rhythm::Counted { events } => {
                let look = cast.runtime.tell(&format!("burst {}", events / u64::from(MOMENTS)));
                cast.wait(&look.marks, LIMIT);
            }
        }
    }
}

impl Cast {
    /// Publishes at once, and waits for whoever does not wait by himself; how many events a second.
    fn warm_up(&mut self, events: u64) -> f64 {
        let begun = Instant::now();
        let look = self.runtime.tell(&format!("burst {events}"));
        let (clients, groups) = (&self.clients, &self.groups);
        let has_all = wait(LIMIT, || {
            clients.have_at_once(&look.marks) && groups.as_ref().is_none_or(|groups| groups.have(&look.marks))
        });
        assert!(has_all, "the warm-up is too much for this machine");
        look.head as f64 / begun.elapsed().as_secs_f64()
    }

    fn moment(&self) -> Moment {
        Moment {
            events: self.clients.head(),
            runtime: Usage::of(self.runtime.id()),
            readers: Usage::of(std::process::id()),
            redis_bytes: self.redis.as_ref().map_or(0, memory_bytes),
            log_bytes: self.runtime.file_bytes("planbus.db"),
            wal_bytes: self.runtime.file_bytes("planbus.db-wal"),
            search_bytes: self.runtime.file_bytes("planbus.db.search"),
            inbox_bytes: self.groups.as_ref().map_or(0, Groups::inbox_bytes),
        }
    }

    /// Waits until every reader has what the log had; how long it took.
    fn wait(&self, marks: &Marks, limit: Duration) -> Option<Duration> {
        let begun = Instant::now();
        let has_all = wait(limit, || {
            self.clients.have(marks) && self.groups.as_ref().is_none_or(|groups| groups.have(marks))
        });
        has_all.then(|| begun.elapsed())
    }

    /// The end of a slice.
    fn slice(&mut self, kept: u64) -> Slice {
        let Look { held, mirror_lag, marks, p50_us, p99_us, .. } = self.runtime.tell("look");
        let caught_up = self.wait(&marks, PATIENCE);
        self.scrape();
        Slice {
            end: self.moment(),
            held,
            kept,
            mirror_lag,
            p50: Duration::from_micros(p50_us),
            p99: Duration::from_micros(p99_us),
            caught_up,
        }
    }

    /// Asks what a monitor asks, and a browser.
    fn scrape(&mut self) {
        for path in ["/metrics", "/healthz", "/readyz", "/plans?limit=20", "/events?text=grep&limit=20"] {
            let answer = agent().get(format!("{}{path}", self.url)).call();
            match answer.map(|mut answer| (answer.status().as_u16(), answer.body_mut().read_to_string())) {
                Ok((200, Ok(_))) => {}
                answer => self.faults.push(format!("{path}: {answer:?}")),
            }
        }
    }

    /// Ends publishing, waits for all, compares what they have, and ends them; what is wrong.
    fn end(mut self) -> Vec<String> {
        self.clients.calm();
        let look = self.runtime.tell("hush");
        if self.wait(&look.marks, LIMIT).is_none() {
            self.faults.push("at the end a reader had not all".to_owned());
        }
        self.faults.extend(look.faults);
        self.faults.extend(self.clients.faults(&look.marks));
        if let Some(groups) = self.groups {
            self.faults.extend(groups.faults(&look.marks));
            if !groups.stop() {
                self.faults.push("a consumer did not end in order".to_owned());
            }
        }
        self.clients.will_end();
        if !self.runtime.end() {
            self.faults.push("the runtime did not end in order".to_owned());
        }
        if !self.clients.join() {
            self.faults.push("a client panicked".to_owned());
        }
        self.faults
    }
}

/// What a server says that it uses.
fn memory_bytes(redis: &RedisServer) -> u64 {
    let told = redis.command(&["INFO", "memory"]);
    let used = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|used| used.trim().parse().ok()).expect("says what it uses")
}

/// A reader that never ends, as a program has it that forgets a cursor.
fn pin(folder: &Path) -> Connection {
    let database = Connection::open_with_flags(folder.join("planbus.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let database = database.expect("opens");
    database.execute_batch("BEGIN; SELECT count(*) FROM (SELECT 1 FROM plan_events LIMIT 1)").expect("reads");
    database
}
