//! What publishing costs on a large log, against one of 10,000 events; and what the indexes for
//! auditors cost it, against those of version 1. Ratios of medians from interleaved rounds.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use planbus::{EventBus, EventStore};
use rusqlite::Connection;

use super::log::{self, BATCH_EVENTS, Mix};

const ROUNDS: usize = 15;
/// How many events a round publishes one by one, and how many batches.
const SINGLE: usize = 300;
const BATCHES: usize = 10;
/// The size of the log that is the measure.
const SMALL_EVENTS: usize = 10_000;

/// The indexes as version 1 had them.
const VERSION_1: &str = "
    DROP INDEX plan_events_lifecycle;
    DROP INDEX plan_events_state;
    DROP INDEX plan_events_spawned;
    CREATE INDEX plan_events_lifecycle ON plan_events(tenant, id)
        WHERE event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed', 'SubplanSpawned');";

/// A bus on a store, and what is published there.
struct Publisher {
    bus: EventBus,
    mix: Mix,
}

impl Publisher {
    fn new(path: &Path) -> Self {
        let store = EventStore::open(path).expect("opens");
        // Plans that the log does not have yet.
        Self { bus: EventBus::builder().store(store).build().expect("a bus"), mix: Mix::from(1 << 40) }
    }

    fn single(&mut self) -> Duration {
        let events: Vec<_> = self.mix.by_ref().take(SINGLE).collect();
        let begun = Instant::now();
        for event in events {
            self.bus.publish(event).expect("publishes");
        }
        begun.elapsed() / SINGLE as u32
    }

    fn batches(&mut self) -> Duration {
        let batches: Vec<Vec<_>> =
            (0..BATCHES).map(|_| self.mix.by_ref().take(BATCH_EVENTS).collect()).collect();
        let begun = Instant::now();
        for batch in batches {
            self.bus.publish_all(batch).expect("publishes");
        }
        begun.elapsed() / BATCHES as u32
    }
}

/// One row for two publishers that take turns.
fn row(what: &str, theirs: &mut Publisher, ours: &mut Publisher, work: fn(&mut Publisher) -> Duration) {
    let (mut reference, mut figures) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (first, second) = if round % 2 == 0 {
            let first = work(theirs);
            (first, work(ours))
        } else {
            let second = work(ours);
            (work(theirs), second)
        };
        if round > 0 {
            reference.push(first.as_secs_f64() * 1e6); // the first round warms up
            figures.push(second.as_secs_f64() * 1e6);
        }
    }
    let median = |figures: &mut Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let (reference, figure) = (median(&mut reference), median(&mut figures));
    println!("| {what} | {reference:.1} | {figure:.1} | {:.2} |", reference / figure);
}

/// Compares with the large log at `path`; the small ones are made in `folder`.
pub(crate) fn run(path: &Path, folder: &Path) {
    let small = |name: &str| {
        let path = folder.join(name);
        log::generate(&path, SMALL_EVENTS);
        path
    };
    println!("\nPublishing, medians of {ROUNDS} interleaved rounds\n");
    println!("| what | reference us | ours us | ratio (1 is equal, more is faster) |\n|---|---|---|---|");
    let (mut reference, mut large) = (Publisher::new(&small("small.db")), Publisher::new(path));
    row(
        "durable publish, 10,000 events against the large log",
        &mut reference,
        &mut large,
        Publisher::single,
    );
    row(
        "publish_all of 1,000, 10,000 events against the large log",
        &mut reference,
        &mut large,
        Publisher::batches,
    );
    drop((reference, large));
    let older = small("older.db");
    Connection::open(&older).and_then(|log| log.execute_batch(VERSION_1)).expect("has the older indexes");
    let (mut older, mut newer) = (Publisher::new(&older), Publisher::new(&small("newer.db")));
    row("durable publish, indexes of version 1 against version 2", &mut older, &mut newer, Publisher::single);
    row(
        "publish_all of 1,000, indexes of version 1 against version 2",
        &mut older,
        &mut newer,
        Publisher::batches,
    );
}
