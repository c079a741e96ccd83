//! [`Scrape`]: all figures at one moment, and their names.
//!
//! Only writes what it was given: it asks neither the store nor Redis. No tenant and no plan is ever a
//! label, so that a page has as many lines with a million plans as with one.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text},
    registry::Registry,
};

use super::page::Page;
use crate::{
    bus::{BusStats, SubscriptionState},
    server::counters::{Counters, CutReason, Transport},
    store::{CommitStats, Cursor, StoreStats},
};

/// The most readers of the log whose lag is told, those that are farthest behind.
const READERS_MAX: usize = 200;

const MICROS_IN_SECOND: f64 = 1e6;

/// All figures at one moment.
#[derive(Debug)]
pub(in crate::server) struct Scrape {
    pub(in crate::server) bus: BusStats,
    pub(in crate::server) commits: CommitStats,
    /// `None` where the store could not be read.
    pub(in crate::server) store: Option<StoreStats>,
    /// Whether the server follows the log.
    pub(in crate::server) is_following: bool,
    pub(in crate::server) counters: Arc<Counters>,
    /// `None` where the server was given no Redis to look at.
    #[cfg(feature = "redis")]
    pub(in crate::server) redis: Option<Arc<crate::server::redis::Look>>,
}

impl Scrape {
    /// The page, as OpenMetrics text.
    pub(in crate::server) fn into_text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page::new(encoder);
        page.info("planbus_build", "The program's version.", &[("version", env!("CARGO_PKG_VERSION"))])?;
        write_bus(page, &self.bus)?;
        write_commits(page, &self.commits)?;
        page.gauge("planbus_store_up", "Whether the log can be read.", u64::from(self.store.is_some()))?;
        if let Some(store) = &self.store {
            write_store(page, store)?;
        }
        page.gauge("planbus_feed_up", "Whether the server follows the log.", u64::from(self.is_following))?;
        write_server(page, &self.counters)?;
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis {
            super::redis::write(redis, page)?;
        }
        Ok(())
    }
}

fn write_bus(page: &mut Page<'_>, bus: &BusStats) -> fmt::Result {
    page.counter(
        "planbus_events_published",
        "Events that this process published, duplicates not counted.",
        bus.published,
    )?;
    page.counter(
        "planbus_events_unhandled",
        "Published events that no handler and no channel received.",
        bus.unhandled,
    )?;
    page.counter(
        "planbus_handler_deliveries",
        "Events that handlers took or that went into channels, one for each of them.",
        bus.delivered,
    )?;
    page.counter(
        "planbus_handler_failures",
        "Events on which a handler failed or panicked, one for each handler.",
        bus.failed,
    )?;
    page.counter("planbus_handler_panics", "Events on which a handler panicked.", bus.panicked)?;
    page.counter("planbus_channel_drops", "Events that full channels gave up.", bus.dropped)?;
    let states = [("active", SubscriptionState::Active), ("quarantined", SubscriptionState::Quarantined)];
    let in_state = states.map(|(name, state)| {
        let found = bus.subscriptions.iter().filter(|subscription| subscription.state == state).count();
        ([("state", name)], found as u64)
    });
    page.gauges("planbus_subscriptions", "Subscriptions of the bus in this process.", in_state)
}

fn write_commits(page: &mut Page<'_>, commits: &CommitStats) -> fmt::Result {
    page.histogram(
        "planbus_commit_duration_seconds",
        "How long commits took, from when their events were taken to when they were durable.",
        &commits.seconds,
    )?;
    page.histogram("planbus_commit_batch_events", "How many events each commit added.", &commits.events)?;
    page.counter(
        "planbus_commit_failures",
        "Commits that failed because of the disk or the database.",
        commits.failed,
    )
}

fn write_store(page: &mut Page<'_>, store: &StoreStats) -> fmt::Result {
    page.gauge("planbus_log_head_seq", "The last seq of the log.", store.last_seq)?;
    page.gauge("planbus_log_events", "Events that the log holds.", store.events)?;
    if let Some(recorded) = store.last_recorded_at {
        page.gauge(
            "planbus_log_last_recorded_timestamp_seconds",
            "When the last event of the log was recorded, in seconds since 1970.",
            recorded.as_micros() as f64 / MICROS_IN_SECOND,
        )?;
    }
    page.gauge("planbus_db_bytes", "The size of the database file.", store.db_bytes)?;
    page.gauge(
        "planbus_wal_bytes",
        "The size of the write-ahead log's file, which is kept for the next commits.",
        store.wal_bytes,
    )?;
    if let Some(pages) = store.wal_pages {
        let uncopied = pages.saturating_sub(store.wal_copied_pages.unwrap_or(0));
        page.gauge(
            "planbus_wal_uncopied_bytes",
            "How much of the write-ahead log is not in the database file yet.",
            uncopied * store.page_bytes,
        )?;
    }
    let lags = lags(store);
    let lags = lags.iter().map(|(reader, lag)| ([("reader", *reader)], *lag));
    page.gauges(
        "planbus_reader_lag_events",
        "Events of the log that a reader with a cursor, such as a mirror, has not finished.",
        lags,
    )
}

/// How far each reader is behind, the farthest first. Cursors that a mirror keeps for its streams say
/// when each was last appended to, and no lag.
fn lags(store: &StoreStats) -> Vec<(&str, u64)> {
    let own = store.cursors.iter().filter(|cursor| cursor.stream.is_empty());
    let lag = |cursor: &Cursor| store.last_seq.saturating_sub(cursor.seq);
    let mut lags: Vec<_> = own.map(|cursor| (cursor.reader.as_str(), lag(cursor))).collect();
    lags.sort_by_key(|(_, lag)| std::cmp::Reverse(*lag));
    lags.truncate(READERS_MAX);
    lags
}

fn write_server(page: &mut Page<'_>, counters: &Counters) -> fmt::Result {
    let by_transport = |count: &dyn Fn(Transport) -> u64| {
        Transport::ALL.map(|transport| ([("transport", transport.as_str())], count(transport)))
    };
    page.gauges(
        "planbus_stream_clients",
        "Clients that follow the log now.",
        by_transport(&|transport| counters.clients(transport)),
    )?;
    page.counters(
        "planbus_streams_opened",
        "Streams that clients opened.",
        by_transport(&|transport| counters.opened_total(transport)),
    )?;
    page.counters(
        "planbus_deliveries",
        "Events handed to the connections of clients, one for each of them.",
        by_transport(&|transport| counters.delivered_total(transport)),
    )?;
    page.counter("planbus_gaps", "Times that a client was told of missing events.", counters.gaps_total())?;
    page.counters(
        "planbus_clients_cut",
        "Streams that the server ended while there was more to send.",
        CutReason::ALL.map(|reason| ([("reason", reason.as_str())], counters.cuts_total(reason))),
    )?;
    let answers = counters.answers();
    let answers = answers
        .iter()
        .map(|((route, status), count)| ([("route", route.clone()), ("status", status.to_string())], *count));
    page.counters("planbus_http_requests", "Requests answered, by the route's template.", answers)
}
