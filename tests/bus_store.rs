//! What a bus with a store promises: P1, P2, P3, P6 and P10 as a publisher and a reader see them.

#![cfg(feature = "sqlite")]
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use planbus::{testing::Recorder, *};
use serde_json::json;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);

/// A folder for a store, and the store's path.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("planbus.db");
    (folder, path)
}

fn open(path: &PathBuf) -> EventBus {
    EventBus::builder().store(EventStore::open(path).expect("opens")).build().expect("a bus")
}

fn started(plan: &str) -> Event {
    Event::new(plan, PlanStarted::new("goal"))
}

#[test]
fn p3_an_event_is_in_the_log_before_its_first_handler_runs() {
    let (_folder, path) = place();
    let bus = open(&path);
    let reader = EventStore::open_read_only(&path).expect("opens for reading");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let _sub = bus
        .subscribe(Filter::all(), move |event: &Event| {
            let stored = reader.get(event.event_id()).expect("reads");
            noted.lock().expect("not poisoned").push((event.seq(), stored.as_ref() == Some(event)));
        })
        .expect("subscribes");
    for _ in 0..20 {
        bus.publish(started("p")).expect("publishes");
    }
    let expected: Vec<_> = (1..=20).map(|seq| (Some(seq), true)).collect();
    assert_eq!(*seen.lock().expect("not poisoned"), expected);
}

#[test]
fn p2_a_refused_event_is_in_no_log_and_reaches_no_handler() {
    let (_folder, path) = place();
    let bus = open(&path);
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    let id = EventId::generate();
    bus.publish(started("p").with_event_id(id)).expect("publishes");
    let refused = [
        (Event::new("", PlanStarted::new("x")), ErrorKind::InvalidInput),
        (Event::raw("p", "t", "[]"), ErrorKind::InvalidInput),
        (
            Event::new("p", ToolCalled::new("c", "t", json!("x".repeat(PAYLOAD_MAX_BYTES)))),
            ErrorKind::TooLarge,
        ),
        (
            Event::raw("p", "t", format!("{{\"a\":\"{}\"}}", "x".repeat(PAYLOAD_MAX_BYTES))),
            ErrorKind::TooLarge,
        ),
        (started("other").with_event_id(id), ErrorKind::Conflict),
    ];
    for (event, kind) in refused {
        let event_id = event.event_id();
        assert_eq!(bus.publish(event.clone()).expect_err("refused").kind(), kind);
        let batch = [started("p"), event];
        assert_eq!(bus.publish_all(batch).expect_err("refused as a whole").kind(), kind);
        assert!(event_id == id || bus.store().expect("a store").get(event_id).expect("reads").is_none());
    }
    assert_eq!((recorder.events().len(), bus.store().expect("a store").head().expect("reads")), (1, 1));
}

#[test]
fn p6_a_duplicate_keeps_its_seq_and_is_delivered_to_nobody() {
    let (_folder, path) = place();
    let bus = open(&path);
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    let event = started("p");
    let first = bus.publish(event.clone()).expect("publishes");
    bus.publish(started("q")).expect("publishes");
    let again = bus.publish(event.clone().with_timestamp("2020-01-01T00:00:00Z")).expect("known");
    assert_eq!((again.seq, again.duplicate, again.delivered), (first.seq, true, 0));
    let batch = bus.publish_all([started("r"), event, started("s")]).expect("publishes");
    assert_eq!(batch.iter().map(|one| one.seq).collect::<Vec<_>>(), [Some(3), Some(1), Some(4)]);
    assert_eq!(recorder.events().len(), 4);
}

#[test]
fn p6_a_tail_replays_then_follows_with_no_gap_and_no_duplicate_across_restarts() {
    let (_folder, path) = place();
    let mut cursor = 0;
    for round in 0..3_u64 {
        let bus = open(&path);
        let mut tail = bus.tail(Filter::all(), Start::After(cursor)).expect("opens");
        thread::scope(|threads| {
            for publisher in 0..4 {
                let bus = &bus;
                threads.spawn(move || {
                    for _ in 0..50 {
                        bus.publish(started(&format!("p{publisher}"))).expect("publishes");
                    }
                });
            }
            for expected in cursor + 1..=(round + 1) * 200 {
                let event = tail.next_timeout(SOON).expect("reads").expect("an event");
                assert_eq!(event.seq(), Some(expected));
            }
        });
        cursor = tail.cursor().expect("a log");
        assert_eq!(cursor, (round + 1) * 200);
    }
}

#[test]
fn p6_a_waiting_tail_ends_when_the_bus_closes_after_giving_everything() {
    let (_folder, path) = place();
    let bus = open(&path);
    let tail = bus.tail(Filter::all().types(["PlanStarted"]), Start::Beginning).expect("opens");
    let reader = thread::spawn(move || tail.map(|event| event.expect("reads").seq()).collect::<Vec<_>>());
    for _ in 0..10 {
        bus.publish(started("p")).expect("publishes");
        bus.publish(Event::untyped("p", "other", json!({}))).expect("publishes");
    }
    bus.close();
    assert_eq!(reader.join().expect("no panic"), (0..10).map(|n| Some(2 * n + 1)).collect::<Vec<_>>());
    assert_eq!(bus.tail(Filter::all(), Start::Now).expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(bus.store().expect("a store").head().expect("still open for queries"), 20);
}

#[test]
fn p10_a_tenants_reader_never_gets_another_tenants_event() {
    let (_folder, path) = place();
    let bus = open(&path);
    let tenants = ["default", "t1", "t10", "T1", "t_", "t."];
    let recorders: Vec<Recorder> = tenants
        .iter()
        .map(|tenant| Recorder::start(&bus, Filter::all().tenant(*tenant).plan("plan-7")).expect("records"))
        .collect();
    let default_plan = Recorder::start(&bus, Filter::all().plan("plan-7")).expect("records");
    for tenant in tenants {
        let run = bus.plan("plan-7").tenant(tenant).start(json!({"goal": tenant})).expect("starts");
        run.tool("t", json!({"canary": tenant}), || Ok::<_, String>(())).expect("runs");
        run.subplan("child", json!({})).expect("spawns").complete(json!({})).expect("completes");
        run.complete(json!({})).expect("completes");
    }
    let store = bus.store().expect("a store");
    for (tenant, recorder) in tenants.iter().zip(&recorders) {
        let own = |events: &[Event]| events.iter().all(|event| event.tenant().as_str() == *tenant);
        assert_eq!((recorder.events().len(), own(&recorder.events())), (6, true), "{tenant}");
        let theirs = store.for_tenant(*tenant).expect("a tenant");
        let lists = [
            theirs.list_by_plan("plan-7", None).expect("reads"),
            theirs.query(EventQuery::new().plan("plan-7")).expect("reads"),
            theirs.query(EventQuery::new()).expect("reads"),
        ];
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6, 8], "{tenant}");
        assert!(lists.iter().all(|events| own(events)), "{tenant}");
        assert_eq!(theirs.plans(PlanQuery::new()).expect("reads").len(), 2);
        assert_eq!(theirs.plan_tree("plan-7").expect("reads").children.len(), 1);
        for event in store.read_after(0, 1_000).expect("reads") {
            let found = theirs.get(event.event_id()).expect("reads");
            assert_eq!(found.is_some(), event.tenant().as_str() == *tenant);
        }
        let mut tail = bus.tail(Filter::all().tenant(*tenant), Start::Beginning).expect("opens");
        let mut seen = Vec::new();
        while let Some(event) = tail.next_timeout(Duration::ZERO).expect("reads") {
            seen.push(event);
        }
        assert_eq!((seen.len(), own(&seen)), (8, true), "{tenant}");
    }
    assert_eq!(default_plan.events().len(), 6, "a plan without a tenant is the default tenant's");
    for hostile in ["%", "t%", "*", "' or 1=1 --", "t1:", "{t1}", "", "t1\n"] {
        assert_eq!(
            store.for_tenant(hostile).expect_err("no name").kind(),
            ErrorKind::InvalidInput,
            "{hostile}"
        );
    }
    let text = store.for_tenant("t1").expect("a tenant").query(EventQuery::new().text("%")).expect("reads");
    assert!(text.is_empty(), "a wildcard is a text like any other");
}

#[test]
fn redacted_secrets_are_in_no_file_of_the_store() {
    let (folder, path) = place();
    let store = EventStore::open(&path).expect("opens");
    let bus = EventBus::builder()
        .store(store)
        .redact(|draft| draft.mask("/arguments/token").map(drop))
        .build()
        .expect("a bus");
    let canary = "canary-5up3r-s3cr3t";
    bus.publish(Event::new("p", ToolCalled::new("c", "login", json!({"token": canary})))).expect("publishes");
    for entry in std::fs::read_dir(folder.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("reads");
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{path:?}");
    }
}

#[test]
fn p5_handlers_of_a_durable_bus_publish_subscribe_and_tail_from_many_threads() {
    let (_folder, path) = place();
    let bus = open(&path);
    let handle = bus.clone();
    let _nested = bus
        .subscribe(Filter::all().types(["outer"]), move |event: &Event| {
            let sub = handle.subscribe(Filter::all().plan("q"), |_: &Event| ()).expect("subscribes");
            let inner = Event::untyped(event.plan_id(), "inner", json!({}));
            let published = handle.publish(inner).expect("publishes");
            assert!(published.seq > event.seq(), "a nested event comes after its cause in the log");
            drop(sub);
            let mut tail =
                handle.tail(Filter::all(), Start::After(published.seq.unwrap_or(0) - 1)).expect("opens");
            assert_eq!(tail.next_timeout(SOON).expect("reads").and_then(|event| event.seq()), published.seq);
        })
        .expect("subscribes");
    thread::scope(|threads| {
        for publisher in 0..8 {
            let bus = &bus;
            threads.spawn(move || {
                for _ in 0..25 {
                    let published = bus.publish(Event::untyped(format!("p{publisher}"), "outer", json!({})));
                    assert_eq!(published.expect("publishes").failed, 0);
                }
            });
        }
    });
    let events = bus.store().expect("a store").read_after(0, 1_000).expect("reads");
    assert_eq!(events.len(), 400);
    let inner = events.iter().filter(|event| event.event_type().as_str() == "inner");
    assert!(inner.clone().all(|event| event.causation_id().is_some()) && inner.count() == 200);
}

#[test]
fn p6_a_tail_that_is_polled_while_the_bus_closes_misses_nothing_that_was_acknowledged() {
    for _ in 0..20 {
        let (_folder, path) = place();
        let bus = open(&path);
        let mut tail = bus.tail(Filter::all(), Start::Beginning).expect("opens");
        let (acknowledged, read) = thread::scope(|threads| {
            let publisher = threads.spawn(|| std::iter::from_fn(|| bus.publish(started("p")).ok()).count());
            let reader = threads.spawn(|| {
                let mut read = 0;
                loop {
                    match tail.next_timeout(Duration::ZERO) {
                        Ok(event) => read += usize::from(event.is_some()),
                        Err(error) if error.kind() == ErrorKind::Closed => return read,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
            while bus.stats().published < 5 {
                thread::yield_now();
            }
            bus.close();
            (publisher.join().expect("no panic"), reader.join().expect("no panic"))
        });
        assert_eq!(read, acknowledged);
    }
}

#[test]
fn p4_whoever_subscribes_and_then_reads_the_log_misses_nothing_that_was_being_published() {
    let (_folder, path) = place();
    let store = EventStore::open(&path).expect("opens");
    let (asked, ask) = std::sync::mpsc::channel::<()>();
    let (answered, answer) = std::sync::mpsc::channel();
    // The hook stands between the beginning of a publish and its commit.
    let asked = Mutex::new((asked, answer));
    let bus = EventBus::builder().store(store.clone()).redact(move |_| {
        let (asked, answer) = &*asked.lock().expect("not poisoned");
        asked.send(()).expect("the test listens");
        answer.recv().expect("the test answers");
        Ok(())
    });
    let bus = bus.build().expect("a bus");
    let publish = |many: bool| {
        thread::scope(|scope| {
            let publisher = scope.spawn(|| match many {
                false => vec![bus.publish(started("p")).expect("publishes")],
                true => bus.publish_all([started("p")]).expect("publishes"),
            });
            ask.recv().expect("a publish has begun");
            let channel = bus.channel(Filter::all(), ChannelOptions::default()).expect("opens");
            let before = store.head().expect("reads");
            answered.send(()).expect("it waits");
            let published = publisher.join().expect("no panic");
            assert_eq!((published[0].seq, published[0].delivered), (Some(before + 1), 1));
            assert_eq!(
                channel.recv_timeout(SOON).expect("open").and_then(|event| event.seq()),
                Some(before + 1)
            );
        });
    };
    publish(false);
    publish(true);
}
