//! Tails of a store: in the owner's process and in others, at any start, through any filter.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    io::{BufRead, BufReader},
    sync::mpsc,
    time::{Duration, Instant},
};

use planbus::*;
use serde_json::json;
use store_support::*;

fn bus(dir: &Dir) -> EventBus {
    EventBus::builder().store(EventStore::open(dir.db()).expect("opens")).build().expect("builds")
}

fn reader_bus(dir: &Dir) -> EventBus {
    EventBus::builder().store(EventStore::open_read_only(dir.db()).expect("opens")).build().expect("builds")
}

fn next(tail: &mut Tail) -> u64 {
    tail.next_timeout(LIMIT).expect("reads").expect("comes in time").seq().expect("stored")
}

/// All that is there.
fn rest(tail: &mut Tail) -> Vec<u64> {
    std::iter::from_fn(|| tail.next_timeout(Duration::ZERO).expect("reads"))
        .filter_map(|event| event.seq())
        .collect()
}

#[test]
fn a_tail_begins_where_it_is_told_and_says_where_it_cannot() {
    let dir = Dir::new();
    let bus = bus(&dir);
    let events: Vec<Event> = (0..5).map(|number| event("plan", number)).collect();
    bus.publish_all(events.clone()).expect("commits");
    bus.publish(event("plan", 9).with_tenant("acme")).expect("commits");
    let from = |start| rest(&mut bus.tail(Filter::all(), start).expect("a tail"));
    assert_eq!(from(Start::Beginning), [1, 2, 3, 4, 5, 6]);
    assert_eq!(from(Start::After(0)), [1, 2, 3, 4, 5, 6]);
    assert_eq!(from(Start::After(4)), [5, 6]);
    assert_eq!(from(Start::After(6)), [0; 0]);
    assert_eq!(from(Start::Now), [0; 0]);
    assert_eq!(from(Start::AfterEvent(events[2].event_id())), [4, 5, 6]);
    let kind = |filter, start| bus.tail(filter, start).map(drop).expect_err("refused").kind();
    assert_eq!(kind(Filter::all(), Start::After(7)), ErrorKind::InvalidInput);
    assert_eq!(kind(Filter::all(), Start::After(u64::MAX)), ErrorKind::InvalidInput);
    assert_eq!(kind(Filter::all(), Start::AfterEvent(EventId::generate())), ErrorKind::NotFound);
    let foreign = Start::AfterEvent(events[2].event_id());
    assert_eq!(kind(Filter::all().tenant("acme"), foreign), ErrorKind::NotFound, "as an unknown one");
}

#[test]
fn a_filtered_tail_returns_exactly_what_matches_and_its_cursor_passes_the_rest() {
    let dir = Dir::new();
    let bus = bus(&dir);
    let many: Vec<Event> = (0..3_000)
        .map(|number| match number % 1_000 {
            999 => event("rare", number).with_priority(Priority::High),
            _ => event(&format!("plan-{}", number % 7), number),
        })
        .collect();
    bus.publish_all(many).expect("commits");
    let mut tail = bus.tail(Filter::all().plan("rare"), Start::Beginning).expect("a tail");
    assert_eq!(rest(&mut tail), [1_000, 2_000, 3_000]);
    assert_eq!(tail.cursor(), Some(3_000));
    let mut tail = bus.tail(Filter::all().min_priority(Priority::High), Start::Beginning).expect("a tail");
    assert_eq!(next(&mut tail), 1_000);
    assert_eq!(tail.cursor(), Some(1_000));
    assert_eq!(rest(&mut tail), [2_000, 3_000]);
    bus.publish(event("plan-1", 1)).expect("commits");
    assert_eq!(rest(&mut tail), [0; 0]);
    assert_eq!(tail.cursor(), Some(3_001), "what does not match was examined");
    let mut of_plan = bus.tail(Filter::all().plan("plan-3"), Start::After(2_990)).expect("a tail");
    assert_eq!(rest(&mut of_plan), [2_993]);
}

#[test]
fn a_waiting_tail_is_woken_by_a_commit_and_by_closing() {
    let dir = Dir::new();
    let bus = bus(&dir);
    std::thread::scope(|scope| {
        let (told, heard) = std::sync::mpsc::channel();
        let mut tail = bus.tail(Filter::all(), Start::Now).expect("a tail");
        scope.spawn(move || {
            for event in &mut tail {
                told.send(event.expect("reads").seq()).expect("heard");
            }
        });
        for number in 1..=20 {
            bus.publish(event("plan", number)).expect("commits");
            assert_eq!(heard.recv_timeout(LIMIT).expect("woken"), Some(number as u64));
        }
        let start = Instant::now();
        bus.close();
        assert!(heard.recv_timeout(LIMIT).is_err(), "the iterator ended");
        assert!(start.elapsed() < LIMIT);
    });
}

#[test]
fn closing_the_store_ends_a_waiting_tail() {
    let dir = Dir::new();
    let bus = bus(&dir);
    let mut tail = bus.tail(Filter::all(), Start::Now).expect("a tail");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || tail.next_timeout(LIMIT));
        bus.store().expect("built with one").close().expect("closes");
        assert_eq!(waiting.join().expect("no panic").expect_err("closed").kind(), ErrorKind::Closed);
    });
}

/// The child: publishes as many events as it is told by lines, one commit each, and then leaves.
#[test]
fn publisher() {
    let Some(path) = role("publisher") else { return };
    let store = EventStore::open(path).expect("opens");
    for number in 0..500 {
        store.save(&event("plan", number)).expect("commits");
    }
    println!("published");
    store.save(&Event::untyped("plan", "last", json!({}))).expect("commits");
    store.close().expect("closes");
}

#[test]
fn a_tail_in_another_process_misses_nothing_across_owners() {
    let dir = Dir::new();
    bus(&dir).close();
    let readers = reader_bus(&dir);
    let mut tail = readers.tail(Filter::all(), Start::Now).expect("a tail");
    let mut of_type = readers.tail(Filter::all().types(["last"]), Start::Now).expect("a tail");
    let mut seq = 0;
    for _owner in 0..3 {
        let mut child = Killed(child("publisher", &dir.db()).spawn().expect("starts"));
        for _ in 0..501 {
            seq += 1;
            assert_eq!(next(&mut tail), seq);
        }
        assert_eq!(next(&mut of_type), seq);
        // To the end: a child whose output nobody reads fails.
        let told = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        let told: Vec<String> = told.collect::<Result<_, _>>().expect("a pipe");
        assert!(told.iter().any(|line| line == "published"));
        assert!(child.0.wait().expect("ends").success());
    }
    assert_eq!(tail.cursor(), Some(1_503));
    drop((tail, of_type, readers));
    assert_eq!(check_dense(&EventStore::open(dir.db()).expect("opens")).len(), 1_503);
}

#[test]
fn a_reader_in_the_owners_process_follows_too() {
    let dir = Dir::new();
    let owner = bus(&dir);
    let readers = reader_bus(&dir);
    let mut tail = readers.tail(Filter::all(), Start::Now).expect("a tail");
    for number in 1..=50 {
        owner.publish(event("plan", number)).expect("commits");
        assert_eq!(next(&mut tail), number as u64);
    }
    drop(owner);
    let owner = bus(&dir);
    owner.publish(event("plan", 51)).expect("the next owner commits");
    assert_eq!(next(&mut tail), 51);
}

#[test]
fn p6_what_a_tail_is_handed_is_what_the_log_holds() {
    let dir = Dir::new();
    let bus = bus(&dir);
    let mut tail = bus.tail(Filter::all(), Start::Now).expect("a tail");
    let decided = DecisionMade::new("split in four");
    let full = Event::new("plan-7", decided.clone())
        .with_tenant("acme")
        .with_source("planner")
        .with_call_chain(["root", "planner"])
        .with_correlation_id("plan-1")
        .with_causation_id(EventId::generate())
        .with_priority(Priority::High)
        .with_timestamp("2026-11-21T01:02:03.123456789+02:00");
    let raw = Event::raw("plan", "note", "{ \"a\": 1.50,\n \"b\": 1e400, \"c\": \"\\u00e9\" }");
    let once = event("plan", 1);
    bus.publish(full.clone()).expect("commits");
    bus.publish_all([raw, once.clone(), Event::new("plan", decided)]).expect("commits");
    assert!(bus.publish(once).expect("was there").duplicate);
    bus.publish(Event::new("", PlanStarted::new("a goal"))).expect_err("is refused");
    bus.publish(event("plan", 2)).expect("commits");
    // Another's tail has nobody to be handed anything by.
    let mut read = reader_bus(&dir).tail(Filter::all(), Start::Beginning).expect("a tail");
    for seq in 1..=5 {
        let take = |tail: &mut Tail| tail.next_timeout(LIMIT).expect("reads").expect("comes in time");
        let (handed, read) = (take(&mut tail), take(&mut read));
        assert_eq!((handed.seq(), &handed), (Some(seq), &read));
        assert_eq!(handed.to_json().expect("JSON"), read.to_json().expect("JSON"));
    }
    assert_eq!(rest(&mut tail), [0; 0]);
}

#[test]
fn p6_a_tail_that_rests_now_and_then_beside_many_publishers_has_all_once_and_in_order() {
    const PUBLISHERS: usize = 4;
    const EVENTS: usize = 600;
    let dir = Dir::new();
    let bus = bus(&dir);
    let mut tail = bus.tail(Filter::all(), Start::Now).expect("a tail");
    std::thread::scope(|scope| {
        for _ in 0..PUBLISHERS {
            scope.spawn(|| {
                for number in 0..EVENTS {
                    bus.publish(event("plan", number)).expect("commits");
                }
            });
        }
        let all = (PUBLISHERS * EVENTS) as u64;
        for seq in 1..=all {
            assert_eq!(next(&mut tail), seq);
            if seq % 500 == 0 {
                // Falls behind what is handed on.
                let store = bus.store().expect("built with one");
                wait_until("much was published", || {
                    store.stats().expect("reads").last_seq >= (seq + 400).min(all)
                });
            }
        }
    });
    assert_eq!(rest(&mut tail), [0; 0]);
}

/// Publishes when it ends, so that whoever drops it while it commits waits for itself.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Parting {
    text: String,
    #[serde(skip)]
    bus: Option<EventBus>,
}

impl Payload for Parting {
    const EVENT_TYPE: EventType = EventType::from_static("test.parting");
}

impl Drop for Parting {
    fn drop(&mut self) {
        if let Some(bus) = self.bus.take() {
            bus.publish(event("parted", 0)).expect("commits");
        }
    }
}

#[test]
fn a_payload_may_publish_when_nothing_keeps_it_for_tails_any_more() {
    const EVENTS: u64 = 20;
    let dir = Dir::new();
    let bus = bus(&dir);
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let tail = bus.tail(Filter::all(), Start::Now).expect("a tail");
        for _ in 0..EVENTS {
            // A few of these are all that is kept.
            let parting = Parting { text: "x".repeat(200 << 10), bus: Some(bus.clone()) };
            bus.publish(Event::new("plan", parting)).expect("commits");
        }
        drop(tail);
        let stats = bus.store().expect("built with one").stats().expect("reads");
        done.send(stats.last_seq).expect("is waited for");
    });
    assert_eq!(is_done.recv_timeout(LIMIT), Ok(2 * EVENTS));
}
