//! What 1 to 64 publishers cost each other: durable publishes, and publishes in memory.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use planbus::{Event, EventBus, EventStore, Filter, PlanStarted, ToolCalled};
use serde_json::json;

use super::{
    Extent,
    plot::{Plot, Series, Unit},
};
use crate::measure::{Contender, by_threads, median, medians, quantile};

const PUBLISHERS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
/// How many events each publisher of a round makes durable.
const DURABLE_EACH: u64 = 400;
/// How many events a round publishes in memory.
const IN_MEMORY: u64 = 640_000;

pub(super) fn run(extent: Extent<'_>) -> Vec<Plot> {
    let plot = |name, title: &str, series| Plot {
        name,
        title: title.to_owned(),
        x: "publishers",
        y: Unit::Nanoseconds,
        of: "one event",
        series,
    };
    vec![
        plot("publishers", "Durable publishing, by publishers", durable(extent)),
        plot(
            "publishers-memory",
            "Publishing in memory to one handler, by publishers",
            vec![in_memory(extent)],
        ),
    ]
}

/// What publishers of one round met.
struct Round {
    /// Of all together, for each event.
    each: f64,
    median: f64,
    p99: f64,
}

fn durable(extent: Extent<'_>) -> Vec<Series> {
    let dir = extent.folder();
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    let bus = EventBus::builder().store(store).build().expect("builds");
    let mut rounds: Vec<Vec<Round>> = PUBLISHERS.iter().map(|_| Vec::new()).collect();
    for _ in 0..extent.rounds() {
        for (publishers, rounds) in PUBLISHERS.into_iter().zip(&mut rounds) {
            rounds.push(round(&bus, publishers, extent.times(DURABLE_EACH)));
        }
    }
    let series = |name: &str, figure: fn(&Round) -> f64| {
        let of_rounds = |rounds: &Vec<Round>| median(rounds.iter().map(figure).collect());
        Series::new(name, PUBLISHERS.into_iter().zip(rounds.iter().map(of_rounds)).collect())
    };
    vec![
        series("all publishers together", |round| round.each),
        series("a publisher's wait, median", |round| round.median),
        series("a publisher's wait, p99", |round| round.p99),
    ]
}

fn round(bus: &EventBus, publishers: u64, each: u64) -> Round {
    let begun = Instant::now();
    let publish = |publisher: u64| {
        let one = |number: u64| {
            let arguments = json!({"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "number": number,
                "context": "the lines round each match, as the agent sees them"});
            let event =
                Event::new(format!("plan-{publisher}"), ToolCalled::new("call-17", "search", arguments));
            let begun = Instant::now();
            bus.publish(event).expect("publishes");
            begun.elapsed()
        };
        (0..each).map(one).collect::<Vec<Duration>>()
    };
    let mut took: Vec<Duration> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..publishers).map(|publisher| scope.spawn(move || publish(publisher))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let each = begun.elapsed().as_nanos() as f64 / took.len() as f64;
    let nanos = |took: Duration| took.as_nanos() as f64;
    Round { each, median: nanos(quantile(&mut took, 0.5)), p99: nanos(quantile(&mut took, 0.99)) }
}

fn in_memory(extent: Extent<'_>) -> Series {
    let bus = EventBus::builder().in_memory().build().expect("an in-memory bus");
    let look = |event: &Event| {
        black_box(event.seq());
    };
    bus.subscribe(Filter::all(), look).expect("subscribes").detach();
    // Not one event for all: then they would fight for its count of owners, which the bus does not share.
    let event = || Event::new("plan-7", PlanStarted::new("goal")).with_correlation_id("plan-7");
    let bus = &bus;
    let publish = |threads: u64| {
        Contender::timed(move |times| {
            let each = times / threads;
            by_threads(threads, threads, || {
                let event = event();
                for _ in 0..each {
                    assert!(black_box(bus.publish(event.clone())).is_ok());
                }
            })
        })
    };
    let mut contenders: Vec<_> = PUBLISHERS.into_iter().map(publish).collect();
    let figures = medians(extent.rounds(), extent.times(IN_MEMORY), &mut contenders);
    Series::new("all publishers together", PUBLISHERS.into_iter().zip(figures).collect())
}
