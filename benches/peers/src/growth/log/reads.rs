//! Reads by the library: of an event, a plan, a page, the whole.

use std::time::Duration;

use planbus::{EventBus, Filter, PlanQuery, Start};

use super::{Answers, Log, Picked};

/// How many events a reader that catches up takes.
const PAGE: usize = 500;
/// How many plans a page has.
const PLANS: usize = 50;

pub(super) fn ask(log: &Log, picked: &Picked, answers: &mut Answers, bytes: &mut Answers) {
    answers.ask("opening and closing", || log.open().close().expect("closes"));
    let store = log.open();
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    answers.ask("an event by its id", || assert!(store.get(picked.effect).expect("reads").is_some()));
    answers.ask("list_by_plan", || {
        assert!(!store.list_by_plan(picked.plan.as_str(), None).expect("reads").is_empty());
    });
    answers
        .ask("the summary of a plan", || assert!(store.plan(picked.plan.as_str()).expect("reads").is_some()));
    answers.ask("a plan and its subplans", || {
        assert!(!store.plan_tree(picked.plan.as_str()).expect("reads").children.is_empty());
    });
    answers.ask("a page of 50 plans", || {
        assert_eq!(store.plans(PlanQuery::new().limit(PLANS)).expect("reads").len(), PLANS);
    });
    answers.ask("read_after, 500 events", || {
        assert_eq!(store.read_after(picked.seq, PAGE).expect("reads").len(), PAGE);
    });
    answers.ask("a tail, 500 events", || tail(&bus, picked.seq));
    answers.ask("stats", || assert!(store.stats().expect("reads").events > 0));
    answers.ask("count_by_type", || assert!(!store.count_by_type().expect("reads").is_empty()));
    answers.ask("verify", || assert!(store.verify().expect("reads").is_sound()));
    let stats = store.stats().expect("reads");
    bytes.note("the database", stats.db_bytes as f64 / stats.events as f64);
    bus.close();
    store.close().expect("closes");
}

fn tail(bus: &EventBus, seq: u64) {
    let mut tail = bus.tail(Filter::all(), Start::After(seq)).expect("follows");
    for _ in 0..PAGE {
        assert!(tail.next_timeout(Duration::from_secs(10)).expect("reads").is_some());
    }
}
