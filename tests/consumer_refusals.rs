//! P8 where the server refuses: what it takes goes on, what it refuses waits and is done once, and the
//! status says what somebody has to mend.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    error::Error as _,
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use consumer_support::{Calls, STREAM, builder, pending, quick};
use planbus::{
    redis::{
        Consumer, ConsumerBuilder, ConsumerState, Delivery, Ordering, Profile, RedisEndpoint, RetryPolicy,
    },
    *,
};
use redis_support::{Persistence, Proxy, RedisServer, Reply, ServerKind, wait_for};

fn add(server: &RedisServer, stream: &str, entries: usize) {
    for _ in 0..entries {
        server.command(&["XADD", stream, "*", "event_type", "note"]);
    }
}

fn of_url(url: &str) -> ConsumerBuilder {
    let url =
        format!("{url}{}back_off_first=20ms&back_off_max=200ms", if url.contains('?') { "&" } else { "?" });
    let builder = Consumer::builder(RedisEndpoint::parse(&url).expect("a URL")).group("workers");
    builder.claim_idle(Duration::from_secs(2)).retry(quick())
}

/// What a consumer says is wrong, with its cause.
fn told(consumer: &Consumer) -> String {
    let Some(error) = consumer.status().last_error else { return String::new() };
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {cause}")
}

fn wait_until_told(consumer: &Consumer, state: ConsumerState, text: &str) {
    wait_for(text, || consumer.status().state == state && told(consumer).contains(text));
}

#[test]
fn p8_a_primary_that_became_a_replica_is_left_and_its_acks_reach_the_new_one() {
    let Some(old) = RedisServer::builder().tcp().start() else { return };
    let Some(new) = RedisServer::builder().tcp().replica_of(old.port()).start() else { return };
    new.wait_until_synced();
    let proxy = Proxy::before(old.port());
    add(&old, STREAM, 20);
    let (calls, gate) = (Calls::default(), Arc::new(Barrier::new(2)));
    let (noted, opened) = (calls.clone(), gate.clone());
    let consumer = of_url(&proxy.url()).workers(2).handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if noted.all().len() == 20 {
            opened.wait();
        }
    });
    let consumer = consumer.expect("starts");
    wait_for("all but one are acked", || calls.all().len() == 20 && pending(&old, STREAM, "workers") == 1);
    old.command(&["WAIT", "1", "0"]);
    new.promote();
    old.command(&["REPLICAOF", "127.0.0.1", &new.port().to_string()]);
    add(&new, STREAM, 20);
    gate.wait();
    wait_until_told(&consumer, ConsumerState::Retrying, "a replica: name its master");
    proxy.forward_to(new.port());
    wait_for("all is acked", || calls.all().len() == 40 && pending(&new, STREAM, "workers") == 0);
    assert!(calls.times().into_values().all(|times| times == 1));
    wait_for("it is well", || consumer.status().state == ConsumerState::Live);
}

// A consumer that drops what was refused loses it; one that stops renewing has its entries claimed.
#[test]
fn p8_without_memory_acks_go_on_and_retries_and_dead_letters_wait() {
    for kind in ServerKind::ALL {
        let Some(server) = RedisServer::builder().kind(kind).tcp().start() else { continue };
        add(&server, STREAM, 30);
        server.command(&["XADD", STREAM, "*", "no", "event"]);
        server.command(&["XADD", STREAM, "*", "event_type", "failing"]);
        server.command(&["XGROUP", "CREATE", STREAM, "workers", "0"]);
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let calls = Calls::default();
        let start = || {
            let noted = calls.clone();
            let builder = builder(&server, "workers").claim_idle(Duration::from_millis(600));
            let consumer = builder.handler(move |delivery: &Delivery| {
                noted.note(delivery);
                let is_failing = delivery.event().event_type().as_str() == "failing";
                if is_failing && delivery.attempt() == 1 { Err("not yet") } else { Ok(()) }
            });
            consumer.expect("starts")
        };
        let consumer = start();
        wait_for("what was handled is acked", || {
            pending(&server, STREAM, "workers") == 2 && calls.all().len() == 31
        });
        wait_until_told(&consumer, ConsumerState::Retrying, "OOM");
        let (rival, begun) = (start(), Instant::now());
        wait_for("three claim times have passed", || begun.elapsed() > Duration::from_millis(1_800));
        assert_eq!((rival.status().counts.claimed, calls.all().len()), (0, 31), "{kind:?}");
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
        wait_for("all is acked", || calls.all().len() == 32 && pending(&server, STREAM, "workers") == 0);
        assert_eq!(server.entries(&format!("{STREAM}:dlq")).len(), 1);
        wait_for("its figures say so", || {
            let counts = consumer.status().counts;
            (counts.undecodable, counts.dead_lettered, counts.failed) == (1, 1, 1)
        });
        wait_for("it is well", || consumer.status().state == ConsumerState::Live);
    }
}

#[test]
fn a_right_that_is_missing_is_named_and_the_consumer_goes_on_once_it_is_granted() {
    for right in ["xack", "eval", "xreadgroup", "scan"] {
        let builder = RedisServer::builder().tcp();
        let Some(server) = builder.acl("worker", &format!("~* +@all -{right}"), "pw").start() else { return };
        add(&server, STREAM, 5);
        let calls = Calls::default();
        let noted = calls.clone();
        let consumer = of_url(&server.url_as("worker", "pw"));
        let consumer = consumer.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
        wait_until_told(&consumer, ConsumerState::Blocked, right);
        assert_eq!(consumer.status().last_error.map(|error| error.kind()), Some(ErrorKind::Unauthorized));
        server.command(&["ACL", "SETUSER", "worker", &format!("+{right}")]);
        wait_for("all is acked", || calls.all().len() == 5 && pending(&server, STREAM, "workers") == 0);
        wait_for("it is well", || consumer.status().state == ConsumerState::Live);
        assert!(calls.times().into_values().all(|times| times == 1), "{right}");
    }
}

fn of_type(server: &RedisServer, event_type: &str, entries: usize) {
    let data = format!(
        r#"{{"type":"{event_type}","workflow_id":"w","timestamp":"2026-02-11T12:58:38Z","data":{{}},"source_agent":"a","metadata":{{}}}}"#
    );
    for _ in 0..entries {
        server.command(&["XADD", &format!("events:{event_type}"), "*", "data", &data]);
    }
}

// All streams share threads and connections: an error that ends a round holds up the others.
#[test]
fn p8_keys_of_a_wrong_kind_hold_up_their_own_stream_alone_and_are_named() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    ["audit.failed", "testing.failed"].iter().for_each(|name| of_type(&server, name, 5));
    let due = "events:audit.failed:dlq:workers:due";
    server.command(&["XGROUP", "CREATE", "events:audit.failed", "workers", "0"]);
    server.command(&["SET", due, "a string"]);
    let calls = Calls::default();
    let noted = calls.clone();
    let builder = builder(&server, "workers").profile(Profile::per_type());
    let consumer = builder.handler(move |delivery: &Delivery| {
        noted.note(delivery);
        if delivery.attempt() == 1 { Err("not yet") } else { Ok(()) }
    });
    let consumer = consumer.expect("starts");
    wait_for("the other stream is handled", || {
        calls.all().len() >= 10 && pending(&server, "events:testing.failed", "workers") == 0
    });
    wait_until_told(&consumer, ConsumerState::Blocked, "WRONGTYPE");
    assert!(
        told(&consumer).contains("events:audit.failed") || told(&consumer).contains("settle"),
        "{}",
        told(&consumer)
    );
    server.command(&["DEL", due]);
    wait_for("all is acked", || pending(&server, "events:audit.failed", "workers") == 0);
    wait_for("it is well", || consumer.status().state == ConsumerState::Live);
    assert_eq!(calls.all().len(), 20);
    // Something else stands where a stream was.
    server.command(&["DEL", "events:audit.failed"]);
    server.command(&["SET", "events:audit.failed", "a string"]);
    of_type(&server, "testing.failed", 5);
    wait_for("the other stream is handled", || {
        calls.all().len() == 30 && pending(&server, "events:testing.failed", "workers") == 0
    });
    wait_until_told(&consumer, ConsumerState::Blocked, "events:audit.failed");
    server.command(&["DEL", "events:audit.failed"]);
    of_type(&server, "audit.failed", 1);
    wait_for("it is handled again", || calls.all().len() == 32);
    wait_for("it is well", || consumer.status().state == ConsumerState::Live);
}

#[test]
fn p8_a_server_that_loads_its_file_is_waited_for() {
    let builder = RedisServer::builder().tcp().persistence(Persistence::Rdb);
    // A millisecond for each key, and answers meanwhile.
    let builder = builder.line("key-load-delay 1000").line("loading-process-events-interval-bytes 1024");
    let Some(server) = builder.start() else { return };
    add(&server, STREAM, 5);
    server.command(&["EVAL", "for n = 1, 1000 do redis.call('SET', 'key' .. n, ('x'):rep(100)) end", "0"]);
    let calls = Calls::default();
    let noted = calls.clone();
    let consumer = consumer_support::builder(&server, "workers");
    let consumer = consumer.handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
    calls.wait_for(5);
    wait_for("all is acked", || pending(&server, STREAM, "workers") == 0);
    server.command(&["SAVE"]);
    std::thread::scope(|scope| {
        scope.spawn(|| server.restart());
        wait_until_told(&consumer, ConsumerState::Retrying, "LOADING");
    });
    add(&server, STREAM, 5);
    calls.wait_for(10);
    wait_for("all is acked", || pending(&server, STREAM, "workers") == 0);
    assert!(calls.times().into_values().all(|times| times == 1));
}

#[test]
fn p8_a_replica_without_its_master_and_a_cluster_without_slots_are_waited_for() {
    let Some(master) = RedisServer::builder().tcp().start() else { return };
    let replica = RedisServer::builder().tcp().replica_of(master.port()).line("replica-serve-stale-data no");
    let Some(replica) = replica.start() else { return };
    replica.wait_until_synced();
    master.kill();
    let Some(node) = RedisServer::builder().tcp().line("cluster-enabled yes").start() else { return };
    node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let of_cluster = format!("redis+cluster://127.0.0.1:{}", node.port());
    for (server, url, text) in [(&replica, replica.url(), "MASTERDOWN"), (&node, of_cluster, "")] {
        let try_to_add = || {
            let entry = ["XADD", STREAM, "*", "event_type", "note"];
            !matches!(server.call(&entry), Reply::Error(_))
        };
        let calls = Calls::default();
        let noted = calls.clone();
        let consumer = of_url(&url).handler(move |delivery: &Delivery| noted.note(delivery)).expect("starts");
        if text.is_empty() {
            wait_for("it takes entries", try_to_add);
            calls.wait_for(1);
            server.command(&["CLUSTER", "DELSLOTSRANGE", "0", "16383"]);
        }
        wait_until_told(&consumer, ConsumerState::Retrying, text);
        match text {
            "MASTERDOWN" => server.promote(),
            _ => drop(server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])),
        }
        let known = calls.all().len();
        wait_for("it takes entries", try_to_add);
        calls.wait_for(known + 1);
        wait_for("it is well", || consumer.status().state == ConsumerState::Live);
    }
}

// What is looked for after each loss of a connection is not delivered once more by that.
#[test]
fn p8_what_waits_behind_its_plan_is_not_worn_out_by_connections_that_are_lost() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    for _ in 0..4 {
        server.command(&["XADD", STREAM, "*", "event_type", "note", "plan_id", "plan-1"]);
    }
    let policy = RetryPolicy::delays([Duration::from_secs(3_600)]).deliveries_max(3);
    let consumer = of_url(&proxy.url()).ordering(Ordering::PerPlan).retry(policy);
    let consumer = consumer.handler(|_: &Delivery| Err::<(), _>("not yet")).expect("starts");
    let due = format!("{STREAM}:dlq:workers:due");
    wait_for("the first waits, and its plan behind it", || server.command(&["ZCARD", &due]) == "1");
    let idle_ms = || -> u128 {
        let last = server.call(&["XPENDING", STREAM, "workers", "-", "+", "10"]).items().pop();
        last.expect("is pending").items()[2].to_string().parse().expect("a number")
    };
    for _ in 0..6 {
        let cut = Instant::now();
        proxy.cut_now();
        wait_for("all is found again", || idle_ms() < cut.elapsed().as_millis());
        wait_for("it is well", || {
            let status = consumer.status();
            status.leases == 1 && status.state == ConsumerState::Live
        });
    }
    let counts = consumer.status().counts;
    assert_eq!(
        (counts.failed, counts.dead_lettered, pending(&server, STREAM, "workers")),
        (1, 0, 4),
        "{counts:?}"
    );
}
