//! Who receives what, and what a failing handler may not do: P3 and P4, without a store.

mod bus_support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use bus_support::*;
use planbus::{testing::Recorder, *};
use serde_json::json;

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
    assert_eq!(failures[0], ("bad true panicked: boom".to_owned(), file!().to_owned()));
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
            Box::new(|e| {
                e.correlation_id().is_some_and(|c| c.as_str() == "root") && e.tenant().as_str() == "default"
            }),
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
