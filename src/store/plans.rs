//! [`PlanQuery`]: which plans there are.
//!
//! Plans are chosen from the indexes of starts and ends; only those that are returned are summed
//! up. Made from the events each time: there is no second copy of the truth.

use rusqlite::Connection;

use super::{
    EventStore, fault,
    inner::Inner,
    read::{self, PAGE_ROWS},
    summary::{self, PlanStatus, PlanSummary},
};
use crate::{
    error::{Error, Result},
    event::{CorrelationId, PlanId, Tenant, Timestamp},
};

/// How many plans a query returns unless it says otherwise.
const LIMIT_DEFAULT: usize = 100;
/// The most plans that one query returns.
const LIMIT_MAX: usize = 10_000;
/// The longest text that can be looked for.
const TEXT_MAX_BYTES: usize = 1_024;

impl EventStore {
    /// The tenant's plans that were started, the newest first.
    ///
    /// # Errors
    /// `InvalidInput` names a field of the query that was given wrong; else as [`get`](Self::get).
    pub fn plans(&self, query: PlanQuery) -> Result<Vec<PlanSummary>> {
        Ok(query.run(&self.inner, &self.tenant, u64::MAX)?.0)
    }

    /// As many of a query's plans as are found among so many starts and ends, and, where there may be
    /// more behind these, the place [before](PlanQuery::before) which the search goes on.
    #[cfg(feature = "server")]
    pub(crate) fn plans_among(
        &self,
        query: PlanQuery,
        entries: u64,
    ) -> Result<(Vec<PlanSummary>, Option<u64>)> {
        query.run(&self.inner, &self.tenant, entries)
    }

    /// How many plans a query is about, whatever its limit and [`before`](PlanQuery::before).
    ///
    /// # Errors
    /// As [`plans`](Self::plans).
    pub fn count_plans(&self, query: PlanQuery) -> Result<u64> {
        query.count(&self.inner, &self.tenant)
    }
}

/// Which plans of a tenant to return; all that were started, 100 at most, the newest first.
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is given to a store"]
pub struct PlanQuery {
    status: Option<PlanStatus>,
    roots_only: bool,
    correlation_id: Option<CorrelationId>,
    changed_since: Option<Timestamp>,
    /// In lower case.
    text: Option<String>,
    by_change: bool,
    before: Option<u64>,
    limit: usize,
    fault: Option<Error>,
}

impl Default for PlanQuery {
    fn default() -> Self {
        Self::new()
    }
}

impl PlanQuery {
    /// Every plan of the tenant.
    pub fn new() -> Self {
        Self {
            status: None,
            roots_only: false,
            correlation_id: None,
            changed_since: None,
            text: None,
            by_change: false,
            before: None,
            limit: LIMIT_DEFAULT,
            fault: None,
        }
    }

    /// Only plans that stand so.
    pub fn status(mut self, status: PlanStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Only plans without a parent, or whose parent the log holds no event of.
    pub fn roots_only(mut self) -> Self {
        self.roots_only = true;
        self
    }

    /// Only plans that have this in common: their [`correlation_id`](PlanSummary::correlation_id).
    pub fn correlation_id(mut self, id: impl TryInto<CorrelationId, Error: Into<Error>>) -> Self {
        match id.try_into() {
            Ok(id) => self.correlation_id = Some(id),
            Err(fault) => {
                self.fault.get_or_insert(fault.into());
            }
        }
        self
    }

    /// Only plans that started, completed or failed last at this time or later, by the event's own
    /// time: their [`status_since`](PlanSummary::status_since).
    pub fn changed_since(mut self, time: impl TryInto<Timestamp, Error: Into<Error>>) -> Self {
        match time.try_into() {
            Ok(time) => self.changed_since = Some(time),
            Err(fault) => {
                self.fault.get_or_insert(fault.into());
            }
        }
        self
    }

    /// Only plans with this text, 1 to 1,024 bytes, in their goal, their id or their source. It is taken
    /// literally, but for the case of the letters A to Z.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        let text: String = text.into();
        if !(1..=TEXT_MAX_BYTES).contains(&text.len()) {
            let problem = format!("must be 1 to {TEXT_MAX_BYTES} bytes, got {}", text.len());
            self.fault.get_or_insert(Error::invalid("text", problem));
        }
        self.text = Some(text.to_ascii_lowercase());
        self
    }

    /// The plan that started, completed or failed last comes first, in place of the one that began
    /// last; [`before`](Self::before) then is about [`status_seq`](PlanSummary::status_seq).
    pub fn newest_change_first(mut self) -> Self {
        self.by_change = true;
        self
    }

    /// Only plans that began before this place in the log: the next page is before the last
    /// plan's [`first_seq`](PlanSummary::first_seq).
    pub fn before(mut self, seq: u64) -> Self {
        self.before = Some(seq);
        self
    }

    /// At most this many plans, 1 to 10,000; by default 100.
    pub fn limit(mut self, limit: usize) -> Self {
        if !(1..=LIMIT_MAX).contains(&limit) {
            let problem = format!("must be 1 to {LIMIT_MAX}, got {limit}");
            self.fault.get_or_insert(Error::invalid("limit", problem));
        }
        self.limit = limit;
        self
    }

    fn run(
        self,
        store: &Inner,
        tenant: &Tenant,
        mut entries: u64,
    ) -> Result<(Vec<PlanSummary>, Option<u64>)> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        // A row with a seq that no event can have would be passed over below.
        store.read(read::bounds)?;
        let mut plans = Vec::new();
        let mut before = self.before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
        loop {
            let page = store.read(|connection| self.page(connection, tenant, before))?;
            for plan in page.wanted {
                // Retention may have taken the plan since.
                plans.extend(summary::read(store, tenant, &plan)?.map(|found| found.summary));
                if plans.len() == self.limit {
                    return Ok((plans, None));
                }
            }
            entries = entries.saturating_sub(PAGE_ROWS as u64);
            match page.last {
                Some(last) if entries == 0 => return Ok((plans, Some(read::unsigned(last)))),
                Some(last) => before = last,
                None => return Ok((plans, None)),
            }
        }
    }

    /// How many plans the query is about, whatever its limit and place.
    fn count(self, store: &Inner, tenant: &Tenant) -> Result<u64> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        store.read(read::bounds)?;
        let (mut count, mut before) = (0, i64::MAX);
        loop {
            let page = store.read(|connection| self.page(connection, tenant, before))?;
            count += page.wanted.len() as u64;
            match page.last {
                Some(last) => before = last,
                None => return Ok(count),
            }
        }
    }

    /// Looks at the starts and ends before a seq, the newest first. A plan is listed where its
    /// first one is, or its last, not again where its others are.
    fn page(&self, connection: &Connection, tenant: &Tenant, before: i64) -> Result<Page> {
        let other = if self.by_change { ">" } else { "<" };
        let sql = format!(
            "SELECT entry.id, CASE WHEN
                (?4 IS NULL OR ?4 = (SELECT state.event_type FROM plan_events AS state
                    WHERE (state.event_type = 'PlanStarted' OR state.event_type = 'PlanCompleted' OR state.event_type = 'PlanFailed')
                        AND state.tenant = ?1 AND state.plan_id = entry.plan_id
                    ORDER BY state.id DESC LIMIT 1))
                AND NOT EXISTS (SELECT 1 FROM plan_events AS other
                    WHERE (other.event_type = 'PlanStarted' OR other.event_type = 'PlanCompleted' OR other.event_type = 'PlanFailed')
                        AND other.tenant = ?1 AND other.plan_id = entry.plan_id AND other.id {other} entry.id)
                AND (?6 IS NULL OR ?6 = entry.correlation_id)
                AND (?7 IS NULL OR ?7 <= (SELECT state.timestamp FROM plan_events AS state
                    WHERE (state.event_type = 'PlanStarted' OR state.event_type = 'PlanCompleted' OR state.event_type = 'PlanFailed')
                        AND state.tenant = ?1 AND state.plan_id = entry.plan_id
                    ORDER BY state.id DESC LIMIT 1))
                AND (NOT ?5 OR NOT EXISTS (SELECT 1 FROM plan_events AS parent
                    WHERE parent.tenant = ?1 AND parent.plan_id <> entry.plan_id AND parent.plan_id = coalesce(
                        CASE WHEN entry.event_type = 'PlanStarted' AND json_valid(entry.payload) THEN
                            CASE json_type(entry.payload, '$.parent') WHEN 'text' THEN
                                entry.payload ->> '$.parent' END END,
                        entry.correlation_id)))
                AND (?8 IS NULL OR instr(lower(entry.plan_id), ?8) OR (
                    SELECT CASE WHEN first.event_type = 'PlanStarted'
                        THEN instr(lower(first.source), ?8) OR CASE WHEN json_valid(first.payload)
                            THEN instr(lower(first.payload ->> '$.goal'), ?8) END
                        ELSE (SELECT instr(lower(oldest.source), ?8) FROM plan_events AS oldest
                            WHERE oldest.tenant = ?1 AND oldest.plan_id = entry.plan_id
                            ORDER BY oldest.id LIMIT 1) END
                    FROM plan_events AS first
                    WHERE (first.event_type = 'PlanStarted' OR first.event_type = 'PlanCompleted' OR first.event_type = 'PlanFailed')
                        AND first.tenant = ?1 AND first.plan_id = entry.plan_id
                    ORDER BY first.id LIMIT 1))
                THEN entry.plan_id END
            FROM plan_events AS entry
            WHERE (entry.event_type = 'PlanStarted' OR entry.event_type = 'PlanCompleted' OR entry.event_type = 'PlanFailed')
                AND entry.tenant = ?1 AND entry.id < ?2
            ORDER BY entry.id DESC LIMIT ?3"
        );
        let failed = |cause| fault::sqlite("list the plans", cause);
        let status = self.status.map(PlanStatus::event_type);
        let correlation = self.correlation_id.as_ref().map(CorrelationId::as_str);
        let since = self.changed_since.map(|time| time.to_string());
        let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
        let (limit, roots, text) = (PAGE_ROWS as i64, self.roots_only, self.text.as_deref());
        let params = (tenant.as_str(), before, limit, status, roots, correlation, since, text);
        let mut rows = statement.query(params).map_err(failed)?;
        let mut page = Page::default();
        while let Some(row) = rows.next().map_err(failed)? {
            let seq: i64 = row.get(0).map_err(failed)?;
            let plan: Option<String> = row.get(1).map_err(failed)?;
            let wrong = |error: Error| fault::corrupt_row(seq, "plan_id", &error.to_string());
            page.wanted.extend(plan.map(PlanId::try_from).transpose().map_err(wrong)?);
            page.last = Some(seq);
        }
        Ok(page)
    }
}

/// Some of the starts and ends of plans.
#[derive(Default)]
struct Page {
    /// The plans among them that the query asks for, the newest first.
    wanted: Vec<PlanId>,
    /// The seq of the last one that was looked at.
    last: Option<i64>,
}
