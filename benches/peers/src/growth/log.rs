//! What a log of 10,000 to 10,000,000 events costs: to publish to, to read, to ask over HTTP and by SQL.
//!
//! One log of agent runs, which grows from size to size; it takes about 5 GB at the end.

mod audit;
mod mix;
mod program;
mod publish;
mod reads;
mod routes;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use planbus::{Durability, Event, EventBus, EventId, EventStore};
use rusqlite::Connection;

use self::mix::Mix;
use super::{
    Extent,
    plot::{self, Plot, Series, Unit},
};
use crate::{chain_support, measure::median};

const EVENTS_MIN: u64 = 10_000;
const EVENTS_MAX: u64 = 10_000_000;
/// How many events are published at once.
const BATCH: usize = 1_000;
/// The days over which the log is spread.
const DAYS: u32 = 200;
/// How often a question is asked; the median counts.
const ROUNDS: usize = 5;
/// A question that took so long is not asked again.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(extent: Extent<'_>) -> Vec<Plot> {
    let mut log = Log::new(extent);
    let (mut reads, mut routes, mut program, mut audit) =
        (Answers::default(), Answers::default(), Answers::default(), Answers::default());
    let (mut publish, mut bytes) = (Answers::default(), Answers::default());
    for size in extent.decades(EVENTS_MIN, EVENTS_MAX) {
        let begun = Instant::now();
        log.grow(size);
        println!("\na log of {} events, made in {:.0} s", plot::counted(size), begun.elapsed().as_secs_f64());
        for answers in [&mut reads, &mut routes, &mut program, &mut audit, &mut publish, &mut bytes] {
            answers.size = size;
        }
        let picked = log.pick();
        audit::ask(&log, &picked, &mut audit);
        program::ask(&log, &picked, &mut program);
        reads::ask(&log, &picked, &mut reads, &mut bytes);
        routes::ask(&log, &picked, &mut routes);
        publish::measure(&mut log, &mut publish);
    }
    vec![
        publish.plot("log-publish", "Publishing, by the size of the log", Unit::Nanoseconds, "one event"),
        reads.plot(
            "log-reads",
            "Reading in the process, by the size of the log",
            Unit::Nanoseconds,
            "one question",
        ),
        routes.plot(
            "log-routes",
            "What the page asks, by the size of the log",
            Unit::Nanoseconds,
            "one request",
        ),
        program.plot("log-program", "The program, by the size of the log", Unit::Nanoseconds, "one command"),
        audit.plot(
            "log-audit",
            "docs/audit.md with sqlite3, by the size of the log",
            Unit::Nanoseconds,
            "one question",
        ),
        bytes.plot("log-bytes", "On disk, by the size of the log", Unit::Bytes, "one event"),
    ]
}

/// The answers to some questions, gathered size by size.
#[derive(Default)]
struct Answers {
    size: u64,
    series: Vec<Series>,
}

impl Answers {
    /// Asks a question some times, unless it takes long.
    fn ask(&mut self, what: &str, mut question: impl FnMut()) {
        let (begun, mut took) = (Instant::now(), Vec::new());
        while took.len() < ROUNDS && begun.elapsed() < PATIENCE {
            let begun = Instant::now();
            question();
            took.push(begun.elapsed().as_nanos() as f64);
        }
        self.note(what, median(took));
    }

    /// Adds a figure for the size that the log has.
    fn note(&mut self, what: &str, value: f64) {
        let point = (self.size, value);
        match self.series.iter_mut().find(|series| series.name == what) {
            Some(series) => series.points.push(point),
            None => self.series.push(Series::new(what, vec![point])),
        }
    }

    /// Adds a figure that must not grow with the log.
    fn note_flat(&mut self, what: &str, value: f64) {
        self.note(what, value);
        let series = self.series.iter_mut().find(|series| series.name == what);
        series.expect("was noted").is_flat = true;
    }

    fn plot(self, name: &'static str, title: &str, y: Unit, of: &'static str) -> Plot {
        Plot { name, title: title.to_owned(), x: "events in the log", y, of, series: self.series }
    }
}

/// The log that grows, and what it is made of.
struct Log {
    dir: tempfile::TempDir,
    path: PathBuf,
    mix: Mix,
}

/// A plan with subplans, and events, from the middle of the log.
struct Picked {
    plan: String,
    /// An event with a cause, and a start of a plan.
    effect: EventId,
    cause: EventId,
    /// When the middle of the log was recorded.
    time: String,
    seq: u64,
}

impl Log {
    fn new(extent: Extent<'_>) -> Self {
        let dir = extent.folder();
        Self { path: dir.path().join("planbus.db"), dir, mix: Mix::from(1) }
    }

    fn open(&self) -> EventStore {
        EventStore::open(&self.path).expect("opens")
    }

    /// Publishes until the log holds this many events, and some more until the batch is full.
    fn grow(&mut self, events: u64) {
        let store = EventStore::options().durability(Durability::Process).open(&self.path).expect("opens");
        let there = store.stats().expect("reads").events;
        fill(&store, &mut self.mix, events.saturating_sub(there));
        store.close().expect("closes");
        self.spread();
    }

    /// Spreads the log's times over the last [`DAYS`] days, which nobody can wait for, and makes the
    /// chain hold for them: retention removes nothing that it cannot verify.
    fn spread(&self) {
        let mut log = Connection::open(&self.path).expect("opens");
        // No journal: of ten million events it would be as large as the log.
        log.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").expect("is set");
        let sql = "UPDATE plan_events SET recorded_at = at, timestamp = at FROM (
                SELECT id AS seq,
                    strftime('%Y-%m-%dT%H:%M:%f000Z', julianday('now') - ?1 * (1.0 - id * 1.0 / last)) AS at
                FROM plan_events, (SELECT max(id) AS last FROM plan_events)
            ) WHERE id = seq";
        log.execute(sql, [DAYS]).expect("is spread");
        chain_support::rechain_on(&mut log);
        log.pragma_update(None, "journal_mode", "wal").expect("is set");
    }

    fn pick(&self) -> Picked {
        let store = self.open();
        let seq = store.head().expect("a head") / 2;
        let page = store.read_after(seq, 5_000).expect("a page");
        let of_tenant = |event: &&Event| event.tenant().as_str() == "default";
        let child = page.iter().filter(of_tenant).find(|event| event.plan_id().as_str().contains('/'));
        let plan = child.expect("a subplan").plan_id().as_str();
        let plan = plan.split('/').next().unwrap_or(plan).to_owned();
        let events = store.list_by_plan(plan.as_str(), None).expect("events");
        let (first, last) = (events.first().expect("a start"), events.last().expect("an end"));
        let time = page.first().and_then(Event::recorded_at).expect("was stored").to_string();
        store.close().expect("closes");
        Picked { effect: last.event_id(), cause: first.event_id(), plan, time, seq }
    }
}

/// Publishes at least this many events to a store.
fn fill(store: &EventStore, mix: &mut Mix, events: u64) {
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    for _ in 0..events.div_ceil(BATCH as u64) {
        bus.publish_all(mix.by_ref().take(BATCH)).expect("publishes");
    }
    bus.close();
}
