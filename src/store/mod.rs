//! The store: SQLite as the one durable, ordered log of events.
//!
//! [`EventStore`] is the handle. A commit goes through `queue` (who commits) to `writer` (how) and
//! `recover` (what a failure means); reads go through `pool`. The store calls no closure and knows
//! nothing of subscriptions. An [`Inbox`] is a database of the user's, and does call his handlers.
//!
//! Architecture invariant: SQL stands only in this folder, and no type of `rusqlite` leaves it but the
//! connection of an [`InboxTransaction`].

mod backup;
mod chain;
#[cfg(feature = "redis")]
mod chained;
mod change;
mod checkpoint;
mod commit;
mod commit_stats;
mod connect;
mod create;
mod cursors;
mod fault;
mod files;
mod guards;
#[cfg(feature = "redis")]
mod inbox;
mod inner;
mod lock;
mod opening;
mod options;
mod plans;
mod pool;
#[cfg(feature = "redis")]
mod progress;
mod prune;
mod query;
mod queue;
mod read;
mod recent;
mod recover;
mod retention;
mod row;
mod schema;
#[cfg(feature = "server")]
mod search;
mod signal;
mod stats;
mod structure;
mod summary;
mod tail;
mod tree;
mod unfinished;
mod verify;
mod views;
mod wal;
mod wal_check;
mod walk;
mod window;
mod writer;

use std::{path::Path, sync::Arc};

// Through here, so that nothing else names the crate.
#[cfg(feature = "redis")]
pub use rusqlite;

#[cfg(feature = "redis")]
pub(crate) use self::inbox::{InboxBatch, InboxKey};
use self::inner::Inner;
#[cfg(feature = "server")]
pub(crate) use self::search::{SearchIndex, SearchQuery};
#[cfg(feature = "server")]
pub(crate) use self::summary::Turn;
pub use self::{
    backup::BackupReport,
    chain::ChainHash,
    commit_stats::{CommitStats, Histogram},
    cursors::Cursor,
    options::{Durability, StoreOptions},
    plans::PlanQuery,
    prune::PruneReport,
    query::EventQuery,
    retention::Retention,
    stats::StoreStats,
    summary::{PlanStatus, PlanSummary},
    tree::{PLAN_TREE_MAX_DEPTH, PLAN_TREE_MAX_PLANS, PlanTree},
    unfinished::{Unfinished, UnfinishedPlan, UnfinishedPlans},
    verify::Verification,
    walk::{Broken, Damage},
};
#[cfg(feature = "redis")]
pub(crate) use self::{
    chained::{ChainAt, Chained},
    progress::{Claim, Progress},
};
pub(crate) use self::{commit::Stored, tail::LogTail};
#[cfg(feature = "redis")]
pub use self::{
    inbox::{Inbox, InboxBuilder, InboxFloor, InboxTransaction},
    progress::Skipped,
};
use crate::{
    error::{Error, Result},
    event::{Event, EventId, EventType, PlanId, Tenant},
    filter::{CompiledFilter, Scope, Start},
};

/// Where an event was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// The event's place in the log.
    pub seq: u64,
    /// The event was there already, with the same content; nothing was written.
    pub duplicate: bool,
}

/// The log of events in a SQLite file.
///
/// One process, the owner, may have a store open for writing; any number of others may read.
/// Cloning is cheap, and every clone is the same store. The store is closed by
/// [`close`](Self::close), or when its last clone and the last tail on it are dropped.
///
/// Queries look at one tenant, `default` unless [`for_tenant`](Self::for_tenant) says which;
/// [`read_after`](Self::read_after) and tails look at the whole log, and what is about the store
/// itself looks at the whole store.
///
/// ```
/// use planbus::{Event, EventStore, ToolCalled};
/// use serde_json::json;
///
/// # let dir = std::env::temp_dir().join(format!("planbus-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// let store = EventStore::open(dir.join("planbus.db"))?;
/// let event = Event::new("plan-7", ToolCalled::new("call-1", "grep", json!({"q": "TODO"})));
/// let saved = store.save(&event)?;
/// assert_eq!((saved.seq, saved.duplicate), (1, false));
/// assert_eq!(store.list_by_plan("plan-7", None)?.len(), 1);
/// # store.close()?;
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventStore {
    inner: Arc<Inner>,
    tenant: Tenant,
    /// What the last owner left unfinished; unknown to a reader.
    unfinished: Option<Arc<Result<UnfinishedPlans>>>,
}

impl EventStore {
    /// Opens the store at `path` as its owner, and creates it when it is missing. Plans that the
    /// last owner left without an end stay so: see [`unfinished`](Self::unfinished).
    ///
    /// # Errors
    /// `Locked` when another owner has it; `Corrupt` when the file is no store or is damaged;
    /// `SchemaTooNew` when a newer planbus wrote it; `InvalidInput` when the path is not one of a
    /// regular file on a local disk; `ReadOnly` when the file or directory cannot be written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Opens the store at `path` for reading, in any process, whether it has an owner or not.
    ///
    /// Where neither an owner nor a writable directory is there, the file is read as it stands:
    /// then nobody may begin to write to it from another mount.
    ///
    /// # Errors
    /// `NotFound` when there is no store; else as [`open`](Self::open).
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open_read_only(path)
    }

    /// Options to open a store with.
    pub fn options() -> StoreOptions {
        StoreOptions::default()
    }

    fn open_as_owner(path: &Path, options: StoreOptions) -> Result<Self> {
        let inner = Inner::open_as_owner(path, options)?;
        let unfinished = Some(Arc::new(unfinished::settle(&inner)?));
        Ok(Self { inner: Arc::new(inner), tenant: Tenant::default(), unfinished })
    }

    fn open_as_reader(path: &Path, options: StoreOptions) -> Result<Self> {
        let inner = Inner::open_as_reader(path, options)?;
        Ok(Self { inner: Arc::new(inner), tenant: Tenant::default(), unfinished: None })
    }

    /// The same store, with queries that look at another tenant: [`get`](Self::get),
    /// [`list_by_plan`](Self::list_by_plan), [`query`](Self::query), [`plan`](Self::plan),
    /// [`plans`](Self::plans) and [`plan_tree`](Self::plan_tree).
    ///
    /// All others still look at the whole store: [`unfinished`](Self::unfinished),
    /// [`cursors`](Self::cursors), [`stats`](Self::stats), [`prune`](Self::prune) and
    /// [`verify`](Self::verify), say, see and change what belongs to every tenant. This narrows a
    /// question; it is no fence between tenants.
    ///
    /// # Errors
    /// `InvalidInput` when the tenant does not keep its grammar.
    pub fn for_tenant(&self, tenant: impl TryInto<Tenant, Error: Into<Error>>) -> Result<Self> {
        let tenant = tenant.try_into().map_err(Into::into)?;
        Ok(Self { tenant, ..self.clone() })
    }

    /// The tenant that queries look at.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Commits an event and wakes the tails; no handler of a bus is called, and no `redact` hook.
    ///
    /// The event's own tenant counts, not [`tenant`](Self::tenant). An event without a correlation
    /// id gets its plan's id. Saving an event again is a duplicate when its tenant, type, plan,
    /// source and payload are the same.
    ///
    /// # Errors
    /// `InvalidInput` or `TooLarge` for a wrong event; `Conflict` when its id is in the log with
    /// other content; `ReadOnly` and `Closed` for what the store is; `DiskFull`, `Locked`,
    /// `Storage` when it cannot be written: then it is not in the log. `Indeterminate` when nobody
    /// knows: saving the same event again settles that.
    pub fn save(&self, event: &Event) -> Result<Saved> {
        event.check()?;
        let stored = self.commit(vec![event.clone()])?;
        let first = stored.first().and_then(|stored| Some((stored.event.seq()?, stored.duplicate)));
        let (seq, duplicate) =
            first.ok_or_else(|| Error::new(crate::ErrorKind::Storage, "the commit did not tell the seq"))?;
        Ok(Saved { seq, duplicate })
    }

    /// Commits events that have been checked: all or none of them.
    pub(crate) fn commit(&self, events: Vec<Event>) -> Result<Vec<Stored>> {
        self.inner.commit(events)
    }

    /// A cursor over the whole log.
    pub(crate) fn tail(&self, filter: CompiledFilter, start: Start) -> Result<LogTail> {
        LogTail::new(Arc::clone(&self.inner), filter, start)
    }

    /// Ends the present or next wait of every tail on this store.
    pub(crate) fn wake_tails(&self) {
        self.inner.signal.wake();
    }

    /// The event of this id, if the log holds it for the tenant.
    ///
    /// # Errors
    /// As every read: `Corrupt` names a row that cannot be read; `Storage`, `Closed`.
    pub fn get(&self, id: EventId) -> Result<Option<Event>> {
        self.inner.read(|connection| read::get(connection, &self.tenant, id))
    }

    /// The events of a plan in the order of the log, of all types or of some.
    ///
    /// # Errors
    /// `InvalidInput` when the plan id does not keep its grammar; `Pruned` when retention removed
    /// some of them meanwhile; else as [`get`](Self::get).
    pub fn list_by_plan(
        &self,
        plan_id: impl TryInto<PlanId, Error: Into<Error>>,
        types: Option<&[EventType]>,
    ) -> Result<Vec<Event>> {
        let plan_id = plan_id.try_into().map_err(Into::into)?;
        let mut events = Vec::new();
        let mut after = Some(0);
        while let Some(seq) = after {
            let (page, next) =
                self.inner.read(|connection| read::plan_events(connection, &self.tenant, &plan_id, seq))?;
            let wanted = |event: &Event| types.is_none_or(|types| types.contains(event.event_type()));
            events.extend(page.into_iter().filter(wanted));
            after = next;
        }
        Ok(events)
    }

    /// The tenant's events that a query asks for.
    ///
    /// # Errors
    /// `InvalidInput` names a field of the query that was given wrong; `Pruned` when events that it
    /// asks for by [`after`](EventQuery::after), or was reading, are no longer in the log; else as
    /// [`get`](Self::get).
    pub fn query(&self, query: EventQuery) -> Result<Vec<Event>> {
        query.run(&self.inner, &self.tenant)
    }

    /// What the log says of one plan, if it has any of its events.
    ///
    /// # Errors
    /// `InvalidInput` when the plan id does not keep its grammar; else as [`get`](Self::get).
    pub fn plan(&self, plan_id: impl TryInto<PlanId, Error: Into<Error>>) -> Result<Option<PlanSummary>> {
        let plan_id = plan_id.try_into().map_err(Into::into)?;
        Ok(summary::read(&self.inner, &self.tenant, &plan_id)?.map(|found| found.summary))
    }

    /// A plan with its subplans, theirs, and so on.
    ///
    /// # Errors
    /// `NotFound` when the log has no event of the plan; else as [`plan`](Self::plan).
    pub fn plan_tree(&self, plan_id: impl TryInto<PlanId, Error: Into<Error>>) -> Result<PlanTree> {
        let plan_id = plan_id.try_into().map_err(Into::into)?;
        tree::read(&self.inner, &self.tenant, plan_id)
    }

    /// Up to `limit` events of all tenants after a seq, in the order of the log.
    ///
    /// # Errors
    /// `Pruned` when events after `seq` are no longer in the log, which then begins at the
    /// [`first_seq`](StoreStats::first_seq) of its figures; else as [`get`](Self::get).
    pub fn read_after(&self, seq: u64, limit: usize) -> Result<Vec<Event>> {
        let everything = Scope::Everything;
        let (mut events, mut after) = (Vec::new(), seq);
        while events.len() < limit {
            let left = read::PageMax::rows(limit - events.len());
            let page =
                self.inner.read(|connection| read::page_after(connection, &everything, after, left))?;
            if page.events.is_empty() {
                break;
            }
            after = page.examined;
            events.extend(page.events);
        }
        Ok(events)
    }

    /// The seq after which a reader that begins at `start` reads.
    #[cfg(feature = "server")]
    pub(crate) fn cursor_at(&self, filter: &CompiledFilter, start: Start) -> Result<u64> {
        self.inner.read(|connection| tail::first_cursor(connection, filter, start))
    }

    /// The last start, completion or failure of a plan.
    #[cfg(feature = "server")]
    pub(crate) fn last_turn(&self, tenant: &Tenant, plan: &PlanId) -> Result<Option<Turn>> {
        self.inner.read(|connection| summary::last_turn(connection, tenant, plan))
    }

    /// Whether the log holds an event of a plan.
    #[cfg(feature = "server")]
    pub(crate) fn knows_plan(&self, tenant: &Tenant, plan: &PlanId) -> Result<bool> {
        self.inner.read(|connection| summary::is_known(connection, tenant, plan))
    }

    /// The first seq that the log holds; one more than its last where it holds none.
    #[cfg(any(feature = "redis", feature = "server"))]
    pub(crate) fn floor(&self) -> Result<u64> {
        Ok(self.inner.read(read::bounds)?.floor)
    }

    /// The last seq of the log, 0 when nothing was ever stored.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn head(&self) -> Result<u64> {
        self.inner.head()
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.files.db
    }

    /// The id that the store was given when it was created, a ULID: names the log in exports.
    #[must_use]
    pub fn store_id(&self) -> &str {
        &self.inner.store_id
    }

    /// Whether the store was opened for reading only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.inner.owner.is_none()
    }

    /// Closes the store: waits for the commits that run, moves the write-ahead log into the
    /// database, and lets the next owner in. Later calls on any clone fail with `Closed`.
    ///
    /// Closing again does nothing.
    ///
    /// # Errors
    /// When the write-ahead log cannot be moved: the events are safe in it, and the next owner
    /// finds them there.
    pub fn close(&self) -> Result<()> {
        self.inner.close()
    }
}
