//! `/metrics`: what Prometheus is told, and that it is told nothing of tenants and plans.

#![cfg(all(feature = "redis", feature = "server", target_os = "linux"))]

mod metrics_support;
mod redis_support;
mod server_support;
mod store_support;

use std::{io::Write, net::TcpStream, time::Duration};

use metrics_support::{Page, keep_busy, text};
use planbus::{Event, EventBus, EventStore, server::Server};
use serde_json::json;
use server_support::Live;
use store_support::wait_until;

#[test]
fn a_page_is_openmetrics_and_each_figure_is_what_happened() {
    let live = Live::start();
    keep_busy(&live);
    let Some(page) = Page::scrape(&live) else { return };
    for (name, (kind, help)) in &page.families {
        assert!(name.starts_with("planbus_") && help.len() > 10 && kind != "unknown", "{name} {kind} {help}");
    }
    let value = |name: &str| page.find(name, &[]).unwrap_or_else(|| panic!("no {name}"));
    let stats = live.bus.stats();
    assert_eq!(value("planbus_events_published_total"), 13.0);
    assert_eq!(value("planbus_handler_deliveries_total"), stats.delivered as f64);
    assert_eq!(value("planbus_handler_failures_total"), 26.0);
    assert_eq!(value("planbus_handler_panics_total"), 13.0);
    assert_eq!(value("planbus_channel_drops_total"), 12.0);
    assert_eq!((value("planbus_log_head_seq"), value("planbus_log_events")), (13.0, 13.0));
    assert_eq!(page.find("planbus_reader_lag_events", &[("reader", "billing")]), Some(10.0));
    assert_eq!((value("planbus_store_up"), value("planbus_feed_up")), (1.0, 1.0));
    assert!(value("planbus_db_bytes") > 4_096.0 && value("planbus_wal_bytes") > 4_096.0);
    let commits = value("planbus_commit_duration_seconds_count");
    assert_eq!(value("planbus_commit_batch_events_sum"), 13.0);
    assert_eq!(page.find("planbus_commit_duration_seconds_bucket", &[("le", "+Inf")]), Some(commits));
    assert!(value("planbus_commit_duration_seconds_sum") > 0.0);
    assert_eq!(page.value("planbus_deliveries_total", &[("transport", "sse")]), 10.0);
    assert_eq!(page.value("planbus_streams_opened_total", &[("transport", "sse")]), 1.0);
    let answers =
        |route, status| page.value("planbus_http_requests_total", &[("route", route), ("status", status)]);
    assert_eq!((answers("/events/stream", "200"), answers("other", "404")), (1.0, 1.0));
    assert_eq!(answers("/plans/{plan_id}/events/stream", "400"), 1.0);
    assert_eq!(page.find("planbus_redis_up", &[]), None, "no Redis was named");
}

#[test]
fn p10_no_tenant_no_plan_and_no_payload_is_in_a_page_whatever_happened() {
    let live = Live::start();
    let idle = text(&live).lines().count();
    keep_busy(&live);
    let busy = text(&live);
    assert!(!busy.contains("secret"), "{busy}");
    for plan in 0..200 {
        live.note(&format!("plan-{plan}"), 1);
        assert_ne!(live.get(&format!("/plans/plan-{plan}/events/stream?format=none")).0, 200);
    }
    // A line for each reader, and for each route and status that there is.
    assert!(text(&live).lines().count() < idle + 20, "{}", text(&live));
}

#[test]
fn counters_never_fall_while_subscriptions_streams_and_events_come_and_go() {
    let live = Live::start();
    let Some(mut last) = Page::scrape(&live) else { return };
    for round in 0..5 {
        keep_busy(&live);
        if round == 2 {
            live.bus.store().expect("a store").remove_cursor("billing").expect("removes");
        }
        let now = Page::scrape(&live).expect("was read before");
        for before in last.counters() {
            let labels: Vec<_> =
                before.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let after = now.find(&before.name, &labels);
            assert!(after.is_some_and(|after| after >= before.value), "{before:?} became {after:?}");
        }
        assert!(
            now.value("planbus_events_published_total", &[])
                > last.value("planbus_events_published_total", &[])
        );
        last = now;
    }
    wait_until("the streams that were dropped are gone", || {
        let page = Page::scrape(&live).expect("was read before");
        page.value("planbus_stream_clients", &[("transport", "sse")]) == 0.0
    });
    assert_eq!(last.value("planbus_streams_opened_total", &[("transport", "sse")]), 5.0);
}

#[test]
fn a_client_that_follows_is_counted_for_as_long_as_it_does() {
    let live = Live::start();
    let clients = |live: &Live| {
        let text = text(live);
        let line =
            text.lines().find_map(|line| line.strip_prefix("planbus_stream_clients{transport=\"sse\"} "));
        line.expect("is told").parse::<u64>().expect("a number")
    };
    let streams: Vec<_> = (0..3).map(|_| live.follow("/events/stream")).collect();
    wait_until("all three follow", || clients(&live) == 3);
    drop(streams);
    wait_until("all three are gone", || {
        // Who is gone is noticed when something is sent.
        live.note("plan", 1);
        clients(&live) == 0
    });
}

#[test]
fn a_client_that_takes_nothing_is_cut_off_and_counted_as_slow() {
    let live =
        Live::with(|builder| builder.slow_client(Duration::from_millis(100)).send_buffer_bytes(4 << 10));
    let mut client = TcpStream::connect(live.server.addr()).expect("connects");
    client.write_all(b"GET /events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("is read");
    wait_until("it follows", || text(&live).contains("planbus_stream_clients{transport=\"sse\"} 1\n"));
    let large = json!({"text": "x".repeat(100_000)});
    wait_until("it is cut off", || {
        live.bus.publish(Event::untyped("plan", "note", large.clone())).expect("publishes");
        text(&live).contains("planbus_clients_cut_total{reason=\"slow\"} 1\n")
    });
    wait_until("it is gone", || text(&live).contains("planbus_stream_clients{transport=\"sse\"} 0\n"));
    drop(client);
}

#[test]
fn a_closed_store_is_told_and_the_page_still_comes() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
    let server = Server::builder(&bus).bind("127.0.0.1:0").start().expect("starts");
    let live = Live { server, bus, dir };
    live.note("plan", 1);
    store.close().expect("closes");
    let Some(page) = Page::scrape(&live) else { return };
    assert_eq!(
        (page.find("planbus_store_up", &[]), page.find("planbus_log_head_seq", &[])),
        (Some(0.0), None)
    );
    assert_eq!(page.find("planbus_commit_duration_seconds_count", &[]), Some(1.0));
}
