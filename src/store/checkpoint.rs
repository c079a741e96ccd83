//! When the write-ahead log is copied into the database, and how far it may grow before.
//!
//! Only passive checkpoints, in line, by the one writer: they never wait for readers, and a second
//! checkpointer would meet bugs of older SQLite versions in readers of other programs.

use rusqlite::Connection;

use super::schema::PAGE_BYTES;

/// How many pages the write-ahead log has when it is copied.
const DUE_PAGES: u64 = 4_000;
/// After about how many written pages the log's true length is looked up.
const LOOK_EVERY_PAGES: u64 = 500;
/// At least this many pages are written by a transaction beside its rows.
const TRANSACTION_PAGES: u64 = 3;
/// At most this many pages are written by a small row: table, unique index, two plan indexes.
const ROW_PAGES: u64 = 4;

/// From this length on the log's file is grown ahead of the commits: a commit that makes the file
/// longer costs twice one that overwrites, because the file system writes the file's length too.
const GROW_FROM_PAGES: u64 = 256;
/// How many pages the file is grown by at one time, which takes about as long as a checkpoint.
const GROW_PAGES: u64 = 1_000;
/// The file is grown when fewer pages than this are left in it, two looks ahead.
const GROW_LEFT_PAGES: u64 = 2 * LOOK_EVERY_PAGES;
/// Beyond this the file is not grown ahead, and a warning is given: a reader has pinned the log for
/// long.
const GROW_TO_PAGES: u64 = 64_000;
/// The length to which the file is cut when the log begins anew after a reader had pinned it.
const KEEP_PAGES: u64 = 16_000;
/// What the log's file has before its pages, and what it has before each.
const HEADER_BYTES: u64 = 32;
const PAGE_HEADER_BYTES: u64 = 24;
/// [`KEEP_PAGES`] as a size.
pub(super) const KEEP_BYTES: u64 = HEADER_BYTES + KEEP_PAGES * (PAGE_BYTES + PAGE_HEADER_BYTES);

/// What is known of the write-ahead log's length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoints {
    /// At least this many pages fit into the file as it is.
    pub(super) file_pages: u64,
    /// An upper estimate of the pages written since the last look.
    written_pages: u64,
    /// The length at which the next checkpoint is due.
    due_pages: u64,
    /// The length at the last look.
    pub(super) seen_pages: u64,
    /// Somebody was warned of the log's length since it began anew.
    is_warned: bool,
}

impl Default for Checkpoints {
    fn default() -> Self {
        // The first commit looks: a log may be left from an owner who was killed.
        Self {
            file_pages: 0,
            written_pages: LOOK_EVERY_PAGES,
            due_pages: DUE_PAGES,
            seen_pages: 0,
            is_warned: false,
        }
    }
}

impl Checkpoints {
    /// Counts a committed transaction.
    pub(super) fn note(&mut self, rows: usize, bytes: impl Iterator<Item = usize>) {
        let overflow: u64 = bytes.map(|bytes| bytes as u64 / PAGE_BYTES).sum();
        self.written_pages += TRANSACTION_PAGES + rows as u64 * ROW_PAGES + overflow;
    }

    pub(super) fn has_look_due(&self) -> bool {
        self.written_pages >= LOOK_EVERY_PAGES
    }

    /// Decides by how many pages to write beyond a log of this length.
    pub(super) fn pages_to_grow(&mut self, pages: u64) -> Option<u64> {
        self.file_pages = self.file_pages.max(pages);
        let is_wanted = (GROW_FROM_PAGES..GROW_TO_PAGES).contains(&pages)
            && self.file_pages < DUE_PAGES.max(self.due_pages) + GROW_LEFT_PAGES
            && self.file_pages - pages < GROW_LEFT_PAGES;
        is_wanted.then(|| self.file_pages - pages + GROW_PAGES)
    }

    /// Decides whether to checkpoint a log of this length.
    pub(super) fn is_due(&mut self, pages: u64) -> bool {
        self.written_pages = 0;
        if pages < self.seen_pages {
            // SQLite began the log anew, and cut its file: nothing pins it any more.
            self.due_pages = DUE_PAGES;
            self.file_pages = self.file_pages.min(KEEP_PAGES);
            self.is_warned = false;
        }
        self.seen_pages = pages;
        pages >= self.due_pages
    }

    /// Learns what a checkpoint did. A log that a reader pins is tried again when it is half as
    /// long again, but no later than one that nobody pins: a try that can copy nothing costs
    /// nothing, and the log can only begin anew after one that copied all.
    pub(super) fn learn(&mut self, pages: u64, copied_pages: u64) {
        let half_again = (pages + pages / 2).max(DUE_PAGES);
        let full = pages + DUE_PAGES;
        self.due_pages = if copied_pages < pages { half_again.min(full) } else { full };
    }

    /// Whether the log became so long that somebody should know, told once until it begins anew.
    pub(super) fn has_warning(&mut self, pages: u64) -> bool {
        pages >= GROW_TO_PAGES && !std::mem::replace(&mut self.is_warned, true)
    }
}

/// Runs a checkpoint; the pages in the log, and how many of them are in the database.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(u64, u64)> {
    let mut statement = connection.prepare_cached(match mode {
        "NOOP" => "PRAGMA wal_checkpoint(NOOP)",
        _ => "PRAGMA wal_checkpoint(PASSIVE)",
    })?;
    statement.query_row([], |row| {
        let pages = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok((pages(row.get(1)?), pages(row.get(2)?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_log_is_tried_again_when_it_is_half_as_long_again() {
        let mut checkpoints = Checkpoints::default();
        assert!(checkpoints.has_look_due(), "the first commit looks");
        assert!(!checkpoints.is_due(3_999));
        assert!(checkpoints.is_due(4_000));
        checkpoints.learn(4_000, 100);
        assert!(!checkpoints.is_due(5_999));
        assert!(checkpoints.is_due(6_000));
        checkpoints.learn(6_000, 6_000);
        assert!(!checkpoints.is_due(10), "begun anew");
        assert!(checkpoints.is_due(4_000));
        checkpoints.learn(100_000, 50_000);
        assert!(checkpoints.is_due(104_000), "a long log no later than a short one");
    }

    #[test]
    fn a_long_log_is_warned_of_once_until_it_begins_anew() {
        let mut checkpoints = Checkpoints::default();
        let mut look = |pages| {
            checkpoints.is_due(pages);
            checkpoints.has_warning(pages)
        };
        assert_eq!([63_999, 64_000, 90_000, 10, 70_000].map(&mut look), [false, true, false, false, true]);
    }
}
