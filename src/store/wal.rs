//! Looks after the write-ahead log between commits: copies it into the database, and grows its file
//! ahead of the commits that will need it.
//!
//! Runs on the thread that led the last commit. Decides nothing (`checkpoint` does), and fails no
//! publisher: what it cannot do now it tries again later.

use super::{checkpoint::checkpoint, connect::WRITER_CACHE, pool::Pool, schema::PAGE_BYTES, writer::Writer};

/// A cache that a growing transaction does not fit into.
const SPILL_CACHE_PAGES: u64 = 10;

impl Writer {
    /// Looks at the write-ahead log, and copies it into the database when it is time.
    ///
    /// Readers whose pages overlap without a pause would pin the log for ever: where they kept it from
    /// being copied, `readers` of this process are held up for a moment.
    pub(super) fn look_after_wal(&mut self, readers: &Pool) {
        let Some(connection) = &self.connection else { return };
        match checkpoint(connection, "NOOP") {
            Ok((pages, _)) => {
                if self.checkpoints.is_due(pages) && !self.copy_wal() {
                    let _quiet = readers.pause();
                    self.copy_wal();
                }
                if self.checkpoints.has_warning(pages) {
                    let bytes = self.files.wal_bytes();
                    tracing::warn!(
                        bytes,
                        "planbus.checkpoint: a reader holds a transaction open, the write-ahead log grows"
                    );
                }
                self.grow_wal(pages);
            }
            Err(cause) => self.put_off(&cause),
        }
    }

    /// Copies the write-ahead log into the database, as far as readers let it; whether that is all.
    pub(super) fn copy_wal(&mut self) -> bool {
        let Some(connection) = &self.connection else { return false };
        match checkpoint(connection, "PASSIVE") {
            Ok((pages, copied)) => {
                tracing::debug!(pages, copied, "planbus.checkpoint");
                self.checkpoints.learn(pages, copied);
                copied == pages
            }
            Err(cause) => {
                self.put_off(&cause);
                false
            }
        }
    }

    /// Nothing is lost: the events are in the write-ahead log, and the next try comes.
    fn put_off(&mut self, cause: &rusqlite::Error) {
        tracing::warn!(%cause, "planbus.checkpoint: failed");
        let seen = self.checkpoints.seen_pages;
        self.checkpoints.learn(seen, 0);
    }

    /// Makes the write-ahead log's file longer than the log, ahead of the commits that will need it.
    fn grow_wal(&mut self, pages: u64) {
        let Some(more) = self.checkpoints.pages_to_grow(pages) else { return };
        let Some(connection) = &self.connection else { return };
        // A transaction larger than the cache spills into the log's file; rolled back, it leaves
        // the file long and the log as it was. Tried once for each length, whatever comes of it.
        self.checkpoints.file_pages = pages + more;
        let bytes = more * PAGE_BYTES;
        let grown = connection.execute_batch(&format!(
            "PRAGMA cache_size = {SPILL_CACHE_PAGES}; BEGIN IMMEDIATE;
             INSERT INTO store_meta(key, value) VALUES ('wal_filler', zeroblob({bytes}));"
        ));
        if let Err(cause) = grown {
            tracing::debug!(%cause, "planbus.checkpoint: the write-ahead log was not grown ahead");
        }
        self.roll_back();
        if let Some(connection) = &self.connection
            && let Err(cause) = connection.execute_batch(WRITER_CACHE)
        {
            tracing::debug!(%cause, "planbus.checkpoint: the cache stays small");
        }
    }
}
