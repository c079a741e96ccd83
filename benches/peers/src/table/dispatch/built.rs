//! A typed event from nothing to its typed handler: the id, the time, the payload.

use std::{
    hint::black_box,
    sync::{Arc, RwLock},
    time::SystemTime,
};

use planbus::{Event, Filter, PlanCompleted, PlanId};

use super::{PART, in_memory, looped, publish};
use crate::{
    measure::{Contender, medians},
    report::{Goal, Row},
};

pub(super) fn run(rounds: usize) -> Vec<Row> {
    let plan = PlanId::try_from("plan-7").expect("a valid plan id");
    let bus = in_memory();
    let handler = |_: &Event, payload: &PlanCompleted| {
        black_box(payload.duration_us);
    };
    bus.subscribe_to::<PlanCompleted>(Filter::all(), handler).expect("the filter is valid").detach();
    let build = || Event::new(&plan, PlanCompleted::new());
    let mut contenders = [
        looped(|| {
            black_box(SystemTime::now());
        }),
        looped(|| publish(&bus, build())),
        looped(|| drop(black_box(build()))),
        shared_list(build),
        crossbeam(build),
        tokio(build),
    ];
    let figures = medians(rounds, 500_000, &mut contenders);
    let limit = ("one clock read", figures[0]);
    let what = "build a typed event, publish it to 1 typed handler";
    let row = Row::new(PART, what, limit, figures[1], Goal::Nanos(80.0))
        .peer("the same event built and dropped", figures[2], None)
        .peer("RwLock<Arc<Vec>>, the same event", figures[3], None)
        .peer("crossbeam, the same event", figures[4], None)
        .peer("tokio broadcast, the same event", figures[5], None);
    vec![row]
}

fn read(event: &Event) {
    let payload = event.payload::<PlanCompleted>().expect("it is one");
    black_box(payload.duration_us);
}

fn shared_list<'a>(build: impl Fn() -> Event + 'a) -> Contender<'a> {
    let list = RwLock::new(Arc::new(vec![Box::new(read) as super::Closure]));
    looped(move || {
        let event = build();
        let closures = Arc::clone(&black_box(&list).read().expect("nobody panics"));
        for closure in &*closures {
            closure(&event);
        }
    })
}

fn crossbeam<'a>(build: impl Fn() -> Event + 'a) -> Contender<'a> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    looped(move || {
        sender.try_send(build()).expect("it has room");
        read(&receiver.try_recv().expect("it was sent"));
    })
}

fn tokio<'a>(build: impl Fn() -> Event + 'a) -> Contender<'a> {
    let (sender, mut receiver) = tokio::sync::broadcast::channel(1);
    looped(move || {
        drop(sender.send(build()));
        read(&receiver.try_recv().expect("it was sent"));
    })
}
