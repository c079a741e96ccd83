//! In-process dispatch against its limit (a bare loop over boxed closures) and its peers.
//!
//! Limit and ours take the same event by value, cloned for each round; a peer sends the same clone
//! and every receiver takes it.

use std::{collections::HashMap, hint::black_box, thread, time::Instant};

use planbus::{Event, EventBus, EventType, Filter, PlanCompleted, PlanId, PlanStarted};

use crate::{
    measure::{Clock, Contender, medians},
    report::{Goal, Row, print_head},
};

/// A handler that does next to nothing, which no compiler may leave out.
fn look(event: &Event) {
    black_box(event.seq());
}

fn bus() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus")
}

fn bus_with(handlers: usize) -> EventBus {
    let bus = bus();
    for _ in 0..handlers {
        let filter = Filter::all().types([EventType::PlanStarted]);
        bus.subscribe(filter, look).expect("subscribes").detach();
    }
    bus
}

fn event() -> Event {
    Event::new("plan-7", PlanStarted::new("goal")).with_correlation_id("plan-7")
}

fn matching_handlers(handlers: usize, goal: &Goal) {
    let bus = bus_with(handlers);
    type Handler = Box<dyn Fn(&Event) + Send + Sync>;
    let closures: Vec<Handler> = (0..handlers).map(|_| Box::new(look) as Handler).collect();
    let channels: Vec<_> = (0..handlers).map(|_| crossbeam_channel::bounded::<Event>(64)).collect();
    let (sender, mut receivers) = (tokio::sync::broadcast::Sender::<Event>::new(64), Vec::new());
    receivers.extend((0..handlers).map(|_| sender.subscribe()));
    let event = event();
    let times = 2_000_000 / (handlers as u64 + 1);
    let figures = medians(
        times,
        &mut [
            Contender::looped("bare", || {
                let event = black_box(event.clone());
                for closure in black_box(&closures) {
                    closure(&event);
                }
            }),
            Contender::looped("ours", || assert!(black_box(bus.publish(event.clone())).is_ok())),
            Contender::looped("crossbeam", || {
                for (sender, receiver) in &channels {
                    sender.try_send(event.clone()).expect("has room");
                    black_box(receiver.try_recv().expect("was sent"));
                }
            }),
            Contender::looped("tokio", || {
                let _ = sender.send(event.clone());
                for receiver in &mut receivers {
                    black_box(receiver.try_recv().expect("was sent"));
                }
            }),
        ],
    );
    let what = format!("publish, {handlers} matching handlers");
    row(&what, "bare closure loop (limit)", figures[0], figures[1], goal);
    if handlers == 1 {
        row(&what, "crossbeam fan-out", figures[2], figures[1], &Goal::AtLeast(3.0));
        row(&what, "tokio broadcast", figures[3], figures[1], &Goal::AtLeast(5.0));
    } else if handlers > 1 {
        row(&what, "crossbeam fan-out", figures[2], figures[1], &Goal::AtLeast(1.0));
        row(&what, "tokio broadcast", figures[3], figures[1], &Goal::AtLeast(1.0));
    }
}

fn two_publishers() {
    let bus = bus_with(1);
    let publish = |times: u64| {
        let event = event();
        let begun = Instant::now();
        for _ in 0..times {
            black_box(bus.publish(event.clone()).expect("publishes"));
        }
        begun.elapsed()
    };
    let figures = medians(
        1_000_000,
        &mut [
            Contender::timed("one", |times| {
                thread::scope(|s| s.spawn(|| publish(times)).join()).expect("no panic")
            }),
            Contender::timed("two", |times| {
                thread::scope(|threads| {
                    let publishers = [0, 1].map(|_| threads.spawn(|| publish(times)));
                    publishers.map(|one| one.join().expect("no panic")).into_iter().max().unwrap_or_default()
                })
            }),
        ],
    );
    row("publish, 1 handler, two publishers", "one publisher", figures[0], figures[1], &Goal::AtMost(1.1));
}

fn one_of_ten_thousand() {
    const PLANS: usize = 10_000;
    let bus = bus();
    let mut map = HashMap::new();
    let plans: Vec<PlanId> =
        (0..PLANS).map(|n| PlanId::try_from(format!("plan-{n}")).expect("valid")).collect();
    for plan in &plans {
        map.insert(plan.clone(), 0_usize);
        bus.subscribe(Filter::all().plan(plan), look).expect("subscribes").detach();
    }
    // Both sides walk the same 256 plans, so that both find them in the cache.
    let events: Vec<Event> = plans
        .iter()
        .step_by(39)
        .take(256)
        .map(|plan| Event::new(plan, PlanStarted::new("goal")).with_correlation_id("root"))
        .collect();
    let (mut at, mut place) = (0, 0);
    let figures = medians(
        500_000,
        &mut [
            Contender::looped("map", || {
                at = (at + 1) % events.len();
                let event = events[at].clone();
                black_box(map.get(event.plan_id()));
            }),
            Contender::looped("ours", || {
                place = (place + 1) % events.len();
                black_box(bus.publish(events[place].clone()).expect("publishes"));
            }),
        ],
    );
    row(
        "publish, 1 match among 10,000 plans",
        "one hash-map look-up (limit)",
        figures[0],
        figures[1],
        &Goal::AtMost(2.2),
    );
    let churn = medians(
        20_000,
        &mut [Contender::looped("churn", || {
            let sub = bus.subscribe(Filter::all().plan("plan-77"), look);
            drop(black_box(sub.expect("subscribes")));
        })],
    );
    row("subscribe + unsubscribe at 10,000", "-", f64::NAN, churn[0], &Goal::Nanos(1_500.0));
}

fn typed() {
    let bus = bus();
    bus.subscribe_to::<PlanCompleted>(Filter::all(), |_event, payload| {
        black_box(payload.duration_us);
    })
    .expect("subscribes")
    .detach();
    let plan = PlanId::try_from("plan-7").expect("valid");
    let figures = medians(
        500_000,
        &mut [
            Contender::looped("clock", || {
                black_box(std::time::SystemTime::now());
            }),
            Contender::looped("ours", || {
                black_box(bus.publish(Event::new(&plan, PlanCompleted::new())).expect("publishes"));
            }),
        ],
    );
    row(
        "build a typed event + publish to 1 typed handler",
        "one clock read",
        figures[0],
        figures[1],
        &Goal::Nanos(80.0),
    );
}

pub(crate) fn run() {
    head("In-process dispatch");
    matching_handlers(0, &Goal::AtMostMore(3.0));
    matching_handlers(1, &Goal::AtMost(3.4));
    matching_handlers(8, &Goal::AtMost(1.4));
    matching_handlers(64, &Goal::AtMost(1.05));
    two_publishers();
    one_of_ten_thousand();
    typed();
}
