//! Durable publishing beside readers: what a reader of the log costs a publisher, told apart from
//! what it costs as a busy neighbour on the same processors and disk.
//!
//! Each reader works once on the published store, and once, as the reference, on a copy of it. The
//! figure is the median of single publishes; the longest write-ahead log is told below the table.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use planbus::{Event, EventBus, EventStore, ToolCalled};
use serde_json::json;

use crate::{
    measure::{Contender, folder, median, medians},
    report::{Goal, Row, print_head},
};

/// How many events the log holds before: a scan of it takes longer than many publishes.
const EVENTS: usize = 200_000;
/// How many publishes a round measures, of each publisher.
const PUBLISHES: u64 = 400;
/// What ours is judged by: beside a reader of this log against one of another on the same machine.
const GOAL: Goal = Goal::AtMost(1.25);

fn event(number: usize) -> Event {
    let arguments = json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "number": number});
    Event::new(format!("survey-{}", number / 25), ToolCalled::new("call-17", "search", arguments))
}

/// A reader at work; ended when dropped.
enum Reader {
    Thread(Arc<AtomicBool>, Option<JoinHandle<()>>),
    Process(Child),
}

impl Drop for Reader {
    fn drop(&mut self) {
        match self {
            Self::Thread(stop, thread) => {
                stop.store(true, Ordering::Relaxed);
                thread.take().expect("joined once").join().expect("no panic");
            }
            Self::Process(child) => {
                child.kill().and_then(|()| child.wait()).expect("ends");
            }
        }
    }
}

/// Reads the whole log again and again, in pages.
fn scan(store: &EventStore, stop: &AtomicBool) {
    let mut after = 0;
    while !stop.load(Ordering::Relaxed) {
        let page = store.read_after(after, 1_000).expect("reads");
        after = page.last().and_then(Event::seq).unwrap_or(0);
    }
}

fn by_pages(_: &Path, store: &EventStore) -> Reader {
    let (stop, store) = (Arc::new(AtomicBool::new(false)), store.clone());
    let heard = Arc::clone(&stop);
    Reader::Thread(stop, Some(thread::spawn(move || scan(&store, &heard))))
}

fn by_pages_elsewhere(path: &Path, _: &EventStore) -> Reader {
    let mut command = Command::new(std::env::current_exe().expect("this bench"));
    Reader::Process(command.arg("read").arg(path).stdout(Stdio::null()).spawn().expect("starts"))
}

/// Scans the table with `sqlite3` again and again, one transaction each.
fn by_scans(path: &Path, _: &EventStore) -> Reader {
    const SCAN: &str = "SELECT count(*), sum(length(payload)) FROM plan_events;\n";
    let script = path.with_extension("sql");
    fs::write(&script, SCAN.repeat(1_000)).expect("is written");
    let mut command = Command::new("sqlite3");
    command.arg("-readonly").arg(path).stdin(fs::File::open(script).expect("opens")).stdout(Stdio::null());
    Reader::Process(command.spawn().expect("sqlite3 is installed"))
}

/// Holds one transaction open for a whole round: the process waits for more to do.
fn by_holding(path: &Path, _: &EventStore) -> Reader {
    let mut command = Command::new("sqlite3");
    command.arg("-readonly").arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("sqlite3 is installed");
    // What it answers waits in a buffer; what it has said is there at once.
    let script = b"BEGIN; SELECT max(id) FROM plan_events;\n.system echo begun\n";
    child.stdin.as_mut().expect("piped").write_all(script).expect("it listens");
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it has begun");
    Reader::Process(child)
}

struct Place {
    path: PathBuf,
    bus: EventBus,
}

impl Place {
    fn new(path: PathBuf) -> Self {
        let bus = EventBus::builder().store(EventStore::open(&path).expect("opens")).build().expect("builds");
        Self { path, bus }
    }

    fn store(&self) -> &EventStore {
        self.bus.store().expect("built with one")
    }
}

/// The median of single publishes, times how many there are to be.
fn publish(bus: &EventBus, publishers: u64, times: u64) -> Duration {
    let took: Vec<f64> = thread::scope(|threads| {
        let publisher = || {
            let one = |number| {
                let begun = Instant::now();
                assert!(bus.publish(event(number as usize)).is_ok());
                begun.elapsed().as_nanos() as f64
            };
            (0..PUBLISHES).map(one).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..publishers).map(|_| threads.spawn(publisher)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    Duration::from_nanos((median(took) * times as f64) as u64)
}

type Start = fn(&Path, &EventStore) -> Reader;

fn beside(what: &str, start: Start, published: &Place, copy: &Place, publishers: u64, rounds: usize) -> Row {
    let mut longest = 0;
    let figures = medians(
        rounds,
        PUBLISHES,
        &mut [
            Contender::timed(|times| publish(&published.bus, publishers, times)),
            Contender::timed(|times| {
                let _reader = start(&copy.path, copy.store());
                publish(&published.bus, publishers, times)
            }),
            Contender::timed(|times| {
                let _reader = start(&published.path, published.store());
                let took = publish(&published.bus, publishers, times);
                longest = longest.max(published.store().stats().expect("reads").wal_bytes);
                took
            }),
        ],
    );
    let what = format!("publish by {publishers} beside {what}, WAL up to {} MiB", longest >> 20);
    let limit = ("beside the same reader of a copy", figures[1]);
    Row::new("readers", what, limit, figures[2], GOAL).peer("without a reader", figures[0], None)
}

/// Works as a reader of the log at this path, and never ends by itself.
pub(crate) fn read_for_ever(path: &Path) {
    scan(&EventStore::open_read_only(path).expect("opens"), &AtomicBool::new(false));
}

pub(crate) fn run(rounds: usize) -> Vec<Row> {
    print_head("Durable publish beside readers (medians of single publishes)", rounds);
    let folder = folder();
    let origin = Place::new(folder.path().join("published.db"));
    for batch in (0..EVENTS).collect::<Vec<_>>().chunks(1_000) {
        origin.bus.publish_all(batch.iter().map(|number| event(*number))).expect("publishes");
    }
    let path = origin.path.clone();
    origin.store().close().expect("closes");
    drop(origin);
    let copied = folder.path().join("copy.db");
    fs::copy(&path, &copied).expect("copies");
    let (published, copy) = (Place::new(path), Place::new(copied));
    let readers: [(&str, Start); 4] = [
        ("full scans by pages", by_pages),
        ("full scans by pages of another process", by_pages_elsewhere),
        ("full scans by sqlite3", by_scans),
        ("a transaction that sqlite3 holds open", by_holding),
    ];
    let mut rows = Vec::new();
    for (what, start) in readers {
        for publishers in [1, 8] {
            let row = beside(what, start, &published, &copy, publishers, rounds);
            row.print();
            rows.push(row);
        }
    }
    rows
}
