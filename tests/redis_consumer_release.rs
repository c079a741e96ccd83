//! P8: a delivery that is given back by hand has not failed, comes again at once, and keeps its place.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::time::Duration;

use consumer_support::{Fed, STREAM, is_done};
use planbus::{
    EventId,
    redis::{Deliveries, ManualDelivery, Ordering},
};
use redis_support::*;

fn next(deliveries: &Deliveries) -> ManualDelivery {
    let delivery = deliveries.next_timeout(SERVER_LIMIT).expect("it was not stopped");
    delivery.expect("one comes in time")
}

fn id(delivery: &ManualDelivery) -> EventId {
    delivery.event().event_id()
}

#[test]
fn p8_what_is_given_back_comes_again_as_if_it_had_not_come() {
    let Some(fed) = Fed::start() else { return };
    let event = fed.publish("plan-1", 1)[0];
    let deliveries = fed.consumer("workers").deliveries().expect("starts");
    for _ in 0..3 {
        let delivery = next(&deliveries);
        let told = (id(&delivery), delivery.attempt(), delivery.deliveries(), delivery.last_error());
        assert_eq!(told, (event, 1, 1, None));
        delivery.release();
    }
    next(&deliveries).ack();
    wait_for("it is acked", || is_done(&fed.server, STREAM, "workers", 1));
    wait_for("its figures say so", || {
        let counts = deliveries.status().counts;
        (counts.handled, counts.failed) == (1, 0)
    });
    assert_eq!(deliveries.stop(Duration::from_secs(5)).expect("stops").released, 3);
}

#[test]
fn p8_what_is_given_back_goes_to_whoever_of_the_group_is_there() {
    let Some(fed) = Fed::start() else { return };
    let event = fed.publish("plan-1", 1)[0];
    let first = fed.consumer("workers").deliveries().expect("starts");
    let held = next(&first);
    let second = fed.consumer("workers").deliveries().expect("starts");
    held.release();
    assert_eq!(first.stop(Duration::from_secs(5)).expect("stops").released, 1);
    let again = next(&second);
    assert_eq!((id(&again), again.attempt()), (event, 1));
    again.ack();
}

#[test]
fn p8_the_plan_of_what_is_given_back_waits_for_it() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 3);
    let builder = fed.consumer("workers").ordering(Ordering::PerPlan);
    let deliveries = builder.claim_idle(Duration::from_millis(600)).deliveries().expect("starts");
    let first = next(&deliveries);
    assert_eq!(id(&first), ids[0]);
    first.release();
    for expected in ids {
        let delivery = next(&deliveries);
        assert_eq!((id(&delivery), delivery.attempt()), (expected, 1));
        delivery.ack();
    }
    wait_for("all are acked", || is_done(&fed.server, STREAM, "workers", 3));
}
