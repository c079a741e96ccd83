//! P8 where a stream, its group or its entries go away under a consumer: what is there is handled, what
//! is gone is told, and the server is left in peace.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    collections::BTreeSet,
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use consumer_support::{Calls, Fed, STREAM, builder, is_done, pending};
use planbus::{
    redis::{ConsumerState, Delivery, Ordering, Profile, RetryPolicy},
    *,
};
use redis_support::{RedisServer, ServerKind, wait_for};

/// A log in a server of each kind that is here.
fn of_each_kind() -> impl Iterator<Item = Fed> {
    let server = |kind| RedisServer::builder().kind(kind).tcp().start();
    ServerKind::ALL.into_iter().filter_map(server).filter_map(|server| Fed::on(server, Profile::native()))
}

// A group that is made again at `$` loses what came meanwhile; one that is not made again hangs.
#[test]
fn p8_a_group_that_goes_away_under_a_reader_is_made_again_and_nothing_is_lost_or_handled_twice() {
    let destroy: [&[&str]; 3] = [&["XGROUP", "DESTROY", STREAM, "workers"], &["DEL", STREAM], &["FLUSHALL"]];
    for fed in of_each_kind() {
        let calls = Calls::default();
        let noted = calls.clone();
        let consumer = fed.consumer("workers").handler(move |delivery: &Delivery| noted.note(delivery));
        let consumer = consumer.expect("starts");
        let mut expected: BTreeSet<EventId> = fed.publish("plan-1", 50).into_iter().collect();
        wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 50));
        for (round, destroy) in (1..).zip(destroy) {
            fed.server.command(destroy);
            expected.extend(fed.publish("plan-2", 50));
            let (events, again) = (50 * (round + 1), 50 * round * (round + 1) / 2);
            wait_for("all is acked again", || {
                consumer.status().counts.duplicates == again
                    && is_done(&fed.server, STREAM, "workers", events as usize)
            });
            assert_eq!(consumer.status().counts.healed, round, "{destroy:?}");
        }
        assert_eq!(
            calls.times().into_iter().collect::<Vec<_>>(),
            expected.iter().map(|id| (*id, 1)).collect::<Vec<_>>()
        );
        assert_eq!(consumer.status().state, ConsumerState::Live);
    }
}

#[test]
fn p8_with_plans_in_order_a_flush_costs_the_lease_and_nothing_else() {
    for fed in of_each_kind() {
        let calls = Calls::default();
        let noted = calls.clone();
        // Far longer than a test may take: nobody waits for a renewal.
        let builder =
            fed.consumer("workers").ordering(Ordering::PerPlan).claim_idle(Duration::from_secs(3_600));
        let _consumer = builder.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
        let mut expected = fed.publish("plan-1", 30);
        wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 30));
        fed.server.command(&["FLUSHALL"]);
        expected.extend(fed.publish("plan-1", 30));
        wait_for("all is acked again", || is_done(&fed.server, STREAM, "workers", 60));
        assert_eq!(calls.ids(), expected);
    }
}

#[test]
fn a_stream_that_is_not_there_keeps_neither_the_server_nor_a_reader_busy() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).tcp().start() else { continue };
        server.command(&["XADD", STREAM, "1-0", "event_type", "note"]);
        let calls = Calls::default();
        let noted = calls.clone();
        let consumer = builder(&server, "workers").handler(move |delivery: &Delivery| noted.note(delivery));
        let consumer = consumer.expect("starts");
        calls.wait_for(1);
        let commands = || -> u64 {
            let info = server.command(&["INFO", "stats"]);
            let told = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
            told.expect("is told").trim().parse().expect("a number")
        };
        for lost in [&["XGROUP", "DESTROY", STREAM, "workers"][..], &["DEL", STREAM]] {
            server.command(lost);
            let (before, start) = (commands(), Instant::now());
            wait_for("a second has passed", || start.elapsed() > Duration::from_secs(1));
            let (after, seconds) = (commands(), start.elapsed().as_secs() + 1);
            assert!(after - before < 150 * seconds, "{kind:?} {lost:?}: {} commands", after - before);
        }
        server.command(&["XADD", STREAM, "2-0", "event_type", "note"]);
        calls.wait_for(2);
        assert_eq!((calls.all().len(), consumer.status().counts.healed), (2, 2), "{kind:?}");
    }
}

#[test]
fn a_stream_that_is_new_is_read_from_its_beginning_and_was_never_gone() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let calls = Calls::default();
    let noted = calls.clone();
    let consumer = builder(&server, "workers").handler(move |delivery: &Delivery| noted.note(delivery));
    let consumer = consumer.expect("starts");
    wait_for("it has looked", || consumer.status().state == ConsumerState::Live);
    server.command(&["XADD", STREAM, "1-0", "event_type", "note"]);
    calls.wait_for(1);
    assert_eq!((consumer.status().streams, consumer.status().counts.healed), (1, 0));
}

// A dead consumer's, one that waits for its retry, one with a handler; the fourth lives.
#[test]
fn p8_entries_that_are_deleted_while_they_are_pending_are_acked_and_counted() {
    for fed in of_each_kind() {
        let ids = fed.publish("plan-1", 4);
        let entries: Vec<String> = fed.server.entries(STREAM).into_iter().map(|(id, _)| id).collect();
        fed.server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
        fed.server.command(&["XREADGROUP", "GROUP", "workers", "dead", "COUNT", "1", "STREAMS", STREAM, ">"]);
        fed.server.command(&["XDEL", STREAM, &entries[0]]);
        let gate = Arc::new(Barrier::new(2));
        let (opened, failing, slow) = (gate.clone(), ids[1], ids[2]);
        let builder = fed.consumer("workers").claim_idle(Duration::from_millis(300)).workers(2);
        let retry = RetryPolicy::delays([Duration::from_millis(800)]);
        let consumer = builder.retry(retry).handler(move |delivery: &Delivery| {
            if delivery.event().event_id() == slow {
                opened.wait();
            }
            if delivery.event().event_id() == failing { Err("not yet") } else { Ok(()) }
        });
        let consumer = consumer.expect("starts");
        let due = format!("{STREAM}:dlq:workers:due");
        wait_for("one waits and one is with its handler", || {
            fed.server.command(&["ZCARD", &due]) == "1" && consumer.status().counts.handled == 1
        });
        fed.server.command(&["XDEL", STREAM, &entries[1], &entries[2]]);
        // Longer than it takes to renew what is in hand.
        wait_for("the others are acked", || consumer.status().counts.trimmed == 2);
        gate.wait();
        // An ack is counted when its answer has come, which is after the server did it.
        wait_for("all is acked and counted", || {
            pending(&fed.server, STREAM, "workers") == 0 && consumer.status().counts.handled == 2
        });
        let counts = consumer.status().counts;
        assert_eq!((counts.handled, counts.failed, counts.trimmed, counts.lost), (2, 1, 2, 0), "{counts:?}");
        let left = fed.server.command(&[
            "EXISTS",
            &due,
            &format!("{STREAM}:dlq:workers:failures"),
            &format!("{STREAM}:dlq"),
        ]);
        assert_eq!(left, "0");
    }
}

#[test]
fn p8_a_plan_goes_on_behind_entries_that_were_deleted() {
    for fed in of_each_kind() {
        let ids = fed.publish("plan-1", 5);
        let entries: Vec<String> = fed.server.entries(STREAM).into_iter().map(|(id, _)| id).collect();
        fed.server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
        fed.server.command(&["XREADGROUP", "GROUP", "workers", "dead", "COUNT", "1", "STREAMS", STREAM, ">"]);
        fed.server.command(&["XDEL", STREAM, &entries[0]]);
        let (calls, failing) = (Calls::default(), ids[1]);
        let noted = calls.clone();
        let builder = fed.consumer("workers").ordering(Ordering::PerPlan);
        let retry = RetryPolicy::delays([Duration::from_millis(800)]);
        let consumer = builder.retry(retry).handler(move |delivery: &Delivery| {
            if delivery.event().event_id() == failing {
                return Err("not yet");
            }
            noted.note(delivery);
            Ok(())
        });
        let consumer = consumer.expect("starts");
        let due = format!("{STREAM}:dlq:workers:due");
        wait_for("it waits, and its plan behind it", || {
            fed.server.command(&["ZCARD", &due]) == "1" && consumer.status().parked == 3
        });
        fed.server.command(&["XDEL", STREAM, &entries[1], &entries[2]]);
        wait_for("all is acked and counted", || {
            pending(&fed.server, STREAM, "workers") == 0 && consumer.status().counts.handled == 2
        });
        assert_eq!(calls.ids(), ids[3..]);
        let counts = consumer.status().counts;
        assert_eq!((counts.handled, counts.trimmed), (2, 3), "{counts:?}");
    }
}
