//! P7 over histories of faults: whatever is killed, cut, flushed or failed over, every event of the
//! log is in its stream exactly once and in order once things are well again.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod history_support;
mod redis_support;
mod store_support;

use std::time::Duration;

use history_support::{
    cell::{self, Cell},
    check::{self, Violations},
    fault::Fault,
    publisher::{self, NAIVE},
    random::Random,
};
use planbus::{
    Event, EventStore, PlanStarted,
    redis::{Profile, RedisEndpoint, RedisMirror},
};
use redis_support::RedisServer;

/// How many histories are run, and from which seed on.
const SEEDS: &str = "PLANBUS_SEEDS";
const FIRST_SEED: &str = "PLANBUS_SEED";
const FAULTS: usize = 10;
/// How long the mirror may take to make Redis equal the log, once nothing is broken any more.
const DRAIN: Duration = Duration::from_secs(30);

#[test]
fn child_publishes_and_mirrors() {
    if let Some(db) = store_support::role("child_publishes_and_mirrors") {
        publisher::run(&db);
    }
}

/// Runs a history; what was wrong after each of its faults, together.
fn history(seed: u64, mirror: &'static str) -> Option<Violations> {
    let kind = cell::server_of(seed);
    let mut cell = Cell::start("child_publishes_and_mirrors", kind, mirror)?;
    let (mut random, mut violations) = (Random::new(seed), Violations::default());
    for fault in Fault::of_history(seed, FAULTS) {
        let is_idle = random.chance();
        cell.publisher.publish(50 + random.below(150));
        if is_idle {
            cell.publisher.wait_published();
            let _ = cell.publisher.flush(DRAIN);
        }
        fault.strike(&mut cell, &mut random);
        if !is_idle {
            cell.publisher.publish(random.below(100));
        }
        cell.publisher.wait_published();
        println!("seed {seed}, {mirror}: {fault:?}, idle: {is_idle}");
        let found = drained(&mut cell, random.chance());
        assert!(
            cell.is_naive() || found.are_none(),
            "seed {seed}, {mirror} on {kind:?}: after {fault:?} (idle: {is_idle}): {found}; the mirror: {:?}",
            cell.publisher.flush(DRAIN),
        );
        violations += found;
    }
    Some(violations)
}

/// What is wrong once the mirror had time to mend it, by itself or asked to.
fn drained(cell: &mut Cell, by_itself: bool) -> Violations {
    if cell.is_naive() {
        let _ = cell.publisher.flush(Duration::from_secs(2));
    } else if by_itself {
        let start = std::time::Instant::now();
        while !cell.violations().are_none() {
            assert!(
                start.elapsed() < DRAIN,
                "{}; the mirror: {:?}",
                cell.violations(),
                cell.publisher.flush(DRAIN)
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    } else {
        cell.publisher.flush(DRAIN).unwrap_or_else(|told| panic!("Redis does not equal the log: {told}"));
    }
    cell.violations()
}

/// One stream a tenant, or many sparse ones.
fn profile_of(seed: u64) -> &'static str {
    if seed.is_multiple_of(2) { "native" } else { "per-type" }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

#[test]
fn p7_redis_equals_the_log_after_every_fault_of_every_history() {
    let first = number(FIRST_SEED, 0);
    let mut faults = 0;
    for seed in first..first + number(SEEDS, 5) {
        let Some(violations) = history(seed, profile_of(seed)) else { return };
        assert!(violations.are_none(), "seed {seed}: {violations}");
        faults += FAULTS;
        println!("seed {seed}: {FAULTS} faults, {violations}");
    }
    println!("{faults} faults in all, nothing lost, doubled or out of order");
}

#[test]
fn p7_the_same_histories_find_a_naive_mirror_out() {
    let mut sum = Violations::default();
    for seed in 0..2 {
        let Some(violations) = history(seed, NAIVE) else { return };
        sum += violations;
    }
    println!("a cursor and XADD *: {sum}");
    assert!(sum.lost > 0 && sum.doubled > 0, "the check finds nothing: {sum}");
}

#[test]
fn p7_the_check_finds_an_event_in_a_stream_that_is_not_its_own() {
    for (profile, own, other) in [
        ("native", "planbus:{default}:events", "planbus:{acme}:events"),
        ("per-type", "events:workflow.started", "events:workflow.failed"),
    ] {
        let Some(server) = RedisServer::start() else { return };
        let dir = store_support::Dir::new();
        let store = EventStore::open(dir.db()).expect("opens");
        store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
        let endpoint = RedisEndpoint::parse(&server.url()).expect("a URL");
        let builder = RedisMirror::builder(&store, endpoint).profile(Profile::named(profile).expect("known"));
        let mirror = builder.start().expect("starts");
        mirror.flush(DRAIN).expect("Redis equals the log");
        mirror.stop().expect("stops");
        let found = || check::compare(&dir.db(), &server);
        assert!(found().are_none(), "{profile}: {}", found());
        server.command(&["RENAME", own, other]);
        assert_eq!(found(), Violations { misplaced: 1, ..Violations::default() }, "{profile}");
    }
}
