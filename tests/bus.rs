//! What a bus promises its publishers and subscribers, without a store: P3, P4, P5 and the rest of
//! the in-process behaviour.

use std::{
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use planbus::{testing::Recorder, *};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

fn bus() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus")
}

fn started(plan: &str) -> Event {
    Event::new(plan, PlanStarted::new("goal"))
}

/// A subscription that counts its calls.
fn counter(bus: &EventBus, filter: Filter) -> (Arc<AtomicUsize>, Subscription) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let sub = bus.subscribe(filter, move |_: &Event| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    (calls, sub.expect("subscribes"))
}

#[test]
fn p3_a_handler_that_panics_or_fails_stops_no_other_and_is_told_with_its_place() {
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&failures);
    let bus = EventBus::builder()
        .in_memory()
        .on_handler_failure(move |failure| {
            let line = format!("{} {} {}", failure.name.unwrap_or("-"), failure.panicked, failure.error);
            told.lock().expect("not poisoned").push((line, failure.location.file().to_owned()));
        })
        .build()
        .expect("a bus");
    let (before, _a) = counter(&bus, Filter::all());
    let _bad =
        bus.subscribe(Filter::all(), |_: &Event| -> () { panic!("boom") }).expect("subscribes").named("bad");
    let _worse = bus.subscribe(Filter::all(), |_: &Event| Err("no luck")).expect("subscribes");
    let (after, _b) = counter(&bus, Filter::all());
    for round in 1..=3 {
        let published = bus.publish(started("p")).expect("the publisher goes on");
        assert_eq!((published.delivered, published.failed), (2, 2));
        assert_eq!((before.load(Ordering::SeqCst), after.load(Ordering::SeqCst)), (round, round));
    }
    let failures = failures.lock().expect("not poisoned");
    assert_eq!(failures.len(), 6);
    assert_eq!(failures[0], ("bad true panicked: boom".to_owned(), "tests/bus.rs".to_owned()));
    assert_eq!(failures[1].0, "- false no luck");
    let bad = &bus.stats().subscriptions[1];
    assert_eq!((bad.name.as_deref(), bad.counts.delivered, bad.counts.failed), (Some("bad"), 0, 3));
}

#[test]
fn p3_a_hook_or_a_panic_payload_that_panics_does_not_reach_the_publisher() {
    struct Nasty;
    impl Drop for Nasty {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("dropping a panic's payload panics");
            }
        }
    }
    let bus = EventBus::builder().in_memory().on_handler_failure(|_| panic!("hook")).build().expect("a bus");
    let _nasty =
        bus.subscribe(Filter::all(), |_: &Event| -> () { std::panic::panic_any(Nasty) }).expect("subscribes");
    let (after, _sub) = counter(&bus, Filter::all());
    assert_eq!(bus.publish(started("p")).expect("goes on").failed, 1);
    assert_eq!(after.load(Ordering::SeqCst), 1);
}

#[test]
fn p4_a_subscriber_gets_exactly_what_its_filter_matches() {
    type Case = (Filter, Box<dyn Fn(&Event) -> bool>);
    let filters: Vec<Case> = vec![
        (Filter::all(), Box::new(|_| true)),
        (
            Filter::all().types([EventType::PlanStarted]),
            Box::new(|e| e.event_type() == &EventType::PlanStarted),
        ),
        (Filter::all().types(["workflow.*"]), Box::new(|e| e.event_type().as_str().starts_with("workflow."))),
        (
            Filter::all().types(["workflow.step.*", "PlanFailed"]),
            Box::new(|e| {
                e.event_type().as_str().starts_with("workflow.step.")
                    || e.event_type() == &EventType::PlanFailed
            }),
        ),
        (
            Filter::all().types(["workflow.started", "workflow.*"]),
            Box::new(|e| e.event_type().as_str().starts_with("workflow.")),
        ),
        (
            Filter::all().plan("plan-1"),
            Box::new(|e| e.plan_id().as_str() == "plan-1" && e.tenant().as_str() == "default"),
        ),
        (Filter::all().tenant("acme"), Box::new(|e| e.tenant().as_str() == "acme")),
        (
            Filter::all().tenant("acme").plan("plan-1").types(["ToolCalled"]),
            Box::new(|e| {
                e.tenant().as_str() == "acme"
                    && e.plan_id().as_str() == "plan-1"
                    && e.event_type() == &EventType::ToolCalled
            }),
        ),
        (Filter::all().source("planner"), Box::new(|e| e.source().is_some_and(|s| s.as_str() == "planner"))),
        (Filter::all().min_priority(Priority::High), Box::new(|e| e.priority() >= Priority::High)),
        (
            Filter::all().plan("plan-2").min_priority(Priority::High),
            Box::new(|e| {
                e.plan_id().as_str() == "plan-2"
                    && e.tenant().as_str() == "default"
                    && e.priority() >= Priority::High
            }),
        ),
        (
            Filter::all().correlation_id("root"),
            Box::new(|e| e.correlation_id().is_some_and(|c| c.as_str() == "root")),
        ),
        (
            Filter::all().tenant("acme").types(["workflow.*"]),
            Box::new(|e| e.tenant().as_str() == "acme" && e.event_type().as_str().starts_with("workflow.")),
        ),
    ];
    let bus = bus();
    let recorders: Vec<Recorder> =
        filters.iter().map(|(filter, _)| Recorder::start(&bus, filter.clone()).expect("records")).collect();
    let types = [
        "PlanStarted",
        "PlanFailed",
        "ToolCalled",
        "workflow",
        "workflow.started",
        "workflow.step.one",
        "workflows.x",
    ];
    let mut published = Vec::new();
    for event_type in types {
        for plan in ["plan-1", "plan-2", "plan"] {
            for tenant in ["default", "acme", "acm"] {
                for (priority, source) in [(Priority::Low, "planner"), (Priority::Critical, "coder")] {
                    let event = Event::untyped(plan, event_type, json!({}))
                        .with_tenant(tenant)
                        .with_priority(priority);
                    let event = event.with_source(source).with_correlation_id(if plan == "plan" {
                        "root"
                    } else {
                        "other"
                    });
                    assert!(bus.publish(event.clone()).expect("publishes").delivered >= 1);
                    published.push(event);
                }
            }
        }
    }
    for ((filter, matches), recorder) in filters.iter().zip(&recorders) {
        let wanted: Vec<EventId> = published.iter().filter(|e| matches(e)).map(Event::event_id).collect();
        let got: Vec<EventId> = recorder.events().iter().map(Event::event_id).collect();
        assert!(!wanted.is_empty(), "{filter:?} tests nothing");
        assert_eq!(got, wanted, "{filter:?}");
    }
}

#[test]
fn p4_handlers_run_in_the_order_in_which_they_subscribed_whatever_their_filters() {
    let bus = bus();
    let order = Arc::new(Mutex::new(Vec::new()));
    let filters = [
        Filter::all().plan("p"),
        Filter::all(),
        Filter::all().types(["PlanStarted"]),
        Filter::all().tenant("default"),
        Filter::all().plan("p").types(["PlanStarted"]),
        Filter::all(),
    ];
    let subs: Vec<Subscription> = (0..150)
        .map(|place| {
            let order = Arc::clone(&order);
            let filter = filters[place % filters.len()].clone();
            bus.subscribe(filter, move |_: &Event| order.lock().expect("not poisoned").push(place))
                .expect("subscribes")
        })
        .collect();
    bus.publish(started("p")).expect("publishes");
    assert_eq!(*order.lock().expect("not poisoned"), (0..150).collect::<Vec<_>>());
    drop(subs);
    assert_eq!(bus.publish(started("p")).expect("publishes").delivered, 0);
}

#[test]
fn p4_a_publish_that_begins_after_unsubscribe_returned_calls_nothing() {
    let bus = bus();
    let stop = Arc::new(AtomicBool::new(false));
    // The events that were published after the subscription of this number had ended.
    let ended = Arc::new(AtomicU64::new(0));
    let late = Arc::new(AtomicU64::new(0));
    thread::scope(|threads| {
        for publisher in 0..2 {
            let (bus, stop, ended) = (bus.clone(), Arc::clone(&stop), Arc::clone(&ended));
            threads.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let known = ended.load(Ordering::SeqCst);
                    let event = Event::untyped(
                        if publisher == 0 { "a" } else { "b" },
                        "churn",
                        json!({"ended": known}),
                    );
                    bus.publish(event).expect("publishes");
                }
            });
        }
        for round in 1..=2_000_u64 {
            let calls = Arc::new(AtomicUsize::new(0));
            let (seen, late) = (Arc::clone(&calls), Arc::clone(&late));
            let filter =
                if round % 2 == 0 { Filter::all().types(["churn"]) } else { Filter::all().plan("a") };
            let sub = bus.subscribe(filter, move |event: &Event| {
                seen.fetch_add(1, Ordering::SeqCst);
                let payload: serde_json::Value =
                    serde_json::from_str(event.payload_json().expect("JSON")).expect("JSON");
                if payload["ended"].as_u64() >= Some(round) {
                    late.fetch_add(1, Ordering::SeqCst);
                }
            });
            let sub = sub.expect("subscribes");
            if round % 10 == 0 {
                while calls.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
            }
            sub.unsubscribe();
            ended.store(round, Ordering::SeqCst);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(late.load(Ordering::SeqCst), 0);
    assert!(bus.stats().subscriptions.is_empty());
}

#[test]
fn p4_closures_run_in_publish_order_of_each_thread_and_once() {
    let bus = bus();
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    thread::scope(|threads| {
        for publisher in 0..4 {
            let bus = &bus;
            threads.spawn(move || {
                for place in 0..2_000_u64 {
                    bus.publish(Event::untyped(format!("p{publisher}"), "n", json!({"n": place})))
                        .expect("publishes");
                }
            });
        }
    });
    let events = recorder.events();
    assert_eq!(events.len(), 8_000);
    for publisher in 0..4 {
        let plan = format!("p{publisher}");
        let payloads: Vec<&str> = events
            .iter()
            .filter(|event| event.plan_id() == plan.as_str())
            .map(|event| event.payload_json().expect("JSON"))
            .collect();
        assert_eq!(payloads, (0..2_000).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>());
    }
    assert_eq!(bus.stats().published, 8_000);
}

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
fn a_typed_payload_reaches_its_handler_without_being_serialised() {
    #[derive(Clone)]
    struct Fresh(Arc<AtomicUsize>);
    impl serde::Serialize for Fresh {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.fetch_add(1, Ordering::SeqCst);
            serde::Serialize::serialize(&json!({}), serializer)
        }
    }
    impl<'de> serde::Deserialize<'de> for Fresh {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self(Arc::default()))
        }
    }
    impl Payload for Fresh {
        const EVENT_TYPE: EventType = EventType::from_static("fresh");
    }
    let bus = bus();
    let (calls, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, expected) = (Arc::clone(&calls), Arc::clone(&writes));
    let _sub = bus
        .subscribe_to::<Fresh>(Filter::all(), move |_event, fresh| {
            assert!(Arc::ptr_eq(&fresh.0, &expected), "the very payload that was published");
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .expect("subscribes");
    let published = bus.publish(Event::new("p", Fresh(Arc::clone(&writes)))).expect("publishes");
    assert_eq!((published.failed, calls.load(Ordering::SeqCst), writes.load(Ordering::SeqCst)), (0, 1, 0));
}

#[test]
fn a_typed_handler_reads_events_from_elsewhere_and_fails_on_another_shape() {
    let bus = bus();
    let tools = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&tools);
    let _sub = bus
        .subscribe_to::<ToolCompleted>(Filter::all(), move |_, tool| {
            noted.lock().expect("not poisoned").push(tool.tool.clone())
        })
        .expect("subscribes");
    bus.publish(Event::raw("p", "ToolCompleted", r#"{"call_id":"c","tool":"grep","ok":true}"#))
        .expect("publishes");
    let odd = bus.publish(Event::raw("p", "ToolCompleted", r#"{"tool":7}"#)).expect("publishes");
    assert_eq!((odd.delivered, odd.failed), (0, 1));
    bus.publish(Event::new("p", ToolCalled::new("c", "grep", json!({})))).expect("publishes");
    assert_eq!(*tools.lock().expect("not poisoned"), ["grep"]);
    let contradiction = bus.subscribe_to::<ToolCompleted>(Filter::all().types(["PlanStarted"]), |_, _| ());
    assert_eq!(contradiction.expect_err("never matches").kind(), ErrorKind::InvalidInput);
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
