//! What one commit promises to each of its publishers, and the order of the log.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    collections::HashSet,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use planbus::*;
use serde_json::json;
use store_support::*;

fn opened(dir: &Dir) -> EventStore {
    EventStore::open(dir.db()).expect("opens")
}

#[test]
fn an_event_id_with_the_same_content_is_a_duplicate_and_with_other_content_a_conflict() {
    let dir = Dir::new();
    let store = opened(&dir);
    let first = event("plan", 1).with_source("planner");
    assert_eq!(store.save(&first).map(|saved| (saved.seq, saved.duplicate)).expect("commits"), (1, false));
    store.save(&event("plan", 2)).expect("commits");
    let again = first.clone().with_priority(Priority::High).with_timestamp("2020-01-01T00:00:00Z");
    assert_eq!(
        store.save(&again).map(|saved| (saved.seq, saved.duplicate)).expect("same content"),
        (1, true)
    );
    let others = [
        first.clone().with_source("reviewer"),
        first.clone().with_tenant("acme"),
        event("other", 1).with_event_id(first.event_id()).with_source("planner"),
        event("plan", 3).with_event_id(first.event_id()).with_source("planner"),
        Event::raw("plan", "ToolCompleted", first.payload_json().expect("text"))
            .with_event_id(first.event_id())
            .with_source("planner"),
    ];
    for other in others {
        let error = store.save(&other).expect_err("other content");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains(&first.event_id().to_string()), "{error}");
    }
    assert_eq!(check_dense(&store).len(), 2, "a refused row burns no seq");
    assert_eq!(store.save(&event("plan", 4)).expect("commits").seq, 3);
}

#[test]
fn a_duplicate_that_was_refused_burns_no_seq_across_a_restart() {
    let dir = Dir::new();
    let store = opened(&dir);
    let first = event("plan", 1);
    store.save(&first).expect("commits");
    assert!(store.save(&first).expect("duplicate").duplicate);
    store.close().expect("closes");
    assert_eq!(opened(&dir).save(&event("plan", 2)).expect("commits").seq, 2);
}

#[test]
fn several_events_are_committed_all_or_none() {
    let dir = Dir::new();
    let store = opened(&dir);
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let known = event("plan", 0);
    bus.publish(known.clone()).expect("commits");
    let conflict = event("plan", 9).with_event_id(known.event_id());
    let error = bus.publish_all([event("plan", 1), event("plan", 2), conflict]).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(store.head().expect("reads"), 1, "none of them");
    let twice = event("plan", 3);
    let published = bus.publish_all([known, twice.clone(), twice, event("plan", 4)]).expect("commits");
    let told: Vec<_> = published.iter().map(|one| (one.seq, one.duplicate)).collect();
    assert_eq!(told, [(Some(1), true), (Some(2), false), (Some(2), true), (Some(3), false)]);
    check_dense(&store);
}

#[test]
fn one_bad_request_among_many_fails_alone() {
    let dir = Dir::new();
    let store = opened(&dir);
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let known = event("plan", 0);
    bus.publish(known.clone()).expect("commits");
    const PUBLISHERS: usize = 16;
    const ROUNDS: usize = 20;
    let barrier = Barrier::new(PUBLISHERS);
    let (kept, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (bus, barrier, known, kept, refused, wrong) =
                (&bus, &barrier, &known, &kept, &refused, &wrong);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let number = 1 + round * PUBLISHERS + publisher;
                    let mut events = vec![event("plan", number), event("plan", number + 100_000)];
                    if publisher % 4 == 0 {
                        // Refused after a row of it was written.
                        events.push(event("plan", number).with_event_id(known.event_id()));
                    }
                    barrier.wait();
                    match bus.publish_all(events) {
                        Ok(published) => kept.fetch_add(published.len(), Ordering::Relaxed),
                        Err(error) if error.kind() == ErrorKind::Conflict && publisher % 4 == 0 => {
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        // Told after all have met: a panic here would leave the others waiting.
                        Err(error) => {
                            wrong.lock().expect("no publisher panics").push(error);
                            0
                        }
                    };
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no publisher panics");
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(refused.into_inner(), ROUNDS * PUBLISHERS / 4);
    let kept = kept.into_inner();
    assert_eq!(kept, ROUNDS * PUBLISHERS * 3 / 4 * 2);
    assert_eq!(check_dense(&store).len(), 1 + kept);
}

#[test]
fn an_event_that_is_wrong_or_too_large_never_reaches_the_log() {
    let dir = Dir::new();
    let store = EventStore::options().payload_max_bytes(1_000).open(dir.db()).expect("opens");
    let error = store.save(&event("", 1)).expect_err("no plan id");
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().starts_with("plan_id"), "{error}");
    let large = Event::untyped("plan", "note", json!({"text": "x".repeat(1_000)}));
    let error = store.save(&large).expect_err("too large");
    assert!(error.kind() == ErrorKind::TooLarge && error.to_string().starts_with("payload"), "{error}");
    assert_eq!(store.head().expect("reads"), 0);
}

#[test]
fn a_saved_event_is_filled_in_and_read_back_as_it_was() {
    let dir = Dir::new();
    let store = opened(&dir);
    let plain = event("plan", 1);
    let cause = EventId::generate();
    let full = event("plan", 2)
        .with_tenant("acme")
        .with_source("b")
        .with_call_chain(["a", "b"])
        .with_correlation_id("root")
        .with_causation_id(cause)
        .with_trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .with_priority(Priority::Critical)
        .with_context_ref("file:///a")
        .with_schema_version(7)
        .with_timestamp("1969-07-20T20:17:40.000001Z");
    store.save(&plain).expect("commits");
    store.save(&full).expect("commits");
    let read = store.get(plain.event_id()).expect("reads").expect("is there");
    assert_eq!(read.correlation_id().map(CorrelationId::as_str), Some("plan"), "its plan by default");
    assert!(read.recorded_at().is_some());
    let read =
        store.for_tenant("acme").expect("a tenant").get(full.event_id()).expect("reads").expect("is there");
    assert_eq!(
        read.to_json().expect("writes"),
        full.to_json().expect("writes").replacen('{', "{\"seq\":2,", 1).replacen(
            "\"tenant\"",
            &format!("\"recorded_at\":\"{}\",\"tenant\"", read.recorded_at().expect("stored")),
            1
        )
    );
}

#[test]
fn p6_the_log_is_dense_and_in_order_however_many_publish() {
    const PUBLISHERS: usize = 32;
    const EACH: usize = 3_125;
    let dir = Dir::new();
    // Order does not depend on syncing, and a hundred thousand events take long with it.
    let store = EventStore::options().durability(Durability::Process).open(dir.db()).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    let follower = {
        let mut tail = bus.tail(Filter::all(), Start::Beginning).expect("a tail");
        std::thread::spawn(move || {
            let mut seqs = Vec::new();
            while let Some(event) = tail.next_timeout(LIMIT).expect("reads") {
                seqs.push(event.seq().expect("stored"));
                if event.event_type().as_str() == "last" {
                    break;
                }
            }
            (seqs, tail.cursor())
        })
    };
    // Every tenth event is published by two threads under the same id.
    let shared: Arc<Vec<Event>> = Arc::new((0..EACH / 10).map(|number| event("shared", number)).collect());
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (bus, shared) = (&bus, &shared);
            scope.spawn(move || {
                let mut last = 0;
                for number in 0..EACH {
                    let event = match number % 10 {
                        0 if number / 10 < shared.len() => shared[number / 10].clone(),
                        _ => event(&format!("plan-{publisher}"), number),
                    };
                    let published = bus.publish(event).expect("commits");
                    let seq = published.seq.expect("stored");
                    assert!(published.duplicate || seq > last, "a publisher's own events are in its order");
                    last = last.max(seq);
                }
            });
        }
    });
    bus.publish(Event::untyped("plan", "last", json!({}))).expect("commits");
    let (seqs, cursor) = follower.join().expect("no panic");
    let head = store.head().expect("reads");
    let distinct = PUBLISHERS * (EACH - shared.len()) + shared.len() + 1;
    assert_eq!(head, distinct as u64);
    assert_eq!((seqs, cursor), ((1..=head).collect(), Some(head)), "the tail missed and doubled nothing");
    bus.close();
    store.close().expect("closes");
    drop((bus, store));
    let store = opened(&dir);
    assert_eq!(check_dense(&store).len(), distinct);
    let bus = EventBus::builder().store(store).build().expect("builds");
    let mut tail = bus.tail(Filter::all(), Start::After(head / 2)).expect("a tail");
    let mut next = head / 2;
    while let Some(event) = tail.next_timeout(Duration::ZERO).expect("reads") {
        next += 1;
        assert_eq!(event.seq(), Some(next));
    }
    assert_eq!(next, head, "a restart changes nothing for a cursor");
}

#[test]
fn closing_lets_running_commits_end_and_refuses_later_ones() {
    let dir = Dir::new();
    let store = opened(&dir);
    let saved = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for publisher in 0..8 {
            let (store, saved) = (&store, &saved);
            scope.spawn(move || {
                for number in 0.. {
                    match store.save(&event(&format!("plan-{publisher}"), number)) {
                        Ok(_) => saved.fetch_add(1, Ordering::SeqCst),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Closed, "{error:?}");
                            return;
                        }
                    };
                }
            });
        }
        wait_until("some events are committed", || saved.load(Ordering::SeqCst) > 50);
        store.close().expect("closes");
        store.close().expect("closing again does nothing");
    });
    assert_eq!(store.head().expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(check_dense(&opened(&dir)).len(), saved.into_inner());
}

#[test]
fn the_chain_is_what_its_specification_says() {
    if !has_program("python3", &["-c", "import sqlite3, hashlib"]) {
        println!("skipped: no python3 to verify the chain with");
        return;
    }
    let dir = Dir::new();
    let store = opened(&dir);
    for number in 0..20 {
        let event = event("plän", number).with_context_ref("ü");
        store
            .save(&if number % 2 == 0 {
                event
            } else {
                event.with_source("agent").with_call_chain(["agent"])
            })
            .expect("commits");
    }
    let script = r#"
import hashlib, sqlite3, struct, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
def field(v):
    if v is None: return b"\xff" * 8
    if isinstance(v, int): return struct.pack(">Qq", 8, v)
    b = v.encode(); return struct.pack(">Q", len(b)) + b
meta = dict(db.execute("SELECT key, value FROM store_meta"))
chain = hashlib.sha256(b"planbus chain v1\n" + meta["store_id"].encode()).digest()
assert chain == meta["chain_anchor"]
rows = list(db.execute("SELECT * FROM plan_events ORDER BY id"))
for row in rows:
    chain = hashlib.sha256(chain + b"".join(map(field, row[:-1]))).digest()
    assert chain == row[-1], row
assert len(rows) == 20
"#;
    let run =
        std::process::Command::new("python3").args(["-c", script]).arg(dir.db()).status().expect("runs");
    assert!(run.success());
    let chains: HashSet<Vec<u8>> = rusqlite::Connection::open(dir.db())
        .expect("opens")
        .prepare("SELECT chain FROM plan_events")
        .and_then(|mut rows| rows.query_map([], |row| row.get(0))?.collect())
        .expect("reads");
    assert_eq!(chains.len(), 20);
}
