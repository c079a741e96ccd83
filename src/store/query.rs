//! [`EventQuery`]: a search over one tenant's events, in pages by seq.
//!
//! Values reach SQLite only as bound parameters; the text of a statement is put together from
//! fixed parts.

use std::ops::Range;

use rusqlite::types::Value;

#[cfg(feature = "server")]
use super::EventStore;
use super::{
    inner::Inner,
    read::{self, PAGE_ROWS},
    row,
    window::{Budget, Part, Remaining},
};
use crate::{
    error::{Error, Result},
    event::{AgentId, CorrelationId, Event, PlanId, Tenant, Timestamp},
    filter::{PatternKind, TypePattern},
};

/// How many events a query returns unless it says otherwise.
const LIMIT_DEFAULT: usize = 100;
/// The most events that one query returns.
const LIMIT_MAX: usize = 1_000_000;
/// The longest text that can be searched for.
const TEXT_MAX_BYTES: usize = 1_024;
/// The most types that one query names.
const TYPES_MAX: usize = 100;

/// Which events of a tenant to return; all, until narrowed, 100 at most, the oldest first.
///
/// ```
/// use planbus::EventQuery;
///
/// let failures = EventQuery::new().types(["PlanFailed", "workflow.*"]).text("timed out").newest_first();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is given to a store"]
pub struct EventQuery {
    plan: Option<PlanId>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    types: Vec<TypePattern>,
    source: Option<AgentId>,
    correlation_id: Option<CorrelationId>,
    text: Option<String>,
    exclude: Option<String>,
    after: Option<u64>,
    before: Option<u64>,
    limit: usize,
    newest_first: bool,
    fault: Option<Error>,
}

impl Default for EventQuery {
    fn default() -> Self {
        Self::new()
    }
}

impl EventQuery {
    /// Every event of the tenant.
    pub fn new() -> Self {
        Self {
            plan: None,
            since: None,
            until: None,
            types: Vec::new(),
            source: None,
            correlation_id: None,
            text: None,
            exclude: None,
            after: None,
            before: None,
            limit: LIMIT_DEFAULT,
            newest_first: false,
            fault: None,
        }
    }

    /// Only events of this plan.
    pub fn plan(mut self, plan: impl TryInto<PlanId, Error: Into<Error>>) -> Self {
        self.plan = self.parsed("plan", plan);
        self
    }

    /// Only events whose own time is this or later.
    pub fn since(mut self, time: impl TryInto<Timestamp, Error: Into<Error>>) -> Self {
        self.since = self.parsed("since", time);
        self
    }

    /// Only events whose own time is before this.
    pub fn until(mut self, time: impl TryInto<Timestamp, Error: Into<Error>>) -> Self {
        self.until = self.parsed("until", time);
        self
    }

    /// Only events of these types or families, 1 to 100; called again, it adds to them. A query on
    /// which it is never called asks for every type; an empty list is refused.
    pub fn types<T: TryInto<TypePattern, Error: Into<Error>>>(
        mut self,
        types: impl IntoIterator<Item = T>,
    ) -> Self {
        let mut is_empty = true;
        for pattern in types {
            is_empty = false;
            if let Some(pattern) = self.parsed("types", pattern) {
                self.types.push(pattern);
            }
        }
        if is_empty {
            self.keep_fault(Error::invalid("types", "must name at least one type"));
        }
        if self.types.len() > TYPES_MAX {
            let problem = format!("must be at most {TYPES_MAX}, got {}", self.types.len());
            self.keep_fault(Error::invalid("types", problem));
        }
        self
    }

    /// Only events that come from this agent.
    pub fn source(mut self, agent: impl TryInto<AgentId, Error: Into<Error>>) -> Self {
        self.source = self.parsed("source", agent);
        self
    }

    /// Only events with this correlation id.
    pub fn correlation_id(mut self, id: impl TryInto<CorrelationId, Error: Into<Error>>) -> Self {
        self.correlation_id = self.parsed("correlation_id", id);
        self
    }

    /// Only events with this text, 1 to 1,024 bytes, in the payload's JSON, the type or the
    /// source. It is taken literally: upper and lower case differ, and there are no wildcards.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = self.literal("text", text.into());
        self
    }

    /// Only events without this text, the opposite of [`text`](Self::text). With both, both hold.
    pub fn exclude(mut self, text: impl Into<String>) -> Self {
        self.exclude = self.literal("exclude", text.into());
        self
    }

    /// At most this many events, 1 to 1,000,000; by default 100.
    pub fn limit(mut self, limit: usize) -> Self {
        if !(1..=LIMIT_MAX).contains(&limit) {
            self.keep_fault(Error::invalid("limit", format!("must be 1 to {LIMIT_MAX}, got {limit}")));
        }
        self.limit = limit;
        self
    }

    /// Only events after this place in the log: the next page is after the last event's seq. Fails
    /// with `Pruned` when events after it are no longer in the log.
    pub fn after(mut self, seq: u64) -> Self {
        self.after = Some(seq);
        self
    }

    /// Only events before this place in the log: with [`newest_first`](Self::newest_first), the
    /// next page is before the last event's seq.
    pub fn before(mut self, seq: u64) -> Self {
        self.before = Some(seq);
        self
    }

    /// The newest events first.
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    fn parsed<T>(&mut self, field: &str, value: impl TryInto<T, Error: Into<Error>>) -> Option<T> {
        match value.try_into() {
            Ok(value) => Some(value),
            Err(fault) => {
                self.keep_fault(fault.into().within(field));
                None
            }
        }
    }

    fn literal(&mut self, field: &str, text: String) -> Option<String> {
        if text.is_empty() || text.len() > TEXT_MAX_BYTES {
            let problem = format!("must be 1 to {TEXT_MAX_BYTES} bytes, got {}", text.len());
            self.keep_fault(Error::invalid(field, problem));
        }
        Some(text)
    }

    fn keep_fault(&mut self, fault: Error) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn run(self, store: &Inner, tenant: &Tenant) -> Result<Vec<Event>> {
        Ok(self.run_within(store, tenant, Budget::UNLIMITED)?.0)
    }

    /// What a budget allows of the answer, and the place at which the next part goes on, unless there
    /// is nothing behind it.
    fn run_within(
        self,
        store: &Inner,
        tenant: &Tenant,
        mut budget: Budget,
    ) -> Result<(Vec<Event>, Option<u64>)> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let statement = self.statement(tenant);
        // Seqs that exist: a search does not walk through numbers that were never given.
        let bounds = store.read(read::bounds)?;
        if let Some(after) = self.after {
            read::check_reach(bounds, after)?;
        }
        let mut remaining = Remaining::of(bounds, self.after, self.before);
        let mut events = Vec::new();
        while events.len() < self.limit
            && budget.is_left()
            && let Some(window) =
                remaining.next_window(self.part(store, tenant, &remaining)?, self.newest_first)
        {
            let limit = (self.limit - events.len()).min(PAGE_ROWS);
            // What was pruned before the first event was found is as if it had never been there;
            // later on it would be a hole in what the caller gets.
            let reach = match self.after {
                Some(after) if self.newest_first => after,
                None if self.newest_first || events.is_empty() => u64::MAX,
                _ => window.start.saturating_sub(1),
            };
            let (mut page, is_cut) =
                store.read(|connection| statement.page(connection, window, reach, limit))?;
            let is_dear = budget.spend(&mut page, self.is_search());
            if (is_cut || is_dear || page.len() == limit)
                && let Some(seq) = page.last().and_then(Event::seq)
            {
                // The window may hold more behind the page.
                remaining.resume_behind(seq, self.newest_first);
            } else if page.is_empty() {
                store.read(|connection| remaining.skip_hole(connection, self.newest_first))?;
            }
            events.extend(page);
        }
        Ok((events, remaining.place(self.newest_first)))
    }

    /// Whether events are looked at that are not asked for.
    fn is_search(&self) -> bool {
        self.plan.is_none()
            || self.since.is_some()
            || self.until.is_some()
            || self.source.is_some()
            || self.correlation_id.is_some()
            || self.text.is_some()
            || self.exclude.is_some()
            || !self.types.is_empty()
    }

    /// What one read transaction searches of what remains.
    fn part(&self, store: &Inner, tenant: &Tenant, remaining: &Remaining) -> Result<Part> {
        match &self.plan {
            None => Ok(Part::Seqs),
            Some(_) if !self.is_search() => Ok(Part::Rest),
            Some(plan) => {
                store.read(|connection| remaining.of_plan(connection, (tenant, plan), self.newest_first))
            }
        }
    }

    fn statement(&self, tenant: &Tenant) -> Statement {
        let mut statement = Statement::new(tenant, self.plan.as_ref());
        if let Some(time) = self.since {
            statement.and(" AND timestamp >= ?", [time.to_string()]);
        }
        if let Some(time) = self.until {
            statement.and(" AND timestamp < ?", [time.to_string()]);
        }
        if let Some(source) = &self.source {
            statement.and(" AND source = ?", [source.to_string()]);
        }
        if let Some(id) = &self.correlation_id {
            statement.and(" AND correlation_id = ?", [id.to_string()]);
        }
        if let Some(text) = &self.text {
            statement
                .and(" AND (instr(payload, ?) OR instr(event_type, ?) OR instr(source, ?))", thrice(text));
        }
        if let Some(text) = &self.exclude {
            // NULL, as a source that is not given, would make the opposite of no match none either.
            let condition =
                " AND NOT (instr(payload, ?) OR instr(event_type, ?) OR instr(ifnull(source, ''), ?))";
            statement.and(condition, thrice(text));
        }
        if !self.types.is_empty() {
            statement.and(" AND (0", []);
            for pattern in &self.types {
                match pattern.kind() {
                    PatternKind::Exact(exact) => statement.and(" OR event_type = ?", [exact.to_string()]),
                    PatternKind::Family(prefix) => {
                        let prefix = prefix.to_string();
                        statement.and(" OR substr(event_type, 1, length(?)) = ?", [prefix.clone(), prefix]);
                    }
                }
            }
            statement.and(")", []);
        }
        statement.end(self.newest_first);
        statement
    }
}

#[cfg(feature = "server")]
impl EventStore {
    /// As much of a query's answer as may be given at once: payloads of so many bytes, found among so
    /// many seqs. And the place at which the next part goes on: after it, or with the newest first
    /// before it; `None` where there is nothing behind. A part may be empty and yet not the last.
    pub(crate) fn query_page(
        &self,
        query: EventQuery,
        bytes: usize,
        seqs: u64,
    ) -> Result<(Vec<Event>, Option<u64>)> {
        query.run_within(&self.inner, &self.tenant, Budget { bytes, seqs })
    }
}

fn thrice(text: &str) -> [String; 3] {
    [(); 3].map(|()| text.to_owned())
}

/// A statement and its parameters but for the window and the limit.
struct Statement {
    sql: String,
    values: Vec<Value>,
}

impl Statement {
    fn new(tenant: &Tenant, plan: Option<&PlanId>) -> Self {
        let mut statement = Self {
            sql: concat!("SELECT ", row::columns!(), " FROM plan_events WHERE ").to_owned(),
            values: vec![],
        };
        match plan {
            Some(plan) => {
                statement.and("tenant = ? AND plan_id = ?", [tenant.to_string(), plan.to_string()]);
            }
            // The plus keeps SQLite from the plan index, which would need a sort of everything.
            None => statement.and("+tenant = ?", [tenant.to_string()]),
        }
        statement
    }

    fn and<const N: usize>(&mut self, condition: &'static str, values: [String; N]) {
        self.sql.push_str(condition);
        self.values.extend(values.map(Value::Text));
    }

    fn end(&mut self, newest_first: bool) {
        self.sql.push_str(" AND id >= ? AND id < ?");
        self.sql.push_str(if newest_first { " ORDER BY id DESC LIMIT ?" } else { " ORDER BY id LIMIT ?" });
    }

    fn page(
        &self,
        connection: &rusqlite::Connection,
        window: Range<u64>,
        reach: u64,
        limit: usize,
    ) -> Result<(Vec<Event>, bool)> {
        let failed = |cause| super::fault::sqlite("search the log", cause);
        let snapshot = connection.unchecked_transaction().map_err(failed)?;
        read::check_reach(read::bounds(&snapshot)?, reach)?;
        let statement = snapshot.prepare_cached(&self.sql).map_err(failed)?;
        let window = [window.start.cast_signed(), window.end.cast_signed(), limit as i64].map(Value::Integer);
        let params = rusqlite::params_from_iter(self.values.iter().cloned().chain(window));
        read::collect(statement, params, read::PAGE_BYTES)
    }
}

#[cfg(test)]
mod tests;
