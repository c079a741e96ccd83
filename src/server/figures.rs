//! `GET /stats`: how the log, those who read it and this process are, as JSON for people's tools.
//!
//! Waits for nothing that is broken: a log that does not answer in time is null.

use axum::{
    Json,
    extract::State as Extract,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};

#[cfg(feature = "redis")]
use super::mirrors;
use super::{
    monitoring::store_figures,
    state::{Shared, State},
};
use crate::{
    bus::BusStats,
    event::Timestamp,
    store::{CommitStats, Cursor, StoreStats},
};

const MICROS_IN_SECOND: f64 = 1e6;
/// The most readers that are told of: those that are farthest behind.
const READERS_MAX: usize = 100;

/// All figures; of readers and of the log what is in the store, of the others what this process did.
#[derive(Debug, Serialize)]
struct Figures {
    version: &'static str,
    /// The name of the database file, without where it is.
    store: String,
    /// Whether this process owns the store, or reads beside the one that does.
    is_owner: bool,
    log: Option<Log>,
    search: Option<Search>,
    commits: Option<Commits>,
    bus: Option<Bus>,
    readers: Vec<Reader>,
    mirrors: Vec<Value>,
    clients: Clients,
    has_redis: bool,
}

#[derive(Debug, Serialize)]
struct Log {
    events: u64,
    first_seq: Option<u64>,
    last_seq: u64,
    first_recorded_at: Option<Timestamp>,
    last_recorded_at: Option<Timestamp>,
    last_minute: u64,
    last_hour: u64,
    last_day: u64,
    db_bytes: u64,
    wal_bytes: u64,
    wal_pages: Option<u64>,
    wal_copied_pages: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Search {
    indexed_seq: u64,
}

/// How long commits took.
#[derive(Debug, PartialEq, Serialize)]
struct Commits {
    count: u64,
    sum_us: u64,
    buckets: Vec<Bucket>,
}

/// How many values were at most as large.
#[derive(Debug, PartialEq, Serialize)]
struct Bucket {
    /// The last one has no bound.
    le_us: Option<u64>,
    count: u64,
}

#[derive(Debug, Serialize)]
struct Bus {
    published: u64,
    delivered: u64,
    failed: u64,
    panicked: u64,
    dropped: u64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Reader {
    name: String,
    seq: u64,
    lag: u64,
    is_mirror: bool,
}

#[derive(Debug, Serialize)]
struct Clients {
    followers: usize,
}

/// `GET /stats`.
pub(super) async fn stats(Extract(state): Extract<Shared>) -> Response {
    let store = store_figures(&state).await;
    ([(header::CACHE_CONTROL, "no-store")], Json(json!(figures(&state, store)))).into_response()
}

fn figures(state: &State, store: Option<StoreStats>) -> Figures {
    let is_owner = !state.store.is_read_only();
    let name = state.store.path().file_name().unwrap_or_default();
    #[cfg(feature = "redis")]
    let (has_redis, mirrors) = (state.redis.is_some(), mirrors::to_json(&state.options.mirrors));
    #[cfg(not(feature = "redis"))]
    let (has_redis, mirrors) = (false, Vec::new());
    Figures {
        version: env!("CARGO_PKG_VERSION"),
        store: name.to_string_lossy().into_owned(),
        is_owner,
        readers: store.as_ref().map_or_else(Vec::new, |store| readers(&store.cursors, store.last_seq)),
        log: store.map(Log::from),
        search: state.search.as_ref().map(|search| Search { indexed_seq: search.index().indexed_seq() }),
        // Whoever only reads commits and publishes nothing.
        commits: is_owner.then(|| state.store.commit_stats().into()),
        bus: is_owner.then(|| state.bus.stats().into()),
        mirrors,
        clients: Clients { followers: state.feed().readers() },
        has_redis,
    }
}

impl From<StoreStats> for Log {
    fn from(store: StoreStats) -> Self {
        Self {
            events: store.events,
            first_seq: store.first_seq,
            last_seq: store.last_seq,
            first_recorded_at: store.first_recorded_at,
            last_recorded_at: store.last_recorded_at,
            last_minute: store.last_minute,
            last_hour: store.last_hour,
            last_day: store.last_day,
            db_bytes: store.db_bytes,
            wal_bytes: store.wal_bytes,
            wal_pages: store.wal_pages,
            wal_copied_pages: store.wal_copied_pages,
        }
    }
}

impl From<CommitStats> for Commits {
    fn from(commits: CommitStats) -> Self {
        let micros = |seconds: f64| (seconds * MICROS_IN_SECOND).round() as u64;
        let mut below = 0;
        let buckets = commits.seconds.buckets.iter().map(|(bound, count)| {
            below += count;
            Bucket { le_us: bound.is_finite().then(|| micros(*bound)), count: below }
        });
        Self { buckets: buckets.collect(), count: commits.seconds.count, sum_us: micros(commits.seconds.sum) }
    }
}

impl From<BusStats> for Bus {
    fn from(bus: BusStats) -> Self {
        Self {
            published: bus.published,
            delivered: bus.delivered,
            failed: bus.failed,
            panicked: bus.panicked,
            dropped: bus.dropped,
        }
    }
}

/// The readers that hold retention back, the farthest behind first. Only a mirror has cursors of streams.
fn readers(cursors: &[Cursor], last_seq: u64) -> Vec<Reader> {
    let is_mirror = |name: &str| cursors.iter().any(|other| other.reader == name && !other.stream.is_empty());
    let own = cursors.iter().filter(|cursor| cursor.stream.is_empty());
    let reader = |cursor: &Cursor| Reader {
        name: cursor.reader.clone(),
        seq: cursor.seq,
        lag: last_seq.saturating_sub(cursor.seq),
        is_mirror: is_mirror(&cursor.reader),
    };
    let mut readers: Vec<_> = own.map(reader).collect();
    readers.sort_by_key(|reader| std::cmp::Reverse(reader.lag));
    readers.truncate(READERS_MAX);
    readers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Histogram;

    #[test]
    fn buckets_count_all_that_is_at_most_as_large_in_whole_microseconds() {
        let seconds =
            Histogram { buckets: vec![(0.00005, 2), (0.0025, 0), (f64::INFINITY, 1)], count: 3, sum: 1.25 };
        let commits = CommitStats { events: seconds.clone(), seconds, failed: 0 };
        let bucket = |le_us, count| Bucket { le_us, count };
        let buckets = vec![bucket(Some(50), 2), bucket(Some(2_500), 2), bucket(None, 3)];
        assert_eq!(Commits::from(commits), Commits { count: 3, sum_us: 1_250_000, buckets });
    }

    #[test]
    fn who_is_farthest_behind_comes_first_and_who_keeps_places_in_streams_is_a_mirror() {
        let cursor = |reader: &str, stream: &str, seq| Cursor {
            reader: reader.to_owned(),
            stream: stream.to_owned(),
            seq,
        };
        let cursors = [cursor("audit", "", 7), cursor("redis", "", 3), cursor("redis", "planbus:events", 2)];
        let reader = |name: &str, seq, lag, is_mirror| Reader { name: name.to_owned(), seq, lag, is_mirror };
        let told = [reader("redis", 3, 7, true), reader("audit", 7, 3, false)];
        assert_eq!(readers(&cursors, 10), told);
        let many: Vec<_> = (0..=READERS_MAX as u64).map(|seq| cursor(&format!("r{seq}"), "", seq)).collect();
        let told = readers(&many, 0);
        assert_eq!((told.len(), told[0].lag), (READERS_MAX, 0), "none is ahead of the log");
    }
}
