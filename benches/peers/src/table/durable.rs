//! Durable publishing against its limit (write + fdatasync of the same bytes in the same grouping)
//! and its peers (bare rusqlite). Everything runs on the same disk, with `synchronous=FULL`.

mod bare_log;
mod bare_sqlite;

use std::{path::Path, sync::Mutex};

use planbus::{Event, EventBus, EventStore, ToolCalled};
use rusqlite::Connection;
use serde_json::json;

use self::{bare_log::BareLog, bare_sqlite::BareSqlite};
use crate::{
    measure::{Clock, Contender, by_threads, folder, medians},
    private_redis,
    python::Python,
    redis_support::RedisServer,
    report::{Goal, Row, print_head},
};

/// The name of the part.
const PART: &str = "durable";
/// How many publishes of each publisher a round has; one that is alone makes more.
const PUBLISHES: u64 = 250;
const PUBLISHES_ALONE: u64 = 1_000;
/// Above this many publishers the peer, which commits each event by itself, makes a part of them only.
const PEER_PUBLISHERS: u64 = 8;
const PEER_PART: u64 = 4;
/// How many events `publish_all` commits at once, and how often in a round.
const BATCH_EVENTS: usize = 1_000;
const BATCHES: u64 = 10;

fn event() -> Event {
    let arguments =
        json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "context": 3, "case": true});
    Event::new("survey-01JZ8Q4V7N5T3M2K1H0G9F8E7D/src/bus", ToolCalled::new("call-17", "search", arguments))
        .with_source("surveyor")
}

fn open(path: &Path) -> EventBus {
    EventBus::builder().store(EventStore::open(path).expect("opens")).build().expect("a bus")
}

fn publish(bus: &EventBus) {
    bus.publish(event()).expect("publishes");
}

/// What ours is judged by, beside the limit and beside the peer.
struct Goals {
    of_limit: f64,
    of_peer: f64,
}

fn publishers(folder: &Path, count: u64, goals: &Goals, rounds: usize) -> Row {
    let bus = open(&folder.join("ours.db"));
    let limit = BareLog::create(folder);
    let peer = Mutex::new(BareSqlite::create(folder));
    let bytes = event().to_json().expect("JSON").len() + 64; // seq, recorded_at and chain
    let line = vec![b'x'; bytes];
    let times = if count == 1 { PUBLISHES_ALONE } else { count * PUBLISHES };
    let redis = if count == 1 { private_redis::start("Python's stack") } else { None };
    let python = if count == 1 { in_python(folder, redis.as_ref()) } else { Vec::new() };
    let (names, in_python): (Vec<_>, Vec<_>) = python.into_iter().unzip();
    let part = if count > PEER_PUBLISHERS { PEER_PART } else { 1 };
    let mut contenders = vec![
        Contender::timed(|times| by_threads(count, times, || limit.submit(&line))),
        Contender::timed(|times| by_threads(count, times, || publish(&bus))),
        Contender::timed(|times| {
            let took = by_threads(count, times / part, || {
                let event = event();
                peer.lock().expect("not poisoned").insert(&event);
            });
            took * u32::try_from(part).expect("is small")
        }),
    ];
    contenders.extend(in_python);
    let figures = medians(rounds, times, &mut contenders);
    let what = format!("durable publish, {count} publishers, {bytes} bytes");
    let name = if count == 1 { "bare rusqlite autocommit" } else { "connection mutex + autocommit" };
    let limit = ("write + fdatasync, same grouping", figures[0]);
    let goal = Some(Goal::AtLeast(goals.of_peer));
    let row = Row::new(PART, what, limit, figures[1], Goal::AtLeast(goals.of_limit));
    let row = row.peer(name, figures[2], goal);
    names.into_iter().zip(&figures[3..]).fold(row, |row, (name, nanos)| row.peer(name, *nanos, None))
}

/// What earlier systems do for an event: save it; and give it to a handler, save it, and add it to a
/// stream of Redis where there is one.
fn in_python(folder: &Path, redis: Option<&RedisServer>) -> Vec<(&'static str, Contender<'static>)> {
    let folder = folder.display();
    let save = ("Python's sqlite3", format!("save {folder}"));
    let all = redis.map(|server| {
        ("Python's pyee + sqlite3 + redis-py", format!("emit_save_xadd {folder} {}", server.url()))
    });
    let works = std::iter::once(save).chain(all);
    works.filter_map(|(name, work)| Some((name, Python::start()?.contender(work, 1)))).collect()
}

fn slow_reader(folder: &Path, rounds: usize) -> Row {
    let (alone, watched) = (open(&folder.join("alone.db")), open(&folder.join("watched.db")));
    publish(&watched);
    let reader = Connection::open(folder.join("watched.db")).expect("opens");
    let hold = || {
        // A read transaction that stays open for a whole round, as a slow query does.
        reader.execute_batch("BEGIN").expect("begins");
        reader.query_row("SELECT count(*) FROM plan_events", [], |row| row.get::<_, i64>(0)).expect("reads")
    };
    let figures = medians(
        rounds,
        PUBLISHES_ALONE,
        &mut [
            Contender::looped(Clock::Wall, || publish(&alone)),
            Contender::timed(|times| {
                hold();
                let took = by_threads(1, times, || publish(&watched));
                reader.execute_batch("COMMIT").expect("ends");
                took
            }),
        ],
    );
    let what = "durable publish with a slow reader attached";
    Row::new(PART, what, ("without one", figures[0]), figures[1], Goal::AtLeast(0.80))
}

fn batches(folder: &Path, rounds: usize) -> Row {
    let bus = open(&folder.join("batch.db"));
    let mut bare = BareSqlite::create(folder);
    let events = || (0..BATCH_EVENTS).map(|_| event());
    let figures = medians(
        rounds,
        BATCHES,
        &mut [
            Contender::looped(Clock::Wall, || bare.insert_all(events())),
            Contender::looped(Clock::Wall, || {
                let published = bus.publish_all(events()).expect("publishes");
                assert_eq!(published.len(), BATCH_EVENTS);
            }),
        ],
    );
    let what = format!("publish_all of {BATCH_EVENTS}");
    let limit = ("bare rusqlite transaction, same table, indexes and chain", figures[0]);
    Row::new(PART, what, limit, figures[1], Goal::AtLeast(0.85))
}

pub(crate) fn run(rounds: usize) -> Vec<Row> {
    print_head("Durable publish (FULL, chain on)", rounds);
    let goals = [(1, 0.80, 1.0), (8, 0.60, 2.5), (64, 0.35, 8.0)];
    let mut rows: Vec<Row> = goals
        .into_iter()
        .map(|(count, of_limit, of_peer)| {
            let row = publishers(folder().path(), count, &Goals { of_limit, of_peer }, rounds);
            row.print();
            row
        })
        .collect();
    for measure in [slow_reader, batches] {
        let row = measure(folder().path(), rounds);
        row.print();
        rows.push(row);
    }
    rows
}
