//! Two threads that publish at once, each with an event of its own.

use std::{
    hint::black_box,
    sync::{Arc, Barrier, RwLock},
    thread,
    time::{Duration, Instant},
};

use planbus::Event;

use super::{Closure, PART, bus_with, closures, event, publish};
use crate::{
    measure::{Contender, medians},
    report::{Goal, Row},
};

/// Publishes of a thread and round: far longer than threads take to begin.
const PUBLISHES: u64 = 2_000_000;

/// This many threads that begin together; it takes as long as the slowest of them.
fn at_once<'a>(threads: usize, work: impl Fn(Event) + Sync + 'a) -> Contender<'a> {
    Contender::timed(move |times| {
        let ready = Barrier::new(threads);
        let one = || {
            let event = event();
            ready.wait();
            let begun = Instant::now();
            for _ in 0..times {
                work(event.clone());
            }
            begun.elapsed()
        };
        thread::scope(|scope| {
            let publishers: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            let took = publishers.into_iter().map(|one| one.join().expect("nobody panics"));
            took.max().unwrap_or(Duration::ZERO)
        })
    })
}

fn call_all(closures: &[Closure], event: &Event) {
    for closure in closures {
        closure(event);
    }
}

pub(super) fn run(rounds: usize) -> Vec<Row> {
    let (bus, list) = (bus_with(1), closures(1));
    let shared = RwLock::new(Arc::new(closures(1)));
    let bare = |event: Event| call_all(black_box(&list), &black_box(event));
    let locked = |event: Event| {
        let closures = Arc::clone(&black_box(&shared).read().expect("nobody panics"));
        call_all(&closures, &event);
    };
    let ours = |event| publish(&bus, event);
    let figures = medians(
        rounds,
        PUBLISHES,
        &mut [
            at_once(1, ours),
            at_once(2, ours),
            at_once(1, bare),
            at_once(2, bare),
            at_once(1, locked),
            at_once(2, locked),
        ],
    );
    let what = "publish, 1 matching handler, two publishers at once";
    let row = Row::new(PART, what, ("one publisher", figures[0]), figures[1], Goal::AtMost(1.1))
        .peer("bare closure loop, one", figures[2], None)
        .peer("bare closure loop, two", figures[3], None)
        .peer("RwLock<Arc<Vec>>, one", figures[4], None)
        .peer("RwLock<Arc<Vec>>, two", figures[5], None);
    vec![row]
}
