//! Reads of the log in the order of seq, in pages.
//!
//! Whoever reads on from a seq is told when rows are missing there: the log is dense, so a hole
//! means that retention, or somebody's hand, removed them. Never returns what cannot be decoded.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params};

#[cfg(any(feature = "redis", feature = "server"))]
use super::EventStore;
use super::{fault, row};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, EventId, PlanId, Tenant, Timestamp},
    filter::Scope,
};

/// The most rows that one read transaction looks at.
pub(super) const PAGE_ROWS: usize = 1_000;
/// The most bytes of payloads that a page has, but for the row that brings them there.
pub(super) const PAGE_BYTES: usize = 8 << 20;

/// The seqs that the log holds, from `floor` to `last`; the first is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The first seq that is held; one more than the head when none is.
    pub(super) floor: u64,
    /// The last seq that is held; the head when none is.
    pub(super) last: u64,
    /// The last seq that was given, 0 for none. More than `last` where somebody cut off the end:
    /// its seqs are never given again.
    pub(super) head: u64,
}

/// How much of the log is read at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageMax {
    pub(super) rows: usize,
    /// A page ends early with the row that brings its payloads to this many bytes.
    pub(super) bytes: usize,
}

impl PageMax {
    /// So many rows, as far as one transaction goes.
    pub(super) fn rows(rows: usize) -> Self {
        Self { rows: rows.min(PAGE_ROWS), bytes: PAGE_BYTES }
    }

    /// No more payloads than these bytes, but for the row that brings them there.
    #[cfg(feature = "server")]
    pub(super) fn bytes(self, bytes: usize) -> Self {
        Self { bytes: bytes.min(PAGE_BYTES), ..self }
    }
}

/// A part of the log.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) events: Vec<Event>,
    /// All up to this seq has been looked at.
    pub(super) examined: u64,
}

/// The first and the last seq that is held, and the last one that was ever given.
pub(super) const BOUNDS: &str = "SELECT (SELECT min(id) FROM plan_events), (SELECT max(id) FROM plan_events),
    (SELECT seq FROM sqlite_sequence WHERE name = 'plan_events')";

/// What the log holds, unless it holds a row that no event can be: whoever read on beside it would
/// miss it, or count by it.
pub(super) fn bounds(connection: &Connection) -> Result<Bounds> {
    let failed = |cause| fault::sqlite("read the bounds of the log", cause);
    let mut statement = connection.prepare_cached(BOUNDS).map_err(failed)?;
    let (first, last, given): (Option<i64>, Option<i64>, Option<i64>) =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(failed)?;
    let given = unsigned(given.unwrap_or(0).min(row::SEQ_MAX));
    match (first, last) {
        (Some(first), Some(last)) => {
            let (floor, last) = (row::event_seq(first)?, row::event_seq(last)?);
            Ok(Bounds { floor, last, head: last.max(given) })
        }
        _ => Ok(Bounds { floor: given + 1, last: given, head: given }),
    }
}

/// The last seq that is held or was ever given, whatever else the log holds.
pub(super) fn end(connection: &Connection) -> Result<u64> {
    let failed = |cause| fault::sqlite("read the end of the log", cause);
    let mut statement = connection.prepare_cached(BOUNDS).map_err(failed)?;
    let (last, given): (Option<i64>, Option<i64>) =
        statement.query_row([], |row| Ok((row.get(1)?, row.get(2)?))).map_err(failed)?;
    Ok(unsigned(last.max(given).unwrap_or(0)))
}

/// The first seq of a range that is held, or with `newest_first` the last.
pub(super) fn first_held(
    connection: &Connection,
    seqs: std::ops::Range<u64>,
    newest_first: bool,
) -> Result<Option<u64>> {
    let failed = |cause| fault::sqlite("look for the next event of the log", cause);
    let sql = if newest_first {
        "SELECT max(id) FROM plan_events WHERE id >= ?1 AND id < ?2"
    } else {
        "SELECT min(id) FROM plan_events WHERE id >= ?1 AND id < ?2"
    };
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let seqs = (signed(seqs.start), signed(seqs.end));
    let found: Option<i64> = statement.query_row(seqs, |row| row.get(0)).map_err(failed)?;
    found.map(row::event_seq).transpose()
}

/// The first seq that was recorded at this time or later; one more than the last for none. Halves
/// the log again and again, which `recorded_at` allows because it never decreases.
pub(super) fn first_since(connection: &Connection, bounds: Bounds, time: Timestamp) -> Result<u64> {
    const DOING: &str = "look for a time in the log";
    let failed = |cause| fault::sqlite(DOING, cause);
    let mut statement = connection
        .prepare_cached("SELECT recorded_at FROM plan_events WHERE id >= ?1 ORDER BY id LIMIT 1")
        .map_err(failed)?;
    let time = time.to_string();
    let (mut from, mut to) = (bounds.floor, bounds.last + 1);
    while from < to {
        let middle = from + (to - from) / 2;
        let is_earlier = statement
            .query_row([middle.cast_signed()], |row| Ok(row.get_ref(0)?.as_str()? < time.as_str()))
            .map_err(failed)?;
        if is_earlier { from = middle + 1 } else { to = middle }
    }
    Ok(from)
}

/// The event of this id, if it is the tenant's.
pub(super) fn get(connection: &Connection, tenant: &Tenant, id: EventId) -> Result<Option<Event>> {
    const SQL: &str =
        concat!("SELECT ", row::columns!(), " FROM plan_events WHERE event_id = ?1 AND tenant = ?2");
    let failed = |cause| fault::sqlite("look up an event", cause);
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let mut rows = statement.query((id.to_string(), tenant.as_str())).map_err(failed)?;
    rows.next().map_err(failed)?.map(row::decode).transpose()
}

/// The seq and tenant of the event of this id.
pub(super) fn locate(connection: &Connection, id: EventId) -> Result<Option<(u64, String)>> {
    let failed = |cause| fault::sqlite("look up an event", cause);
    let mut statement = connection
        .prepare_cached("SELECT id, tenant FROM plan_events WHERE event_id = ?1")
        .map_err(failed)?;
    let found = statement.query_row([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)));
    let found: Option<(i64, String)> = found.optional().map_err(failed)?;
    found.map(|(id, tenant)| Ok((row::event_seq(id)?, tenant))).transpose()
}

/// The rows after a seq, as many as one page has, of one plan or of all; says so when rows are missing there.
pub(super) fn page_after(connection: &Connection, scope: &Scope, after: u64, max: PageMax) -> Result<Page> {
    let failed = |cause| fault::sqlite("read the log", cause);
    // One snapshot for the bounds and the rows.
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    let bounds = bounds(&snapshot)?;
    check_reach(bounds, after)?;
    let page = match scope {
        Scope::Plan(tenant, plan) => plan_page(&snapshot, tenant, plan, after, max, bounds.head)?,
        Scope::Everything | Scope::Tenant(_) => dense_page(&snapshot, after, max)?,
    };
    if page.examined == after && after < bounds.head {
        return Err(pruned(after, bounds.head + 1));
    }
    snapshot.commit().map_err(failed)?;
    Ok(page)
}

fn dense_page(connection: &Connection, after: u64, max: PageMax) -> Result<Page> {
    const SQL: &str =
        concat!("SELECT ", row::columns!(), " FROM plan_events WHERE id > ?1 ORDER BY id LIMIT ?2");
    let statement = connection.prepare_cached(SQL).map_err(|cause| fault::sqlite("read the log", cause))?;
    let (mut events, _) = collect(statement, (signed(after), max.rows as i64), max.bytes)?;
    let is_next = |(at, event): (usize, &Event)| event.seq() == Some(after + 1 + at as u64);
    let dense = events.iter().enumerate().take_while(|item| is_next(*item)).count();
    if dense == 0
        && let Some(seq) = events.first().and_then(Event::seq)
    {
        return Err(pruned(after, seq));
    }
    events.truncate(dense);
    Ok(Page { examined: after + dense as u64, events })
}

fn plan_page(
    connection: &Connection,
    tenant: &Tenant,
    plan: &PlanId,
    after: u64,
    max: PageMax,
    head: u64,
) -> Result<Page> {
    const SQL: &str = concat!(
        "SELECT ",
        row::columns!(),
        " FROM plan_events WHERE tenant = ?1 AND plan_id = ?2 AND id > ?3 ORDER BY id LIMIT ?4"
    );
    let statement = connection.prepare_cached(SQL).map_err(|cause| fault::sqlite("read the log", cause))?;
    let params = (tenant.as_str(), plan.as_str(), signed(after), max.rows as i64);
    let (events, is_cut) = collect(statement, params, max.bytes)?;
    let is_whole = !is_cut && events.len() < max.rows;
    let last = events.last().and_then(Event::seq).unwrap_or(after);
    Ok(Page { examined: if is_whole { head.max(after) } else { last }, events })
}

/// The events of one plan after a seq, in order; from 0 on, those that the log still holds.
pub(super) fn plan_events(
    connection: &Connection,
    tenant: &Tenant,
    plan: &PlanId,
    after: u64,
) -> Result<(Vec<Event>, Option<u64>)> {
    let snapshot =
        connection.unchecked_transaction().map_err(|cause| fault::sqlite("read the log", cause))?;
    let bounds = bounds(&snapshot)?;
    if after > 0 {
        check_reach(bounds, after)?;
    }
    let page = plan_page(&snapshot, tenant, plan, after, PageMax::rows(PAGE_ROWS), u64::MAX)?;
    let next = (page.examined != u64::MAX).then_some(page.examined);
    Ok((page.events, next))
}

/// Decodes rows until the page is full; also says whether it ended early for its bytes.
pub(super) fn collect(
    mut statement: CachedStatement<'_>,
    params: impl Params,
    bytes_max: usize,
) -> Result<(Vec<Event>, bool)> {
    let failed = |cause| fault::sqlite("read the log", cause);
    let mut rows = statement.query(params).map_err(failed)?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        let event = row::decode(row)?;
        bytes += event.payload_json().map_or(0, str::len);
        events.push(event);
        if bytes >= bytes_max {
            return Ok((events, true));
        }
    }
    Ok((events, false))
}

#[cfg(feature = "server")]
impl EventStore {
    /// Up to `limit` events of a scope after a seq, fewer where they have so many bytes of payload, and
    /// the seq up to which the log was looked through for them; more than `seq`, unless nothing is behind
    /// it.
    pub(crate) fn page_after(
        &self,
        scope: &Scope,
        seq: u64,
        limit: usize,
        bytes: usize,
    ) -> Result<(Vec<Event>, u64)> {
        let max = PageMax::rows(limit).bytes(bytes);
        let page = self.inner.read(|connection| page_after(connection, scope, seq, max))?;
        Ok((page.events, page.examined))
    }
}

#[cfg(any(feature = "redis", feature = "server"))]
impl EventStore {
    /// The first seq behind a place that the log holds; one more than the last that was given where there
    /// is none. Not the log's first where somebody's hand took rows from its middle.
    pub(crate) fn next_held(&self, seq: u64) -> Result<u64> {
        self.inner.read(|connection| {
            let bounds = bounds(connection)?;
            let behind = seq.saturating_add(1)..bounds.last.saturating_add(1);
            Ok(first_held(connection, behind, false)?.unwrap_or(bounds.head + 1))
        })
    }
}

/// Refuses to read on from a seq when rows after it are no longer there.
pub(super) fn check_reach(bounds: Bounds, after: u64) -> Result<()> {
    if bounds.floor > after.saturating_add(1) { Err(pruned(after, bounds.floor)) } else { Ok(()) }
}

/// A cursor that asks for rows that are no longer there.
pub(super) fn pruned(after: u64, next: u64) -> Error {
    let problem =
        format!("the events after seq {after} are no longer in the log; the next one is seq {next}");
    Error::new(ErrorKind::Pruned, problem)
}

/// A seq for SQLite, which has none as large as the largest that a caller may name.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::PlanStarted,
        store::{EventStore, Retention},
    };

    #[test]
    fn p9_the_next_page_of_a_plan_says_when_the_plan_was_pruned_in_between() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        for _ in 0..30 {
            store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
        }
        let plan = PlanId::try_from("plan").expect("valid");
        let page = |after| {
            store
                .inner
                .read(|connection| plan_events(connection, &store.tenant, &plan, after))
                .map(|page| page.0)
        };
        assert_eq!(page(10).expect("reads").len(), 20);
        store.prune(Retention::keep_last(19)).expect("prunes");
        assert_eq!(page(10).expect_err("told").kind(), ErrorKind::Pruned);
        assert_eq!(page(11).expect("reads").len(), 19);
        assert_eq!(page(0).expect("reads").len(), 19, "a first page promised nothing yet");
    }

    #[cfg(feature = "server")]
    #[test]
    fn p6_a_page_that_ends_for_its_bytes_is_followed_by_the_next() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = EventStore::open(dir.path().join("planbus.db")).expect("opens");
        for plan in ["plan", "plan", "other", "plan"] {
            store.save(&Event::new(plan, PlanStarted::new("g".repeat(1_000)))).expect("commits");
        }
        let plan = Scope::Plan(store.tenant.clone(), PlanId::try_from("plan").expect("valid"));
        let seqs = |scope: &Scope, after| {
            let (events, examined) = store.page_after(scope, after, 100, 1_500).expect("reads");
            (events.iter().filter_map(Event::seq).collect::<Vec<_>>(), examined)
        };
        assert_eq!(seqs(&Scope::Everything, 0), (vec![1, 2], 2));
        assert_eq!(seqs(&Scope::Everything, 2), (vec![3, 4], 4));
        assert_eq!(seqs(&plan, 1), (vec![2, 4], 4));
        assert_eq!(seqs(&plan, 2), (vec![4], 4));
    }
}
