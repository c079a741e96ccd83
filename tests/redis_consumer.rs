//! P8: a consumer handles every event of its streams, tries again what failed, and gives up what
//! fails for good.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use consumer_support::{Calls, Fed, STREAM, is_done, pending};
use planbus::{
    redis::{ConsumerState, Delivery, RetryPolicy},
    *,
};
use redis_support::wait_for;

#[test]
fn p8_every_event_is_handled_once_and_acked() {
    let Some(fed) = Fed::start() else { return };
    let before = fed.publish("plan-1", 300);
    let calls = Calls::default();
    let noted = calls.clone();
    let consumer =
        fed.consumer("workers").workers(3).handler(move |delivery: &Delivery| noted.note(delivery));
    let consumer = consumer.expect("starts");
    let after = fed.publish("plan-2", 200);
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 500));
    let expected: BTreeSet<EventId> = before.into_iter().chain(after).collect();
    assert_eq!(calls.ids().len(), 500);
    assert_eq!(calls.ids().into_iter().collect::<BTreeSet<_>>(), expected);
    // The server has an ack before its consumer has counted it.
    wait_for("its figures say so", || {
        let status = consumer.status();
        (status.state, status.streams, status.counts.handled) == (ConsumerState::Live, 1, 500)
    });
    let report = consumer.stop(Duration::from_secs(5)).expect("stops");
    assert_eq!((report.released, report.abandoned, report.unsettled), (0, 0, 0));
    assert_eq!(consumer.status().state, ConsumerState::Stopped);
}

#[test]
fn p8_a_failing_event_is_tried_again_on_schedule_and_holds_up_nobody() {
    let Some(fed) = Fed::start() else { return };
    let calls = Calls::default();
    let noted = calls.clone();
    let failing = fed.publish("plan-1", 1)[0];
    let (start, times) = (Instant::now(), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let seen = times.clone();
    let consumer = fed.consumer("workers").handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if delivery.event().event_id() != failing {
            return Ok(());
        }
        seen.lock().expect("no panic").push(start.elapsed());
        if delivery.attempt() < 4 { Err("not yet") } else { Ok(()) }
    });
    let consumer = consumer.expect("starts");
    fed.publish("plan-1", 100);
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 101));
    let attempts: Vec<u32> =
        calls.all().iter().filter(|(id, _)| *id == failing).map(|(_, attempt)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4]);
    let times = times.lock().expect("no panic").clone();
    for (pair, delay) in times.windows(2).zip([50, 100, 200]) {
        let (waited, delay) = (pair[1] - pair[0], Duration::from_millis(delay));
        assert!(waited >= delay, "{waited:?} before {delay:?}");
        assert!(waited <= delay.mul_f64(1.1) + Duration::from_millis(500), "{waited:?} for {delay:?}");
    }
    wait_for("its figures say so", || consumer.status().counts.failed == 3);
    assert_eq!(fed.server.command(&["EXISTS", &format!("{STREAM}:dlq:workers:failures")]), "0");
}

#[test]
fn p8_one_failing_group_leaves_the_other_with_one_call_an_event() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 50);
    let healthy = Calls::default();
    let noted = healthy.clone();
    let good = fed.consumer("good").handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    let bad = fed.consumer("bad").handler(|_: &Delivery| Err::<(), _>("always")).expect("starts");
    wait_for("all are dead letters", || {
        is_done(&fed.server, STREAM, "bad", 50) && is_done(&fed.server, STREAM, "good", 50)
    });
    assert_eq!(healthy.all().len(), 50);
    wait_for("its figures say so", || {
        (good.status().counts.dead_lettered, bad.status().counts.dead_lettered) == (0, 50)
    });
}

#[test]
fn p8_what_a_stopped_consumer_had_not_begun_is_anothers_at_once() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 100);
    let begun = std::sync::Arc::new(AtomicUsize::new(0));
    let (seen, gate) = (begun.clone(), std::sync::Arc::new(std::sync::Barrier::new(2)));
    let opened = gate.clone();
    let first =
        fed.consumer("workers").claim_idle(Duration::from_secs(3_600)).handler(move |_: &Delivery| {
            if seen.fetch_add(1, Relaxed) == 0 {
                opened.wait();
            }
        });
    let first = first.expect("starts");
    wait_for("the first has all in hand", || first.status().ready == 99);
    let stopping = std::thread::spawn(move || {
        let report = first.stop(Duration::from_secs(20)).expect("stops");
        (report.released, report.abandoned, report.unsettled)
    });
    wait_for("they are given back", || {
        fed.server.command(&["ZCARD", &format!("{STREAM}:dlq:workers:due")]) == "99"
    });
    gate.wait();
    assert_eq!(stopping.join().expect("no panic"), (99, 0, 0));
    let calls = Calls::default();
    let noted = calls.clone();
    let second = fed.consumer("workers").claim_idle(Duration::from_secs(3_600));
    let _second = second.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 100));
    assert_eq!(calls.all().len(), 99);
    assert!(calls.all().iter().all(|(_, attempt)| *attempt == 1));
}

#[test]
fn p8_entries_of_a_dead_consumer_are_claimed_once_and_those_of_a_busy_one_are_not() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 40);
    // One that died with ten entries in hand.
    fed.server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    fed.server.command(&["XREADGROUP", "GROUP", "workers", "dead", "COUNT", "10", "STREAMS", STREAM, ">"]);
    let calls = Calls::default();
    let gate = std::sync::Arc::new(std::sync::Barrier::new(2));
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let (noted, gate) = (calls.clone(), gate.clone());
            let builder = fed.consumer("workers").claim_idle(Duration::from_millis(300)).prefetch(1);
            let slow = fed.store.read_after(39, 1).expect("reads")[0].event_id();
            builder.handler(move |delivery: &Delivery| {
                noted.note(delivery);
                if delivery.event().event_id() == slow {
                    gate.wait();
                }
            })
        })
        .map(|consumer| consumer.expect("starts"))
        .collect();
    wait_for("all but one are acked", || {
        pending(&fed.server, STREAM, "workers") == 1 && calls.all().len() == 40
    });
    // Longer than the claim time: the busy one keeps it.
    let start = Instant::now();
    wait_for("three claim times have passed", || start.elapsed() > Duration::from_millis(900));
    gate.wait();
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 40));
    assert_eq!(calls.times().into_values().collect::<Vec<_>>(), [1; 40]);
    let claimed: u64 = consumers.iter().map(|consumer| consumer.status().counts.claimed).sum();
    assert_eq!(claimed, 10);
}

#[test]
fn p8_deliveries_are_settled_by_hand() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 4);
    let mut deliveries = fed.consumer("workers").deliveries().expect("starts");
    let mut seen = Vec::new();
    for delivery in &mut deliveries {
        let (id, attempt) = (delivery.event().event_id(), delivery.attempt());
        seen.push((id, attempt));
        match ids.iter().position(|known| *known == id) {
            Some(1) if attempt == 1 => delivery.retry("again"),
            Some(2) => delivery.dead_letter("for good"),
            Some(3) if attempt == 1 => drop(delivery),
            _ => delivery.ack(),
        }
        if seen.len() == 6 {
            break;
        }
    }
    deliveries.stop(Duration::from_secs(5)).expect("stops");
    assert!(is_done(&fed.server, STREAM, "workers", 4));
    assert_eq!(fed.server.entries(&format!("{STREAM}:dlq")).len(), 1);
    assert!(seen.contains(&(ids[1], 2)) && seen.contains(&(ids[3], 2)), "{seen:?}");
    let error = deliveries.next_timeout(Duration::ZERO).expect_err("was stopped");
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn p8_a_handler_that_takes_too_long_is_reported_and_goes_on() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 1);
    let gate = std::sync::Arc::new(std::sync::Barrier::new(2));
    let opened = gate.clone();
    let builder = fed.consumer("workers").handler_timeout(Duration::from_millis(20));
    let consumer = builder
        .handler(move |_: &Delivery| {
            opened.wait();
        })
        .expect("starts");
    wait_for("it is reported", || consumer.status().counts.overdue == 1);
    gate.wait();
    wait_for("it is acked", || is_done(&fed.server, STREAM, "workers", 1));
    wait_for("its figures say so", || {
        (consumer.status().counts.handled, consumer.status().counts.overdue) == (1, 1)
    });
}

#[test]
fn p8_what_waits_behind_a_handler_that_does_not_end_is_given_to_others() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 20);
    let gate = std::sync::Arc::new(std::sync::Barrier::new(2));
    let opened = gate.clone();
    let hung = fed.consumer("workers").claim_idle(Duration::from_millis(300)).handler(move |_: &Delivery| {
        opened.wait();
    });
    let hung = hung.expect("starts");
    wait_for("one hangs with all others behind it", || hung.status().ready == 19);
    let calls = Calls::default();
    let noted = calls.clone();
    let builder = fed.consumer("workers").claim_idle(Duration::from_millis(300));
    let free = builder.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    calls.wait_for(19);
    wait_for("all but one are acked", || pending(&fed.server, STREAM, "workers") == 1);
    gate.wait();
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 20));
    wait_for("its figures say so", || {
        (hung.status().counts.handled, free.status().counts.handled) == (1, 19)
    });
}

#[test]
fn p8_attempts_and_the_last_error_outlive_their_consumer() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 1);
    let policy = RetryPolicy::delays([2, 2].map(Duration::from_secs));
    let first =
        fed.consumer("workers").retry(policy.clone()).handler(|_: &Delivery| Err::<(), _>("no such table"));
    let first = first.expect("starts");
    wait_for("it failed, and waits", || {
        fed.server.command(&["ZCARD", &format!("{STREAM}:dlq:workers:due")]) == "1"
    });
    first.stop(Duration::from_secs(5)).expect("stops");
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let _second = fed.consumer("workers").retry(policy).handler(move |delivery: &Delivery| {
        let told = delivery.last_error().map(str::to_owned);
        noted.lock().expect("no panic").push((delivery.attempt(), delivery.deliveries(), told));
    });
    wait_for("it is acked", || is_done(&fed.server, STREAM, "workers", 1));
    assert_eq!(*seen.lock().expect("no panic"), [(2, 2, Some("no such table".to_owned()))]);
}
