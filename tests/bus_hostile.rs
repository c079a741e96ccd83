//! Handlers, subscribers and threads at their worst: nothing deadlocks, nothing is lost or left over.

mod bus_support;

use std::{
    cell::RefCell,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bus_support::*;
use planbus::{testing::Recorder, *};
use serde_json::json;

/// Runs `work` on a thread of its own, and fails when it hangs.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(SOON).expect("ends, and does not panic")
}

#[test]
fn p5_a_refused_closure_that_holds_a_subscription_deadlocks_nobody() {
    ends(|| {
        let bus = bus();
        let held = bus.subscribe(Filter::all(), |_: &Event| ()).expect("subscribes");
        bus.close();
        let refused = bus.subscribe(Filter::all(), move |_: &Event| {
            let _ = &held;
        });
        assert_eq!(refused.expect_err("closed").kind(), ErrorKind::Closed);
    });
}

#[test]
fn closures_are_dropped_when_the_bus_is_closed_on_the_thread_that_published() {
    ends(|| {
        let bus = bus();
        let (sender, receiver) = mpsc::channel();
        bus.subscribe(Filter::all(), move |event: &Event| sender.send(event.clone()))
            .expect("subscribes")
            .detach();
        bus.publish(started("p")).expect("publishes");
        drop(bus);
        assert_eq!(receiver.iter().count(), 1, "the sender went with the bus");
    });
}

#[test]
fn a_thread_can_let_go_of_what_another_one_unsubscribed() {
    let bus = bus();
    let captured = Arc::new(());
    let inner = Arc::clone(&captured);
    let sub = bus.subscribe(Filter::all(), move |_: &Event| drop(Arc::clone(&inner))).expect("subscribes");
    bus.publish(started("p")).expect("publishes");
    thread::scope(|threads| threads.spawn(move || drop(sub)).join().expect("no panic"));
    assert_eq!(Arc::strong_count(&captured), 2, "this thread keeps its view");
    bus.release_thread();
    assert_eq!(Arc::strong_count(&captured), 1);
}

/// An error whose drop panics.
#[derive(Debug)]
struct Explosive;

impl std::fmt::Display for Explosive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("explosive")
    }
}

impl std::error::Error for Explosive {}

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("the error's drop panics");
    }
}

#[test]
fn p3_an_error_whose_drop_panics_counts_once_and_stops_nobody() {
    let bus = bus();
    let _bad = bus.subscribe(Filter::all(), |_: &Event| Err(Explosive)).expect("subscribes");
    let (calls, _sub) = counter(&bus, Filter::all());
    let published = bus.publish(started("p")).expect("publishes");
    assert_eq!((published.delivered, published.failed, calls.load(Ordering::SeqCst)), (1, 1, 1));
}

#[test]
fn a_blocking_channel_whose_receiver_is_gone_blocks_nobody() {
    let bus = bus();
    let wait = Duration::from_secs(60);
    let receiver =
        bus.channel(Filter::all(), ChannelOptions::bounded(1).on_full(OnFull::Block(wait))).expect("opens");
    bus.publish(started("p")).expect("publishes");
    let publisher = bus.clone();
    let blocked = thread::spawn(move || publisher.publish(started("p")).is_ok());
    drop(receiver);
    let begun = Instant::now();
    assert!(blocked.join().expect("no panic"));
    assert!(begun.elapsed() < wait, "it waited for a receiver that was gone");
    let forever = ChannelOptions::bounded(1).on_full(OnFull::Block(Duration::MAX));
    let refused = bus.channel(Filter::all(), forever).expect_err("for ever is too long");
    assert!(refused.to_string().starts_with("on_full must block for at most 60s"), "{refused}");
}

#[test]
fn every_event_that_a_full_channel_gave_up_is_counted() {
    let bus = bus();
    let receiver = bus.channel(Filter::all(), ChannelOptions::bounded(1)).expect("opens");
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| (0..5_000).for_each(|_| assert!(bus.publish(started("p")).is_ok())));
        }
    });
    assert_eq!((receiver.counts().delivered, receiver.dropped(), receiver.len()), (20_000, 19_999, 1));
}

#[test]
fn p5_handlers_of_two_buses_that_close_each_other_end() {
    ends(|| {
        let (a, b) = (bus(), bus());
        let both = Arc::new(Barrier::new(2));
        for (bus, other) in [(&a, b.clone()), (&b, a.clone())] {
            let both = Arc::clone(&both);
            let close = move |_: &Event| {
                both.wait();
                other.close();
            };
            bus.subscribe(Filter::all(), close).expect("subscribes").detach();
        }
        thread::scope(|threads| {
            threads.spawn(|| drop(a.publish(started("p"))));
            threads.spawn(|| drop(b.publish(started("p"))));
        });
        assert!(a.is_closed() && b.is_closed());
    });
}

/// Does something when its thread ends.
struct AtExit(Box<dyn FnMut()>);

impl Drop for AtExit {
    fn drop(&mut self) {
        (self.0)();
    }
}

thread_local! {
    static AT_EXIT: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

#[test]
fn p5_a_thread_that_ends_may_still_publish_close_and_finish_its_plan() {
    let bus = bus();
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    let errors = Arc::new(Mutex::new(Vec::new()));
    let (cycle, told) = (bus.clone(), Arc::clone(&errors));
    let _cycle = bus
        .subscribe(Filter::all().types(["again"]), move |_: &Event| {
            if let Err(error) = cycle.publish(Event::untyped("p", "again", json!({}))) {
                told.lock().expect("not poisoned").push(error.kind());
            }
        })
        .expect("subscribes");
    let handle = bus.clone();
    ends(move || {
        let run = Arc::new(Mutex::new(None));
        let (unfinished, at_exit) = (Arc::clone(&run), handle.clone());
        let exit = AtExit(Box::new(move || {
            drop(unfinished.lock().expect("not poisoned").take());
            assert!(at_exit.publish(Event::untyped("p", "again", json!({}))).is_ok());
            let closer = at_exit.clone();
            let _sub = at_exit.subscribe(Filter::all().types(["close"]), move |_: &Event| closer.close());
            assert!(at_exit.publish(Event::untyped("p", "close", json!({}))).is_ok());
        }));
        // Thread-locals go in the reverse order of their first use: the bus's own are gone first.
        AT_EXIT.with(|slot| *slot.borrow_mut() = Some(exit));
        *run.lock().expect("not poisoned") = Some(handle.plan("late").start(json!({})).expect("starts"));
    });
    let wanted = |event: &Event| event.event_type().as_str() == "close";
    recorder.wait_for(SOON, wanted).expect("the thread's last publish");
    assert_eq!(*errors.lock().expect("not poisoned"), [ErrorKind::TooDeep]);
    assert!(recorder.events().iter().any(|event| event.event_type() == &EventType::PlanFailed));
}

#[test]
fn ids_of_one_bus_name_nothing_in_another_and_a_quarantine_ends_by_id() {
    let (a, b) = (bus(), EventBus::builder().in_memory().quarantine_after(1).build().expect("a bus"));
    let of_a = a.subscribe(Filter::all(), |_: &Event| ()).expect("subscribes").detach();
    let of_b = b.subscribe(Filter::all(), |_: &Event| Err("sick")).expect("subscribes").detach();
    assert!(!b.unsubscribe(of_a) && !a.unsubscribe(of_b));
    b.publish(started("p")).expect("publishes");
    assert!(b.resume(of_b) && !b.resume(of_b) && !b.resume(of_a));
}

#[test]
fn an_event_from_json_has_no_place_in_a_bus_without_a_log() {
    let text =
        r#"{"seq":5,"recorded_at":"2026-03-01T09:30:00Z","event_type":"x","plan_id":"p","payload":{}}"#;
    let bus = bus();
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    assert_eq!(bus.publish(Event::from_json(text).expect("valid")).expect("publishes").seq, None);
    assert_eq!((recorder.events()[0].seq(), recorder.events()[0].recorded_at()), (None, None));
}

#[test]
fn an_iterator_ends_after_its_error() {
    let bus = bus();
    let slow = ChannelOptions::bounded(1).on_full(OnFull::Disconnect);
    let receiver = bus.channel(Filter::all(), slow).expect("opens");
    (0..3).for_each(|_| assert!(bus.publish(started("p")).is_ok()));
    let items: Vec<_> = receiver.iter().map(|item| item.map_err(|error| error.kind()).err()).collect();
    assert_eq!(items, [None, Some(ErrorKind::Pruned)]);
    let seen = Arc::new(AtomicUsize::new(0));
    let recorder = Recorder::start(&bus, Filter::all()).expect("records");
    bus.publish(started("p")).expect("publishes");
    let (publisher, count) = (bus.clone(), Arc::clone(&seen));
    // What looks at the recording may publish, and any time is a timeout.
    let found = recorder.wait_for(Duration::MAX, move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            publisher.publish(started("q")).expect("publishes");
        }
        count.load(Ordering::SeqCst) > 2
    });
    assert!(found.is_ok());
}

#[test]
fn p11_a_bus_without_a_store_has_the_same_limit_for_text() {
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(PAYLOAD_MAX_BYTES));
    assert_eq!(bus().publish(Event::raw("p", "t", text)).expect_err("too large").kind(), ErrorKind::TooLarge);
}
