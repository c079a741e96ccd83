//! Publishing, subscribing and closing from anywhere: P5, nested events and `close`, without a store.

mod bus_support;

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use bus_support::*;
use planbus::{testing::Recorder, *};
use serde_json::json;

#[test]
fn p5_handlers_publish_subscribe_and_unsubscribe_without_deadlock_depth_first() {
    let bus = bus();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |text: &str| order.lock().expect("not poisoned").push(text.to_owned());
    let (victim_calls, victim) = counter(&bus, Filter::all().types(["outer"]));
    let victim_id = victim.detach();
    let inner_order = Arc::clone(&order);
    let handle = bus.clone();
    let added = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&added);
    bus.subscribe(Filter::all().types(["outer"]), move |event: &Event| {
        inner_order.lock().expect("not poisoned").push("outer begins".into());
        handle.publish(Event::untyped(event.plan_id(), "inner", json!({}))).expect("publishes");
        handle.unsubscribe(victim_id);
        let (calls, sub) = counter(&handle, Filter::all().types(["outer"]));
        *keep.lock().expect("not poisoned") = Some((calls, sub));
        inner_order.lock().expect("not poisoned").push("outer ends".into());
    })
    .expect("subscribes")
    .detach();
    let seen = Arc::clone(&order);
    bus.subscribe(Filter::all().types(["inner"]), move |_: &Event| {
        seen.lock().expect("not poisoned").push("inner".into())
    })
    .expect("subscribes")
    .detach();
    bus.publish(Event::untyped("p", "outer", json!({}))).expect("publishes");
    note("returned");
    assert_eq!(*order.lock().expect("not poisoned"), ["outer begins", "inner", "outer ends", "returned"]);
    assert_eq!(victim_calls.load(Ordering::SeqCst), 1);
    let first = added.lock().expect("not poisoned").take().expect("subscribed inside");
    assert_eq!(first.0.load(Ordering::SeqCst), 0, "not called for the event in whose handler it was made");
    bus.publish(Event::untyped("p", "outer", json!({}))).expect("publishes");
    assert_eq!((victim_calls.load(Ordering::SeqCst), first.0.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn p5_a_handler_unsubscribed_by_an_earlier_one_is_not_called_for_the_same_event() {
    let bus = bus();
    let later: Arc<Mutex<Option<SubscriptionId>>> = Arc::default();
    let (handle, target) = (bus.clone(), Arc::clone(&later));
    bus.subscribe(Filter::all(), move |_: &Event| {
        let id = target.lock().expect("not poisoned").expect("set below");
        handle.unsubscribe(id);
    })
    .expect("subscribes")
    .detach();
    let (calls, sub) = counter(&bus, Filter::all());
    *later.lock().expect("not poisoned") = Some(sub.detach());
    bus.publish(started("p")).expect("publishes");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[test]
fn p5_a_cycle_of_handlers_ends_in_too_deep() {
    let bus = EventBus::builder().in_memory().depth_max(32).build().expect("a bus");
    let (handle, errors) = (bus.clone(), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&errors);
    bus.subscribe(Filter::all(), move |event: &Event| {
        if let Err(error) = handle.publish(started(event.plan_id().as_str())) {
            told.lock().expect("not poisoned").push(error);
        }
    })
    .expect("subscribes")
    .detach();
    bus.publish(started("p")).expect("the first one is fine");
    let errors = errors.lock().expect("not poisoned");
    assert_eq!(errors.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::TooDeep]);
    assert_eq!(bus.stats().published, 32);
}

#[test]
fn p5_publishing_and_churning_from_many_threads_and_handlers_ends() {
    let bus = bus();
    let handle = bus.clone();
    bus.subscribe(Filter::all().types(["outer"]), move |event: &Event| {
        let (_, sub) = counter(&handle, Filter::all().plan("q"));
        handle.publish(Event::untyped(event.plan_id(), "inner", json!({}))).expect("publishes");
        drop(sub);
    })
    .expect("subscribes")
    .detach();
    thread::scope(|threads| {
        for _ in 0..8 {
            let bus = &bus;
            threads.spawn(move || {
                for _ in 0..500 {
                    let (_, sub) = counter(bus, Filter::all());
                    bus.publish(Event::untyped("q", "outer", json!({}))).expect("publishes");
                    drop(sub);
                }
            });
        }
    });
    assert_eq!(bus.stats().published, 8_000);
    assert_eq!(bus.stats().subscriptions.len(), 1);
}

#[test]
fn nested_events_carry_their_cause_and_correlation() {
    let bus = bus();
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    let handle = bus.clone();
    bus.subscribe(Filter::all().types(["a"]), move |_: &Event| {
        drop(handle.publish(Event::untyped("q", "b", json!({}))))
    })
    .expect("subscribes")
    .detach();
    bus.publish(Event::untyped("p", "a", json!({})).with_correlation_id("root")).expect("publishes");
    let events = recorder.events();
    assert_eq!(events[1].causation_id(), Some(events[0].event_id()));
    assert_eq!(events[1].correlation_id().map(CorrelationId::as_str), Some("root"));
    bus.publish(Event::untyped("p", "c", json!({}))).expect("publishes");
    let last = recorder.events().pop().expect("recorded");
    assert_eq!((last.causation_id(), last.correlation_id().map(CorrelationId::as_str)), (None, Some("p")));
}

#[test]
fn redact_runs_before_anything_else_sees_the_event_and_fails_closed() {
    let bus = EventBus::builder()
        .in_memory()
        .redact(|draft| {
            if draft.event_type() == &EventType::ToolCalled {
                draft.mask("/arguments/token")?;
            }
            if draft.event_type().as_str() == "typed" {
                draft.replace_payload("{}")?;
            }
            assert_ne!(draft.event_type().as_str(), "explosive");
            Ok(())
        })
        .build()
        .expect("a bus");
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    let arguments = json!({"token": "s3cret", "n": 1});
    bus.publish(Event::new("p", ToolCalled::new("c", "login", arguments))).expect("publishes");
    bus.publish(Event::raw("p", "ToolCalled", r#"{"big":1e999,"arguments":{"a/b":[1],"token":{"x":1}}}"#))
        .expect("publishes");
    let events = recorder.events();
    assert_eq!(
        events[0].payload_json().expect("JSON"),
        r#"{"call_id":"c","tool":"login","arguments":{"token":"[redacted]","n":1}}"#
    );
    assert_eq!(events[0].payload::<ToolCalled>().expect("a call").arguments["token"], "[redacted]");
    assert_eq!(
        events[1].payload_json().expect("JSON"),
        r#"{"big":1e999,"arguments":{"a/b":[1],"token":"[redacted]"}}"#
    );
    let refused = bus.publish(Event::untyped("p", "explosive", json!({}))).expect_err("the hook panicked");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(recorder.events().len(), 2);
}

#[test]
fn a_dropped_subscription_ends_a_detached_one_stays() {
    let bus = bus();
    let (dropped, sub) = counter(&bus, Filter::all());
    let (kept, detached) = counter(&bus, Filter::all());
    drop(sub);
    let id = detached.detach();
    bus.publish(started("p")).expect("publishes");
    assert_eq!((dropped.load(Ordering::SeqCst), kept.load(Ordering::SeqCst)), (0, 1));
    assert!(bus.unsubscribe(id) && !bus.unsubscribe(id));
    assert_eq!(Arc::strong_count(&kept), 1, "what the closure captured is dropped at once on this thread");
}

#[test]
fn publishing_after_close_is_closed_and_close_waits_for_running_publishes() {
    let bus = bus();
    let (entered, wait_entered) = mpsc::channel();
    let gate = Arc::new(Barrier::new(2));
    let done = Arc::new(AtomicBool::new(false));
    let (inside, finished) = (Arc::clone(&gate), Arc::clone(&done));
    let entered = Mutex::new(entered);
    bus.subscribe(Filter::all(), move |_: &Event| {
        entered.lock().expect("not poisoned").send(()).expect("the test listens");
        inside.wait();
        finished.store(true, Ordering::SeqCst);
    })
    .expect("subscribes")
    .detach();
    let publisher = thread::spawn({
        let bus = bus.clone();
        move || bus.publish(started("p"))
    });
    wait_entered.recv_timeout(SOON).expect("the handler runs");
    let closer = thread::spawn({
        let (bus, done) = (bus.clone(), Arc::clone(&done));
        move || {
            bus.close();
            done.load(Ordering::SeqCst)
        }
    });
    while !bus.is_closed() {
        thread::yield_now();
    }
    assert_eq!(bus.publish(started("p")).expect_err("closed").kind(), ErrorKind::Closed);
    gate.wait();
    assert!(publisher.join().expect("no panic").is_ok(), "a publish that had begun is completed");
    assert!(closer.join().expect("no panic"), "close returned before the running handler did");
    assert_eq!(bus.subscribe(Filter::all(), |_: &Event| ()).expect_err("closed").kind(), ErrorKind::Closed);
    bus.close();
}

#[test]
fn close_is_safe_against_concurrent_publishers_and_from_inside_a_handler() {
    for round in 0..200 {
        let bus = bus();
        let running = Arc::new(AtomicUsize::new(0));
        let closed = Arc::new(AtomicBool::new(false));
        let late = Arc::new(AtomicBool::new(false));
        let (inside, after, tell) = (Arc::clone(&running), Arc::clone(&closed), Arc::clone(&late));
        bus.subscribe(Filter::all(), move |_: &Event| {
            inside.fetch_add(1, Ordering::SeqCst);
            tell.fetch_or(after.load(Ordering::SeqCst), Ordering::SeqCst);
        })
        .expect("subscribes")
        .detach();
        thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| while bus.publish(started("p")).is_ok() {});
            }
            while round % 2 == 0 && running.load(Ordering::SeqCst) < 10 {
                thread::yield_now();
            }
            bus.close();
            closed.store(true, Ordering::SeqCst);
        });
        assert!(!late.load(Ordering::SeqCst), "a handler ran after close had returned");
    }
    let bus = bus();
    let handle = bus.clone();
    bus.subscribe(Filter::all(), move |_: &Event| handle.close()).expect("subscribes").detach();
    bus.publish(started("p")).expect("the publish that closes is completed");
    assert_eq!(bus.publish(started("p")).expect_err("closed").kind(), ErrorKind::Closed);
}

#[test]
fn what_a_handler_unsubscribes_is_dropped_by_the_time_the_publish_returns() {
    let bus = EventBus::builder().in_memory().build().expect("a bus");
    let captured = Arc::new(());
    let held = Arc::downgrade(&captured);
    let ended =
        bus.subscribe(Filter::all(), move |_: &Event| drop(Arc::clone(&captured))).expect("subscribes");
    let (id, inner) = (ended.id(), bus.clone());
    ended.detach();
    let ending = move |_: &Event| assert!(inner.unsubscribe(id));
    let _ending = bus.subscribe(Filter::all(), ending).expect("subscribes");
    let published = bus.publish(Event::untyped("plan-7", "note", json!({}))).expect("publishes");
    assert_eq!(published.delivered, 2);
    assert!(held.upgrade().is_none(), "the thread still keeps a closure that was unsubscribed");
}
