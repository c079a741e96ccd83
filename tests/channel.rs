//! Channels and tails of a bus without a store: bounded, counted, and never mistaken for closed.

use std::{thread, time::Duration};

use planbus::*;
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

fn bus() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus")
}

fn numbered(n: u64) -> Event {
    Event::untyped("p", "n", json!({"n": n}))
}

fn publish(bus: &EventBus, numbers: std::ops::Range<u64>) {
    numbers.for_each(|n| assert!(bus.publish(numbered(n)).is_ok()));
}

fn numbers(receiver: &EventReceiver) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Ok(Some(event)) = receiver.try_recv() {
        let payload: serde_json::Value =
            serde_json::from_str(event.payload_json().expect("JSON")).expect("JSON");
        numbers.push(payload["n"].as_u64().expect("a number"));
    }
    numbers
}

#[test]
fn a_full_channel_drops_the_oldest_or_the_newest_and_counts() {
    let bus = bus();
    let oldest = bus.channel(Filter::all(), ChannelOptions::bounded(3)).expect("opens");
    let newest =
        bus.channel(Filter::all(), ChannelOptions::bounded(3).on_full(OnFull::DropNewest)).expect("opens");
    publish(&bus, 0..5);
    assert_eq!((numbers(&oldest), oldest.dropped(), oldest.counts().delivered), (vec![2, 3, 4], 2, 5));
    assert_eq!((numbers(&newest), newest.dropped()), (vec![0, 1, 2], 2));
    publish(&bus, 5..6);
    assert_eq!((numbers(&oldest), numbers(&newest)), (vec![5], vec![5]), "a lag is not the end");
}

#[test]
fn a_blocking_channel_waits_for_room_and_gives_up_after_its_timeout() {
    let bus = bus();
    let wait = ChannelOptions::bounded(1).on_full(OnFull::Block(SOON));
    let receiver = bus.channel(Filter::all(), wait).expect("opens");
    let publisher = thread::spawn({
        let bus = bus.clone();
        move || publish(&bus, 0..100)
    });
    for n in 0..100 {
        assert_eq!(
            receiver.recv().expect("an event").payload_json().expect("JSON"),
            format!("{{\"n\":{n}}}")
        );
    }
    publisher.join().expect("no panic");
    assert_eq!(receiver.dropped(), 0);
    let impatient = ChannelOptions::bounded(1).on_full(OnFull::Block(Duration::from_millis(1)));
    let full = bus.channel(Filter::all(), impatient).expect("opens");
    drop(receiver);
    publish(&bus, 0..3);
    assert_eq!((full.dropped(), full.len()), (2, 1));
}

#[test]
fn a_disconnecting_channel_gives_what_it_holds_then_says_that_it_was_too_slow() {
    let bus = bus();
    let options = ChannelOptions::bounded(2).on_full(OnFull::Disconnect);
    let receiver = bus.channel(Filter::all(), options).expect("opens");
    publish(&bus, 0..4);
    assert!(bus.stats().subscriptions.is_empty(), "its subscription has ended");
    assert!(receiver.recv().is_ok() && receiver.recv().is_ok());
    assert_eq!(receiver.recv().expect_err("too slow").kind(), ErrorKind::Pruned);
}

#[test]
fn a_channel_ends_with_the_bus_after_giving_what_it_holds() {
    let bus = bus();
    let receiver = bus.channel(Filter::all(), ChannelOptions::default()).expect("opens").named("audit");
    assert_eq!(bus.stats().subscriptions[0].name.as_deref(), Some("audit"));
    assert!(receiver.recv_timeout(Duration::from_millis(1)).expect("open").is_none());
    publish(&bus, 0..2);
    let waiting = thread::spawn(move || receiver.iter().filter(Result::is_ok).count());
    bus.close();
    assert_eq!(waiting.join().expect("no panic"), 2);
}

#[test]
fn a_receiver_that_waits_is_woken_when_its_subscription_ends() {
    let bus = bus();
    // Another thread has published, so it keeps an older view of the registry with the channel in it.
    let receiver = bus.channel(Filter::all(), ChannelOptions::default()).expect("opens");
    let id = receiver.id();
    thread::scope(|threads| {
        threads.spawn(|| {
            publish(&bus, 0..1);
            assert!(bus.unsubscribe(id));
        });
    });
    assert!(receiver.recv().is_ok());
    assert_eq!(receiver.recv().expect_err("ended").kind(), ErrorKind::Closed);
}

#[test]
fn a_dropped_receiver_unsubscribes() {
    let bus = bus();
    drop(bus.channel(Filter::all(), ChannelOptions::default()).expect("opens"));
    assert!(bus.stats().subscriptions.is_empty());
}

#[test]
fn a_tail_without_a_store_follows_from_now_and_ends_with_the_bus() {
    let bus = bus();
    publish(&bus, 0..1);
    let mut tail = bus.tail(Filter::all(), Start::Now).expect("opens");
    assert!(tail.next_timeout(Duration::ZERO).expect("open").is_none());
    publish(&bus, 1..3);
    assert_eq!(
        tail.next_timeout(SOON).expect("open").expect("an event").payload_json().expect("JSON"),
        r#"{"n":1}"#
    );
    assert_eq!(tail.cursor(), None);
    bus.close();
    assert_eq!(tail.by_ref().count(), 1);
    assert_eq!(tail.next_timeout(SOON).expect_err("closed").kind(), ErrorKind::Closed);
}

#[test]
fn a_tail_without_a_store_that_falls_too_far_behind_is_told() {
    let bus = bus();
    let mut tail = bus.tail(Filter::all(), Start::Now).expect("opens");
    let event = numbered(0);
    (0..70_000).for_each(|_| assert!(bus.publish(event.clone()).is_ok()));
    let errors: Vec<Error> = (&mut tail).take(70_000).filter_map(Result::err).take(1).collect();
    assert_eq!(errors[0].kind(), ErrorKind::Pruned);
}
