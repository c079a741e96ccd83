//! P8 over histories of faults: whatever is killed, cut, flushed or failed over, every event has its
//! effect in each group, what is poison is a dead letter once, and what failed comes again in its time.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod history_support;
mod redis_support;
mod store_support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use consumer_support::{Calls, Fed, STREAM, is_done};
use history_support::{
    cell,
    consumer::{self, Kind},
    consumer_cell::{self, ConsumerCell, Plan},
    consumer_check::{self, Allowed, Handled, Times, Violations},
    consumer_fault::ConsumerFault,
    group::{self, Letter},
    journal::{self, ATTEMPTS, Fate, GOOD, POISONED, Record, What},
    own_consumer::CLAIM_IDLE,
    publisher,
    random::Random,
};
use planbus::{
    Event,
    redis::{Delivery, Ordering, RetryPolicy},
};
use redis_support::{ServerKind, wait_for};

/// How many histories are run, and from which seed on.
const SEEDS: &str = "PLANBUS_SEEDS";
const FIRST_SEED: &str = "PLANBUS_SEED";
/// Only faults that have this in their name, to reduce what was found.
const ONLY: &str = "PLANBUS_FAULT";
/// How many faults a history has.
const FAULTS: usize = 4;
/// How long consumers may take to do all that is to do, once nothing is broken any more.
const DRAIN: Duration = Duration::from_secs(30);

#[test]
fn child_publishes_and_mirrors() {
    if let Some(db) = store_support::role("child_publishes_and_mirrors") {
        publisher::run(&db);
    }
}

#[test]
fn child_consumes() {
    if let Some(folder) = store_support::role("child_consumes") {
        consumer::run(&folder);
    }
}

fn plan(kind: Kind, server: ServerKind, profile: &'static str) -> Plan {
    Plan { publisher: "child_publishes_and_mirrors", consumer: "child_consumes", kind, server, profile }
}

/// One stream a tenant, or many sparse ones; those who keep plans in order need the one.
fn plan_of(seed: u64, kind: Kind) -> Plan {
    let is_native = seed.is_multiple_of(2) || kind == Kind::PerPlan;
    plan(kind, cell::server_of(seed), if is_native { "native" } else { "per-type" })
}

/// Runs a history; after each fault all is to be well again within the time.
fn history(seed: u64, kind: Kind, kinds: &[ConsumerFault], faults: usize, times: Times) -> Option<()> {
    let plan = plan_of(seed, kind);
    let mut cell = ConsumerCell::start(plan)?;
    let mut random = Random::new(seed);
    let only = std::env::var(ONLY).unwrap_or_default();
    let kinds: Vec<ConsumerFault> =
        kinds.iter().copied().filter(|fault| format!("{fault:?}").contains(&only)).collect();
    for fault in ConsumerFault::of_history(&kinds, seed, faults) {
        let start = Instant::now();
        cell.publish_and_see(50 + random.below(50), random.below(30));
        fault.strike(&mut cell, &mut random);
        cell.cell.publisher.publish(random.below(50));
        let what = format!("seed {seed}, {kind:?} on {:?}, {}: after {fault:?}", plan.server, plan.profile);
        cell.drain(DRAIN).unwrap_or_else(|left| panic!("{what}: {left}"));
        let found = cell.violations(times);
        println!("{what}: {found}, {:?}", start.elapsed());
        assert!(found.are_none(), "{what}: {found}");
    }
    cell.stop_consumers();
    let found = cell.violations(times);
    assert!(found.are_none(), "seed {seed}, {kind:?}, after the end: {found}");
    Some(())
}

fn histories(count: u64, kind: impl Fn(u64) -> Kind, kinds: &[ConsumerFault], faults: usize, times: Times) {
    let first = number(FIRST_SEED, 0);
    for seed in first..first + number(SEEDS, count) {
        if history(seed, kind(seed), kinds, faults, times).is_none() {
            return;
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

#[test]
fn p8_with_an_inbox_every_effect_happens_exactly_once_whatever_is_killed() {
    histories(2, |_| Kind::Inbox, &ConsumerFault::ALL, FAULTS, Times::Once);
}

#[test]
fn p8_without_one_every_event_is_handled_at_least_once() {
    let kind = |seed: u64| if seed % 4 < 2 { Kind::Plain } else { Kind::Manual };
    histories(2, kind, &ConsumerFault::ALL, FAULTS, Times::AtLeastOnce);
}

#[test]
fn p8_a_poison_event_is_dead_lettered_exactly_once() {
    let first = number(FIRST_SEED, 0);
    for seed in first..first + number(SEEDS, 1) {
        let kind = [Kind::Plain, Kind::Inbox, Kind::Manual][seed as usize % 3];
        let Some(mut cell) = ConsumerCell::start(plan_of(seed, kind)) else { return };
        let mut random = Random::new(seed);
        for fault in ConsumerFault::of_history(&ConsumerFault::LOSSLESS, seed, FAULTS) {
            // A fortieth of them is poison.
            cell.publish_and_see(500, 0);
            cell.see_letters(1);
            fault.strike(&mut cell, &mut random);
            let what = format!("seed {seed}, {kind:?}: after {fault:?}");
            cell.drain(DRAIN).unwrap_or_else(|left| panic!("{what}: {left}"));
            let found = cell.violations(Times::AtLeastOnce);
            println!("{what}: {found}, {} dead letters", group::letters(&cell.cell.server).len());
            assert!(found.are_none(), "{what}: {found}");
        }
    }
}

#[test]
fn p8_retries_are_never_early_and_hardly_late_also_across_a_restart() {
    let Some(mut cell) = ConsumerCell::start(plan(Kind::Plain, ServerKind::Redis7, "native")) else { return };
    let mut kills = Vec::new();
    for round in 0..6 {
        cell.publish_and_see(60, 30);
        // The other one of the group is always there.
        let seat = round % 2;
        if round % 3 == 0 {
            let consumer = &mut cell.consumers[seat];
            println!("{}", consumer.stop());
        } else {
            kills.push(journal::now_us());
            cell.consumers[seat].kill();
        }
        cell.seat_again(seat);
    }
    cell.drain(DRAIN).expect("all is done");
    cell.stop_consumers();
    let (found, records) = (cell.violations(Times::AtLeastOnce), cell.records(POISONED));
    let again = records.iter().filter(|record| record.what == What::Begun && record.attempt > 1).count();
    // What a killed consumer held is claimed first.
    let late = consumer_check::late_us(&records, &kills, 2 * CLAIM_IDLE);
    println!("{again} attempts after a failure: {found}, too late by so many microseconds: {late:?}");
    assert!(again > 50 && found.are_none() && late.is_empty(), "{found}, {late:?}");
}

#[test]
fn p8_one_failing_group_of_two_leaves_the_healthy_one_with_exactly_one_call_an_event() {
    let Some(mut cell) = ConsumerCell::start(plan(Kind::Plain, ServerKind::Redis7, "native")) else { return };
    cell.publish_and_see(500, 100);
    cell.drain(DRAIN).expect("all is done");
    cell.stop_consumers();
    let found = cell.violations(Times::Once);
    assert!(found.are_none(), "{found}");
    let calls = |group| cell.records(group).into_iter().filter(|record| record.what == What::Begun);
    let healthy: Vec<Record> = calls(GOOD).collect();
    assert!(healthy.iter().all(|call| call.attempt == 1) && healthy.len() == 500, "{}", healthy.len());
    for record in calls(POISONED) {
        let fate = Fate::of(POISONED, &record.event_id);
        assert!(record.attempt == 1 || fate.fails(record.attempt - 1), "{record:?}: {fate:?}");
    }
    let failed = calls(POISONED).count() - 500;
    assert!(failed > 50, "{failed} attempts after a failure");
}

#[test]
fn p8_ten_thousand_events_behind_a_failing_one_do_not_wait() {
    const OTHERS: usize = 10_000;
    let Some(fed) = Fed::start() else { return };
    let stuck = fed.publish("stuck", 2);
    let (is_broken, others, calls) =
        (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)), Calls::default());
    let (broken, handled, noted) = (Arc::clone(&is_broken), Arc::clone(&others), calls.clone());
    let policy = RetryPolicy::delays([Duration::from_millis(100); 900]).deliveries_max(1_000);
    let consumer = fed.consumer("workers").ordering(Ordering::PerPlan).workers(4).retry(policy);
    let consumer = consumer.handler(move |delivery: &Delivery| match delivery.event().plan_id().as_str() {
        "stuck" => {
            noted.note(delivery);
            if broken.load(Relaxed) { Err("it is broken") } else { Ok(()) }
        }
        _ => {
            handled.fetch_add(1, Relaxed);
            Ok(())
        }
    });
    let _consumer = consumer.expect("starts");
    for plan in 0..20 {
        fed.publish(&format!("plan-{plan}"), OTHERS / 20);
    }
    wait_for("all others are handled", || others.load(Relaxed) == OTHERS);
    let before = calls.ids();
    assert!(before.len() > 1 && before.iter().all(|id| *id == stuck[0]), "{before:?}");
    is_broken.store(false, Relaxed);
    wait_for("all is acked", || is_done(&fed.server, STREAM, "workers", OTHERS + 2));
    assert_eq!(calls.ids().last(), Some(&stuck[1]));
    assert_eq!(others.load(Relaxed), OTHERS);
}

#[test]
fn p8_per_plan_order_holds_when_the_lease_moves() {
    histories(1, |_| Kind::PerPlan, &ConsumerFault::ALL, FAULTS, Times::AtLeastOnce);
}

#[test]
fn p8_the_harness_finds_ack_before_handle_out() {
    let Some(mut cell) = ConsumerCell::start(plan(Kind::AckFirst, ServerKind::Redis7, "native")) else {
        return;
    };
    for _ in 0..3 {
        cell.publish_and_see(200, 5);
        ConsumerFault::KillAll.strike(&mut cell, &mut Random::new(0));
    }
    cell.drain(DRAIN).expect("it acks all");
    cell.stop_consumers();
    let found = cell.violations(Times::AtLeastOnce);
    println!("ack, then handle: {found}");
    assert!(found.lost > 0 && found.left == 0, "the check finds nothing: {found}");
}

#[test]
fn p8_the_harness_finds_republishing_out() {
    let Some(mut cell) = ConsumerCell::start(plan(Kind::Republish, ServerKind::Redis7, "native")) else {
        return;
    };
    cell.publish_and_see(200, 100);
    cell.cell.publisher.wait_published();
    let letters = || group::letters(&cell.cell.server).len();
    wait_for("something is given up", || letters() > 0);
    cell.drain(DRAIN).expect("it acks all");
    cell.stop_consumers();
    let (good, poisoned) = (cell.violations_of(GOOD, Times::Once), cell.violations_of(POISONED, Times::Once));
    println!("publish again: {good}; the group that fails: {poisoned}");
    assert!(good.doubled > 0 && poisoned.early > 0, "the check finds nothing: {good}; {poisoned}");
}

#[test]
fn p8_the_check_finds_each_thing_that_can_be_wrong() {
    let log = [event_of(Fate::Fine), event_of(Fate::FailsFirst(1)), event_of(Fate::Poison)];
    let [fine, failing, poison] = [0, 1, 2].map(|at: usize| log[at].event_id().to_string());
    let line = |what, id: &str, attempt, millis: u64| Record {
        what,
        event_id: id.to_owned(),
        attempt,
        at_us: millis * 1_000,
    };
    let letter =
        |id: &str| Letter { group: POISONED.to_owned(), event_id: Some(id.to_owned()), fields: Vec::new() };
    let check = |records: &[Record], letters: &[Letter]| {
        let effects = consumer_cell::done(records);
        let allowed = Allowed::default();
        let handled =
            Handled { group: POISONED, log: &log, records, effects: &effects, letters, allowed: &allowed };
        Violations { disordered: handled.disordered(), ..handled.violations(Times::Once) }
    };
    let mut records = vec![
        line(What::Begun, &fine, 1, 0),
        line(What::Done, &fine, 1, 1),
        line(What::Begun, &failing, 1, 2),
        line(What::Failed, &failing, 1, 3),
        line(What::Begun, &failing, 2, 53),
        line(What::Done, &failing, 2, 54),
    ];
    let poisoned = (1..=ATTEMPTS).flat_map(|attempt| {
        let start = u64::from(attempt) * 1_000;
        [line(What::Begun, &poison, attempt, start), line(What::Failed, &poison, attempt, start + 1)]
    });
    records.extend(poisoned);
    let letters = [letter(&poison)];
    let right = Violations::default();
    assert_eq!(check(&records, &letters), right);
    assert_eq!(check(&records, &[]), Violations { unburied: 1, ..right });
    assert_eq!(check(&records, &[letter(&poison), letter(&poison)]), Violations { buried_again: 1, ..right });
    assert_eq!(check(&records, &[letter(&poison), letter(&fine)]), Violations { misburied: 1, ..right });
    assert_eq!(check(&records, &[letter(&poison), letter("another")]), Violations { misburied: 1, ..right });
    let changed = |change: &dyn Fn(&mut Vec<Record>)| {
        let mut records = records.clone();
        change(&mut records);
        check(&records, &letters)
    };
    let lost = Violations { lost: 1, disordered: 2, ..right };
    assert_eq!(changed(&|records| drop(records.remove(1))), lost);
    let doubled = Violations { doubled: 1, ..right };
    assert_eq!(changed(&|records| records.push(line(What::Done, &fine, 1, 60))), doubled);
    assert_eq!(changed(&|records| records.push(line(What::Done, &poison, 4, 9_000))), doubled);
    let unknown = Violations { unknown: 1, ..right };
    assert_eq!(changed(&|records| records.push(line(What::Begun, "another", 1, 0))), unknown);
    // By more than the clock's own step.
    let early = Violations { early: 1, ..right };
    assert_eq!(changed(&|records| records[4].at_us -= 1_000), right);
    assert_eq!(changed(&|records| records[4].at_us -= 1_001), early);
    assert_eq!(changed(&|records| drop(records.remove(3))), early);
    let disordered = Violations { disordered: 1, ..right };
    assert_eq!(changed(&|records| records[1].at_us = 2_500), disordered);
}

/// An event that has this fate in the group that fails.
fn event_of(fate: Fate) -> Event {
    let mut events = (0..).map(|number| store_support::event("plan", number));
    let is_meant = |event: &Event| Fate::of(POISONED, &event.event_id().to_string()) == fate;
    events.find(|event| is_meant(event)).expect("there are as many as one likes")
}
