//! The inbox: which events a group has handled, in the user's own database, so that an event's effect
//! there happens once.
//!
//! Never decides what is handled by anything but its rows and floors, and knows nothing of Redis.

mod batch;
mod connect;
mod fault;
mod schema;
mod scope;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};

pub use self::batch::InboxTransaction;
pub(crate) use self::batch::{InboxBatch, InboxKey};
use self::{connect::Watched, scope::Scope};
use crate::error::{Error, ErrorKind, Result};

/// How long to wait for another connection's write lock, unless told otherwise.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait that can be asked for.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// How many places below the floor rows are kept, unless told otherwise.
const KEPT: u64 = 10_000;
/// The most that can be asked for.
const KEPT_MAX: u64 = 100_000_000;

/// Notes in a SQLite database of your own which events a group has handled, so that the effect of an
/// event there happens exactly once.
///
/// A handler gets a transaction on the database. The note is committed with what the handler did, and
/// Redis is told after that. Killed anywhere in between, the consumer is given the event again, finds the
/// note, and skips it. What a handler does elsewhere, a mail or a second database, happens at least once.
///
/// All consumers of a group share one inbox, which is one file on one machine; several groups may share
/// it as well. What else is in the file is yours: planbus adds tables `planbus_inbox*`, sets the journal
/// to `WAL`, and leaves `user_version`, `application_id` and all that you made alone. Foreign keys are
/// enforced in handlers.
///
/// A handler holds the database's write lock. Handlers of one inbox run one after the other, and whoever
/// else writes to the file waits for them: keep them short, and give your own connections a busy timeout.
/// A handler that opens one itself and writes waits for its own transaction, in vain.
///
/// ```
/// use planbus::{Event, redis::{Inbox, InboxTransaction}, rusqlite};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("app.db");
/// let app = rusqlite::Connection::open(&path)?;
/// app.execute_batch("CREATE TABLE calls(plan TEXT PRIMARY KEY, calls INTEGER NOT NULL) STRICT")?;
///
/// // What a consumer with this inbox does with each event, once.
/// fn count(transaction: &InboxTransaction<'_>, event: &Event) -> rusqlite::Result<()> {
///     let sql = "INSERT INTO calls VALUES (?1, 1) ON CONFLICT DO UPDATE SET calls = calls + 1";
///     transaction.sqlite().prepare_cached(sql)?.execute([event.plan_id().as_str()]).map(drop)
/// }
///
/// let inbox = Inbox::open(&path)?;
/// assert_eq!(inbox.floors()?, []);
/// # let _ = count;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it remembers
///
/// Each event by its id, while it can come again. A group's floor in a stream is the seq up to which it
/// has handled everything. [`kept`](InboxBuilder::kept) seqs below the floor the ids leave. Where a stream
/// is filled again, as after a flush, an event that far below counts as handled by its seq alone;
/// otherwise only its id counts, so that other events under the same seqs, from another mirror of the log
/// or from a log that was restored from a backup, are handled. The table holds, for each group and stream,
/// that many ids and those of what is still pending. A dead letter that was replayed is remembered for
/// seven days beside that, and an entry that no planbus wrote for an hour.
///
/// Where several mirrors of one log write into one stream, and the stream is flushed, what was forgotten
/// may be handled again.
///
/// # Whom it trusts
///
/// Whoever can write the file, and every handler: they can forget, or note, what they like, and groups are
/// not fenced from each other. A new file is made for its user only (0600). A handler cannot commit what
/// planbus has not noted, or the other way round: `COMMIT` and its like are refused, and no commit but
/// planbus's own goes through on the connection.
///
/// A copy of the database holds effects and notes alike. Where an older copy is restored, both are gone
/// for what came after it, and the group has to read its streams from there again.
#[derive(Clone, Debug)]
pub struct Inbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    busy_timeout: Duration,
    kept: u64,
    /// `None` when a failure closed it: then the next batch opens it anew.
    connection: Mutex<Option<Watched>>,
}

/// How to open an [`Inbox`].
#[derive(Clone, Debug)]
#[must_use = "options do nothing until an inbox is opened with them"]
pub struct InboxBuilder {
    path: PathBuf,
    busy_timeout: Duration,
    kept: u64,
}

/// How far a group is in a stream, as its inbox has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct InboxFloor {
    /// The group.
    pub group: String,
    /// The stream's key in Redis.
    pub stream: String,
    /// The store that numbers the events; `None` for what no planbus wrote.
    pub store: Option<String>,
    /// Everything up to here was handled: a seq, or, where there is no store, a time in milliseconds.
    pub place: u64,
    /// How many events the inbox knows by their ids.
    pub rows: u64,
}

impl InboxBuilder {
    /// How long to wait for another connection's write lock, at most an hour; by default 5 seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How many seqs below the floor events are known by their ids, 1 to 100,000,000; by default 10,000.
    pub fn kept(mut self, seqs: u64) -> Self {
        self.kept = seqs;
        self
    }

    /// Opens the inbox, and makes the file and the tables that are missing.
    ///
    /// # Errors
    /// As [`Inbox::open`]; `InvalidOption` names an option that is out of its range.
    pub fn open(self) -> Result<Inbox> {
        self.check()?;
        let path = connect::resolve(&self.path)?;
        connect::make_file(&path)?;
        let connection = Mutex::new(Some(connect::writer(&path, self.busy_timeout)?));
        let Self { busy_timeout, kept, .. } = self;
        Ok(Inbox { inner: Arc::new(Inner { path, busy_timeout, kept, connection }) })
    }

    fn check(&self) -> Result<()> {
        let wrong = |problem: String| Err(Error::new(ErrorKind::InvalidOption, problem));
        if self.busy_timeout > BUSY_TIMEOUT_MAX {
            let most = BUSY_TIMEOUT_MAX.as_secs();
            return wrong(format!("busy_timeout must be at most {most} s, got {:?}", self.busy_timeout));
        }
        if !(1..=KEPT_MAX).contains(&self.kept) {
            return wrong(format!("kept must be 1 to {KEPT_MAX}, got {}", self.kept));
        }
        Ok(())
    }
}

impl Inbox {
    /// Opens the inbox in the database at `path`, and makes the file and the tables that are missing.
    ///
    /// # Errors
    /// `InvalidInput` when the path is no regular file on a local disk, or is a planbus store; `ReadOnly`
    /// when it cannot be written; `Locked` when another connection keeps its write lock; `Corrupt` when
    /// it is no SQLite database; `SchemaTooNew` when a newer planbus made the inbox; `DiskFull`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open()
    }

    /// Options to open the inbox in the database at `path` with.
    pub fn builder(path: impl AsRef<Path>) -> InboxBuilder {
        InboxBuilder { path: path.as_ref().to_owned(), busy_timeout: BUSY_TIMEOUT, kept: KEPT }
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// How far each group is in each stream. Waits for no handler.
    ///
    /// # Errors
    /// `ReadOnly`, `Locked`, `Corrupt` and `Storage`, for a database that cannot be read.
    pub fn floors(&self) -> Result<Vec<InboxFloor>> {
        scope::floors(&connect::reader(&self.inner.path, self.inner.busy_timeout)?)
    }

    /// Runs `work` in one transaction that holds the database's write lock, and commits it.
    ///
    /// An error means that nothing of it happened; after `Indeterminate` all of it or nothing did, which
    /// the next look tells. `InvalidInput` is the fault of one of the batch's handlers.
    pub(crate) fn batch<T>(&self, work: impl FnOnce(&mut InboxBatch<'_>) -> T) -> Result<T> {
        self.with_connection(|held| batch::run(held, work))
    }

    /// Notes that the group has handled everything in the stream up to `place`, and forgets by their ids
    /// the events that are far below. Never lowers a floor.
    pub(crate) fn raise_floor(
        &self,
        group: &str,
        stream: &str,
        store: Option<&str>,
        place: u64,
    ) -> Result<()> {
        loop {
            let begun = Instant::now();
            let has_more = self.with_connection(|held| {
                if let Some(scope) = Scope::find(&held.sqlite, group, stream, store)? {
                    let raised = scope.raised(store, place, self.inner.kept);
                    if scope.is_settled(&held.sqlite, store, &raised)? {
                        return Ok(false);
                    }
                }
                let transaction = batch::begin(held)?;
                let scope = Scope::find_or_add(&transaction, group, stream, store)?;
                let has_more = scope.raised(store, place, self.inner.kept).settle(&transaction, store)?;
                batch::commit(held, transaction).map(|()| has_more)
            })?;
            if !has_more {
                return Ok(());
            }
            // Other processes poll for the lock: they get as long as the step took.
            std::thread::sleep(begun.elapsed());
        }
    }

    /// Whether the inbox has a floor or rows of the group in this stream.
    pub(crate) fn knows(&self, group: &str, stream: &str) -> Result<bool> {
        scope::knows(&connect::reader(&self.inner.path, self.inner.busy_timeout)?, group, stream)
    }

    /// One user of the connection at a time, in turns. After a failure that may have left it in any
    /// state, it is closed.
    fn with_connection<T>(&self, work: impl FnOnce(&Watched) -> Result<T>) -> Result<T> {
        let inner = &*self.inner;
        let mut connection = inner.connection.lock();
        let held = match connection.take() {
            Some(held) => held,
            // A file that is gone is not made anew in silence: effects and notes are gone with it.
            None if !inner.path.exists() => {
                let problem = format!("inbox: there is no database at {} any more", inner.path.display());
                return Err(Error::new(ErrorKind::NotFound, problem));
            }
            None => connect::writer(&inner.path, inner.busy_timeout)?,
        };
        let done = work(&held);
        let is_sound = match &done {
            Ok(_) => true,
            Err(error) => {
                matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Locked | ErrorKind::DiskFull)
            }
        };
        *connection = (is_sound && held.sqlite.is_autocommit()).then_some(held);
        MutexGuard::unlock_fair(connection);
        done
    }
}
