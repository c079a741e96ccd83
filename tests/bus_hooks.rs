//! Redaction, quarantine, hooks, options and batches of a bus without a store.

mod bus_support;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use bus_support::*;
use planbus::{testing::Recorder, *};
use serde_json::json;

#[test]
fn a_subscription_is_quarantined_after_failures_in_a_row_and_resumes() {
    let bus = EventBus::builder().in_memory().quarantine_after(3).build().expect("a bus");
    let healthy = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&healthy);
    let sub = bus
        .subscribe(
            Filter::all(),
            move |_: &Event| if state.load(Ordering::SeqCst) { Ok(()) } else { Err("sick") },
        )
        .expect("subscribes");
    let publish = |times: usize| (0..times).for_each(|_| assert!(bus.publish(started("p")).is_ok()));
    publish(2);
    healthy.store(true, Ordering::SeqCst);
    publish(1);
    healthy.store(false, Ordering::SeqCst);
    publish(2);
    assert_eq!(sub.state(), SubscriptionState::Active, "never three in a row");
    publish(5);
    assert_eq!(sub.state(), SubscriptionState::Quarantined);
    assert_eq!((sub.counts().delivered, sub.counts().failed), (1, 5));
    healthy.store(true, Ordering::SeqCst);
    assert!(sub.resume());
    publish(1);
    assert_eq!(sub.counts().delivered, 2);
}

#[test]
fn events_that_nobody_received_are_counted_and_told() {
    let unhandled = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&unhandled);
    let bus = EventBus::builder()
        .in_memory()
        .on_unhandled(move |event| told.lock().expect("not poisoned").push(event.event_type().to_string()))
        .build()
        .expect("a bus");
    let _sub = bus.subscribe(Filter::all().types(["heard"]), |_: &Event| ()).expect("subscribes");
    bus.publish(Event::untyped("p", "heard", json!({}))).expect("publishes");
    bus.publish(Event::untyped("p", "unheard", json!({}))).expect("publishes");
    assert_eq!(*unhandled.lock().expect("not poisoned"), ["unheard"]);
    assert_eq!((bus.stats().published, bus.stats().unhandled), (2, 1));
}

#[test]
fn options_are_validated_once_and_named() {
    let problem = |builder: EventBusBuilder| {
        let error = builder.build().expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        error.to_string()
    };
    assert_eq!(problem(EventBus::builder().in_memory().depth_max(0)), "depth_max must be 1 to 64, got 0");
    assert_eq!(
        problem(EventBus::builder().in_memory().quarantine_after(0)),
        "quarantine_after must be at least 1, got 0"
    );
    assert!(problem(EventBus::builder()).starts_with("store: choose"));
    let error = bus().channel(Filter::all(), ChannelOptions::bounded(0)).expect_err("no room");
    assert_eq!(error.to_string(), "capacity must be 1 to 1048576, got 0");
    let error = bus().subscribe(Filter::all().types(["a*"]), |_: &Event| ()).expect_err("no family");
    assert!(error.to_string().starts_with("event_type: "), "{error}");
    assert_eq!(
        bus().tail(Filter::all(), Start::Beginning).expect_err("no log").kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn publish_all_delivers_in_order_or_refuses_the_whole() {
    let bus = bus();
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    let error = bus.publish_all([started("a"), started("")]).expect_err("one is invalid");
    assert_eq!(error.to_string(), "event 1: plan_id: must be 1 to 256 bytes, got 0");
    assert!(recorder.events().is_empty());
    let published = bus.publish_all((0..100).map(|n| started(&format!("p{n}")))).expect("publishes");
    assert_eq!(published.len(), 100);
    assert_eq!(
        recorder.events().iter().map(Event::event_id).collect::<Vec<_>>(),
        published.iter().map(|one| one.event_id).collect::<Vec<_>>()
    );
    assert!(bus.publish_all([]).expect("nothing to do").is_empty());
    let many = (0..=BATCH_MAX_EVENTS).map(|_| started("p"));
    assert_eq!(bus.publish_all(many).expect_err("too many").kind(), ErrorKind::TooLarge);
}
