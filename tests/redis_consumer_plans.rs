//! P8 where plans keep their order: one consumer at a time has a stream, and what failed holds up its
//! own plan alone.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::time::Duration;

use consumer_support::{Calls, Fed, STREAM, is_done};
use planbus::{
    redis::{ConsumerState, Delivery, Ordering},
    *,
};
use redis_support::wait_for;

#[test]
fn p8_per_plan_keeps_each_plans_order_and_lets_others_pass() {
    let Some(fed) = Fed::start() else { return };
    let failing = fed.publish("plan-1", 1)[0];
    for round in 0..20 {
        fed.publish(&format!("plan-{}", round % 3), 10);
    }
    let calls = Calls::default();
    let noted = calls.clone();
    // It fails until all events of other plans were handled, however long that takes.
    let others = 200 - 10 * (0..20).filter(|round| round % 3 == 1).count();
    let delay = Duration::from_millis(50);
    let policy = planbus::redis::RetryPolicy::exponential(delay, 1.0, delay, 900).deliveries_max(10_000);
    let builder = fed.consumer("workers").ordering(Ordering::PerPlan).workers(4).prefetch(16);
    let consumer = builder.retry(policy).handler(move |delivery: &Delivery| {
        if delivery.event().event_id() == failing && noted.all().len() < others {
            return Err("not yet");
        }
        noted.note(delivery);
        Ok(())
    });
    let consumer = consumer.expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 201));
    let log = fed.store.read_after(0, 1_000).expect("reads");
    for plan in ["plan-0", "plan-1", "plan-2"] {
        let of_plan =
            |id: &EventId| log.iter().any(|event| event.event_id() == *id && event.plan_id() == plan);
        let handled: Vec<EventId> = calls.ids().into_iter().filter(of_plan).collect();
        let expected: Vec<EventId> =
            log.iter().filter(|event| event.plan_id() == plan).map(Event::event_id).collect();
        assert_eq!(handled, expected, "{plan}");
    }
    assert_eq!(consumer.status().leases, 1);
}

#[test]
fn a_group_whose_consumers_do_not_agree_on_order_is_told() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 5);
    let first =
        fed.consumer("workers").ordering(Ordering::PerPlan).handler(|_: &Delivery| ()).expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 5));
    let second = fed.consumer("workers").handler(|_: &Delivery| ()).expect("starts");
    wait_for("it says so", || second.status().state == ConsumerState::Blocked);
    let told = second.status().last_error.expect("is blocked").to_string();
    assert!(told.contains("keeps its plans in order"), "{told}");
    fed.publish("plan-1", 5);
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 10));
    wait_for("its figures say so", || {
        (first.status().counts.handled, second.status().counts.handled) == (10, 0)
    });
    first.stop(Duration::from_secs(5)).expect("stops");
    wait_for("the second goes on", || second.status().state == ConsumerState::Live);
}

#[test]
fn p8_per_plan_another_consumer_goes_on_where_the_first_ended() {
    let Some(fed) = Fed::start() else { return };
    let calls = Calls::default();
    let start = || {
        let noted = calls.clone();
        let builder = fed.consumer("workers").ordering(Ordering::PerPlan).workers(2);
        builder.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts")
    };
    let (first, second) = (start(), start());
    let mut ids = fed.publish("plan-1", 100);
    wait_for("one of them works", || first.status().leases + second.status().leases == 1);
    let (active, standby) = if first.status().leases == 1 { (first, second) } else { (second, first) };
    active.stop(Duration::from_secs(5)).expect("stops");
    ids.extend(fed.publish("plan-1", 100));
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 200));
    assert_eq!(standby.status().leases, 1);
    assert_eq!(calls.ids(), ids);
    standby.stop(Duration::from_secs(5)).expect("stops");
    let left = fed.server.command(&["XINFO", "CONSUMERS", STREAM, "workers"]);
    assert!(
        !left.contains(&standby.status().consumer),
        "one that has nothing pending is still there: {left}"
    );
}

#[test]
fn p8_per_plan_goes_on_where_somebody_deleted_what_its_plan_waits_for() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 3);
    let (calls, first) = (Calls::default(), ids[0]);
    let noted = calls.clone();
    let policy = planbus::redis::RetryPolicy::delays([Duration::from_secs(3_600)]);
    let builder = fed.consumer("workers").ordering(Ordering::PerPlan).retry(policy);
    let builder = builder.claim_idle(Duration::from_millis(300));
    let _consumer = builder.handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if delivery.event().event_id() == first && delivery.deliveries() == 1 { Err("once") } else { Ok(()) }
    });
    let due = format!("{STREAM}:dlq:workers:due");
    wait_for("the first waits", || fed.server.command(&["ZCARD", &due]) == "1");
    fed.server.command(&["DEL", &due]);
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 3));
    assert_eq!(calls.ids(), [first, first, ids[1], ids[2]]);
}

#[test]
fn p8_per_plan_consumers_share_the_partitions_among_them() {
    let Some(server) = redis_support::RedisServer::builder().tcp().start() else { return };
    let profile = planbus::redis::Profile::native().with_key("planbus:{<tenant>:<partition>}:events");
    let profile = profile.and_then(|profile| profile.with_partitions(4)).expect("valid");
    let Some(fed) = Fed::on(server, profile.clone()) else { return };
    for plan in 0..40 {
        fed.save(&format!("plan-{plan}"), 1);
    }
    fed.publish("plan-0", 1);
    let start = || {
        let builder = fed.consumer("workers").profile(profile.clone()).ordering(Ordering::PerPlan);
        builder.handler(|_: &Delivery| ()).expect("starts")
    };
    let first = start();
    wait_for("the first has all", || first.status().leases == 4);
    let second = start();
    wait_for("both have half", || (first.status().leases, second.status().leases) == (2, 2));
    first.stop(Duration::from_secs(5)).expect("stops");
    wait_for("the second has all", || second.status().leases == 4);
    for plan in 0..40 {
        fed.save(&format!("plan-{plan}"), 2);
    }
    fed.publish("plan-0", 1);
    wait_for("all is handled once", || {
        first.status().counts.handled + second.status().counts.handled == 82 && second.status().busy == 0
    });
}
