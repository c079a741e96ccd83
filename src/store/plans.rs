//! [`PlanSummary`] and [`PlanQuery`]: what the log says of plans.
//!
//! Made from the events each time: there is no second copy of the truth. Payloads of any shape are
//! borne; only what is no JSON is an error.

use std::{fmt, str::FromStr};

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    fault,
    inner::Inner,
    read::{PAGE_ROWS, unsigned},
};
use crate::{
    error::{Error, Result},
    event::{AgentId, PlanId, Tenant, Timestamp},
};

/// How many plans a query returns unless it says otherwise.
const LIMIT_DEFAULT: usize = 100;
/// The most plans that one query returns.
const LIMIT_MAX: usize = 10_000;

/// How a plan stands: its last start, completion or failure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PlanStatus {
    /// Neither completed nor failed, as far as the log knows.
    Running,
    /// It reached its end.
    Completed,
    /// It ended without reaching its goal.
    Failed,
}

impl PlanStatus {
    /// The status's name: `running`, `completed` or `failed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for PlanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PlanStatus {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        [Self::Running, Self::Completed, Self::Failed]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| {
                Error::invalid("status", format!("must be running, completed or failed, got {text:?}"))
            })
    }
}

/// What the log says of one plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanSummary {
    /// The plan.
    pub plan_id: PlanId,
    /// The plan that spawned it, as its start says.
    pub parent: Option<PlanId>,
    /// How it stands.
    pub status: PlanStatus,
    /// What it is to reach, for people.
    pub goal: Option<String>,
    /// The agent that started it.
    pub source: Option<AgentId>,
    /// The time of its start, or of the oldest event that the log holds of it.
    pub started_at: Timestamp,
    /// The time of its completion or failure.
    pub ended_at: Option<Timestamp>,
    /// How many events the log holds of it.
    pub events: u64,
    /// How many tools it called.
    pub tool_calls: u64,
    /// How many of its tool calls completed without success.
    pub failed_tool_calls: u64,
    /// How many decisions it made.
    pub decisions: u64,
    /// How many subplans it spawned.
    pub subplans: u64,
    /// What went wrong, when it failed.
    pub error: Option<String>,
    /// The seq by which lists of plans are sorted: of its first start, completion or failure; of
    /// its oldest event when it has none of these.
    pub first_seq: u64,
    /// The seq of its newest event.
    pub last_seq: u64,
}

/// Which plans of a tenant to return; all that were started, 100 at most, the newest first.
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is given to a store"]
pub struct PlanQuery {
    status: Option<PlanStatus>,
    roots_only: bool,
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
        Self { status: None, roots_only: false, before: None, limit: LIMIT_DEFAULT, fault: None }
    }

    /// Only plans that stand so.
    pub fn status(mut self, status: PlanStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Only plans without a parent.
    pub fn roots_only(mut self) -> Self {
        self.roots_only = true;
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

    pub(super) fn run(self, store: &Inner, tenant: &Tenant) -> Result<Vec<PlanSummary>> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut plans = Vec::new();
        let mut before = self.before.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
        loop {
            let starts = store.read(|connection| lifecycle_before(connection, tenant, before))?;
            let Some((last, _)) = starts.last() else { return Ok(plans) };
            before = *last;
            for (seq, plan) in starts {
                // A plan is listed where it began, not again where it ended.
                let Some(found) = summarise(store, tenant, &plan)?.filter(|found| found.anchor == Some(seq))
                else {
                    continue;
                };
                let plan = found.summary;
                let wanted = self.status.is_none_or(|status| status == plan.status)
                    && !(self.roots_only && plan.parent.is_some());
                if wanted {
                    plans.push(plan);
                }
                if plans.len() == self.limit {
                    return Ok(plans);
                }
            }
        }
    }
}

/// Starts, completions and failures before a seq, the newest first.
fn lifecycle_before(connection: &Connection, tenant: &Tenant, before: i64) -> Result<Vec<(i64, PlanId)>> {
    // The first condition is the partial index's own, word for word.
    const SQL: &str = "SELECT id, plan_id FROM plan_events INDEXED BY plan_events_lifecycle
        WHERE event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed', 'SubplanSpawned')
            AND event_type <> 'SubplanSpawned' AND tenant = ?1 AND id < ?2
        ORDER BY id DESC LIMIT ?3";
    let failed = |cause| fault::sqlite("list the plans", cause);
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let mut rows = statement.query((tenant.as_str(), before, PAGE_ROWS as i64)).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let seq: i64 = row.get(0).map_err(failed)?;
        let plan: String = row.get(1).map_err(failed)?;
        let wrong = |error: Error| fault::corrupt_row(seq, "plan_id", &error.to_string());
        found.push((seq, PlanId::try_from(plan).map_err(wrong)?));
    }
    Ok(found)
}

/// A plan's summary, and what only the store needs.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) summary: PlanSummary,
    /// The plans that it spawned, in order, each once.
    pub(super) children: Vec<PlanId>,
    /// The seq of its first start, completion or failure.
    anchor: Option<i64>,
}

/// What the payloads of the plan events may say. Any field may be missing or of any kind.
#[derive(Default, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    goal: Option<&'a RawValue>,
    #[serde(borrow)]
    parent: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    ok: Option<&'a RawValue>,
    #[serde(borrow)]
    subplan: Option<&'a RawValue>,
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// Reads a plan's events, a page at a time, and sums them up; `None` when there are none.
pub(super) fn summarise(store: &Inner, tenant: &Tenant, plan: &PlanId) -> Result<Option<Found>> {
    const SQL: &str = "SELECT id, event_type, timestamp, source,
            CASE WHEN event_type IN ('PlanStarted', 'PlanFailed', 'ToolCompleted', 'SubplanSpawned') THEN payload END
        FROM plan_events WHERE tenant = ?1 AND plan_id = ?2 AND id > ?3 ORDER BY id LIMIT ?4";
    let mut found: Option<Found> = None;
    let mut after = 0;
    loop {
        let count = store.read(|connection| {
            let failed = |cause| fault::sqlite("sum up a plan", cause);
            let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
            let page = (tenant.as_str(), plan.as_str(), after, PAGE_ROWS as i64);
            let mut rows = statement.query(page).map_err(failed)?;
            let mut count = 0;
            while let Some(row) = rows.next().map_err(failed)? {
                after = add(&mut found, plan, row)?;
                count += 1;
            }
            Ok(count)
        })?;
        if count < PAGE_ROWS {
            return Ok(found);
        }
    }
}

/// Adds one event to a plan's summary; the event's seq.
fn add(found: &mut Option<Found>, plan: &PlanId, row: &rusqlite::Row<'_>) -> Result<i64> {
    let failed = |cause| fault::sqlite("sum up a plan", cause);
    let seq: i64 = row.get(0).map_err(failed)?;
    let wrong =
        |column: &'static str| move |error: Error| fault::corrupt_row(seq, column, &error.to_string());
    let not_text = |column: &'static str| move |_| fault::corrupt_row(seq, column, "is no text");
    let event_type = row.get_ref(1).map_err(failed)?.as_str().map_err(not_text("event_type"))?;
    let timestamp = row.get_ref(2).map_err(failed)?.as_str().map_err(not_text("timestamp"))?;
    let timestamp: Timestamp = timestamp.parse().map_err(wrong("timestamp"))?;
    let source = row.get_ref(3).map_err(failed)?.as_str_or_null().map_err(not_text("source"))?;
    let source = source.map(AgentId::try_from).transpose().map_err(wrong("source"))?;
    let said = match row.get_ref(4).map_err(failed)?.as_str_or_null().map_err(not_text("payload"))? {
        Some(payload) => serde_json::from_str(payload)
            .map_err(|cause| fault::corrupt_row(seq, "payload", &cause.to_string()))?,
        None => Said::default(),
    };

    let found = found.get_or_insert_with(|| Found {
        summary: PlanSummary {
            plan_id: plan.clone(),
            parent: None,
            status: PlanStatus::Running,
            goal: None,
            source: source.clone(),
            started_at: timestamp,
            ended_at: None,
            events: 0,
            tool_calls: 0,
            failed_tool_calls: 0,
            decisions: 0,
            subplans: 0,
            error: None,
            first_seq: unsigned(seq),
            last_seq: unsigned(seq),
        },
        children: Vec::new(),
        anchor: None,
    });
    if matches!(event_type, "PlanStarted" | "PlanCompleted" | "PlanFailed") && found.anchor.is_none() {
        found.anchor = Some(seq);
        found.summary.first_seq = unsigned(seq);
    }
    let summary = &mut found.summary;
    summary.events += 1;
    summary.last_seq = unsigned(seq);
    let end = |summary: &mut PlanSummary, status, error| {
        (summary.status, summary.ended_at, summary.error) = (status, Some(timestamp), error);
    };
    match event_type {
        "PlanStarted" => {
            // A plan that is started again goes on; its first start says what it is.
            (summary.status, summary.ended_at, summary.error) = (PlanStatus::Running, None, None);
            if found.anchor == Some(seq) {
                summary.goal = text(said.goal);
                summary.parent = text(said.parent).and_then(|parent| PlanId::try_from(parent).ok());
                (summary.source, summary.started_at) = (source, timestamp);
            }
        }
        "PlanCompleted" => end(summary, PlanStatus::Completed, None),
        "PlanFailed" => end(summary, PlanStatus::Failed, text(said.error)),
        "DecisionMade" => summary.decisions += 1,
        "ToolCalled" => summary.tool_calls += 1,
        "ToolCompleted" => {
            summary.failed_tool_calls += u64::from(said.ok.is_some_and(|ok| ok.get() == "false"));
        }
        "SubplanSpawned" => {
            summary.subplans += 1;
            let child = text(said.subplan).and_then(|child| PlanId::try_from(child).ok());
            found.children.extend(child);
        }
        _ => {}
    }
    Ok(seq)
}
