//! What publishing costs on a log of any size. A log of 10,000 events takes turns with it, so that what the
//! machine does meanwhile shows in both.

use std::path::Path;

use planbus::{EventBus, EventStore, Retention};

use super::{Answers, BATCH, EVENTS_MIN, Log, Mix, fill};
use crate::measure::{Clock, median};

const ROUNDS: usize = 9;
/// How many events a round publishes one by one, and how many batches.
const SINGLE: usize = 60;
const BATCHES: usize = 2;
/// How many events a prune removes.
const PRUNED: u64 = 1_000;

pub(super) fn measure(log: &mut Log, answers: &mut Answers) {
    let small = log.dir.path().join("small.db");
    if !small.exists() {
        let store = EventStore::open(&small).expect("opens");
        fill(&store, &mut Mix::from(1), EVENTS_MIN);
        store.close().expect("closes");
    }
    // Plans that neither log has yet.
    let mut number = (1 << 40) + answers.size;
    let mut publisher = |path: &Path| {
        number += 1 << 30;
        Publisher::new(path, number)
    };
    let (mut ours, mut meanwhile) = (publisher(&log.path), publisher(&small));
    let (mut large, mut reference) = (Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        ours.round(&mut large);
        meanwhile.round(&mut reference);
    }
    answers.note_flat("durable publish", median(large.single));
    answers.note("durable publish, meanwhile on 10,000", median(reference.single));
    answers.note_flat("processor time of a durable publish", median(large.cpu));
    answers.note_flat("publish_all of 1,000, an event", median(large.batch));
    answers.note("publish_all, meanwhile on 10,000 events", median(reference.batch));
    let store = ours.bus.store().expect("has one");
    let keep = store.stats().expect("reads").events - PRUNED;
    let begun = Clock::Wall.now();
    assert_eq!(store.prune(Retention::keep_last(keep)).expect("prunes").removed, PRUNED);
    answers.note("pruning the oldest 1,000, an event", (Clock::Wall.now() - begun) as f64 / PRUNED as f64);
    for publisher in [ours, meanwhile] {
        publisher.bus.close();
        publisher.bus.store().expect("has one").close().expect("closes");
    }
}

/// Nanoseconds of each event, one figure a round.
#[derive(Default)]
struct Figures {
    single: Vec<f64>,
    cpu: Vec<f64>,
    batch: Vec<f64>,
}

/// A bus on a store, and what is published there.
struct Publisher {
    bus: EventBus,
    mix: Mix,
}

impl Publisher {
    fn new(path: &Path, plans_from: u64) -> Self {
        let store = EventStore::open(path).expect("opens");
        Self { bus: EventBus::builder().store(store).build().expect("a bus"), mix: Mix::from(plans_from) }
    }

    fn round(&mut self, figures: &mut Figures) {
        let events: Vec<_> = self.mix.by_ref().take(SINGLE).collect();
        let (begun, cpu) = (Clock::Wall.now(), Clock::ThreadCpu.now());
        for event in events {
            self.bus.publish(event).expect("publishes");
        }
        figures.cpu.push((Clock::ThreadCpu.now() - cpu) as f64 / SINGLE as f64);
        figures.single.push((Clock::Wall.now() - begun) as f64 / SINGLE as f64);
        let batches: Vec<Vec<_>> = (0..BATCHES).map(|_| self.mix.by_ref().take(BATCH).collect()).collect();
        let begun = Clock::Wall.now();
        for batch in batches {
            self.bus.publish_all(batch).expect("publishes");
        }
        figures.batch.push((Clock::Wall.now() - begun) as f64 / (BATCHES * BATCH) as f64);
    }
}
