//! P2: whichever call of the disk fails, and for however long, every answer is true.
//!
//! The Nth sync or write of a short run fails, for every N up to the run's end: once, a few times in a
//! row, and from then on. The run creates a store, publishes, and closes it; another meets a checkpoint.

#![cfg(all(feature = "sqlite", target_os = "linux"))]

mod fault_support;
mod store_support;

use std::path::Path;

use fault_support::{Fault, Manner, Spell, Swept, Told, Word, sweep};
use planbus::*;
use rusqlite::Connection;
use serde_json::json;
use store_support::*;

/// How often a patient child tries to open the store, and to publish an event, before it gives up:
/// more often than the disk fails in a row, unless it fails for good.
const TRIES: usize = 5;
/// How many threads a crowd has.
const PUBLISHERS: usize = 3;
/// The most calls of one kind in a run that is swept whole.
const CALLS_MAX: usize = 500;
/// With this many pages in the write-ahead log the first commit copies it into the database.
const DUE_PAGES: i64 = 4_000;

/// What is published by one call, in this order: one event, or several in one commit.
const REQUESTS: &[std::ops::Range<usize>] = &[0..1, 1..2, 2..6, 6..7, 7..10, 10..11];

/// The event of a number, the same in every process; the sixth is large.
fn numbered(number: usize) -> Event {
    let text = "x".repeat(if number == 6 { 30_000 } else { 200 });
    Event::new("plan", ToolCalled::new(format!("call-{number}"), "write", json!({"text": text})))
        .with_event_id(format!("01ARZ3NDEKTSV4RRFFQ69{number:05}").as_str())
}

fn requests() -> impl Iterator<Item = Vec<Event>> {
    REQUESTS.iter().map(|numbers| numbers.clone().map(numbered).collect())
}

/// The child: opens, publishes, closes, and tells each outcome; what failed it tries again.
#[test]
fn publisher() {
    let Some(path) = role("publisher") else { return };
    let opened = (0..TRIES)
        .find_map(|_| EventStore::open(&path).inspect_err(|error| println!("open {:?}", error.kind())).ok());
    let Some(store) = opened else {
        println!("done");
        return;
    };
    println!("open ok");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    match Manner::of_child() {
        Manner::Patient => publish(&bus, 0, 1, TRIES),
        Manner::Crowd => std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let bus = &bus;
                scope.spawn(move || publish(bus, publisher, PUBLISHERS, TRIES));
            }
        }),
        Manner::Careless => {
            publish(&bus, 0, 1, 1);
            println!("done");
            std::process::exit(0);
        }
    }
    match store.close() {
        Ok(()) => println!("close ok"),
        Err(error) => println!("close {:?}", error.kind()),
    }
    println!("done");
}

/// Publishes every so manieth request.
fn publish(bus: &EventBus, first: usize, step: usize, tries: usize) {
    for (number, events) in requests().enumerate().skip(first).step_by(step) {
        for _ in 0..tries {
            match bus.publish_all(events.clone()) {
                Ok(published) => {
                    println!("publish {number} ok {}", published[0].seq.expect("a seq"));
                    break;
                }
                Err(error) => println!("publish {number} {:?}", error.kind()),
            }
        }
    }
}

/// The child: leaves a write-ahead log that the next owner is to copy into the database at once.
#[test]
fn grower() {
    let Some(path) = role("grower") else { return };
    let store = EventStore::open(&path).expect("creates");
    let log = Connection::open(&path).expect("opens");
    for number in 1.. {
        store.save(&event("before", number)).expect("commits");
        let (pages, copied): (i64, i64) = log
            .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| Ok((row.get(1)?, row.get(2)?)))
            .expect("looks");
        if pages >= DUE_PAGES && copied < pages {
            println!("grown {number}");
            // Not closed: closing would copy it.
            std::process::exit(0);
        }
    }
}

/// Checks what the child told against what is there, once the disk works again; `before` events were
/// in the log when it started.
fn check(path: &Path, told: &Told, before: usize) {
    let store = EventStore::open(path).expect("opens on a disk that works");
    let events = check_dense(&store);
    let seq_of = |event: &Event| events.iter().find(|there| there.event_id() == event.event_id())?.seq();
    for (number, request) in requests().enumerate() {
        let seqs: Vec<Option<u64>> = request.iter().map(seq_of).collect();
        let first = seqs[0];
        let whole = (0..).zip(&seqs).all(|(at, seq)| *seq == first.map(|first| first + at));
        assert!(whole, "request {number}: all of it or nothing: {seqs:?}");
        match told.words.get(&number) {
            Some(Word::Saved(seq)) => assert_eq!(first, Some(*seq), "request {number} was acknowledged"),
            Some(Word::Refused) | None => assert_eq!(first, None, "request {number} failed for good"),
            Some(Word::Unknown) => {}
        }
        // Publishing again settles what was unknown, and changes nothing that was known.
        for (event, there) in request.iter().zip(seqs) {
            let saved = store.save(event).expect("the disk works");
            assert_eq!(saved.duplicate, there.is_some(), "request {number}");
            assert!(there.is_none_or(|seq| seq == saved.seq), "request {number}");
        }
    }
    let sent = REQUESTS.iter().map(ExactSizeIterator::len).sum::<usize>();
    assert_eq!(check_dense(&store).len(), before + sent, "each event once, and nobody else's");
    store.close().expect("closes");
    let left = path.with_file_name("planbus.db.creating");
    assert!(!left.exists(), "leftovers of a creation are removed");
}

/// The same, where the disk failed for a while only: then the child's own handle went on.
fn check_all_saved(path: &Path, told: &Told, before: usize) {
    let saved = told.words.values().filter(|word| matches!(word, Word::Saved(_))).count();
    assert_eq!(saved, REQUESTS.len(), "the same handle goes on");
    check(path, told, before);
}

/// Lets the Nth call fail for every N, in a run that creates the store. A crowd finds it there: the
/// thread that creates it makes far more calls than a publisher.
fn sweep_all(fault: Fault, spell: Spell) -> Swept {
    let prepare = |directory: &Path| {
        if fault.manner == Manner::Crowd {
            EventStore::open(directory.join("planbus.db")).and_then(|store| store.close()).expect("creates");
        }
        0
    };
    let is_careless = fault.manner == Manner::Careless;
    let check = if spell == Spell::Ever || is_careless { check } else { check_all_saved };
    let swept = sweep(fault, spell, 1..=CALLS_MAX, prepare, check);
    assert!(swept.is_whole, "no short run");
    swept
}

fn has_strace() -> bool {
    let has = has_program("strace", &["-V"]);
    if !has {
        println!("skipped: no strace to make the disk fail with");
    }
    has
}

#[test]
fn p2_every_answer_is_true_whichever_sync_fails() {
    if !has_strace() {
        return;
    }
    for spell in Spell::EACH {
        sweep_all(Fault::new("fsync", "EIO"), spell);
        let swept = sweep_all(Fault::new("fdatasync", "EIO"), spell);
        let told = if spell == Spell::Once { "publish Storage" } else { "publish Indeterminate" };
        assert!(swept.failures.contains(told), "{swept:?}");
    }
}

#[test]
fn p2_every_answer_is_true_whichever_write_fails() {
    if !has_strace() {
        return;
    }
    for spell in Spell::EACH {
        sweep_all(Fault::new("pwrite64", "EIO"), spell);
    }
}

#[test]
fn p2_every_answer_is_true_whichever_write_finds_the_disk_full() {
    if !has_strace() {
        return;
    }
    for spell in Spell::EACH {
        sweep_all(Fault::new("pwrite64", "ENOSPC"), spell);
    }
}

#[test]
fn p2_every_answer_is_true_whichever_change_of_a_name_or_a_length_fails() {
    if !has_strace() {
        return;
    }
    for call in ["rename", "unlink", "ftruncate"] {
        for spell in Spell::EACH {
            sweep_all(Fault::new(call, "EIO"), spell);
        }
    }
}

#[test]
fn p2_every_answer_is_true_when_the_disk_fails_a_crowd_of_publishers() {
    if !has_strace() {
        return;
    }
    for (call, error) in [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")] {
        for spell in [Spell::Once, Spell::Ever] {
            sweep_all(Fault::new(call, error).with_manner(Manner::Crowd), spell);
        }
    }
}

#[test]
fn p2_an_event_that_failed_for_good_is_not_in_the_log_after_a_recovery() {
    if !has_strace() {
        return;
    }
    for (call, error) in [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")] {
        for spell in [Spell::Once, Spell::Thrice] {
            sweep_all(Fault::new(call, error).with_manner(Manner::Careless), spell);
        }
    }
}

#[test]
fn p2_a_checkpoint_that_fails_fails_no_publisher_and_every_answer_is_true() {
    if !has_strace() {
        return;
    }
    let grown = memory_dir();
    let output = child("grower", &grown.path().join("planbus.db")).output().expect("starts");
    let told = String::from_utf8(output.stdout).expect("text");
    let events = told.lines().find_map(|line| line.strip_prefix("grown ")?.parse().ok());
    let events: usize = events.unwrap_or_else(|| panic!("{told}"));
    let copy = |directory: &Path| {
        for name in ["planbus.db", "planbus.db-wal"] {
            std::fs::copy(grown.path().join(name), directory.join(name)).expect("copies");
        }
        events
    };
    for spell in Spell::EACH {
        let check = if spell == Spell::Ever { check } else { check_all_saved };
        let swept = sweep(Fault::new("fdatasync", "EIO"), spell, 1..=CALLS_MAX, copy, check);
        // The sync of the write-ahead log, and that of the database.
        assert!(swept.is_whole && (swept.unnoticed >= 2 || spell != Spell::Once), "{swept:?}");
        for error in ["EIO", "ENOSPC"] {
            // The first commit writes ten pages or so, then about eighty are copied.
            let swept = sweep(Fault::new("pwrite64", error), spell, (1..130).step_by(6), copy, check);
            assert!(swept.unnoticed >= 10 || spell != Spell::Once, "{swept:?}");
        }
    }
}
