//! P8 over networks that cut, hold and drip, and over failovers: each event has its effects, once where
//! nothing but the network failed.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod consumer_support;
mod redis_support;
mod store_support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use consumer_support::{STREAM, pending};
use planbus::redis::{Consumer, ConsumerBuilder, ConsumerState, Delivery, RedisEndpoint, RetryPolicy};
use redis_support::{Cluster, Fault, Proxy, RedisServer, Sentinels, wait_for};

/// A read timeout that a test can wait for.
const TIMEOUT: Duration = Duration::from_millis(500);

fn of_url(url: &str) -> ConsumerBuilder {
    let endpoint = RedisEndpoint::builder(url)
        .back_off(Duration::from_millis(20), Duration::from_millis(200))
        .connect_timeout(TIMEOUT)
        .read_timeout(TIMEOUT)
        .write_timeout(TIMEOUT);
    let builder = Consumer::builder(endpoint.build().expect("a URL")).group("workers");
    builder.claim_idle(Duration::from_secs(600)).retry(RetryPolicy::delays([Duration::from_millis(10)]))
}

/// The attempts at each event, by its stream and id.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<BTreeMap<String, Vec<u32>>>>);

impl Attempts {
    fn all(&self) -> BTreeMap<String, Vec<u32>> {
        self.0.lock().expect("no panic").clone()
    }

    fn calls(&self) -> usize {
        self.all().values().map(Vec::len).sum()
    }

    /// Fails the first attempt at what is flaky, and each at what is poison.
    fn start(&self, builder: ConsumerBuilder) -> Consumer {
        let noted = self.clone();
        let consumer = builder.handler(move |delivery: &Delivery| {
            let name = format!("{} {}", delivery.stream(), delivery.id());
            noted.0.lock().expect("no panic").entry(name).or_default().push(delivery.attempt());
            match delivery.event().event_type().as_str() {
                "flaky" if delivery.attempt() == 1 => Err("not yet"),
                "poison" => Err("never"),
                _ => Ok(()),
            }
        });
        consumer.expect("starts")
    }
}

fn add(server: &RedisServer, stream: &str, event_type: &str) -> String {
    server.command(&["XADD", stream, "*", "event_type", event_type])
}

fn letters(server: &RedisServer) -> usize {
    server.entries(&format!("{STREAM}:dlq")).len()
}

// An entry of a reply that was lost comes after the claim time unless it is looked for; a script that
// does not look who has the entry schedules or buries it twice.
#[test]
fn p8_whatever_request_or_reply_is_cut_each_event_has_its_attempts_and_one_dead_letter() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let attempts = Attempts::default();
    let consumer = attempts.start(of_url(&proxy.url()));
    let mut expected = BTreeMap::new();
    for (round, after_bytes) in (1..).zip([0, 1, 7, 40, 150, 400, 900, 1_500, 2_500, 4_000, 6_000, 9_000]) {
        for fault in [Fault::CutRequest { after_bytes: after_bytes.max(1) }, Fault::CutReply { after_bytes }]
        {
            let cuts = proxy.cuts();
            proxy.set(fault);
            for (event_type, made) in [("note", vec![1]), ("flaky", vec![1, 2]), ("poison", vec![1, 2])] {
                expected.insert(format!("{STREAM} {}", add(&server, STREAM, event_type)), made);
            }
            wait_for("it is cut", || proxy.cuts() > cuts);
        }
        wait_for("all is done", || {
            attempts.all() == expected
                && letters(&server) == 2 * round
                && pending(&server, STREAM, "workers") == 0
        });
    }
    assert_eq!(attempts.all(), expected);
    let left = server.command(&[
        "EXISTS",
        &format!("{STREAM}:dlq:workers:due"),
        &format!("{STREAM}:dlq:workers:failures"),
    ]);
    assert_eq!(left, "0");
    wait_for("it is well", || consumer.status().state == ConsumerState::Live);
}

#[test]
fn p8_what_was_sent_into_a_black_hole_arrives_late_and_does_no_harm() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let attempts = Attempts::default();
    let consumer = attempts.start(of_url(&proxy.url()));
    let mut expected = BTreeMap::new();
    for round in 1..=2 {
        for (event_type, made) in [("note", vec![1]), ("flaky", vec![1, 2]), ("poison", vec![1, 2])] {
            expected.insert(format!("{STREAM} {}", add(&server, STREAM, event_type)), made);
        }
        wait_for("it is being handled", || attempts.calls() > 5 * (round - 1));
        proxy.set(Fault::BlackHole);
        expected.insert(format!("{STREAM} {}", add(&server, STREAM, "note")), vec![1]);
        wait_for("it is found out", || consumer.status().state == ConsumerState::Retrying);
        proxy.set(Fault::None);
        wait_for("all is done", || {
            attempts.all().len() == expected.len()
                && letters(&server) == round
                && pending(&server, STREAM, "workers") == 0
        });
    }
    assert_eq!(attempts.all(), expected);
}

#[test]
fn p8_one_byte_at_a_time_is_enough() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let attempts = Attempts::default();
    let _consumer = attempts.start(of_url(&proxy.url()));
    add(&server, STREAM, "flaky");
    wait_for("it is handled", || attempts.calls() == 2);
    proxy.set(Fault::Dribble(Duration::from_micros(1)));
    add(&server, STREAM, "flaky");
    wait_for("all is done", || attempts.calls() == 4 && pending(&server, STREAM, "workers") == 0);
}

#[test]
fn p8_consumers_go_on_when_sentinels_name_another_primary() {
    let Some(sentinels) = Sentinels::start(1) else { return };
    let attempts = Attempts::default();
    let consumer = attempts.start(of_url(&sentinels.url()));
    let mut expected: Vec<String> = (0..20).map(|_| add(sentinels.primary(), STREAM, "note")).collect();
    wait_for("all is acked", || {
        attempts.calls() == 20 && pending(sentinels.primary(), STREAM, "workers") == 0
    });
    sentinels.primary().command(&["WAIT", "1", "0"]);
    sentinels.kill_primary();
    expected.extend((0..20).map(|_| add(sentinels.primary(), STREAM, "flaky")));
    wait_for("all is acked", || {
        attempts.calls() == 60 && pending(sentinels.primary(), STREAM, "workers") == 0
    });
    let expected: Vec<String> = expected.iter().map(|id| format!("{STREAM} {id}")).collect();
    assert_eq!(attempts.all().into_keys().collect::<Vec<_>>(), expected);
    wait_for("it is well", || consumer.status().state == ConsumerState::Live);
}

#[test]
fn p8_consumers_in_a_cluster_go_on_when_nodes_yield_or_die() {
    let Some(cluster) = Cluster::start(true) else { return };
    let streams = ["planbus:{a}:events", "planbus:{b}:events", "planbus:{c}:events"];
    let attempts = Attempts::default();
    let consumer = attempts.start(of_url(&cluster.url()));
    let add_all = || {
        for stream in streams {
            for event_type in ["note", "flaky"] {
                add(cluster.master_of(stream), stream, event_type);
            }
            // One whose replica was promoted has none any more.
            cluster.master_of(stream).command(&["WAIT", "1", "500"]);
        }
    };
    let wait_until_done = |rounds: usize| {
        wait_for("all is acked", || {
            attempts.all().len() == 6 * rounds
                && attempts.calls() >= 9 * rounds
                && streams.iter().all(|stream| pending(cluster.master_of(stream), stream, "workers") == 0)
        });
    };
    add_all();
    wait_until_done(1);
    cluster.failover(streams[0]);
    add_all();
    wait_until_done(2);
    cluster.kill_master_of(streams[1]);
    add_all();
    wait_until_done(3);
    assert_eq!(consumer.status().streams, 3);
}

#[test]
fn p8_consumers_speak_tls() {
    let Some(server) = RedisServer::builder().tls().start() else { return };
    let attempts = Attempts::default();
    let [authority, _] = server.authorities();
    let _consumer = attempts.start(of_url(&format!("{}?ca_file={}", server.url(), authority.display())));
    for event_type in ["note", "flaky", "poison"] {
        add(&server, STREAM, event_type);
    }
    wait_for("all is done", || letters(&server) == 1 && pending(&server, STREAM, "workers") == 0);
    assert_eq!(attempts.calls(), 5);
}

// A keeper that asks again at once while the server is away keeps a processor busy until the deadline.
#[test]
fn a_consumer_that_stops_without_its_server_waits_quietly_and_says_what_is_not_settled() {
    let Some(server) = RedisServer::builder().tcp().start() else { return };
    let proxy = Proxy::before(server.port());
    let gate = Arc::new(std::sync::Barrier::new(2));
    let opened = gate.clone();
    add(&server, STREAM, "note");
    let consumer = of_url(&proxy.url()).handler(move |_: &Delivery| {
        opened.wait();
    });
    let consumer = consumer.expect("starts");
    wait_for("it is being handled", || consumer.status().busy == 1);
    proxy.set(Fault::Refuse);
    proxy.cut_now();
    gate.wait();
    wait_for("it is found out", || consumer.status().state == ConsumerState::Retrying);
    let (accepted, start) = (proxy.accepted(), Instant::now());
    let report = consumer.stop(Duration::from_secs(1)).expect("stops");
    assert_eq!((report.abandoned, report.unsettled), (0, 1));
    let (tries, seconds) = (proxy.accepted() - accepted, start.elapsed().as_secs() as usize + 1);
    assert!(tries < 40 * seconds, "{tries} connections");
}
