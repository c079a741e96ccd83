//! P8 among rivals of one group: what dead ones left is handled once, what stopped ones say late changes
//! nothing, and consumers of another kind get along with ours.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use consumer_support::{STREAM, builder, pending};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use planbus::redis::{Consumer, Delivery, EntryId, RedisEndpoint, RetryPolicy};
use redis_support::{RedisServer, Reply, python, wait_for};
use store_support::{Killed, child, role};

/// Entries of a stream, so many, of which a consumer that died an hour ago has all.
const LEFT: &str = "
for _ = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'event_type', 'note') end
redis.call('XGROUP', 'CREATE', KEYS[1], 'workers', '0')
redis.call('XREADGROUP', 'GROUP', 'workers', 'dead', 'COUNT', ARGV[1], 'STREAMS', KEYS[1], '>')
for _, item in ipairs(redis.call('XPENDING', KEYS[1], 'workers', '-', '+', ARGV[1])) do
  redis.call('XCLAIM', KEYS[1], 'workers', 'dead', 0, item[1], 'IDLE', 3600000, 'JUSTID')
end";

fn leave_behind(server: &RedisServer, entries: usize) {
    server.command(&["EVAL", LEFT, "1", STREAM, &entries.to_string()]);
}

/// How often a handler was called with each entry.
#[derive(Clone, Default)]
struct Tally(Arc<Mutex<BTreeMap<EntryId, usize>>>);

impl Tally {
    fn note(&self, delivery: &Delivery) {
        *self.0.lock().expect("no panic").entry(delivery.id()).or_default() += 1;
    }

    fn calls(&self) -> usize {
        self.0.lock().expect("no panic").values().sum()
    }

    fn entries(&self) -> BTreeSet<String> {
        self.0.lock().expect("no panic").keys().map(ToString::to_string).collect()
    }
}

fn consumer(server: &RedisServer, tally: &Tally) -> Consumer {
    let noted = tally.clone();
    builder(server, "workers").handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts")
}

#[test]
fn p8_eight_rivals_handle_what_a_dead_one_left_once_each() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    leave_behind(&server, 1_000);
    let tally = Tally::default();
    let rivals: Vec<Consumer> = (0..8).map(|_| consumer(&server, &tally)).collect();
    wait_for("all is acked", || pending(&server, STREAM, "workers") == 0);
    assert_eq!((tally.calls(), tally.entries().len()), (1_000, 1_000));
    let claimed: u64 = rivals.iter().map(|rival| rival.status().counts.claimed).sum();
    assert_eq!(claimed, 1_000);
}

// With a pause of a quarter of the claim time between two batches, the default would take two hours.
#[test]
fn p8_a_long_pending_list_is_taken_over_without_pause_and_never_more_than_there_is_room_for() {
    const PREFETCH: usize = 256;
    // As many as a debug build gets through in time; more for the long run.
    let entries = std::env::var("PLANBUS_PENDING").ok();
    let entries: usize = entries.map_or(40_000, |text| text.parse().expect("a whole number"));
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    leave_behind(&server, entries);
    let tally = Tally::default();
    let noted = tally.clone();
    let builder =
        builder(&server, "workers").claim_idle(Duration::from_secs(600)).workers(2).prefetch(PREFETCH);
    let consumer = builder.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    let mut most = 0;
    wait_for("all is acked", || {
        let status = consumer.status();
        most = most.max(status.ready + status.busy);
        status.counts.handled >= entries as u64 && pending(&server, STREAM, "workers") == 0
    });
    assert_eq!((tally.calls(), tally.entries().len()), (entries, entries));
    assert!(most <= PREFETCH, "{most} were in hand");
}

#[test]
fn consumers_that_are_gone_leave_the_group_and_others_stay() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    server.command(&["XGROUP", "CREATE", STREAM, "workers", "0", "MKSTREAM"]);
    let mut wire = server.wire().expect("connects");
    let nonce = |number: usize| format!("01J8ZQ4X9T6V7W8Y0ABC{number:06}");
    let foreign: Vec<String> =
        ["plain", "worker-7", "x.short", "01J8ZQ4X9T6V7W8Y0ABCDEFGHK"].map(String::from).into();
    let ours = (0..10_000).map(|number| format!("worker-{}.{}", number % 7, nonce(number)));
    let names: Vec<String> = ours.chain(foreign.clone()).collect();
    names.iter().for_each(|name| {
        wire.send(&["XGROUP", "CREATECONSUMER", STREAM, "workers", name]).expect("sends");
    });
    names.iter().for_each(|_| assert_eq!(wire.receive().expect("answers"), Reply::Integer(1)));
    // One of ours died with an entry in hand, and so did a foreign one.
    for name in [&names[5], &foreign[0]] {
        server.command(&["XADD", STREAM, "*", "event_type", "note"]);
        server.command(&["XREADGROUP", "GROUP", "workers", name, "STREAMS", STREAM, ">"]);
    }
    let tally = Tally::default();
    let noted = tally.clone();
    let builder = builder(&server, "workers").claim_idle(Duration::from_millis(200));
    let consumer = builder.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    let left = || -> BTreeSet<String> {
        let facts = server.call(&["XINFO", "CONSUMERS", STREAM, "workers"]).items().into_iter();
        facts.map(|facts| facts.items()[1].to_string()).collect()
    };
    let ours: BTreeSet<String> = names.iter().filter(|name| !foreign.contains(name)).cloned().collect();
    wait_for("those that are gone have left", || left().is_disjoint(&ours));
    // Servers before 7.2 list a consumer only when something came for it.
    let expected: BTreeSet<String> = foreign.into_iter().collect();
    let mut left = left();
    left.remove(&consumer.status().consumer);
    assert_eq!(left, expected);
    assert_eq!((tally.calls(), pending(&server, STREAM, "workers")), (2, 0));
}

const SLOW: &str = "slow_consumer";

/// A consumer that begins, then waits until it may end: with a failure first, and then without.
#[test]
fn slow_consumer() {
    let Some(dir) = role(SLOW) else { return };
    let url = fs::read_to_string(dir.join("url")).expect("is told");
    let policy = RetryPolicy::delays([Duration::from_secs(3_600)]);
    let builder = Consumer::builder(RedisEndpoint::parse(&url).expect("a URL")).group("workers").workers(2);
    let builder = builder.claim_idle(Duration::from_millis(300)).retry(policy);
    let at = dir.clone();
    let _consumer = builder.handler(move |delivery: &Delivery| {
        fs::write(at.join(format!("begun-{}", delivery.id())), "").expect("writes");
        wait_for("it may end", || at.join("go").exists());
        if delivery.event().event_type().as_str() == "failing" { Err("late") } else { Ok(()) }
    });
    wait_for("it is killed", || false);
}

#[test]
fn p8_what_a_stopped_process_says_late_counts_for_nothing() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("url"), server.url()).expect("writes");
    let ids: Vec<String> = ["failing", "note"]
        .map(|event_type| server.command(&["XADD", STREAM, "*", "event_type", event_type]))
        .into();
    let slow = Killed(child(SLOW, dir.path()).spawn().expect("starts"));
    let signal = |signal| kill(Pid::from_raw(slow.0.id().cast_signed()), signal).expect("is ours");
    wait_for("it has begun", || ids.iter().all(|id| dir.path().join(format!("begun-{id}")).exists()));
    signal(Signal::SIGSTOP);
    let tally = Tally::default();
    let noted = tally.clone();
    let policy = RetryPolicy::delays([Duration::from_secs(3_600)]);
    let rival =
        builder(&server, "workers").name("rival").claim_idle(Duration::from_millis(300)).retry(policy);
    let rival = rival.handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if delivery.event().event_type().as_str() == "failing" { Err("in time") } else { Ok(()) }
    });
    let rival = rival.expect("starts");
    let failures = format!("{STREAM}:dlq:workers:failures");
    let record = || server.command(&["HGET", &failures, &ids[0]]);
    wait_for("the rival is done", || tally.calls() == 2 && record().contains("in time"));
    wait_for("the rival has acked", || pending(&server, STREAM, "workers") == 1);
    let before = record();
    assert!(before.starts_with("rival.") && before.lines().nth(1) == Some("1"), "{before}");
    fs::write(dir.path().join("go"), "").expect("writes");
    signal(Signal::SIGCONT);
    // It says that it failed, and acks; then it reads again, and what comes is shared.
    server.command(&["XADD", STREAM, "*", "event_type", "failing"]);
    server.command(&["XADD", STREAM, "*", "event_type", "note"]);
    let start = Instant::now();
    wait_for("it has said so", || start.elapsed() > Duration::from_secs(1));
    assert_eq!(record(), before);
    assert_eq!(server.command(&["HLEN", &failures]), "2");
    assert_eq!((pending(&server, STREAM, "workers"), rival.status().counts.dead_lettered), (2, 0));
}

/// A consumer in Python in the plain way, which hangs after so many entries.
fn plain(server: &RedisServer, file: &Path, holds_after: usize) -> Option<Killed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/plain_consumer.py");
    let mut command = Command::new(python()?);
    command
        .arg("-B")
        .arg(script)
        .args([&server.url(), STREAM, "workers"])
        .arg(file)
        .arg(holds_after.to_string());
    Some(Killed(command.stdin(Stdio::null()).spawn().expect("python starts")))
}

#[test]
fn p8_a_plain_consumer_in_python_shares_a_group_with_ours() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("handled");
    let lines =
        || fs::read_to_string(&file).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    server.command(&["XGROUP", "CREATE", STREAM, "workers", "0", "MKSTREAM"]);
    let Some(python) = plain(&server, &file, 100) else { return };
    let tally = Tally::default();
    // It holds little, so that both get some.
    let noted = tally.clone();
    let ours = builder(&server, "workers").prefetch(5).claim_idle(Duration::from_secs(3));
    let ours = ours.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    let mut added = BTreeSet::new();
    let mut add = |entries: usize| {
        for _ in 0..entries {
            added.insert(server.command(&["XADD", STREAM, "*", "event_type", "note"]));
        }
        added.clone()
    };
    wait_for("the other one takes its share", || {
        let all = add(10);
        wait_for("all is acked", || lines().len() + tally.calls() >= all.len());
        lines().len() >= 20
    });
    wait_for("all is acked", || pending(&server, STREAM, "workers") == 0);
    let all = add(0);
    let (theirs, mine): (BTreeSet<String>, _) = (lines().into_iter().collect(), tally.entries());
    assert_eq!((lines().len() + tally.calls(), theirs.union(&mine).count()), (all.len(), all.len()));
    // Now it hangs with some in hand, and is killed.
    wait_for("it hangs", || {
        add(20);
        let facts = server.call(&["XPENDING", STREAM, "workers", "IDLE", "200", "-", "+", "1000", "plain"]);
        !facts.items().is_empty()
    });
    drop(python);
    let all = add(20);
    wait_for("all is acked", || {
        let theirs: BTreeSet<String> = lines().into_iter().collect();
        theirs.union(&tally.entries()).count() == all.len() && pending(&server, STREAM, "workers") == 0
    });
    assert!(ours.status().counts.claimed > 0);
}
