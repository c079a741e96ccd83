//! [`Cursor`]: the last seq that a reader has finished, kept in the store.
//!
//! A cursor holds retention back: what its reader has not finished stays in the log. It never
//! moves by itself; whoever reads saves it.

use rusqlite::{Connection, params};

use super::{EventStore, fault, read};
use crate::{
    error::{Error, Result},
    event::check_name,
};

/// The stream of readers that have only one cursor.
const NO_STREAM: &str = "";

/// A reader's place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// The reader's name.
    pub reader: String,
    /// Empty for the reader's own cursor, which holds retention back. A mirror also keeps one for
    /// each stream that it wrote to, with the last seq there: that holds back nothing.
    pub stream: String,
    /// The last seq that the reader finished, 0 for none.
    pub seq: u64,
}

impl EventStore {
    /// Saves that a reader has finished all events up to `seq`: later ones are not pruned before
    /// it has finished them too. A cursor may be set back, as far as the log reaches.
    ///
    /// A reader's name keeps the grammar of a tenant's. Only the owner saves cursors.
    ///
    /// ```
    /// # use planbus::{Event, EventStore, PlanStarted};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = EventStore::open(dir.path().join("planbus.db"))?;
    /// let seq = store.save(&Event::new("plan-7", PlanStarted::new("tidy up")))?.seq;
    /// store.save_cursor("billing", seq)?;
    /// assert_eq!(store.cursors()?[0].seq, seq);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` when the name does not keep its grammar, or the log does not reach to `seq`;
    /// `Pruned` when events after `seq` are no longer in the log; else as [`save`](Self::save).
    pub fn save_cursor(&self, reader: &str, seq: u64) -> Result<()> {
        check_name("reader", reader)?;
        self.inner.change("save a cursor", 1, |connection| {
            let bounds = read::bounds(connection)?;
            if seq > bounds.head {
                let problem = format!("must be at most the log's last seq, {}, got {seq}", bounds.head);
                return Err(Error::invalid("seq", problem));
            }
            if seq + 1 < bounds.floor {
                return Err(read::pruned(seq, bounds.floor));
            }
            let failed = |cause| fault::sqlite("save a cursor", cause);
            let mut statement = connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO cursors(reader, stream, last_seq) VALUES (?1, ?2, ?3)",
                )
                .map_err(failed)?;
            statement.execute(params![reader, NO_STREAM, seq.cast_signed()]).map_err(failed)?;
            Ok(())
        })
    }

    /// The cursors of all readers, by name.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn cursors(&self) -> Result<Vec<Cursor>> {
        self.inner.read(all)
    }

    /// Removes a reader's cursors, so that they hold nothing back any more; whether there were any.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn remove_cursor(&self, reader: &str) -> Result<bool> {
        self.inner.change("remove a cursor", 1, |connection| {
            let removed = connection.execute("DELETE FROM cursors WHERE reader = ?1", [reader]);
            Ok(removed.map_err(|cause| fault::sqlite("remove a cursor", cause))? > 0)
        })
    }
}

/// All cursors, by name.
pub(super) fn all(connection: &Connection) -> Result<Vec<Cursor>> {
    let failed = |cause| fault::sqlite("read the cursors", cause);
    let mut statement = connection
        .prepare_cached("SELECT reader, stream, last_seq FROM cursors ORDER BY reader, stream")
        .map_err(failed)?;
    let cursors = statement.query_map([], |row| {
        Ok(Cursor { reader: row.get(0)?, stream: row.get(1)?, seq: read::unsigned(row.get(2)?) })
    });
    cursors.and_then(Iterator::collect).map_err(failed)
}
