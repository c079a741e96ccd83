//! P9: whoever is overtaken by a prune is told, whatever it reads with, and can go on from there.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    time::Duration,
};

use planbus::*;
use store_support::*;

/// A store with this many events, of three plans in turn.
fn filled(dir: &Dir, count: usize) -> EventBus {
    let bus = EventBus::builder().store(EventStore::open(dir.db()).expect("opens")).build().expect("builds");
    for batch in (0..count).collect::<Vec<_>>().chunks(5_000) {
        let events = batch.iter().map(|number| event(&format!("plan-{}", number % 3), *number));
        bus.publish_all(events).expect("commits");
    }
    bus
}

fn store(bus: &EventBus) -> &EventStore {
    bus.store().expect("built with one")
}

fn readers(dir: &Dir) -> EventBus {
    EventBus::builder().store(EventStore::open_read_only(dir.db()).expect("opens")).build().expect("builds")
}

fn next(tail: &mut Tail) -> Option<u64> {
    tail.next_timeout(LIMIT).expect("reads").expect("comes in time").seq()
}

/// Reads until the tail is told that it was overtaken; the last seq that it gave, and the message.
fn until_told(tail: &mut Tail) -> (u64, String) {
    let mut last = tail.cursor().expect("a log");
    loop {
        match tail.next_timeout(LIMIT) {
            Ok(Some(event)) => last = event.seq().expect("stored"),
            Ok(None) => panic!("left silent after {last}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Pruned, "{error}");
                return (last, error.to_string());
            }
        }
    }
}

fn told_of(after: u64, next: u64) -> String {
    format!("the events after seq {after} are no longer in the log; the next one is seq {next}")
}

#[test]
fn p9_a_tail_that_was_overtaken_is_told_and_one_that_is_ahead_is_not_disturbed() {
    let dir = Dir::new();
    let bus = filled(&dir, 3_000);
    for bus_of in [&bus, &readers(&dir)] {
        let of_plan = || Filter::all().plan("plan-2");
        // One that has not begun, one in the middle, one of a plan, one that matches nothing.
        let mut tails: Vec<Tail> =
            [Filter::all(), Filter::all(), of_plan(), Filter::all().types(["no.such"])]
                .into_iter()
                .map(|filter| bus_of.tail(filter, Start::Beginning).expect("a tail"))
                .collect();
        let first = tails[0].cursor().expect("a log") + 1;
        assert_eq!(next(&mut tails[1]), Some(first));
        next(&mut tails[2]);
        let mut ahead = bus_of.tail(Filter::all(), Start::After(first + 1_200)).expect("a tail");
        let mut ahead_of_plan = bus_of.tail(of_plan(), Start::After(first + 1_200)).expect("a tail");
        let head = store(&bus).head().expect("reads");
        let floor = first + 1_201;
        store(&bus).prune(Retention::keep_last(head + 1 - floor)).expect("prunes");
        for tail in &mut tails {
            let (last, told) = until_told(tail);
            assert!(last < floor - 1, "{last}");
            let examined = tail.cursor().expect("a log");
            assert!(examined >= last && told == told_of(examined, floor), "{told}");
            assert_eq!(until_told(tail).1, told, "and again, as often as it asks");
        }
        assert_eq!(next(&mut ahead), Some(floor));
        assert_eq!(ahead_of_plan.next_timeout(LIMIT).expect("reads").expect("comes").plan_id(), "plan-2");
        // To go on is to begin again where the log begins; the cursor tells how much is missing.
        let mut again = bus_of.tail(Filter::all(), Start::Beginning).expect("a tail");
        assert_eq!((again.cursor(), next(&mut again)), (Some(floor - 1), Some(floor)));
        assert!(bus_of.tail(Filter::all(), Start::After(floor - 1)).is_ok(), "or where the message says");
        let refused = bus_of.tail(Filter::all(), Start::After(floor - 2)).expect_err("refused");
        assert_eq!((refused.kind(), refused.to_string()), (ErrorKind::Pruned, told_of(floor - 2, floor)));
    }
}

#[test]
fn p9_a_tail_that_waited_while_it_was_overtaken_is_told() {
    let dir = Dir::new();
    let bus = filled(&dir, 10);
    let others = readers(&dir);
    let mut tails = [&bus, &others].map(|bus| bus.tail(Filter::all(), Start::Now).expect("a tail"));
    assert!(tails.iter_mut().all(|tail| tail.next_timeout(Duration::ZERO).expect("reads").is_none()));
    bus.publish_all((0..2_000).map(|number| event("plan", number))).expect("commits");
    store(&bus).prune(Retention::keep_last(100)).expect("prunes");
    for tail in &mut tails {
        assert_eq!(until_told(tail), (10, told_of(10, 1_911)));
    }
}

/// The child: pages through the log as an export does, one page a line that it is sent.
#[test]
fn exporter() {
    let Some(path) = role("exporter") else { return };
    let store = EventStore::open_read_only(path).expect("opens");
    let mut after = 0;
    for _ in std::io::stdin().lines() {
        match store.read_after(after, 100) {
            Ok(events) => after = events.last().and_then(Event::seq).expect("there are more"),
            Err(error) => println!("{:?} {error}", error.kind()),
        }
        println!("at {after}");
    }
}

#[test]
fn p9_an_export_in_another_process_is_told_between_two_pages() {
    let dir = Dir::new();
    let bus = filled(&dir, 3_000);
    let mut child = Killed(child("exporter", &dir.db()).stdin(Stdio::piped()).spawn().expect("starts"));
    let mut page = child.0.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines().map_while(|line| line.ok());
    let mut ask = |expected: &str| {
        writeln!(page).expect("it reads");
        assert!(lines.any(|line| line.ends_with(expected)), "{expected}");
    };
    ask("at 100");
    store(&bus).prune(Retention::keep_last(2_900)).expect("prunes");
    ask("at 200");
    store(&bus).prune(Retention::keep_last(2_000)).expect("prunes");
    ask(&format!("Pruned {}", told_of(200, 1_001)));
    drop(page);
    // To its end: a child whose pipe is closed while it writes does not end well.
    lines.for_each(drop);
}

#[test]
fn p9_a_query_from_a_place_that_is_gone_is_told_and_one_from_nowhere_gets_what_is_there() {
    let dir = Dir::new();
    let bus = filled(&dir, 300);
    let store = store(&bus);
    store.prune(Retention::keep_last(100)).expect("prunes");
    let all = || EventQuery::new().limit(1_000);
    for query in [all(), all().newest_first(), all().plan("plan-1"), all().types(["ToolCalled"]).text("call")]
    {
        let told = store.query(query.clone().after(199)).expect_err("refused");
        assert_eq!((told.kind(), told.to_string()), (ErrorKind::Pruned, told_of(199, 201)));
        assert_eq!(store.query(query.clone().after(0)).expect_err("refused").kind(), ErrorKind::Pruned);
        let events = store.query(query.clone().after(200)).expect("reads");
        assert_eq!(events, store.query(query).expect("reads"));
        assert!(events.len() >= 33 && events.iter().all(|event| event.seq() > Some(200)));
    }
    assert_eq!(store.read_after(0, 10).expect_err("refused").kind(), ErrorKind::Pruned);
    assert_eq!(store.read_after(u64::MAX, 10).expect("reads"), [], "nothing is after the last seq");
    assert_eq!(store.query(all().after(u64::MAX)).expect("reads"), []);
    assert_eq!(store.list_by_plan("plan-1", None).expect("reads").len(), 33, "what is there");
    assert_eq!(store.plan("plan-1").expect("reads").expect("is there").events, 33);
}

#[test]
fn p10_a_prune_that_one_tenant_asks_for_is_one_of_the_whole_log_and_shows_nobody_anything() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    for number in 0..100 {
        let tenant = if number % 2 == 0 { "acme" } else { "default" };
        store.save(&event("plan", number).with_tenant(tenant)).expect("commits");
    }
    let acme = store.for_tenant("acme").expect("a tenant");
    assert_eq!(acme.prune(Retention::keep_last(10)).expect("prunes").removed, 90);
    for view in [&acme, &store] {
        let events = view.query(EventQuery::new()).expect("reads");
        assert_eq!(events.len(), 5);
        assert!(events.iter().all(|event| event.tenant() == view.tenant()));
    }
}
