//! Durable publishing against its limit (write + fdatasync of the same bytes in the same grouping)
//! and its peers (bare rusqlite). Everything runs on the same disk, with `synchronous=FULL`.

use std::{
    collections::VecDeque,
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use planbus::{Event, EventBus, EventStore, ToolCalled};
use rusqlite::{Connection, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::table::{Contender, Goal, head, medians, row};

fn event() -> Event {
    let arguments =
        json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "context": 3, "case": true});
    Event::new("survey-01JZ8Q4V7N5T3M2K1H0G9F8E7D/src/bus", ToolCalled::new("call-17", "search", arguments))
        .with_source("surveyor")
}

/// The limit: leader and followers over a plain pre-allocated file.
struct BareLog {
    file: Mutex<File>,
    state: Mutex<BareState>,
}

#[derive(Default)]
struct BareState {
    waiting: VecDeque<Arc<Waiter>>,
    pending: Vec<u8>,
    is_led: bool,
}

struct Waiter {
    thread: Thread,
    is_done: AtomicBool,
    leads: AtomicBool,
}

/// What the limit's file holds before it is written over from its beginning.
const BARE_BYTES: u64 = 64 << 20;

impl BareLog {
    fn create(folder: &Path) -> Self {
        let mut file = File::create(folder.join("bare.log")).expect("a file");
        file.write_all(&vec![0; BARE_BYTES as usize]).and_then(|()| file.sync_all()).expect("is written");
        file.rewind().expect("rewinds");
        Self { file: Mutex::new(file), state: Mutex::default() }
    }

    fn submit(&self, bytes: &[u8]) {
        let mut state = self.state.lock().expect("not poisoned");
        state.pending.extend_from_slice(bytes);
        if state.is_led {
            let me =
                Arc::new(Waiter { thread: thread::current(), is_done: false.into(), leads: false.into() });
            state.waiting.push_back(Arc::clone(&me));
            drop(state);
            while !me.is_done.load(Ordering::Acquire) && !me.leads.load(Ordering::Acquire) {
                thread::park();
            }
            if me.is_done.load(Ordering::Acquire) {
                return;
            }
            state = self.state.lock().expect("not poisoned");
            state.waiting.pop_front();
        }
        state.is_led = true;
        let batch = std::mem::take(&mut state.pending);
        let served = std::mem::take(&mut state.waiting);
        drop(state);
        self.write(&batch);
        let mut state = self.state.lock().expect("not poisoned");
        match state.waiting.front() {
            Some(next) => {
                next.leads.store(true, Ordering::Release);
                next.thread.unpark();
            }
            None => state.is_led = false,
        }
        drop(state);
        for waiter in served {
            waiter.is_done.store(true, Ordering::Release);
            waiter.thread.unpark();
        }
    }

    fn write(&self, batch: &[u8]) {
        let mut file = self.file.lock().expect("not poisoned");
        if file.stream_position().expect("a place") + batch.len() as u64 > BARE_BYTES {
            file.seek(SeekFrom::Start(0)).expect("rewinds");
        }
        file.write_all(batch).and_then(|()| file.sync_data()).expect("is written");
    }
}

/// Runs `work` on several threads at once, `times` in all, and says how long that took.
fn by_publishers(publishers: u64, times: u64, work: impl Fn() + Sync) -> Duration {
    let begun = Instant::now();
    thread::scope(|threads| {
        for _ in 0..publishers {
            threads.spawn(|| (0..times / publishers).for_each(|_| work()));
        }
    });
    begun.elapsed()
}

/// A bare database with the same table and indexes as a store's.
fn bare_sqlite(folder: &Path) -> Connection {
    let model = folder.join("model.db");
    drop(EventStore::open(&model).expect("opens"));
    let model = Connection::open(model).expect("opens");
    let connection = Connection::open(folder.join("bare.db")).expect("opens");
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;").expect("is set");
    let mut statement = model
        .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name = 'plan_events' AND type IN ('table', 'index')")
        .expect("prepares");
    let ddl = statement.query_map([], |row| row.get::<_, String>(0)).expect("reads");
    ddl.for_each(|ddl| connection.execute_batch(&ddl.expect("text")).expect("creates"));
    connection
}

/// Inserts one event as simply as can be, with a chain of the same length.
fn insert(connection: &Connection, event: &Event, chain: &mut [u8; 32]) {
    let payload = event.payload_json().expect("JSON");
    let (id, at) = (event.event_id().to_string(), event.timestamp().to_string());
    let plan = event.plan_id().as_str();
    *chain = Sha256::new()
        .chain_update(*chain)
        .chain_update(&id)
        .chain_update(plan)
        .chain_update(payload)
        .finalize()
        .into();
    connection
        .prepare_cached(
            "INSERT INTO plan_events(event_id, event_type, plan_id, timestamp, recorded_at, payload, tenant, source, \
             correlation_id, priority, schema_version, chain) VALUES (?1, ?2, ?3, ?4, ?4, ?5, 'default', ?6, ?3, 'normal', 1, ?7)",
        )
        .and_then(|mut statement| {
            let source = event.source().map(|source| source.as_str());
            statement.execute(params![id, event.event_type().as_str(), plan, at, payload, source, &chain[..]])
        })
        .expect("inserts");
}

fn publishers(folder: &Path, count: u64, goals: (f64, f64)) {
    let bus = EventBus::builder()
        .store(EventStore::open(folder.join("ours.db")).expect("opens"))
        .build()
        .expect("a bus");
    let bare = BareLog::create(folder);
    let peer = Mutex::new((bare_sqlite(folder), [0; 32]));
    let bytes = event().to_json().expect("JSON").len() + 64; // seq, recorded_at and chain
    let line = vec![b'x'; bytes];
    let times = if count == 1 { 1_000 } else { count * 250 };
    let figures = medians(
        times,
        &mut [
            Contender::timed("bare", |times| by_publishers(count, times, || bare.submit(&line))),
            Contender::timed("ours", |times| {
                by_publishers(count, times, || assert!(bus.publish(event()).is_ok()))
            }),
            Contender::timed("mutex + autocommit", |times| {
                let times = if count > 8 { times / 4 / count * count } else { times };
                let took = by_publishers(count, times, || {
                    let event = event();
                    let (connection, chain) = &mut *peer.lock().expect("not poisoned");
                    insert(connection, &event, chain);
                });
                if count > 8 { took * 4 } else { took }
            }),
        ],
    );
    let what = format!("durable publish, {count} publishers, {bytes} bytes");
    row(&what, "write + fdatasync, same grouping (limit)", figures[0], figures[1], &Goal::AtLeast(goals.0));
    let peer = if count == 1 { "bare rusqlite autocommit" } else { "connection mutex + autocommit" };
    row(&what, peer, figures[2], figures[1], &Goal::AtLeast(goals.1));
}

fn slow_reader(folder: &Path) {
    let open = |name: &str| {
        EventBus::builder().store(EventStore::open(folder.join(name)).expect("opens")).build().expect("a bus")
    };
    let (alone, watched) = (open("alone.db"), open("watched.db"));
    let publish = |bus: &EventBus| assert!(bus.publish(event()).is_ok());
    publish(&watched);
    let reader = Connection::open(folder.join("watched.db")).expect("opens");
    let hold = || {
        // A read transaction that stays open for a whole round, as a slow query does.
        reader.execute_batch("BEGIN").expect("begins");
        reader.query_row("SELECT count(*) FROM plan_events", [], |row| row.get::<_, i64>(0)).expect("reads")
    };
    let figures = medians(
        1_000,
        &mut [
            Contender::timed("alone", |times| by_publishers(1, times, || publish(&alone))),
            Contender::timed("watched", |times| {
                hold();
                let took = by_publishers(1, times, || publish(&watched));
                reader.execute_batch("COMMIT").expect("ends");
                took
            }),
        ],
    );
    row("durable publish with a slow reader", "without one", figures[0], figures[1], &Goal::AtLeast(0.80));
}

fn batches(folder: &Path) {
    const EVENTS: usize = 1_000;
    let bus = EventBus::builder()
        .store(EventStore::open(folder.join("batch.db")).expect("opens"))
        .build()
        .expect("a bus");
    let (connection, mut chain) = (bare_sqlite(folder), [0; 32]);
    let figures = medians(
        10,
        &mut [
            Contender::looped("bare", || {
                connection.execute_batch("BEGIN IMMEDIATE").expect("begins");
                (0..EVENTS).for_each(|_| insert(&connection, &event(), &mut chain));
                connection.execute_batch("COMMIT").expect("commits");
            }),
            Contender::looped("ours", || {
                assert_eq!(bus.publish_all((0..EVENTS).map(|_| event())).expect("publishes").len(), EVENTS)
            }),
        ],
    );
    row("publish_all of 1,000", "bare rusqlite transaction", figures[0], figures[1], &Goal::AtLeast(0.85));
}

pub(crate) fn run() {
    head("Durable publish (FULL, chain on)");
    let folder = || tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    publishers(folder().path(), 1, (0.80, 1.0));
    publishers(folder().path(), 8, (0.60, 2.5));
    publishers(folder().path(), 64, (0.35, 8.0));
    slow_reader(folder().path());
    batches(folder().path());
}
