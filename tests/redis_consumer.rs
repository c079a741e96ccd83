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
    redis::{ConsumerState, Delivery, Ordering, RetryPolicy, Verdict},
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
    let status = consumer.status();
    assert_eq!((status.state, status.streams, status.counts.handled), (ConsumerState::Live, 1, 500));
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
    assert_eq!(consumer.status().counts.failed, 3);
    assert_eq!(fed.server.command(&["EXISTS", &format!("{STREAM}:dlq:workers:failures")]), "0");
}

#[test]
fn p8_what_fails_for_good_is_a_dead_letter_once_and_panics_are_failures() {
    let Some(fed) = Fed::start() else { return };
    let ids = fed.publish("plan-1", 4);
    let (poison, refused, let_go) = (ids[0], ids[1], ids[2]);
    let policy = RetryPolicy::delays([Duration::from_millis(10)]).verdict(|failure| {
        match failure.error.to_string().as_str() {
            "never" => Verdict::DeadLetter,
            "no matter" => Verdict::Ack,
            _ => Verdict::Retry,
        }
    });
    let calls = Calls::default();
    let noted = calls.clone();
    let consumer = fed.consumer("workers").retry(policy).handler(move |delivery: &Delivery| {
        noted.note(delivery);
        match delivery.event().event_id() {
            id if id == poison => panic!("cannot be"),
            id if id == refused => Err("never"),
            id if id == let_go => Err("no matter"),
            _ => Ok(()),
        }
    });
    let consumer = consumer.expect("starts");
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", 4));
    assert_eq!(calls.times().into_values().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
    let letters = fed.server.entries(&format!("{STREAM}:dlq"));
    let told: Vec<String> = letters.iter().map(|(_, fields)| format!("{fields:?}")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().any(|text| text.contains("the handler panicked: cannot be")), "{told:?}");
    assert!(told.iter().any(|text| text.contains(&refused.to_string())), "{told:?}");
    let counts = consumer.status().counts;
    assert_eq!((counts.panicked, counts.failed, counts.dead_lettered), (2, 4, 2));
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
    assert_eq!((good.status().counts.dead_lettered, bad.status().counts.dead_lettered), (0, 50));
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
fn p8_per_plan_keeps_each_plans_order_and_lets_others_pass() {
    let Some(fed) = Fed::start() else { return };
    let failing = fed.publish("plan-1", 1)[0];
    for round in 0..20 {
        fed.publish(&format!("plan-{}", round % 3), 10);
    }
    let calls = Calls::default();
    let noted = calls.clone();
    let builder = fed.consumer("workers").ordering(Ordering::PerPlan).workers(4).prefetch(16);
    let consumer = builder.handler(move |delivery: &Delivery| {
        let is_early = delivery.event().event_id() == failing && delivery.attempt() < 4;
        if is_early {
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
    let first_of_failing = calls.ids().iter().position(|id| *id == failing).expect("handled");
    assert!(first_of_failing >= 100, "others did not pass: {first_of_failing}");
    assert_eq!(consumer.status().leases, 1);
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
    let consumer = builder.handler(move |_: &Delivery| drop(opened.wait())).expect("starts");
    wait_for("it is reported", || consumer.status().counts.overdue == 1);
    gate.wait();
    wait_for("it is acked", || is_done(&fed.server, STREAM, "workers", 1));
    assert_eq!((consumer.status().counts.handled, consumer.status().counts.overdue), (1, 1));
}

#[test]
fn p8_with_an_inbox_effects_happen_once_also_when_everything_comes_again() {
    let Some(fed) = Fed::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("app.db");
    let ours = planbus::rusqlite::Connection::open(&path).expect("opens");
    ours.execute_batch("create table effects(event_id text not null)").expect("creates");
    let inbox = planbus::redis::Inbox::open(&path).expect("opens");
    let start = || {
        fed.consumer("db-writers").dedupe(0).workers(2).handler_in_inbox(&inbox, |transaction, delivery| {
            let id = delivery.event().event_id().to_string();
            transaction.sqlite().execute("insert into effects values (?1)", [id])?;
            if delivery.event().seq() == Some(7) && delivery.attempt() < 3 {
                Err("not yet".into())
            } else {
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
            }
        })
    };
    let consumer = start().expect("starts");
    fed.publish("plan-1", 300);
    wait_for("all is acked", || is_done(&fed.server, STREAM, "db-writers", 300));
    fed.server.command(&["FLUSHALL"]);
    wait_for("all is there and acked again", || {
        fed.server.command(&["EXISTS", STREAM]) == "1"
            && consumer.status().counts.duplicates >= 300
            && is_done(&fed.server, STREAM, "db-writers", 300)
    });
    consumer.stop(Duration::from_secs(5)).expect("stops");
    fed.server.command(&["XGROUP", "SETID", STREAM, "db-writers", "0"]);
    let again = start().expect("starts");
    fed.publish("plan-2", 10);
    wait_for("all is acked", || {
        again.status().counts.duplicates >= 300 && is_done(&fed.server, STREAM, "db-writers", 310)
    });
    let count = |sql: &str| ours.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("reads");
    assert_eq!(count("select count(*) from effects"), 310);
    assert_eq!(count("select count(distinct event_id) from effects"), 310);
    wait_for("the floor rises", || inbox.floors().expect("reads").iter().any(|floor| floor.place == 310));
}

#[test]
fn p8_a_dead_letter_that_is_sent_back_is_handled_by_its_group_alone() {
    let Some(fed) = Fed::start() else { return };
    fed.publish("plan-1", 3);
    let is_mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (mended, calls, healthy) = (is_mended.clone(), Calls::default(), Calls::default());
    let (noted, other) = (calls.clone(), healthy.clone());
    let builder = fed.consumer("bad").retry(RetryPolicy::never());
    let _bad = builder.handler(move |delivery: &Delivery| {
        noted.note(delivery);
        assert_eq!(delivery.stream(), STREAM);
        if mended.load(Relaxed) { Ok(()) } else { Err("broken") }
    });
    let _good =
        fed.consumer("good").handler(move |delivery: &Delivery| other.note(delivery)).expect("starts");
    wait_for("all are dead letters", || fed.server.entries(&format!("{STREAM}:dlq")).len() == 3);
    is_mended.store(true, Relaxed);
    let letters = planbus::redis::DeadLetters::new(
        consumer_support::endpoint(&fed.server),
        planbus::redis::Profile::native(),
    );
    let report = letters.replay_all(&planbus::redis::DeadLetterQuery::default(), None).expect("replays");
    assert_eq!(report.replayed, 3);
    calls.wait_for(6);
    let replays = format!("{STREAM}:dlq:bad:replay");
    wait_for("the replays are done and gone", || fed.server.command(&["EXISTS", &replays]) == "0");
    assert_eq!((calls.all().len(), healthy.all().len()), (6, 3));
    assert!(calls.all().iter().all(|(_, attempt)| *attempt == 1));
}
