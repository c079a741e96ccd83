//! [`PlanSummary`]: what the log says of one plan, from all of its events.
//!
//! Payloads of any shape are borne; only what is no JSON is an error. Never looks at another plan's
//! events but to see whether there are any.

use std::{fmt, str::FromStr, time::Duration};

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{
    fault,
    inner::Inner,
    read::{self, PAGE_ROWS},
    row,
};
use crate::{
    error::{Error, Result},
    event::{AgentId, CorrelationId, PlanId, Tenant, Timestamp},
};

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

    /// The type of the event that puts a plan into this state.
    pub(super) const fn event_type(self) -> &'static str {
        match self {
            Self::Running => "PlanStarted",
            Self::Completed => "PlanCompleted",
            Self::Failed => "PlanFailed",
        }
    }
}

impl fmt::Display for PlanStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for PlanStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
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
///
/// As JSON it is an object of these fields, with `duration_us` for the duration; what is unknown is null.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlanSummary {
    /// The plan.
    pub plan_id: PlanId,
    /// Whose plan it is.
    pub tenant: Tenant,
    /// The plan that spawned it: as its start says, else the plan that its correlation id names,
    /// where the log holds events of that one.
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
    /// How long it took, as its end says, else from its start to its end; `None` until it has ended.
    #[serde(rename = "duration_us", serialize_with = "as_micros")]
    pub duration: Option<Duration>,
    /// What its events have in common with those of other plans: by default the root plan's id.
    pub correlation_id: Option<CorrelationId>,
    /// The time of the start, completion or failure that says how it stands, or of its oldest
    /// event when it has none of these.
    pub status_since: Timestamp,
    /// The seq of that event.
    pub status_seq: u64,
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

fn as_micros<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = duration.map(|duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    micros.serialize(serializer)
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
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    duration_us: Option<&'a RawValue>,
    #[serde(borrow)]
    ok: Option<&'a RawValue>,
    #[serde(borrow)]
    subplan: Option<&'a RawValue>,
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// A text as it is, another value as its JSON, as the views show it; `None` for null.
fn shown(value: Option<&RawValue>) -> Option<String> {
    text(value).or_else(|| value.map(|value| value.get().to_owned()).filter(|json| json != "null"))
}

/// Reads a plan's events, a page at a time, and sums them up; `None` when there are none.
pub(super) fn read(store: &Inner, tenant: &Tenant, plan: &PlanId) -> Result<Option<Found>> {
    const SQL: &str = "SELECT id, event_type, timestamp, source, correlation_id,
            CASE WHEN event_type IN
                ('PlanStarted', 'PlanCompleted', 'PlanFailed', 'ToolCompleted', 'SubplanSpawned') THEN payload END
        FROM plan_events WHERE tenant = ?1 AND plan_id = ?2 AND id > ?3 ORDER BY id LIMIT ?4";
    let mut found: Option<Found> = None;
    let mut after = 0;
    loop {
        let count = store.read(|connection| {
            let failed = |cause| fault::sqlite("sum up a plan", cause);
            if after == 0 {
                // Below 1 a row of the plan would be passed over.
                read::bounds(connection)?;
            }
            let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
            let page = (tenant.as_str(), plan.as_str(), after, PAGE_ROWS as i64);
            let mut rows = statement.query(page).map_err(failed)?;
            let mut count = 0;
            while let Some(row) = rows.next().map_err(failed)? {
                after = add(&mut found, tenant, plan, row)?;
                count += 1;
            }
            Ok(count)
        })?;
        if count < PAGE_ROWS {
            break;
        }
    }
    if let Some(found) = &mut found
        && found.summary.parent.is_none()
        && let Some(correlation) = &found.summary.correlation_id
    {
        let correlation = correlation.as_str();
        found.summary.parent = store.read(|connection| other_plan(connection, tenant, plan, correlation))?;
    }
    Ok(found)
}

/// The last start, completion or failure of a plan.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) seq: u64,
    /// How the plan stands since.
    pub(crate) status: PlanStatus,
}

/// The last start, completion or failure of a plan, without a look at its other events.
#[cfg(feature = "server")]
pub(super) fn last_turn(connection: &Connection, tenant: &Tenant, plan: &PlanId) -> Result<Option<Turn>> {
    const SQL: &str = "SELECT id, event_type FROM plan_events
        WHERE (event_type = 'PlanStarted' OR event_type = 'PlanCompleted' OR event_type = 'PlanFailed') AND tenant = ?1 AND plan_id = ?2
        ORDER BY id DESC LIMIT 1";
    let failed = |cause| fault::sqlite("look how a plan stands", cause);
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let found = statement.query_row((tenant.as_str(), plan.as_str()), |row| Ok((row.get(0)?, row.get(1)?)));
    let found: Option<(i64, String)> = found.optional().map_err(failed)?;
    let turn = |(seq, event_type): (i64, String)| {
        let status = match event_type.as_str() {
            "PlanCompleted" => PlanStatus::Completed,
            "PlanFailed" => PlanStatus::Failed,
            _ => PlanStatus::Running,
        };
        Ok(Turn { seq: row::event_seq(seq)?, status })
    };
    found.map(turn).transpose()
}

/// The plan that a correlation id names, if it is another one that has events.
fn other_plan(
    connection: &Connection,
    tenant: &Tenant,
    plan: &PlanId,
    correlation: &str,
) -> Result<Option<PlanId>> {
    let Some(named) = PlanId::try_from(correlation).ok().filter(|named| named != plan) else {
        return Ok(None);
    };
    Ok(is_known(connection, tenant, &named)?.then_some(named))
}

/// Whether the log holds an event of a plan.
pub(super) fn is_known(connection: &Connection, tenant: &Tenant, plan: &PlanId) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM plan_events WHERE tenant = ?1 AND plan_id = ?2 LIMIT 1";
    let failed = |cause| fault::sqlite("look for a plan", cause);
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let found = statement.query_row((tenant.as_str(), plan.as_str()), |_| Ok(())).optional();
    Ok(found.map_err(failed)?.is_some())
}

/// Adds one event to a plan's summary; the event's seq.
fn add(found: &mut Option<Found>, tenant: &Tenant, plan: &PlanId, row: &rusqlite::Row<'_>) -> Result<i64> {
    let failed = |cause| fault::sqlite("sum up a plan", cause);
    let seq: i64 = row.get(0).map_err(failed)?;
    let at = row::event_seq(seq)?;
    let wrong =
        |column: &'static str| move |error: Error| fault::corrupt_row(seq, column, &error.to_string());
    let not_text = |column: &'static str| move |_| fault::corrupt_row(seq, column, "is no text");
    let event_type = row.get_ref(1).map_err(failed)?.as_str().map_err(not_text("event_type"))?;
    let timestamp = row.get_ref(2).map_err(failed)?.as_str().map_err(not_text("timestamp"))?;
    let timestamp: Timestamp = timestamp.parse().map_err(wrong("timestamp"))?;
    let source = row.get_ref(3).map_err(failed)?.as_str_or_null().map_err(not_text("source"))?;
    let source = source.map(AgentId::try_from).transpose().map_err(wrong("source"))?;
    let correlation = row.get_ref(4).map_err(failed)?.as_str_or_null().map_err(not_text("correlation_id"))?;
    let correlation = || CorrelationId::try_from(correlation?).ok();
    let said = match row.get_ref(5).map_err(failed)?.as_str_or_null().map_err(not_text("payload"))? {
        Some(payload) => serde_json::from_str(payload)
            .map_err(|cause| fault::corrupt_row(seq, "payload", &cause.to_string()))?,
        None => Said::default(),
    };

    let found = found.get_or_insert_with(|| Found {
        summary: PlanSummary {
            plan_id: plan.clone(),
            tenant: tenant.clone(),
            parent: None,
            status: PlanStatus::Running,
            goal: None,
            source: source.clone(),
            started_at: timestamp,
            ended_at: None,
            duration: None,
            correlation_id: correlation(),
            status_since: timestamp,
            status_seq: at,
            events: 0,
            tool_calls: 0,
            failed_tool_calls: 0,
            decisions: 0,
            subplans: 0,
            error: None,
            first_seq: at,
            last_seq: at,
        },
        children: Vec::new(),
        anchor: None,
    });
    let is_change = matches!(event_type, "PlanStarted" | "PlanCompleted" | "PlanFailed");
    if is_change && found.anchor.is_none() {
        found.anchor = Some(seq);
        found.summary.correlation_id = correlation();
        found.summary.first_seq = at;
    }
    let summary = &mut found.summary;
    if is_change {
        (summary.status_since, summary.status_seq) = (timestamp, at);
    }
    summary.events += 1;
    summary.last_seq = at;
    let told = said.duration_us.and_then(|micros| micros.get().parse().ok()).map(Duration::from_micros);
    let end = |summary: &mut PlanSummary, status, error| {
        (summary.status, summary.ended_at, summary.error) = (status, Some(timestamp), error);
        summary.duration = told.or(Some(timestamp.duration_since(summary.started_at)));
    };
    match event_type {
        "PlanStarted" => {
            // A plan that is started again goes on; its first start says what it is.
            (summary.status, summary.ended_at, summary.error) = (PlanStatus::Running, None, None);
            summary.duration = None;
            if found.anchor == Some(seq) {
                summary.goal = shown(said.goal);
                let parent = text(said.parent).and_then(|parent| PlanId::try_from(parent).ok());
                summary.parent = parent.filter(|parent| parent != plan);
                (summary.source, summary.started_at) = (source, timestamp);
            }
        }
        "PlanCompleted" => end(summary, PlanStatus::Completed, None),
        "PlanFailed" => end(summary, PlanStatus::Failed, shown(said.error).or_else(|| shown(said.reason))),
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
