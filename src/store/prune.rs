//! Applies retention: removes events from the log's beginning, in small steps between commits.
//!
//! Each step stores the chain of the last row that it removes in the same transaction, so that the
//! chain of what is left can be verified from there, wherever a crash ends it. Never removes the
//! newest event, nor one that a reader's cursor has not reached unless that reader was named, nor a
//! row that is not as planbus wrote it.

use rusqlite::{Connection, params};

use super::{
    EventStore, change,
    cursors::{self, Cursor},
    inner::Inner,
    read,
    retention::Retention,
    schema,
    walk::Walk,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::Timestamp,
};

/// The most rows that one transaction removes: publishers wait for one at most.
const PRUNE_STEP_ROWS: usize = 1_000;
/// A step ends early with the row that brings it to this many bytes.
const PRUNE_STEP_BYTES: usize = 8 << 20;
/// How many free pages one transaction gives back.
const VACUUM_STEP_PAGES: u64 = 500;

const DOING: &str = "prune the log";

/// What pruning did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PruneReport {
    /// How many events were removed; in a dry run how many would be.
    pub removed: u64,
    /// The seq of the last event that was removed.
    pub last_removed: Option<u64>,
    /// The first seq that the log holds after it.
    pub first_seq: Option<u64>,
    /// The cursor that kept events which the rule lets go.
    pub held_by: Option<Cursor>,
    /// How much smaller the database became, in bytes; its file follows when the write-ahead log
    /// has been copied, which a reader may delay. A dry run does not tell.
    pub freed_bytes: u64,
    /// Whether everything went that could; `false` when [`Retention::limit`] ended it.
    pub is_complete: bool,
    /// Whether nothing was removed because it was only asked.
    pub is_dry_run: bool,
}

impl EventStore {
    /// Removes from the log's beginning what a rule lets go, of all tenants, but nothing that a
    /// reader with a [cursor](Self::cursors) has still to read, unless the rule names that reader.
    ///
    /// Events are published meanwhile: the work is done in small transactions. A reader without a
    /// cursor that is overtaken is told `Pruned` when it reads on. An event that was removed is no
    /// longer known: publishing it again stores it again, under a new seq.
    ///
    /// Each step verifies the chain of the rows that it is about to remove, and stops before one
    /// that was changed, removed or put in by somebody else: without it nobody could prove that any
    /// more. Such a log is evidence to keep, or to be replaced by a backup; there is no way around.
    /// A dry run does not look.
    ///
    /// ```
    /// # use planbus::{Event, EventStore, PlanStarted, Retention};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = EventStore::open(dir.path().join("planbus.db"))?;
    /// # for _ in 0..5 { store.save(&Event::new("plan-7", PlanStarted::new("tidy up")))?; }
    /// let report = store.prune(Retention::keep_last(2))?;
    /// assert_eq!((report.removed, report.first_seq), (3, Some(4)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` names a field of the rule that was given wrong, or a forced reader without a
    /// cursor: then nothing was removed. `Unsound` names the first row that is to go and is not as
    /// planbus wrote it; `Corrupt` one that no log can hold. Else as [`save`](Self::save). What was removed before an error stays removed, and the log is whole:
    /// pruning again goes on.
    pub fn prune(&self, retention: Retention) -> Result<PruneReport> {
        retention.check()?;
        let cutoff = retention.cutoff(Timestamp::now());
        // Decided once: a log that grows meanwhile does not draw the work out.
        let target = self.inner.read(|connection| target(connection, cutoff, &retention))?;
        if retention.is_dry_run() {
            return self.inner.read(|connection| foretell(connection, target, &retention));
        }
        let mut report = remove_all(&self.inner, target, &retention)?;
        report.freed_bytes = vacuum(&self.inner)?;
        tracing::info!(
            removed = report.removed,
            first_seq = report.first_seq,
            freed_bytes = report.freed_bytes,
            held_by = report.held_by.as_ref().map(|cursor| cursor.reader.as_str()),
            "planbus.prune"
        );
        Ok(report)
    }
}

/// The last seq that a rule lets go, 0 for none.
fn target(connection: &Connection, cutoff: Option<Timestamp>, retention: &Retention) -> Result<u64> {
    let snapshot = connection.unchecked_transaction().map_err(change::failed(DOING))?;
    let bounds = read::bounds(&snapshot)?;
    retention.check_forced(&cursors::all(&snapshot)?)?;
    // From the last event that is there: where somebody cut off the end, what is left counts.
    let by_count = bounds.last.saturating_sub(retention.kept().max(1));
    Ok(match cutoff {
        Some(cutoff) => by_count.min(read::first_since(&snapshot, bounds, cutoff)? - 1),
        None => by_count,
    })
}

/// What stands in the way of a rule: the last seq that may go, and the cursor that says so.
fn reach(connection: &Connection, target: u64, retention: &Retention) -> Result<(u64, Option<Cursor>)> {
    let unforced =
        cursors::all(connection)?.into_iter().filter(|cursor| !retention.is_forced(&cursor.reader));
    let unforced = unforced.filter(|cursor| cursor.stream.is_empty());
    let holder = unforced.min_by_key(|cursor| cursor.seq).filter(|cursor| cursor.seq < target);
    Ok((holder.as_ref().map_or(target, |cursor| cursor.seq), holder))
}

fn foretell(connection: &Connection, target: u64, retention: &Retention) -> Result<PruneReport> {
    let snapshot = connection.unchecked_transaction().map_err(change::failed(DOING))?;
    let bounds = read::bounds(&snapshot)?;
    let (reach, held_by) = reach(&snapshot, target, retention)?;
    let removed = (reach + 1).saturating_sub(bounds.floor).min(retention.limit_events());
    let last = bounds.floor + removed - 1;
    Ok(PruneReport {
        removed,
        last_removed: (removed > 0).then_some(last),
        first_seq: (bounds.floor <= bounds.last).then_some(last + 1),
        held_by: held_by.filter(|_| target >= bounds.floor),
        freed_bytes: 0,
        is_complete: last >= reach,
        is_dry_run: true,
    })
}

fn remove_all(store: &Inner, target: u64, retention: &Retention) -> Result<PruneReport> {
    let mut report = PruneReport::default();
    loop {
        let left = retention.limit_events() - report.removed;
        // The cursors are looked at in the transaction that removes: none can come in between.
        let (removed, bounds) = store.change(DOING, PRUNE_STEP_ROWS, |connection| {
            let before = read::bounds(connection)?;
            let (reach, held_by) = reach(connection, target, retention)?;
            report.held_by = held_by.filter(|_| target >= before.floor);
            report.is_complete = reach < before.floor;
            let last = reach.min(before.last.saturating_sub(1)).min((before.floor - 1).saturating_add(left));
            let removed = if last < before.floor { 0 } else { remove_step(connection, last)? };
            Ok((removed, read::bounds(connection)?))
        })?;
        report.first_seq = (bounds.floor <= bounds.last).then_some(bounds.floor);
        if removed == 0 {
            return Ok(report);
        }
        store.recent.forget();
        report.removed += removed;
        report.last_removed = Some(bounds.floor - 1);
    }
}

/// Removes the first rows of the log, up to `last` at most; how many.
///
/// They go only when their chain holds: the anchor that replaces them would otherwise vouch for rows
/// that somebody changed, and nobody could tell any more.
fn remove_step(connection: &Connection, last: u64) -> Result<u64> {
    let failed = change::failed(DOING);
    let walk = Walk::of_first(connection, last, PRUNE_STEP_ROWS as i64, PRUNE_STEP_BYTES)?;
    if let Some(broken) = walk.broken {
        let problem = format!("{DOING}: {broken}; what is not as planbus wrote it is not removed");
        return Err(Error::new(ErrorKind::Unsound, problem));
    }
    let mut note = connection
        .prepare_cached("INSERT OR REPLACE INTO store_meta(key, value) VALUES (?1, ?2)")
        .map_err(failed)?;
    note.execute(params!["chain_anchor", walk.link]).map_err(failed)?;
    note.execute(params!["chain_anchor_seq", walk.seq]).map_err(failed)?;
    let removed = connection
        .prepare_cached("DELETE FROM plan_events WHERE id <= ?1")
        .and_then(|mut statement| statement.execute([walk.seq]))
        .map_err(failed)?;
    Ok(removed as u64)
}

/// Gives the free pages back to the file system; how many bytes.
fn vacuum(store: &Inner) -> Result<u64> {
    const DOING: &str = "give free pages back";
    let failed = change::failed(DOING);
    let mut freed_pages = 0;
    loop {
        let pages = store.change(DOING, VACUUM_STEP_PAGES as usize, |connection| {
            let pages = || schema::pragma(connection, "page_count").map(read::unsigned).map_err(failed);
            let before = pages()?;
            // Every page is a row of the answer, and moved only when that is asked for.
            let sql = format!("PRAGMA incremental_vacuum({VACUUM_STEP_PAGES})");
            let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
            let mut rows = statement.query([]).map_err(failed)?;
            while rows.next().map_err(failed)?.is_some() {}
            Ok(before.saturating_sub(pages()?))
        })?;
        if pages == 0 {
            break;
        }
        freed_pages += pages;
    }
    if freed_pages > 0 {
        // A file is cut by the checkpoint that copies its last page.
        store.copy_wal()?;
    }
    Ok(freed_pages * schema::PAGE_BYTES)
}
