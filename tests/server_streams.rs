//! Server-sent events: what a client is sent, in which order, and how it goes on.

#![cfg(feature = "server")]

mod server_support;

use std::{sync::mpsc, thread, time::Duration};

use planbus::{
    Event, EventBus, EventStore, Filter, PlanCompleted, PlanStarted, Retention, Start,
    server::{Server, Update},
};
use serde_json::json;
use server_support::{Live, Sse, wait_until};

#[test]
fn p6_a_plan_is_replayed_then_followed_to_its_end() {
    let live = Live::start();
    let run = live.bus.plan("plan-7").source("planner").start(json!({"goal": "notes"})).expect("starts");
    live.note("another", 1);
    run.decide("split", json!({})).expect("publishes");
    let mut stream = live.follow("/plans/plan-7/events/stream");
    assert_eq!(stream.message().event.as_deref(), Some("PlanStarted"));
    let decided = stream.message();
    assert_eq!((decided.event.as_deref(), decided.seq()), (Some("DecisionMade"), 3));
    run.tool("grep", json!({"q": "TODO"}), || Ok::<_, std::io::Error>("found")).expect("runs");
    run.complete(json!({"sections": 4})).expect("completes");
    let rest: Vec<_> = stream.by_ref().collect();
    let types: Vec<_> = rest.iter().filter_map(|message| message.event.as_deref()).collect();
    assert_eq!(types, ["ToolCalled", "ToolCompleted", "PlanCompleted"]);
    assert!(stream.cut.is_none(), "it ended by itself");
    let log = live.bus.store().expect("a store").list_by_plan("plan-7", None).expect("reads");
    assert_eq!(rest[2].data, log[4].to_json().expect("JSON"), "what is sent is what the log has");
    // Who comes again has it all, and is told not to come any more.
    let again = Sse::open(&live.url("/plans/plan-7/events/stream"), &[("Last-Event-ID", "6")]);
    assert_eq!(again.err().map(|answer| answer.status().as_u16()), Some(204));
}

#[test]
fn p6_a_client_goes_on_after_the_last_id_that_it_saw() {
    let live = Live::start();
    let ids: Vec<_> = (0..500)
        .map(|at| {
            live.bus.publish(Event::untyped("plan", "note", json!({"at": at}))).expect("publishes").event_id
        })
        .collect();
    let open = |headers: &[(&str, &str)], query: &str| {
        Sse::open(&live.url(&format!("/events/stream{query}")), headers).expect("a stream")
    };
    assert_eq!(open(&[("Last-Event-ID", "490")], "").seqs(10), (491..=500).collect::<Vec<_>>());
    assert_eq!(open(&[("Last-Event-ID", &ids[489].to_string())], "?after=3").seqs(2), [491, 492]);
    assert_eq!(open(&[], "?last_event_id=0").seqs(500), (1..=500).collect::<Vec<_>>());
    let mut now = open(&[], "");
    live.note("plan", 501);
    assert_eq!(now.message().seq(), 501);
}

#[test]
fn p9_a_client_whose_place_is_no_longer_in_the_log_is_told() {
    let live = Live::start();
    for at in 0..50 {
        live.note("plan", at);
    }
    live.bus.store().expect("a store").prune(Retention::keep_last(10)).expect("prunes");
    let gap_of = |cursor: &str| {
        let mut stream =
            Sse::open(&live.url("/events/stream"), &[("Last-Event-ID", cursor)]).expect("a stream");
        let gap = stream.message();
        assert_eq!((gap.event.as_deref(), gap.id.as_deref()), (Some("Gap"), None));
        assert_eq!(stream.seqs(10), (41..=50).collect::<Vec<_>>());
        gap.json()
    };
    assert_eq!(gap_of("7"), json!({"after_seq": 7, "oldest_seq": 41}));
    assert_eq!(gap_of("51"), json!({"after_seq": null, "oldest_seq": 41}), "a place of another log");
    assert_eq!(gap_of("01J00000000000000000000001"), json!({"after_seq": null, "oldest_seq": 41}));
}

#[test]
fn p4_a_stream_is_sent_what_its_filter_matches() {
    let live = Live::start();
    let tools = live.follow("/events/stream?type=note,ToolCalled&after=0");
    let urgent = live.follow("/events/stream?min_priority=high&after=0");
    let acme = live.follow("/events/stream?tenant=acme&after=0");
    live.note("plan", 1);
    live.bus.publish(Event::new("plan", PlanStarted::new("goal"))).expect("publishes");
    live.bus
        .publish(Event::untyped("plan", "alarm", json!({})).with_priority(planbus::Priority::High))
        .expect("publishes");
    live.bus.publish(Event::untyped("plan", "note", json!({})).with_tenant("acme")).expect("publishes");
    live.note("plan", 2);
    live.bus.close();
    let seqs = |stream: Sse| stream.map(|message| message.seq()).collect::<Vec<_>>();
    assert_eq!(seqs(tools), [1, 5]);
    assert_eq!(seqs(urgent), [3]);
    assert_eq!(seqs(acme), [4]);
}

#[test]
fn a_plan_that_was_begun_again_goes_on_after_its_first_end() {
    let live = Live::start();
    let publish = |event| live.bus.publish(event).expect("publishes");
    publish(Event::new("plan", PlanStarted::new("goal")));
    publish(Event::new("plan", PlanCompleted::new()));
    publish(Event::new("plan", PlanStarted::new("goal")));
    let mut stream = live.follow("/plans/plan/events/stream?type=PlanStarted");
    assert_eq!(stream.seqs(2), [1, 3]);
    publish(Event::new("plan", PlanCompleted::new()));
    assert_eq!(stream.next(), None);
    assert_eq!(stream.last_id.as_deref(), Some("4"), "its place is behind the end, which it did not ask for");
}

#[test]
fn a_subscriber_without_a_socket_replays_and_follows() {
    let live = Live::start();
    live.note("plan", 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut subscriber =
        runtime.block_on(live.server.subscribe(Filter::all(), Start::Beginning)).expect("subscribes");
    let seq = |update| match update {
        Some(Ok(Update::Event(event))) => event.seq(),
        other => panic!("{other:?}"),
    };
    assert_eq!(seq(runtime.block_on(subscriber.next())), Some(1));
    live.note("plan", 2);
    assert_eq!(seq(runtime.block_on(subscriber.next())), Some(2));
    assert_eq!(subscriber.cursor(), 2);
    live.bus.close();
    assert!(runtime.block_on(subscriber.next()).is_none());
}

#[test]
fn p6_rows_that_somebody_took_from_the_middle_or_the_end_are_a_gap_and_nothing_is_sent_twice() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("planbus.db");
    let open = || EventStore::open(&path).expect("opens");
    let note = |store: &EventStore| {
        store.save(&Event::untyped("plan", "note", json!({"at": 1}))).expect("commits").seq
    };
    let store = open();
    let seqs: Vec<u64> = (0..10).map(|_| note(&store)).collect();
    assert!(seqs.into_iter().eq(1..=10));
    store.close().expect("closes");
    let log = rusqlite::Connection::open(&path).expect("opens");
    log.execute("DELETE FROM plan_events WHERE id IN (5, 9, 10)", []).expect("deletes");
    drop(log);
    let store = open();
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let server = Server::builder(&bus).bind("127.0.0.1:0").start().expect("starts");
    let mut stream = Sse::open(&format!("{}/events/stream?after=0", server.url()), &[]).expect("a stream");
    assert_eq!(stream.seqs(4), [1, 2, 3, 4]);
    assert_eq!(stream.message().json(), json!({"after_seq": 4, "oldest_seq": 6}));
    assert_eq!(stream.seqs(3), [6, 7, 8]);
    assert_eq!(stream.message().json(), json!({"after_seq": 8, "oldest_seq": 11}));
    assert_eq!((note(&store), stream.seqs(1)), (11, vec![11]));
}

#[test]
fn whoever_waits_for_followers_waits_no_longer_than_until_the_first_is_there() {
    let live = Live::start();
    assert!(!live.server.wait_for_followers(Duration::ZERO));
    let url = live.url("/events/stream");
    let (leave, left) = mpsc::channel::<()>();
    let follower = thread::spawn(move || {
        let _stream = Sse::open(&url, &[]).expect("a stream");
        // Ends when the sender is dropped.
        let _ = left.recv();
    });
    assert!(live.server.wait_for_followers(Duration::MAX));
    assert!(live.server.wait_for_followers(Duration::ZERO), "and not when one is there already");
    drop(leave);
    follower.join().expect("no panic");
    wait_until("it is gone", || live.server.stats().followers == 0);
    assert!(!live.server.wait_for_followers(Duration::ZERO), "one who has left does not count");
}
