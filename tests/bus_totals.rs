//! The bus's totals: exact over all subscriptions that there are and were, and never falling.

mod bus_support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use bus_support::*;
use planbus::*;

/// What became of events: delivered, failed, panicked, dropped.
fn totals(bus: &EventBus) -> [u64; 4] {
    let stats = bus.stats();
    [stats.delivered, stats.failed, stats.panicked, stats.dropped]
}

#[test]
fn what_subscriptions_counted_stays_in_the_totals_when_they_and_their_threads_end() {
    let bus = bus();
    let (_, good) = counter(&bus, Filter::all());
    let failing = bus.subscribe(Filter::all(), |_: &Event| Err("no luck")).expect("subscribes");
    let panicking = bus.subscribe(Filter::all(), |_: &Event| -> () { panic!("boom") }).expect("subscribes");
    let newest = bus.channel(Filter::all(), ChannelOptions::bounded(2)).expect("a channel");
    let oldest = ChannelOptions::bounded(2).on_full(OnFull::DropNewest);
    let oldest = bus.channel(Filter::all(), oldest).expect("a channel");
    let publisher = bus.clone();
    thread::spawn(move || {
        for _ in 0..5 {
            publisher.publish(started("p")).expect("publishes");
        }
    })
    .join()
    .expect("ends");
    // A handler, a channel that gave up three older events, one that gave up three newer.
    let expected = [5 + 5 + 2, 10, 5, 3 + 3];
    assert_eq!(totals(&bus), expected);
    let counts = bus.stats().subscriptions.into_iter().map(|subscription| subscription.counts);
    let sum = counts.fold([0; 4], |sum, counts| {
        let counts = [counts.delivered, counts.failed, counts.panicked, counts.dropped];
        std::array::from_fn(|at| sum[at] + counts[at])
    });
    assert_eq!(sum, expected);
    drop((good, failing, panicking, newest, oldest));
    // Another thread, whose first publish finds that the one above is gone.
    bus.publish(started("p")).expect("publishes");
    assert!(bus.stats().subscriptions.is_empty());
    assert_eq!(totals(&bus), expected);
    bus.close();
    assert_eq!(totals(&bus), expected);
}

#[test]
fn a_handler_that_runs_on_behind_the_end_of_its_subscription_is_counted() {
    let bus = bus();
    let (began, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let sub = bus.subscribe(Filter::all(), move |_: &Event| {
        began.send(()).expect("is awaited");
        may_go_on.lock().expect("not poisoned").recv().expect("is told");
        Err::<(), _>("too late")
    });
    let sub = sub.expect("subscribes");
    let publisher = bus.clone();
    let publisher = thread::spawn(move || publisher.publish(started("p")).expect("publishes"));
    has_begun.recv_timeout(SOON).expect("is called");
    drop(sub);
    assert_eq!(totals(&bus), [0; 4]);
    go_on.send(()).expect("waits");
    assert_eq!(publisher.join().expect("ends").failed, 1);
    assert_eq!(totals(&bus), [0, 1, 0, 0]);
}

#[test]
fn totals_never_fall_while_subscriptions_and_threads_come_and_go() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 300;
    let bus = bus();
    let taken = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (bus, is_over) = (bus.clone(), Arc::clone(&is_over));
        thread::spawn(move || {
            let (mut last, mut looks) = (totals(&bus), 0_u64);
            while !is_over.load(Ordering::Acquire) || looks == 0 {
                let now = totals(&bus);
                assert!(now.iter().zip(&last).all(|(now, last)| now >= last), "{last:?} fell to {now:?}");
                (last, looks) = (now, looks + 1);
            }
        })
    };
    for _ in 0..5 {
        let publishers: Vec<_> = (0..THREADS)
            .map(|_| {
                let (bus, taken) = (bus.clone(), Arc::clone(&taken));
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        let taken = Arc::clone(&taken);
                        let count = move |_: &Event| {
                            taken.fetch_add(1, Ordering::Relaxed);
                        };
                        let sub = bus.subscribe(Filter::all(), count).expect("subscribes");
                        bus.publish(started("p")).expect("publishes");
                        drop(sub);
                    }
                })
            })
            .collect();
        publishers.into_iter().for_each(|publisher| publisher.join().expect("ends"));
    }
    is_over.store(true, Ordering::Release);
    watcher.join().expect("saw no total fall");
    let stats = bus.stats();
    assert_eq!(stats.published, (5 * THREADS * ROUNDS) as u64);
    assert!(stats.subscriptions.is_empty() && stats.delivered >= stats.published);
    assert_eq!(stats.delivered, taken.load(Ordering::Relaxed));
}
