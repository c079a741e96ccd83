//! Transactions of the owner that add no event: pruning, cursors, giving pages back.
//!
//! They take turns with the commits of publishers, and mean the same when they fail: nothing of
//! one that failed is left, or nobody knows and nothing is committed until that is settled.

use parking_lot::MutexGuard;
use rusqlite::Connection;

use super::{
    fault,
    inner::Inner,
    pool::closed,
    writer::{Failure, Writer},
};
use crate::error::{Error, Result};

impl Inner {
    /// Runs `work` in a transaction of its own, which is committed when it returns `Ok`. `doing`
    /// and `rows` say what it is for and about how many rows it writes.
    pub(super) fn change<T>(
        &self,
        doing: &str,
        rows: usize,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.with_writer(|writer| {
            let done = writer.change(doing, rows, work);
            if writer.checkpoints.has_look_due() {
                writer.look_after_wal(&self.pool);
            }
            done
        })
    }

    /// Copies the write-ahead log into the database as far as readers let it.
    pub(super) fn copy_wal(&self) -> Result<()> {
        self.with_writer(|writer| {
            writer.copy_wal();
            Ok(())
        })
    }

    fn with_writer<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        self.check_open()?;
        let mut writer = self.owner()?.writer.lock();
        let done = writer.as_mut().map_or_else(|| Err(closed()), work);
        // Whoever changes much in many steps must not keep publishers out: the next in the line is
        // let in before the next step.
        MutexGuard::unlock_fair(writer);
        done
    }
}

impl Writer {
    fn change<T>(
        &mut self,
        doing: &str,
        rows: usize,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.make_ready()?;
        self.checkpoints.note(rows, std::iter::empty());
        self.try_change(doing, work).map_err(|failure| self.give_up(doing, failure))
    }

    /// One transaction. After an error it is not ended.
    fn try_change<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T, Failure> {
        self.execute("BEGIN IMMEDIATE").map_err(Failure::Before)?;
        let connection = self.connection.as_ref().ok_or(Failure::Before(rusqlite::Error::InvalidQuery))?;
        let done = work(connection).map_err(Failure::Other)?;
        self.execute("COMMIT").map_err(Failure::Commit)?;
        self.check_wal().map_err(|error| Failure::Other(error.within(doing)))?;
        Ok(done)
    }
}

/// Tells a failure of SQLite in a change.
pub(super) fn failed(doing: &str) -> impl Fn(rusqlite::Error) -> Error + Copy {
    move |cause| fault::sqlite(doing, cause)
}
