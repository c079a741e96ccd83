//! `/metrics` of a server that looks at a Redis, also at one that does not answer; and the dashboard
//! that is shipped with planbus.

#![cfg(all(feature = "redis", feature = "server", target_os = "linux"))]

mod metrics_support;
mod redis_support;
mod server_support;
mod store_support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use metrics_support::{Page, keep_busy, text};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use planbus::redis::{Profile, RedisEndpoint, Streams};
use redis_support::RedisServer;
use serde_json::Value;
use server_support::Live;
use store_support::wait_until;

const STREAM: &str = "planbus:{default}:events";
const QUEUE: &str = "planbus:{default}:events:dlq";
/// The dashboard that is shipped.
const DASHBOARD: &str = include_str!("../examples/grafana/planbus.json");
/// Longer than a scrape waits for Redis and the store, with a machine that has much else to do.
const SCRAPE_MAX: Duration = Duration::from_secs(8);

/// A server that looks at this Redis.
fn watching(redis: &RedisServer) -> Live {
    let endpoint = RedisEndpoint::parse(&redis.url()).expect("a URL");
    Live::with(|builder| builder.redis(Streams::new(endpoint, Profile::native())))
}

/// A group with three of five entries read and none done, and two dead letters.
fn fill(redis: &RedisServer, group: &str) {
    for number in 1..=5 {
        redis.command(&["XADD", STREAM, &format!("{number}-0"), "event_type", "note"]);
    }
    redis.command(&["XGROUP", "CREATE", STREAM, group, "0"]);
    redis.command(&["XREADGROUP", "GROUP", group, "worker", "COUNT", "3", "STREAMS", STREAM, ">"]);
    for number in 1..=2 {
        redis.command(&["XADD", QUEUE, &format!("{number}-0"), "event_type", "note"]);
    }
}

/// Whether the page says that Redis tells its figures.
fn is_up(live: &Live) -> bool {
    text(live).contains("\nplanbus_redis_up 1\n")
}

#[test]
fn groups_and_dead_letters_are_told_and_no_name_breaks_out_of_its_label() {
    let Some(redis) = RedisServer::start() else { return };
    let group = "a \"group\"} 1\nplanbus_evil_total 7\n\\";
    fill(&redis, group);
    redis.command(&["XGROUP", "CREATE", STREAM, "x".repeat(10_000).as_str(), "$"]);
    let live = watching(&redis);
    let Some(page) = Page::scrape(&live) else { return };
    let of_group = |name: &str| page.find(name, &[("stream", STREAM), ("group", group)]);
    assert_eq!(page.find("planbus_redis_up", &[]), Some(1.0));
    assert_eq!(of_group("planbus_consumer_lag_events"), Some(2.0));
    assert_eq!(of_group("planbus_consumer_pending_events"), Some(3.0));
    assert_eq!(of_group("planbus_consumer_waiting_events"), Some(0.0));
    assert_eq!(page.find("planbus_dead_letters", &[("queue", QUEUE)]), Some(2.0));
    assert_eq!(page.find("planbus_redis_left_out", &[]), Some(1.0), "its name is too long");
    assert!(!page.names().contains("planbus_evil_total"));
}

#[test]
fn a_redis_that_hangs_or_is_gone_is_told_in_time_and_nothing_old_in_its_place() {
    let Some(redis) = RedisServer::start() else { return };
    fill(&redis, "writers");
    let live = watching(&redis);
    assert!(is_up(&live));
    let process = Pid::from_raw(redis.pid().try_into().expect("a process id"));
    kill(process, Signal::SIGSTOP).expect("is ours");
    wait_until("what was known is too old", || !is_up(&live));
    let begun = Instant::now();
    let hung = text(&live);
    assert!(begun.elapsed() < SCRAPE_MAX, "a scrape took {:?}", begun.elapsed());
    assert!(hung.contains("\nplanbus_redis_up 0\n") && hung.contains("\nplanbus_log_head_seq "), "{hung}");
    assert!(!hung.contains("planbus_consumer_") && !hung.contains("planbus_dead_letters"), "{hung}");
    kill(process, Signal::SIGCONT).expect("is ours");
    wait_until("it is there again", || is_up(&live));
    assert!(text(&live).contains("planbus_dead_letters{"));
    redis.kill();
    wait_until("it is gone", || !is_up(&live));
}

#[test]
fn redis_is_asked_once_for_many_scrapes() {
    let Some(redis) = RedisServer::start() else { return };
    fill(&redis, "writers");
    let live = watching(&redis);
    assert!(is_up(&live));
    let connections = |redis: &RedisServer| {
        let told = redis.command(&["INFO", "stats"]);
        let line = told.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.expect("is told").trim().parse::<u64>().expect("a number")
    };
    let (before, begun) = (connections(&redis), Instant::now());
    let mut scrapes = 0;
    while scrapes < 20 {
        assert!(is_up(&live));
        scrapes += 1;
    }
    // Each look makes three connections and is good for five seconds; the test's own is one more.
    let looks = 1 + begun.elapsed().as_secs() / 5;
    assert!(connections(&redis) - before <= 1 + 3 * looks, "{} more", connections(&redis) - before);
}

/// Every metric that an expression of PromQL names.
fn metrics_in(expression: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    expression.split(move |letter| !is_part(letter)).filter(|word| word.starts_with("planbus_"))
}

/// All texts of a key, wherever it stands.
fn texts_of<'a>(key: &str, json: &'a Value, found: &mut Vec<&'a str>) {
    match json {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            found.extend(value.as_str().filter(|_| name == key));
            texts_of(key, value, found);
        }),
        Value::Array(items) => items.iter().for_each(|item| texts_of(key, item, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_shows_what_a_busy_server_tells_and_all_of_it() {
    let Some(redis) = RedisServer::start() else { return };
    fill(&redis, "writers");
    let live = watching(&redis);
    keep_busy(&live);
    let Some(page) = Page::scrape(&live) else { return };
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let mut sources = Vec::new();
    texts_of("uid", &dashboard["panels"], &mut sources);
    assert!(sources.iter().all(|source| *source == "${datasource}"), "whoever imports it says which");
    let mut expressions = Vec::new();
    texts_of("expr", &dashboard, &mut expressions);
    texts_of("definition", &dashboard, &mut expressions);
    let shown: BTreeSet<&str> = expressions.iter().flat_map(|expression| metrics_in(expression)).collect();
    let told = page.names();
    let unknown: Vec<_> = shown.difference(&told).collect();
    assert!(unknown.is_empty(), "no page has {unknown:?}");
    // Of a histogram only what a panel needs.
    let left: Vec<_> = told.difference(&shown).filter(|name| !name.ends_with("_seconds_sum")).collect();
    assert!(left.is_empty(), "no panel shows {left:?}");
}
