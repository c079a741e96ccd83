//! [`Unfinished`]: plans that a process left without an end, found when the next owner opens.
//!
//! A store has one owner, so a plan that is open when it is opened belongs to nobody any more.
//! Never touches a plan that starts later, and never answers a call in its tool's name: what became
//! of it is not known.

use rusqlite::{Connection, OptionalExtension};

use super::{EventStore, fault, inner::Inner, row};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{AgentId, Event, PlanFailed, PlanId, Tenant, Timestamp},
};

/// How many plans [`UnfinishedPlans`] lists.
const LISTED_MAX: usize = 1_000;
/// How many plans are ended in one commit.
const COMMIT_MAX_PLANS: usize = 500;
/// What begins a context reference to the record that an event was copied from.
const RECORD_PREFIX: &str = "trace:";
/// What the log says of a plan that is ended here.
const ERROR: &str = "the process that ran it ended without finishing it";

/// What becomes of plans that a process left without an end, because it was killed, say.
///
/// It is decided when the next owner opens the store. Unfinished is a plan of any tenant whose
/// newest start, completion or failure is a start. A plan whose start has a context reference that
/// begins with `trace:` is not meant: it was copied from a record of another program's run, which
/// may well have no end, and no process of this store ever ran it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfinished {
    /// They stay as they are, and [`EventStore::unfinished`] tells of them.
    #[default]
    Leave,
    /// Each gets a `PlanFailed` before opening returns, the last started first, so that subplans
    /// end before the plan that spawned them.
    ///
    /// It has the time of opening, `duration_us` from the plan's start to its last event, and
    /// source, call chain and correlation of the start, which is its cause. Tool calls and subplans
    /// that were not answered stay so.
    Fail,
}

/// A plan that a process left without an end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedPlan {
    /// Whose plan it is.
    pub tenant: Tenant,
    /// The plan.
    pub plan_id: PlanId,
    /// The agent that started it.
    pub source: Option<AgentId>,
    /// The time of its start; where it was started again, of the last.
    pub started_at: Timestamp,
    /// The seq of that start.
    pub start_seq: u64,
}

/// The plans that were unfinished when the store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfinishedPlans {
    /// How many there were.
    pub count: u64,
    /// The last 1,000 that were started, the newest first.
    pub newest: Vec<UnfinishedPlan>,
}

impl EventStore {
    /// The plans that the last owner left unfinished, as opening found them. With
    /// [`Unfinished::Fail`] they have been ended since.
    ///
    /// ```
    /// use planbus::{Event, EventStore, PlanStarted, PlanStatus, Unfinished};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("planbus.db");
    /// let store = EventStore::open(&path)?;
    /// store.save(&Event::new("plan-7", PlanStarted::new("never to be reached")))?;
    /// store.close()?;
    ///
    /// let store = EventStore::options().unfinished(Unfinished::Fail).open(&path)?;
    /// assert_eq!(store.unfinished()?.count, 1);
    /// let plan = store.plan("plan-7")?.expect("it is in the log");
    /// assert_eq!(plan.status, PlanStatus::Failed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `ReadOnly` when the store was opened so: the plans may be those of an owner that lives.
    /// `Corrupt` or `Storage` when opening could not find out.
    pub fn unfinished(&self) -> Result<&UnfinishedPlans> {
        let unknown =
            || Error::new(ErrorKind::ReadOnly, "only the owner of a store knows what is unfinished");
        self.unfinished.as_deref().ok_or_else(unknown)?.as_ref().map_err(Clone::clone)
    }
}

/// Finds what the last owner left unfinished, and ends it where the options say so.
///
/// Damage in the log keeps out only those who asked for an end; others get to know it when they ask
/// what was found.
pub(super) fn settle(store: &Inner) -> Result<Result<UnfinishedPlans>> {
    let is_to_fail = store.options.unfinished == Unfinished::Fail;
    let found = find(store, is_to_fail);
    match &found {
        Ok(plans) if plans.count == 0 => {}
        Ok(plans) => {
            let count = plans.count;
            tracing::warn!(
                count,
                failed = is_to_fail,
                "planbus: plans were left unfinished by their process"
            );
        }
        Err(error) if is_to_fail => return Err(error.clone()),
        Err(error) => tracing::warn!(%error, "planbus: looking for unfinished plans"),
    }
    Ok(found)
}

fn find(store: &Inner, is_to_fail: bool) -> Result<UnfinishedPlans> {
    let mut starts = store.read(open_starts)?;
    // A subplan starts after the plan that spawned it.
    starts.sort_unstable_by(|one, other| other.cmp(one));
    let mut newest = Vec::new();
    for seqs in starts.chunks(COMMIT_MAX_PLANS) {
        if !is_to_fail && newest.len() >= LISTED_MAX {
            break;
        }
        let found: Vec<Started> = store.read(|connection| {
            seqs.iter().filter_map(|seq| readable(*seq, started(connection, *seq))).collect()
        })?;
        if is_to_fail {
            let ends = found.iter().filter_map(|started| readable(started.seq, started.end()));
            store.commit(ends.collect::<Result<_>>()?)?;
        }
        let left = LISTED_MAX - newest.len();
        newest.extend(found.into_iter().take(left).map(Started::into_plan));
    }
    Ok(UnfinishedPlans { count: starts.len() as u64, newest })
}

/// The newest starts of all plans that have no end.
fn open_starts(connection: &Connection) -> Result<Vec<i64>> {
    // With max() alone, SQLite takes the other columns from the row that has it. The condition is
    // that of the index on states, word for word.
    const SQL: &str = "SELECT newest.seq FROM (
            SELECT max(id) AS seq, event_type FROM plan_events
            WHERE (event_type = 'PlanStarted' OR event_type = 'PlanCompleted' OR event_type = 'PlanFailed')
            GROUP BY tenant, plan_id HAVING event_type = 'PlanStarted'
        ) AS newest JOIN plan_events AS start ON start.id = newest.seq
        WHERE NOT EXISTS (
            SELECT 1 FROM json_each(CASE WHEN json_valid(start.context_refs) THEN start.context_refs END)
            WHERE substr(value, 1, length(?1)) = ?1)";
    let failed = |cause| fault::sqlite("look for unfinished plans", cause);
    let mut statement = connection.prepare(SQL).map_err(failed)?;
    let seqs = statement.query_map([RECORD_PREFIX], |row| row.get(0)).map_err(failed)?;
    seqs.collect::<Result<_, _>>().map_err(failed)
}

/// A plan that started and did not end.
struct Started {
    seq: i64,
    event: Event,
    /// The time of its last event.
    last_at: Timestamp,
}

impl Started {
    /// The event that ends it.
    fn end(&self) -> Result<Event> {
        let start = &self.event;
        let mut payload = PlanFailed::new(ERROR);
        let lasted = self.last_at.duration_since(start.timestamp());
        payload.duration_us = Some(u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX));
        let mut end = Event::new(start.plan_id(), payload)
            .with_tenant(start.tenant())
            .with_causation_id(start.event_id());
        if let Some(source) = start.source() {
            end = end.with_source(source);
        }
        if !start.call_chain().is_empty() {
            end = end.with_call_chain(start.call_chain());
        }
        if let Some(correlation) = start.correlation_id() {
            end = end.with_correlation_id(correlation);
        }
        end.check().map(|()| end)
    }

    fn into_plan(self) -> UnfinishedPlan {
        UnfinishedPlan {
            tenant: self.event.tenant().clone(),
            plan_id: self.event.plan_id().clone(),
            source: self.event.source().cloned(),
            started_at: self.event.timestamp(),
            start_seq: self.seq.unsigned_abs(),
        }
    }
}

fn started(connection: &Connection, seq: i64) -> Result<Started> {
    const START: &str = concat!("SELECT ", row::columns!(), " FROM plan_events WHERE id = ?1");
    const LAST: &str = "SELECT timestamp FROM plan_events WHERE tenant = ?1 AND plan_id = ?2
        ORDER BY id DESC LIMIT 1";
    let failed = |cause| fault::sqlite("read an unfinished plan", cause);
    let mut statement = connection.prepare_cached(START).map_err(failed)?;
    let mut rows = statement.query([seq]).map_err(failed)?;
    let row = rows.next().map_err(failed)?.ok_or_else(|| fault::corrupt_row(seq, "id", "is gone"))?;
    let event = row::decode(row)?;
    let mut statement = connection.prepare_cached(LAST).map_err(failed)?;
    let plan = (event.tenant().as_str(), event.plan_id().as_str());
    let last: Option<String> = statement.query_row(plan, |row| row.get(0)).optional().map_err(failed)?;
    let last_at = last.and_then(|text| text.parse().ok()).unwrap_or(event.timestamp());
    Ok(Started { seq, event, last_at })
}

/// Passes over a start that somebody damaged: it must not keep the others from their end, nor the
/// owner from the store.
fn readable<T>(seq: i64, read: Result<T>) -> Option<Result<T>> {
    match read {
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::InvalidInput) => {
            tracing::warn!(seq, %error, "planbus: an unfinished plan stays as it is");
            None
        }
        read => Some(read),
    }
}
