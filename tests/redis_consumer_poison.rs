//! P8 where handlers end their process, and where the program's own processes end: nobody else is taken
//! for the cause, and no connection is lost.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use consumer_support::{Calls, Fed, STREAM, is_done, pending};
use planbus::redis::{ConsumerState, Delivery};
use redis_support::wait_for;

#[test]
fn p8_what_was_in_hand_beside_an_event_that_kills_its_consumer_is_not_taken_for_it() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 20);
    fed.server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
    let poison = ids[7];
    // Each of these died at the poison, with all that it had in hand.
    let all = fed.server.entries(STREAM);
    for (id, _) in &all {
        let read = ["XREADGROUP", "GROUP", "workers", "dead", "COUNT", "1", "STREAMS", STREAM, ">"];
        fed.server.command(&read);
        let claim =
            ["XCLAIM", STREAM, "workers", "dead", "0", id, "IDLE", "60000", "RETRYCOUNT", "5", "JUSTID"];
        fed.server.command(&claim);
    }
    let calls = Calls::default();
    let mut rounds = 0;
    while fed.server.entries(&format!("{STREAM}:dlq")).is_empty() {
        rounds += 1;
        assert!(rounds < 20, "the poison is never given up");
        let (noted, gate) = (calls.clone(), std::sync::Arc::new(std::sync::Barrier::new(2)));
        let entered = gate.clone();
        let builder = fed.consumer("workers").claim_idle(Duration::from_millis(100));
        let consumer = builder.handler(move |delivery: &Delivery| {
            noted.note(delivery);
            if delivery.event().event_id() == poison {
                entered.wait();
                std::thread::park_timeout(Duration::from_secs(20));
            }
        });
        let consumer = consumer.expect("starts");
        let begun = calls.ids().iter().filter(|id| **id == poison).count();
        wait_for("the poison is begun, or buried", || {
            calls.ids().iter().filter(|id| **id == poison).count() > begun
                || !fed.server.entries(&format!("{STREAM}:dlq")).is_empty()
        });
        // As a kill: what it has in hand stays so, and nobody renews it.
        consumer.stop(Duration::ZERO).expect("stops");
        std::mem::forget(gate);
    }
    let calls_before = calls.all().len();
    let noted = calls.clone();
    let last = fed.consumer("workers").claim_idle(Duration::from_millis(100));
    let last = last.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    wait_for("all others are acked", || is_done(&fed.server, STREAM, "workers", 20));
    assert!(calls.all().len() > calls_before);
    let letters = fed.server.entries(&format!("{STREAM}:dlq"));
    assert_eq!(letters.len(), 1, "others were taken for the poison");
    assert!(format!("{letters:?}").contains(&poison.to_string()));
    assert_eq!((pending(&fed.server, STREAM, "workers"), last.status().counts.failed), (0, 0));
}

#[test]
fn children_that_end_cost_a_consumer_no_connection() {
    let Some(fed) = Fed::start() else { return };
    let consumer = fed.consumer("workers").handler(|_: &Delivery| ()).expect("starts");
    fed.publish("plan-1", 1);
    wait_for("it works", || is_done(&fed.server, STREAM, "workers", 1));
    let connections = || {
        let told = fed.server.command(&["INFO", "stats"]);
        let line = told.lines().find(|line| line.starts_with("total_connections_received:"));
        line.and_then(|line| line.split(':').nth(1)?.trim().parse::<u64>().ok()).expect("is told")
    };
    // Each look is one connection itself.
    let before = connections();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert!(Command::new("true").status().expect("runs").success());
                }
            });
        }
    });
    assert_eq!(connections() - before, 1, "connections were lost in {:?}", start.elapsed());
    assert_eq!(consumer.status().state, ConsumerState::Live);
}
