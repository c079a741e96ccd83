//! How far a mirror has come: its cursor, its streams and what it skipped, kept in the store.
//!
//! All of it is saved in one transaction. Nothing here knows what a stream is.

use rusqlite::{Connection, OptionalExtension, params};

use super::{EventStore, fault, inner::Inner, read};
use crate::error::{Error, ErrorKind, Result};

const DOING: &str = "save how far a mirror is";

/// How far a mirror has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// What the mirror was told to do. One that is told something else begins anew.
    pub(crate) setup: String,
    /// All events up to here are in their streams or were skipped; `None` before the first save.
    pub(crate) cursor: Option<u64>,
    /// The streams it wrote to, each with the last seq that it appended.
    pub(crate) streams: Vec<(String, u64)>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Events that a mirror left out, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// Why, in a few words that are the same for all of them.
    pub reason: String,
    /// How many.
    pub events: u64,
    /// The seq of the first one.
    pub first_seq: u64,
    /// The seq of the last one.
    pub last_seq: u64,
}

/// A reader's name, taken until this is dropped: two mirrors that share one would share a cursor.
#[derive(Debug)]
pub(crate) struct Claim {
    store: std::sync::Weak<Inner>,
    reader: String,
}

impl Claim {
    pub(crate) fn reader(&self) -> &str {
        &self.reader
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            store.claimed.lock().remove(&self.reader);
        }
    }
}

impl EventStore {
    /// Takes a reader's name for this process; `None` when somebody has it.
    pub(crate) fn claim(&self, reader: &str) -> Option<Claim> {
        let is_free = self.inner.claimed.lock().insert(reader.to_owned());
        let store = std::sync::Arc::downgrade(&self.inner);
        is_free.then(|| Claim { store, reader: reader.to_owned() })
    }

    /// What was saved last.
    pub(crate) fn progress(&self, reader: &str) -> Result<Progress> {
        self.inner.read(|connection| load(connection, reader))
    }

    /// Saves the cursor, the streams that changed, and all that was skipped.
    pub(crate) fn save_progress(&self, reader: &str, progress: &Progress) -> Result<()> {
        let rows = 1 + progress.streams.len() + progress.skipped.len();
        self.inner.change(DOING, rows, |connection| save(connection, reader, progress))
    }

    /// What mirrors left out, by mirror: what their profiles cannot express, and what was no longer
    /// in the log when its turn came.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn skipped(&self) -> Result<Vec<(String, Skipped)>> {
        self.inner.read(|connection| {
            if !has_table(connection)? {
                return Ok(Vec::new());
            }
            let failed = |cause| fault::sqlite("read what mirrors skipped", cause);
            let mut statement = connection
                .prepare_cached(
                    "SELECT reason, events, first_seq, last_seq, reader FROM mirror_skips ORDER BY 5, 1",
                )
                .map_err(failed)?;
            let rows = statement.query_map([], |row| Ok((row.get(4)?, skipped(row)?)));
            rows.and_then(Iterator::collect).map_err(failed)
        })
    }
}

/// Whether the store is of a version that has the table: a reader sees older ones as they are.
fn has_table(connection: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'mirror_skips'";
    connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(|cause| fault::sqlite("read what mirrors skipped", cause))
}

fn skipped(row: &rusqlite::Row<'_>) -> rusqlite::Result<Skipped> {
    Ok(Skipped {
        reason: row.get(0)?,
        events: read::unsigned(row.get(1)?),
        first_seq: read::unsigned(row.get(2)?),
        last_seq: read::unsigned(row.get(3)?),
    })
}

fn load(connection: &Connection, reader: &str) -> Result<Progress> {
    let failed = |cause| fault::sqlite("read how far a mirror is", cause);
    let mut statement = connection
        .prepare_cached("SELECT stream, last_seq FROM cursors WHERE reader = ?1 ORDER BY stream")
        .map_err(failed)?;
    let rows = statement
        .query_map([reader], |row| Ok((row.get::<_, String>(0)?, read::unsigned(row.get(1)?))))
        .map_err(failed)?;
    let mut progress = Progress::default();
    for row in rows {
        let (stream, seq) = row.map_err(failed)?;
        if stream.is_empty() {
            progress.cursor = Some(seq);
        } else {
            progress.streams.push((stream, seq));
        }
    }
    let setup = connection
        .prepare_cached("SELECT setup FROM mirrors WHERE reader = ?1")
        .and_then(|mut statement| statement.query_row([reader], |row| row.get(0)).optional());
    progress.setup = setup.map_err(failed)?.unwrap_or_default();
    let mut statement = connection
        .prepare_cached("SELECT reason, events, first_seq, last_seq FROM mirror_skips WHERE reader = ?1")
        .map_err(failed)?;
    let rows = statement.query_map([reader], skipped).map_err(failed)?;
    progress.skipped = rows.collect::<rusqlite::Result<_>>().map_err(failed)?;
    Ok(progress)
}

fn save(connection: &Connection, reader: &str, progress: &Progress) -> Result<()> {
    let failed = |cause| fault::sqlite(DOING, cause);
    if load(connection, reader)?.setup != progress.setup {
        // What another setup wrote and left out is not this one's.
        for table in ["DELETE FROM mirror_skips WHERE reader = ?1", "DELETE FROM cursors WHERE reader = ?1"] {
            connection.execute(table, [reader]).map_err(failed)?;
        }
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO mirrors(reader, setup) VALUES (?1, ?2)")
        .and_then(|mut statement| statement.execute([reader, &progress.setup]))
        .map_err(failed)?;
    let cursor = progress.cursor.ok_or_else(|| Error::new(ErrorKind::Storage, DOING))?;
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO cursors(reader, stream, last_seq) VALUES (?1, ?2, ?3)")
        .map_err(failed)?;
    statement.execute(params![reader, "", cursor.cast_signed()]).map_err(failed)?;
    for (stream, seq) in &progress.streams {
        statement.execute(params![reader, stream, seq.cast_signed()]).map_err(failed)?;
    }
    let mut statement = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO mirror_skips(reader, reason, events, first_seq, last_seq)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .map_err(failed)?;
    for skipped in &progress.skipped {
        let numbers = [skipped.events, skipped.first_seq, skipped.last_seq].map(u64::cast_signed);
        statement
            .execute(params![reader, skipped.reason, numbers[0], numbers[1], numbers[2]])
            .map_err(failed)?;
    }
    Ok(())
}
