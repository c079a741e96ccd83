//! [`StoreStats`]: figures about a whole store, for people and monitors.
//!
//! Counting by type reads the log in windows, never in one long transaction.

use std::{collections::BTreeMap, path::PathBuf};

use rusqlite::Connection;

use super::{fault, inner::Inner, read, schema};
use crate::error::Result;

/// How many seqs are counted in one read transaction.
const WINDOW_SEQS: u64 = 100_000;
/// How many plans are counted in one read transaction.
const PLANS_PAGE: i64 = 1_000;

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
    /// How many events the log holds.
    pub events: u64,
    /// The first seq that the log holds.
    pub first_seq: Option<u64>,
    /// The last seq that was given, 0 for none.
    pub last_seq: u64,
    /// How many events of each type the log holds.
    pub events_by_type: BTreeMap<String, u64>,
    /// How many plans the log holds events of.
    pub plans: u64,
    /// The size of the database file.
    pub db_bytes: u64,
    /// The size of the write-ahead log's file.
    pub wal_bytes: u64,
    /// The size of a page of the database.
    pub page_bytes: u64,
    /// How many pages the database has.
    pub pages: u64,
    /// How many of them hold nothing.
    pub free_pages: u64,
}

pub(super) fn read(store: &Inner) -> Result<StoreStats> {
    let bounds = store.read(read::bounds)?;
    let (pages, free_pages, page_bytes, version) = store.read(|connection| {
        let number = |name: &str| {
            schema::pragma(connection, name).map_err(|cause| fault::sqlite("read the store's size", cause))
        };
        Ok((number("page_count")?, number("freelist_count")?, number("page_size")?, number("user_version")?))
    })?;
    let mut events_by_type = BTreeMap::new();
    let mut from = bounds.floor;
    while from <= bounds.head {
        let to = bounds.head.min(from.saturating_add(WINDOW_SEQS - 1));
        store.read(|connection| count_types(connection, from, to, &mut events_by_type))?;
        from = to + 1;
    }
    Ok(StoreStats {
        path: store.files.db.clone(),
        store_id: store.store_id.clone(),
        schema_version: u32::try_from(version).unwrap_or(0),
        events: events_by_type.values().sum(),
        first_seq: (bounds.floor <= bounds.head).then_some(bounds.floor),
        last_seq: bounds.head,
        events_by_type,
        plans: count_plans(store)?,
        db_bytes: std::fs::symlink_metadata(&store.files.db).map_or(0, |metadata| metadata.len()),
        wal_bytes: store.files.wal_bytes(),
        page_bytes: read::unsigned(page_bytes),
        pages: read::unsigned(pages),
        free_pages: read::unsigned(free_pages),
    })
}

fn count_types(
    connection: &Connection,
    from: u64,
    to: u64,
    counts: &mut BTreeMap<String, u64>,
) -> Result<()> {
    let failed = |cause| fault::sqlite("count the events", cause);
    let mut statement = connection
        .prepare_cached("SELECT event_type, count(*) FROM plan_events WHERE id BETWEEN ?1 AND ?2 GROUP BY 1")
        .map_err(failed)?;
    let mut rows = statement.query((from.cast_signed(), to.cast_signed())).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (event_type, count): (String, i64) = (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        *counts.entry(event_type).or_default() += read::unsigned(count);
    }
    Ok(())
}

fn count_plans(store: &Inner) -> Result<u64> {
    let failed = |cause| fault::sqlite("count the plans", cause);
    let (mut count, mut last) = (0, (String::new(), String::new()));
    loop {
        let page = store.read(|connection| {
            let mut statement = connection
                .prepare_cached(
                    "SELECT DISTINCT tenant, plan_id FROM plan_events WHERE (tenant, plan_id) > (?1, ?2)
                     ORDER BY tenant, plan_id LIMIT ?3",
                )
                .map_err(failed)?;
            let rows =
                statement.query_map((&last.0, &last.1, PLANS_PAGE), |row| Ok((row.get(0)?, row.get(1)?)));
            rows.and_then(Iterator::collect::<rusqlite::Result<Vec<(String, String)>>>).map_err(failed)
        })?;
        count += page.len() as u64;
        match page.into_iter().next_back() {
            Some(plan) => last = plan,
            None => return Ok(count),
        }
    }
}
