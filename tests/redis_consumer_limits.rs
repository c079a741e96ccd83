//! P8 at the limits of a consumer: too much behind one plan, handlers that do not end, and verdicts that
//! cannot be had.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use consumer_support::{Calls, Fed, STREAM, is_done, quick};
use planbus::redis::{Delivery, Ordering, RetryPolicy};
use redis_support::wait_for;

#[test]
fn p8_a_verdict_that_panics_ends_no_worker_and_the_policy_decides() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 10);
    let policy = RetryPolicy::delays([Duration::from_millis(10)]).verdict(|_| panic!("no verdict"));
    let (calls, poison) = (Calls::default(), ids[0]);
    let noted = calls.clone();
    let consumer = fed.consumer("workers").retry(policy).handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if delivery.event().event_id() == poison { Err("no") } else { Ok(()) }
    });
    let consumer = consumer.expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 10));
    wait_for("its figures say so", || (calls.all().len(), consumer.status().counts.dead_lettered) == (11, 1));
}

#[test]
fn p8_per_plan_more_pending_than_may_be_parked_is_no_standstill() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 60);
    let calls = Calls::default();
    let start = |parked: usize, succeeds: bool| {
        let noted = calls.clone();
        let builder = fed.consumer("workers").ordering(Ordering::PerPlan).prefetch(4).parked_max(parked);
        let builder =
            builder.retry(if succeeds { quick() } else { RetryPolicy::delays([Duration::from_millis(300)]) });
        builder.handler(move |delivery: &Delivery| {
            noted.note(delivery);
            if succeeds { Ok(()) } else { Err("not yet") }
        })
    };
    let first = start(1_000, false).expect("starts");
    wait_for("the rest waits behind the first", || first.status().parked == 59);
    first.stop(Duration::from_secs(5)).expect("stops");
    let _second = start(10, true).expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 60));
    let last: Vec<_> = calls.ids().into_iter().rev().take(60).rev().collect();
    let log = fed.store.read_after(0, 100).expect("reads");
    assert_eq!(last, log.iter().map(planbus::Event::event_id).collect::<Vec<_>>());
}

#[test]
fn p8_per_plan_what_a_stopped_consumer_still_handles_is_nobody_elses_before_its_lease_ends() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 3);
    let gate = Arc::new(Barrier::new(2));
    let opened = gate.clone();
    let lease = Duration::from_secs(2);
    let builder = fed.consumer("workers").ordering(Ordering::PerPlan).claim_idle(lease);
    let first = builder.handler(move |_: &Delivery| {
        opened.wait();
    });
    let first = first.expect("starts");
    wait_for("one is with the handler", || first.status().busy == 1);
    let stopped = Instant::now();
    assert_eq!(first.stop(Duration::from_millis(10)).expect("stops").abandoned, 1);
    let calls = Calls::default();
    let (noted, at) = (calls.clone(), Arc::new(std::sync::Mutex::new(None)));
    let seen = at.clone();
    let builder = fed.consumer("workers").ordering(Ordering::PerPlan).claim_idle(lease);
    let _second = builder.handler(move |delivery: &Delivery| {
        seen.lock().expect("no panic").get_or_insert_with(Instant::now);
        noted.note(delivery);
    });
    calls.wait_for(3);
    let waited = at.lock().expect("no panic").expect("was called") - stopped;
    // A third of it may have gone by since it was renewed.
    assert!(waited >= lease / 2, "after {waited:?}");
    gate.wait();
}

#[test]
fn a_consumer_whose_handlers_hang_does_not_keep_the_server_busy() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 6);
    let gate = Arc::new(Barrier::new(2));
    let opened = gate.clone();
    let consumer =
        fed.consumer("workers").claim_idle(Duration::from_millis(200)).handler(move |_: &Delivery| {
            opened.wait();
        });
    let consumer = consumer.expect("starts");
    let due = format!("{STREAM}:dlq:workers:due");
    wait_for("the rest is given back", || fed.server.command(&["ZCARD", &due]) == "5");
    fed.server.command(&["CONFIG", "RESETSTAT"]);
    let start = Instant::now();
    wait_for("a second has gone by", || start.elapsed() > Duration::from_secs(1));
    let stats = fed.server.command(&["INFO", "commandstats"]);
    let evals = stats.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls="));
    let evals: u64 = evals.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0);
    assert!(evals < 100, "{evals} scripts in a second");
    for _ in 0..6 {
        gate.wait();
    }
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 6));
    drop(consumer);
}
