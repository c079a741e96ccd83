//! P8 where threads and connections of a consumer cross: what is read while it stops, what is failing
//! while its lease goes, what a lost connection does late.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use consumer_support::{Calls, Fed, STREAM, is_done, pending};
use planbus::redis::{ConsumerState, Delivery, Ordering, RetryPolicy};
use redis_support::wait_for;

/// Longer than any test: nobody claims what another consumer has.
const NEVER: Duration = Duration::from_secs(3_600);

#[test]
fn p8_what_a_consumer_reads_while_it_stops_is_anothers_at_once() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan", 1);
    let consumer = || fed.consumer("workers").claim_idle(NEVER);
    for round in 0..4 {
        let stopping = consumer().handler(|_: &Delivery| ()).expect("starts");
        wait_for("it has done all", || is_done(&fed.server, STREAM, "workers", 1 + round));
        thread::scope(|scope| {
            let stopped = scope.spawn(|| stopping.stop(Duration::from_secs(5)).expect("stops"));
            wait_for("it stops", || {
                matches!(stopping.status().state, ConsumerState::Stopping | ConsumerState::Stopped)
            });
            // It waits at the server still.
            fed.publish("plan", 1);
            let report = stopped.join().expect("no panic");
            assert_eq!((report.abandoned, report.unsettled), (0, 0));
        });
        let due = fed.server.command(&["ZCARD", &format!("{STREAM}:dlq:workers:due")]);
        assert_eq!(pending(&fed.server, STREAM, "workers").to_string(), due, "round {round}: given back");
        let calls = Calls::default();
        let noted = calls.clone();
        let _next = consumer().handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
        calls.wait_for(1);
        wait_for("it is acked", || is_done(&fed.server, STREAM, "workers", 2 + round));
    }
}

/// Lets handlers through when it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().expect("no panic") = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let is_open = self.0.0.lock().expect("no panic");
        drop(self.0.1.wait_while(is_open, |is_open| !*is_open).expect("no panic"));
    }
}

fn lease() -> String {
    format!("{STREAM}:dlq:workers:lease")
}

#[test]
fn p8_per_plan_what_runs_while_the_lease_is_taken_anew_keeps_its_place() {
    let Some(fed) = Fed::start() else { return };
    let first = fed.publish("plan-1", 1)[0];
    let (calls, gate) = (Calls::default(), Gate::default());
    let (noted, closed) = (calls.clone(), gate.clone());
    let consumer = fed.consumer("workers").ordering(Ordering::PerPlan).workers(4);
    let consumer = consumer.claim_idle(Duration::from_millis(300)).handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if delivery.event().event_id() == first {
            closed.pass();
        }
    });
    let _consumer = consumer.expect("starts");
    calls.wait_for(1);
    let second = fed.publish("plan-1", 1);
    fed.server.command(&["DEL", &lease()]);
    wait_for("the lease is taken anew", || fed.server.command(&["EXISTS", &lease()]) == "1");
    // It stands behind the second one of the first plan: whoever has read it has read that.
    let other = fed.publish("plan-2", 1);
    calls.wait_for(2);
    let before = calls.ids();
    gate.open();
    assert_eq!(before, [first, other[0]], "the second waits for the first, which is being handled");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 3));
    assert_eq!(calls.ids(), [first, other[0], second[0]]);
}

#[test]
fn p8_per_plan_a_failure_that_comes_after_the_lease_was_lost_lets_nothing_pass() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 3);
    let (calls, gate) = (Calls::default(), Gate::default());
    let (noted, closed) = (calls.clone(), gate.clone());
    let consumer = fed.consumer("workers").ordering(Ordering::PerPlan).workers(4);
    // The lease is looked after every ten seconds: it is lost unseen.
    let consumer = consumer.claim_idle(Duration::from_secs(30)).handler(move |delivery: &Delivery| {
        noted.note(delivery);
        closed.pass();
        Err::<(), _>("it fails")
    });
    let consumer = consumer.expect("starts");
    calls.wait_for(1);
    fed.server.command(&["SET", &lease(), "another"]);
    gate.open();
    wait_for("it sees that the lease is another's", || consumer.status().leases == 0);
    assert_eq!(calls.ids(), [ids[0]]);
}

#[test]
fn a_stop_keeps_its_deadline_also_where_redis_does_not_answer() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 10);
    let builder = fed.consumer("workers").workers(2);
    let consumer = builder.handler(|_: &Delivery| ()).expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 10));
    fed.server.stop();
    let start = Instant::now();
    let report = consumer.stop(Duration::from_millis(300)).expect("stops");
    // The reads that wait for the server are given three seconds each.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}, {report:?}", start.elapsed());
    fed.server.cont();
}

#[test]
fn p8_per_plan_what_waited_in_a_stream_that_was_deleted_holds_up_nobody() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 2);
    let (calls, is_first) = (Calls::default(), AtomicBool::new(true));
    let noted = calls.clone();
    let consumer = fed.consumer("workers").ordering(Ordering::PerPlan).retry(RetryPolicy::delays([NEVER]));
    let consumer = consumer.handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if is_first.swap(false, Relaxed) { Err("it fails") } else { Ok(()) }
    });
    let _consumer = consumer.expect("starts");
    let due = format!("{STREAM}:dlq:workers:due");
    wait_for("the first waits", || fed.server.command(&["ZCARD", &due]) == "1");
    fed.server.command(&["DEL", STREAM]);
    wait_for("the mirror fills it again", || fed.server.entries(STREAM).len() == 2);
    wait_for("all is acked", || {
        fed.server.command(&["EXISTS", &due]) == "0" && is_done(&fed.server, STREAM, "workers", 2)
    });
    assert_eq!(calls.ids(), [ids[0], ids[0], ids[1]]);
}
