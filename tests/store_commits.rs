//! The figures of commits: every event that was added is in them, and nothing else.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{thread, time::Instant};

use planbus::*;
use serde_json::json;
use store_support::*;

#[test]
fn every_event_that_publishers_add_is_counted_once_and_no_time_twice() {
    const PUBLISHERS: usize = 8;
    const EACH: usize = 50;
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let begun = Instant::now();
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let store = &store;
            scope.spawn(move || {
                for number in 0..EACH {
                    store.save(&event(&format!("plan-{publisher}"), number)).expect("commits");
                }
            });
        }
    });
    let elapsed = begun.elapsed().as_secs_f64();
    let commits = store.commit_stats();
    let all = (PUBLISHERS * EACH) as u64;
    assert_eq!((commits.events.sum, commits.failed), (all as f64, 0));
    assert_eq!(commits.events.count, commits.seconds.count, "a commit has a size and a time");
    assert!((1..=all).contains(&commits.seconds.count), "{commits:?}");
    // One at a time: together they took no longer than all of it.
    assert!(commits.seconds.sum > 0.0 && commits.seconds.sum <= elapsed, "{commits:?} in {elapsed} s");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    bus.publish_all((0..30).map(|number| event("plan", number))).expect("commits");
    let after = store.commit_stats();
    assert_eq!(after.events.count, commits.events.count + 1);
    let of_30 =
        |stats: &CommitStats| stats.events.buckets.iter().find(|(most, _)| *most == 50.0).map(|(_, n)| *n);
    assert_eq!(of_30(&after), of_30(&commits).map(|count| count + 1));
}

#[test]
fn what_adds_no_event_is_no_commit_and_what_only_the_event_is_to_blame_for_no_failure() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    let first = event("plan", 1);
    store.save(&event("plan", 0)).expect("commits");
    store.save(&first).expect("commits");
    let before = store.commit_stats();
    assert_eq!((before.seconds.count, before.events.sum), (2, 2.0));
    assert!(store.save(&first).expect("is there").duplicate);
    let other = Event::new("plan", PlanStarted::new("other")).with_event_id(first.event_id());
    assert_eq!(store.save(&other).expect_err("conflicts").kind(), ErrorKind::Conflict);
    store.save_cursor("billing", 1).expect("saves");
    assert_eq!(store.prune(Retention::keep_last(1)).expect("prunes").removed, 1);
    assert_eq!(store.commit_stats(), before);
    let reader = EventStore::open_read_only(dir.db()).expect("opens");
    let nothing = reader.commit_stats();
    assert_eq!((nothing.seconds.count, nothing.events.count, nothing.failed), (0, 0, 0));
    assert_eq!(nothing.seconds.buckets.len(), before.seconds.buckets.len(), "the same buckets");
    store.close().expect("closes");
    assert_eq!(store.commit_stats(), before, "still told of a store that is closed");
}

#[test]
fn a_commit_that_the_disk_refuses_is_counted_as_failed() {
    let dir = Dir::new();
    let store = EventStore::options().max_bytes(1 << 20).open(dir.db()).expect("opens");
    let large = |number: usize| {
        let text = json!({"text": "x".repeat(50_000)});
        Event::new("plan", ToolCalled::new(format!("call-{number}"), "write", text))
    };
    let (mut added, mut number) = (0, 0);
    let error = loop {
        number += 1;
        match store.save(&large(number)) {
            Ok(_) => added += 1,
            Err(error) => break error,
        }
        assert!(number < 1_000, "the disk is never full");
    };
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    let commits = store.commit_stats();
    assert_eq!(
        (commits.failed, commits.events.sum, commits.seconds.count),
        (1, f64::from(added), added as u64)
    );
}
