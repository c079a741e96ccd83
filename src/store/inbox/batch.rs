//! One transaction of an inbox: what a handler does, and the row that says that it did.
//!
//! The row is written before the handler runs, and both are in one savepoint: neither can be there
//! without the other. Never commits what a handler began, and never lets it commit.

use std::sync::atomic::Ordering::Relaxed;

use rusqlite::{Connection, Transaction, TransactionBehavior::Immediate};

use super::{
    connect::{SAVEPOINT, Watch, Watched},
    fault,
    scope::Scope,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::EventId,
};

/// Which event is to be handled once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboxKey<'a> {
    pub(crate) group: &'a str,
    pub(crate) stream: &'a str,
    /// The store that numbered the event; `None` for what no planbus wrote.
    pub(crate) store: Option<&'a str>,
    /// The event's seq; of what no planbus wrote, the milliseconds of its entry.
    pub(crate) place: u64,
    pub(crate) event_id: EventId,
    /// It comes back from the dead letters: then its place says nothing.
    pub(crate) is_replay: bool,
    /// Its stream is being filled again, with what the group has handled: then a place that is far below
    /// the floor says that it was. Else it may be an event that another mirror has brought only now.
    pub(crate) comes_again: bool,
}

/// A handler's part of the inbox's transaction: what it does here is committed with the note that the
/// event was handled, or not at all.
///
/// The transaction is planbus's to end. A handler that runs `BEGIN`, `COMMIT` or `ROLLBACK` has failed,
/// whatever it returns; savepoints of its own are fine.
#[derive(Debug)]
pub struct InboxTransaction<'a> {
    connection: &'a Connection,
}

impl InboxTransaction<'_> {
    /// The connection to the inbox's database, in the transaction.
    ///
    /// What is attached to it is committed with it, but SQLite promises all or nothing to one file only.
    #[must_use]
    pub fn sqlite(&self) -> &Connection {
        self.connection
    }
}

/// The events of one transaction.
#[derive(Debug)]
pub(crate) struct InboxBatch<'a> {
    held: &'a Watched,
    /// Why nothing of the batch can be committed.
    broken: Option<Error>,
}

/// Runs `work` in one transaction and commits it.
pub(super) fn run<T>(held: &Watched, work: impl FnOnce(&mut InboxBatch<'_>) -> T) -> Result<T> {
    let transaction = begin(held)?;
    let mut batch = InboxBatch { held, broken: None };
    let done = work(&mut batch);
    if let Some(broken) = batch.broken {
        // Dropped, the transaction is rolled back.
        return Err(broken);
    }
    commit(held, transaction).map(|()| done)
}

/// Begins a transaction that holds the database's write lock.
pub(super) fn begin(held: &Watched) -> Result<Transaction<'_>> {
    Transaction::new_unchecked(&held.sqlite, Immediate)
        .map_err(|cause| fault::sqlite("begin the inbox's transaction", cause))
}

/// The one place where the connection may commit.
pub(super) fn commit(held: &Watched, transaction: Transaction<'_>) -> Result<()> {
    held.watch.may_commit.store(true, Relaxed);
    let done = transaction.commit();
    held.watch.may_commit.store(false, Relaxed);
    done.map_err(fault::commit)?;
    held.check_wal()
}

impl InboxBatch<'_> {
    /// Lets a handler act, unless the group has handled the event: then `None`. Where the handler
    /// fails, what it did is undone, and the event counts as not handled.
    ///
    /// # Errors
    /// `InvalidInput` when the handler tried to end the transaction: what it did is undone, and the
    /// batch goes on. Anything else is the end of the batch, which fails with the same error.
    pub(crate) fn once<R, E>(
        &mut self,
        key: &InboxKey<'_>,
        act: impl FnOnce(&InboxTransaction<'_>) -> Result<R, E>,
    ) -> Result<Option<Result<R, E>>> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if !self.open(key).map_err(|error| self.give_up(error))? {
            return Ok(None);
        }
        let acted = {
            let _running = Running::start(&self.held.watch);
            act(&InboxTransaction { connection: &self.held.sqlite })
        };
        let was_refused = self.held.watch.was_refused.load(Relaxed);
        let is_gone = self.held.sqlite.is_autocommit() || self.close(acted.is_ok() && !was_refused).is_err();
        if is_gone {
            let lost = self.give_up(lost(acted.is_ok()));
            // A handler that failed is told as such; that nothing is left, by the batch.
            return if acted.is_ok() { Err(lost) } else { Ok(Some(acted)) };
        }
        if was_refused { Err(meddled()) } else { Ok(Some(acted)) }
    }

    /// Notes the event as handled, in a savepoint; `false` and no savepoint when it was handled.
    fn open(&self, key: &InboxKey<'_>) -> Result<bool> {
        let sqlite = &self.held.sqlite;
        let scope = Scope::find_or_add(sqlite, key.group, key.stream, key.store)?;
        let is_below = scope.has_forgotten(key.place);
        if is_below && key.comes_again && !key.is_replay {
            return Ok(false);
        }
        // Its row must not leave before it could come again.
        let place = if key.is_replay || is_below { key.place.max(scope.floor()) } else { key.place };
        self.savepoint("SAVEPOINT")?;
        let event_id = key.event_id.to_string();
        let is_new = (!key.is_replay || scope.note_replay(sqlite, &event_id)?)
            && scope.note(sqlite, &event_id, place)?;
        if !is_new {
            self.close(false)?;
        }
        Ok(is_new)
    }

    fn close(&self, keep: bool) -> Result<()> {
        if !keep {
            self.savepoint("ROLLBACK TO")?;
        }
        self.savepoint("RELEASE")
    }

    fn savepoint(&self, what: &str) -> Result<()> {
        self.held
            .sqlite
            .prepare_cached(&format!("{what} {SAVEPOINT}"))
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|cause| fault::sqlite("set a savepoint of the inbox", cause))
    }

    fn give_up(&mut self, error: Error) -> Error {
        self.broken.insert(error).clone()
    }
}

/// While it lives, a handler has the connection.
struct Running<'a>(&'a Watch);

impl<'a> Running<'a> {
    fn start(watch: &'a Watch) -> Self {
        watch.was_refused.store(false, Relaxed);
        watch.has_handler.store(true, Relaxed);
        Self(watch)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.has_handler.store(false, Relaxed);
    }
}

fn meddled() -> Error {
    let problem = format!(
        "the handler ran BEGIN, COMMIT, ROLLBACK or a savepoint {SAVEPOINT}: the transaction is planbus's to \
         end; what the handler did is undone"
    );
    Error::invalid("inbox", problem)
}

/// The transaction is gone, and all of the batch with it.
fn lost(says_ok: bool) -> Error {
    if says_ok {
        let problem = "a statement of the handler rolled the transaction back (OR ROLLBACK, or a failure of \
                       SQLite), and the handler went on; nothing of the batch is committed";
        return Error::invalid("inbox", problem);
    }
    let problem = "inbox: the transaction was rolled back while a handler ran; nothing of it is committed";
    Error::new(ErrorKind::Storage, problem)
}
