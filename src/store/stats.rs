//! [`StoreStats`]: figures about a whole store, for people and monitors.
//!
//! All of them are looked up, none is counted row by row, so that they cost the same in a log of
//! any length. Counting by type, which must read the log, does so in windows.

use std::{collections::BTreeMap, ops::Range, path::PathBuf, time::Duration};

use rusqlite::{Connection, OptionalExtension};

use super::{
    EventStore, checkpoint,
    cursors::{self, Cursor},
    fault,
    inner::Inner,
    read::{self, Bounds},
    schema,
};
use crate::{
    error::{Error, Result},
    event::Timestamp,
};

/// How many seqs are counted in one read transaction.
const WINDOW_SEQS: u64 = 100_000;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Figures about a store, all tenants together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// The database file.
    pub path: PathBuf,
    /// The store's id, a ULID.
    pub store_id: String,
    /// The version of the store's tables.
    pub schema_version: u32,
    /// How many events the log holds, as its first and its last seq say.
    pub events: u64,
    /// The first seq that the log holds.
    pub first_seq: Option<u64>,
    /// The last seq that was given, 0 for none.
    pub last_seq: u64,
    /// When the first event that the log holds was recorded.
    pub first_recorded_at: Option<Timestamp>,
    /// When the last event that the log holds was recorded.
    pub last_recorded_at: Option<Timestamp>,
    /// The chain of the last event that the log holds, 64 hexadecimal digits. Kept elsewhere, it shows later whether
    /// the log up to here is still the same.
    pub head_chain: Option<String>,
    /// How many events were recorded in the last minute.
    pub last_minute: u64,
    /// How many events were recorded in the last hour.
    pub last_hour: u64,
    /// How many events were recorded in the last 24 hours.
    pub last_day: u64,
    /// The cursors of all readers; what one has still to read is `last_seq` less its seq.
    pub cursors: Vec<Cursor>,
    /// The size of the database file.
    pub db_bytes: u64,
    /// The size of a page of the database.
    pub page_bytes: u64,
    /// How many pages the database has.
    pub pages: u64,
    /// How many of them hold nothing.
    pub free_pages: u64,
    /// The size of the write-ahead log's file, which is kept at its length for the next commits.
    pub wal_bytes: u64,
    /// How many pages of the write-ahead log are in use. `None` where the file or its directory
    /// cannot be written, which asking needs.
    pub wal_pages: Option<u64>,
    /// How many of these have been copied into the database file. While it stays behind, a reader
    /// holds a transaction open that still needs the pages.
    pub wal_copied_pages: Option<u64>,
}

impl EventStore {
    /// Figures about the whole store, at the same cost for a log of any length.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn stats(&self) -> Result<StoreStats> {
        self.inner.read(|connection| read_all(&self.inner, connection))
    }

    /// How many events of each type the log holds, all tenants together. Reads the whole log, in
    /// short transactions: what is committed meanwhile is not counted.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn count_by_type(&self) -> Result<BTreeMap<String, u64>> {
        let bounds = self.inner.read(read::bounds)?;
        let (mut counts, mut from, end) = (BTreeMap::new(), bounds.floor, bounds.last + 1);
        // Looked for, not counted up: where somebody put in a row far from the others, nothing is
        // between them.
        while let Some(first) =
            self.inner.read(|connection| read::first_held(connection, from..end, false))?
        {
            from = end.min(first.saturating_add(WINDOW_SEQS));
            self.inner.read(|connection| count_window(connection, first..from, &mut counts))?;
        }
        Ok(counts)
    }
}

fn read_all(store: &Inner, connection: &Connection) -> Result<StoreStats> {
    let failed = |cause| fault::sqlite("read the store's figures", cause);
    // Asked first: SQLite answers no such question inside a transaction.
    let wal = checkpoint::checkpoint(connection, "NOOP").ok();
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    let number = |name: &str| schema::pragma(&snapshot, name).map(read::unsigned).map_err(failed);
    let bounds = read::bounds(&snapshot)?;
    let now = Timestamp::now();
    let (first, last) = (end(&snapshot, bounds.floor)?, end(&snapshot, bounds.last)?);
    Ok(StoreStats {
        path: store.files.db.clone(),
        store_id: store.store_id.clone(),
        schema_version: u32::try_from(number("user_version")?).unwrap_or(0),
        events: (bounds.last + 1).saturating_sub(bounds.floor),
        first_seq: first.is_some().then_some(bounds.floor),
        last_seq: bounds.head,
        first_recorded_at: first.map(|(time, _)| time),
        last_recorded_at: last.as_ref().map(|(time, _)| *time),
        head_chain: last.map(|(_, chain)| chain),
        last_minute: recorded_within(&snapshot, bounds, now, MINUTE)?,
        last_hour: recorded_within(&snapshot, bounds, now, HOUR)?,
        last_day: recorded_within(&snapshot, bounds, now, DAY)?,
        cursors: cursors::all(&snapshot)?,
        db_bytes: std::fs::symlink_metadata(&store.files.db).map_or(0, |metadata| metadata.len()),
        page_bytes: number("page_size")?,
        pages: number("page_count")?,
        free_pages: number("freelist_count")?,
        wal_bytes: store.files.wal_bytes(),
        wal_pages: wal.map(|(pages, _)| pages),
        wal_copied_pages: wal.map(|(_, copied)| copied),
    })
}

/// When a row was recorded, and its chain in hexadecimal digits.
fn end(connection: &Connection, seq: u64) -> Result<Option<(Timestamp, String)>> {
    let found = connection
        .prepare_cached("SELECT recorded_at, lower(hex(chain)) FROM plan_events WHERE id = ?1")
        .and_then(|mut statement| {
            let row = statement.query_row([seq.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)));
            row.optional()
        });
    let found: Option<(String, String)> =
        found.map_err(|cause| fault::sqlite("read an end of the log", cause))?;
    let parsed = found.map(|(time, chain)| {
        let wrong = |error: Error| fault::corrupt_row(seq.cast_signed(), "recorded_at", &error.to_string());
        Ok((time.parse().map_err(wrong)?, chain))
    });
    parsed.transpose()
}

fn recorded_within(connection: &Connection, bounds: Bounds, now: Timestamp, time: Duration) -> Result<u64> {
    let since = Timestamp::from_micros(now.as_micros() - time.as_micros() as i64)?;
    Ok(bounds.last + 1 - read::first_since(connection, bounds, since)?)
}

fn count_window(connection: &Connection, seqs: Range<u64>, counts: &mut BTreeMap<String, u64>) -> Result<()> {
    let failed = |cause| fault::sqlite("count the events", cause);
    let mut statement = connection
        .prepare_cached("SELECT event_type, count(*) FROM plan_events WHERE id >= ?1 AND id < ?2 GROUP BY 1")
        .map_err(failed)?;
    let mut rows = statement.query((seqs.start.cast_signed(), seqs.end.cast_signed())).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (event_type, count): (String, i64) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        *counts.entry(event_type).or_default() += read::unsigned(count);
    }
    Ok(())
}
