//! What all handles of a store share: opening it, reading from it, closing it; `commit` has the rest.
//!
//! Nothing here outlives a fork: in a child every use fails, and dropping closes nothing.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{
    commit_stats, connect, create, fault,
    files::{Files, Found},
    guards::Guards,
    lock::{Note, OwnerLock},
    opening,
    options::StoreOptions,
    pool::{Pool, closed},
    queue::{Queue, Weight},
    read,
    recent::Recent,
    schema,
    signal::Signal,
    writer::{Request, Served, Writer},
};
use crate::error::{Error, ErrorKind, Result};

/// The most rows and bytes that one transaction takes from several requests.
const TRANSACTION_LIMIT: Weight = Weight { rows: 1_000, bytes: 8 << 20 };

/// A store that is open, or was.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) files: Files,
    pub(super) options: StoreOptions,
    pub(super) store_id: String,
    pub(super) signal: Signal,
    pub(super) recent: Recent,
    /// `None` when the store was opened for reading only.
    pub(super) owner: Option<Owner>,
    pub(super) pool: Pool,
    /// Held until SQLite has closed all of its files.
    guards: Mutex<Option<Arc<Guards>>>,
    is_closed: AtomicBool,
    #[cfg(feature = "redis")]
    /// The readers whose names somebody in this process has.
    pub(super) claimed: Mutex<std::collections::BTreeSet<String>>,
    /// Taken by whoever closes, so that a second one returns only when it is done.
    closing: Mutex<()>,
    /// The process that opened the store.
    pid: u32,
}

/// What only the owner has.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) queue: Queue<Request, Served>,
    /// `None` once closed.
    pub(super) writer: Mutex<Option<Writer>>,
    pub(super) lock: Mutex<Option<OwnerLock>>,
    pub(super) commits: commit_stats::Tally,
}

impl Inner {
    pub(super) fn open_as_owner(path: &Path, options: StoreOptions) -> Result<Self> {
        let files = Files::resolve(path)?;
        files.refuse_network()?;
        files.find()?;
        let mut lock = OwnerLock::take(&files, options.durability)?;
        create::remove_leftovers(&files)?;
        if files.find()? == Found::Nothing {
            create::database(&files)?;
            // Whatever the last note says, it was of another database.
            lock.acknowledge(0);
        }
        let note = lock.note();
        opening::check_wal(&files, note)?;
        let connection =
            connect::writer(&files, &options, |connection| opening::check_end(&files, note, connection))?;
        let meta = schema::meta(&connection)?;
        let guards = Guards::hold(&files)?;
        let writer = Writer::new(files.clone(), options.clone(), connection)?;
        let head = read::unsigned(writer.tip.seq);
        lock.acknowledge(head);
        let owner = Owner {
            queue: Queue::new(TRANSACTION_LIMIT),
            writer: Mutex::new(Some(writer)),
            lock: Mutex::new(Some(lock)),
            commits: commit_stats::Tally::default(),
        };
        Ok(Self::new(files, options, meta.store_id, head, guards, Some(owner)))
    }

    pub(super) fn open_as_reader(path: &Path, options: StoreOptions) -> Result<Self> {
        let files = Files::resolve(path)?;
        files.refuse_network()?;
        let note = Note::read(&files);
        let reader = connect::reader(&files, &options)?;
        schema::check(&reader.connection, &files)?;
        opening::tell_end(&files, note, &reader.connection)?;
        let meta = schema::meta(&reader.connection)?;
        // Without an owner or a directory that can be written there is no -shm file to guard.
        let guards = if reader.is_snapshot { None } else { Some(Guards::hold(&files)?) };
        let inner = Self::new(files, options, meta.store_id, 0, guards, None);
        inner.pool.add(reader);
        Ok(inner)
    }

    fn new(
        files: Files,
        options: StoreOptions,
        store_id: String,
        head: u64,
        guards: impl Into<Option<Arc<Guards>>>,
        owner: Option<Owner>,
    ) -> Self {
        Self {
            pool: Pool::new(files.clone(), options.clone()),
            files,
            options,
            store_id,
            signal: Signal::new(head),
            recent: Recent::default(),
            owner,
            guards: Mutex::new(guards.into()),
            is_closed: AtomicBool::new(false),
            #[cfg(feature = "redis")]
            claimed: Mutex::default(),
            closing: Mutex::new(()),
            pid: std::process::id(),
        }
    }

    /// What the owner has; refused where the store was opened for reading.
    pub(super) fn owner(&self) -> Result<&Owner> {
        self.owner.as_ref().ok_or_else(|| {
            let problem = format!("the store {} was opened read-only", self.files.db.display());
            Error::new(ErrorKind::ReadOnly, problem)
        })
    }

    /// Lends a connection to `work`, which must not keep a transaction open for long.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.check_open()?;
        self.pool.read(work)
    }

    pub(super) fn head(&self) -> Result<u64> {
        self.check_open()?;
        match self.owner {
            Some(_) => Ok(self.signal.head()),
            None => self.read(|connection| Ok(read::bounds(connection)?.head)),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Refuses the use of a closed store, and of one that a fork carried into another process.
    pub(super) fn check_open(&self) -> Result<()> {
        self.check_process()?;
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    fn check_process(&self) -> Result<()> {
        if std::process::id() == self.pid {
            return Ok(());
        }
        let problem = format!(
            "the store was opened by process {}, before a fork; open it again in this process",
            self.pid
        );
        Err(Error::new(ErrorKind::Closed, problem))
    }

    pub(super) fn close(&self) -> Result<()> {
        self.check_process()?;
        let _closing = self.closing.lock();
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        if let Some(owner) = &self.owner {
            owner.queue.close();
        }
        self.signal.wake();
        self.pool.close();
        match &self.owner {
            Some(owner) => self.close_owner(owner),
            // A reader's tails may still be reading: the guards go with the last of them.
            None => Ok(()),
        }
    }

    fn close_owner(&self, owner: &Owner) -> Result<()> {
        // Unlocked first, so that SQLite may tidy up as the last user; closed last.
        let guards = self.guards.lock().take().map(Guards::release);
        let closed = owner.writer.lock().take().map_or(Ok(true), Writer::close);
        drop(guards);
        if let Some(lock) = owner.lock.lock().take() {
            lock.release(matches!(closed, Ok(true)));
        }
        closed.map(drop)
    }

    /// Gives everything up without closing it: it belongs to the process before the fork.
    fn forget(&self) {
        self.pool.forget();
        let guards = self.guards.try_lock().and_then(|mut guards| guards.take());
        std::mem::forget(guards);
        if let Some(owner) = &self.owner {
            let writer = owner.writer.try_lock().and_then(|mut writer| writer.take());
            let lock = owner.lock.try_lock().and_then(|mut lock| lock.take());
            std::mem::forget((writer, lock));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.check_process().is_err() {
            self.forget();
        } else if let Err(error) = self.close() {
            tracing::warn!(%error, "planbus: closing the store");
        }
    }
}

impl Writer {
    /// Moves the write-ahead log into the database and closes the connection. Whether the log is whole,
    /// as far as anybody knows.
    fn close(mut self) -> Result<bool> {
        let is_whole = self.in_doubt.is_none() && !self.is_cut_off;
        let Some(connection) = self.connection.take() else { return Ok(is_whole) };
        let failed = |cause| fault::sqlite("close the store", cause);
        let copied = if is_whole {
            super::checkpoint::checkpoint(&connection, "PASSIVE").map(drop).map_err(failed)
        } else {
            // What is in the log is not known: the next owner's recovery decides.
            connect::set_no_checkpoint_on_close(&connection, true).map_err(failed)
        };
        let closed = connection.close().map_err(|(_, cause)| failed(cause));
        copied.and(closed).map(|()| is_whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, PlanStarted};

    fn event() -> Event {
        Event::new("plan", PlanStarted::new("a goal"))
    }

    #[test]
    fn after_a_fork_the_child_can_neither_use_nor_close_the_store() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("planbus.db");
        let mut inner = Inner::open_as_owner(&path, StoreOptions::default()).expect("opens");
        inner.commit(vec![event()]).expect("commits");
        // What a child sees: its own process id is another one.
        inner.pid = inner.pid.wrapping_add(1);
        for error in [
            inner.commit(vec![event()]).expect_err("refused"),
            inner.head().expect_err("refused"),
            inner.close().expect_err("refused"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Closed);
            assert!(error.to_string().contains("fork"), "{error}");
        }
        let wal_bytes = inner.files.wal_bytes();
        drop(inner);
        let files = Files::resolve(&path).expect("is there");
        assert!(wal_bytes > 0 && files.wal_bytes() == wal_bytes, "nothing was moved");
        let error = Inner::open_as_owner(&path, StoreOptions::default()).expect_err("the parent owns it");
        assert_eq!(error.kind(), ErrorKind::Locked);
    }

    #[test]
    fn a_transaction_that_a_panic_left_open_is_undone_by_the_next_commit() {
        let dir = tempfile::tempdir().expect("a directory");
        let inner =
            Inner::open_as_owner(&dir.path().join("planbus.db"), StoreOptions::default()).expect("opens");
        let owner = inner.owner.as_ref().expect("an owner");
        {
            let mut writer = owner.writer.lock();
            let writer = writer.as_mut().expect("open");
            writer.execute("BEGIN IMMEDIATE").expect("begins");
            writer.execute("UPDATE store_meta SET value = 99 WHERE key = 'settle_counter'").expect("writes");
            writer.tip.seq += 7;
        }
        let stored = inner.commit(vec![event()]).expect("commits");
        assert_eq!(stored[0].event.seq(), Some(1));
        let counter: i64 = inner
            .read(|connection| {
                let sql = "SELECT value FROM store_meta WHERE key = 'settle_counter'";
                connection.query_row(sql, [], |row| row.get(0)).map_err(|cause| fault::sqlite("read", cause))
            })
            .expect("reads");
        assert_eq!(counter, 0);
    }
}
