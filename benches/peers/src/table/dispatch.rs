//! In-process dispatch, without a store: beside a bare loop over boxed closures, one look-up and one
//! read of the clock, and beside the buses and channels that people use in its place.
//!
//! Every contender takes the same event by value, cloned for each round, and each of its receivers
//! sees it. None serialises anything.

mod built;
mod fan_out;
mod peers;
mod plans;
mod publishers;

use std::hint::black_box;

use planbus::{Event, EventBus, EventType, Filter, PlanStarted};

use crate::{
    measure::{Clock, Contender},
    report::{Row, print_head},
};

const PART: &str = "dispatch";

/// What a closure that receives events is to everybody here.
type Closure = Box<dyn Fn(&Event) + Send + Sync>;

/// A handler that does next to nothing, which no compiler may leave out.
fn look(event: &Event) {
    black_box(event.seq());
}

fn closures(number: usize) -> Vec<Closure> {
    (0..number).map(|_| Box::new(look) as Closure).collect()
}

fn event() -> Event {
    Event::new("plan-7", PlanStarted::new("goal")).with_correlation_id("plan-7")
}

fn in_memory() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus has nothing to fail on")
}

/// A bus with this many handlers, each of which wants the type of [`event`].
fn bus_with(handlers: usize) -> EventBus {
    let bus = in_memory();
    for _ in 0..handlers {
        let filter = Filter::all().types([EventType::PlanStarted]);
        bus.subscribe(filter, look).expect("the filter is valid").detach();
    }
    bus
}

fn publish(bus: &EventBus, event: Event) {
    // By reference: a copy of the answer, read in other pieces than it was written in, would be charged
    // to the bus.
    assert!(black_box(&bus.publish(event)).is_ok(), "the bus is open");
}

/// A contender whose work is on this thread alone.
fn looped<'a>(work: impl FnMut() + 'a) -> Contender<'a> {
    Contender::looped(Clock::ThreadCpu, work)
}

/// A contender that is so slow that it works only once where the others work this many times.
fn rarely<'a>(one_in: u64, mut work: impl FnMut() + 'a) -> Contender<'a> {
    Contender::timed(move |times| {
        let runs = times.div_ceil(one_in);
        let begun = Clock::ThreadCpu.now();
        for _ in 0..runs {
            work();
        }
        let each = (Clock::ThreadCpu.now() - begun) as f64 / runs as f64;
        std::time::Duration::from_nanos((each * times as f64) as u64)
    })
}

/// Measures and prints the rows of the goals.
pub(crate) fn run(rounds: usize) -> Vec<Row> {
    print_head("In-process dispatch", rounds);
    let measures: [fn(usize) -> Vec<Row>; 4] = [fan_out::run, publishers::run, plans::run, built::run];
    let mut rows = Vec::new();
    for measure in measures {
        let measured = measure(rounds);
        measured.iter().for_each(Row::print);
        rows.extend(measured);
    }
    rows
}
