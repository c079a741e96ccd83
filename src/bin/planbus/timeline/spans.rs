//! From events to spans: what began, when and how it ended, in the order in which it is shown.
//!
//! Pure computation, which bears any log: calls and plans without an end or a beginning, times that
//! are equal or go back, ids used twice. Knows of no terminal.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use planbus::{Event, EventType, PlanId, Timestamp};

use crate::{
    describe,
    fields::{self, Fields},
};

/// How many characters of a name or a detail are kept: payloads may hold whole files.
const TEXT_MAX_CHARS: usize = 500;

/// What a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plan,
    /// A subplan of which the log holds nothing but what its parent said.
    Subplan,
    Tool,
    Decision,
    /// Any other event.
    Event,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Subplan => "subplan",
            Self::Tool => "tool",
            Self::Decision => "decision",
            Self::Event => "event",
        }
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Failed,
    /// It ended, and did not say how.
    Unknown,
    /// It has no end.
    Open,
    /// It is a point in time.
    Point,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Ok => Some("ok"),
            Self::Failed => Some("failed"),
            Self::Unknown => Some("unknown"),
            Self::Open => Some("open"),
            Self::Point => None,
        }
    }

    fn said(ok: Option<bool>) -> Self {
        match ok {
            Some(true) => Self::Ok,
            Some(false) => Self::Failed,
            None => Self::Unknown,
        }
    }
}

/// A stretch of a plan's time, or a point in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) plan: PlanId,
    /// How many plans are round its plan.
    pub(crate) depth: usize,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) detail: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Option<Timestamp>,
    /// What the end said, or the time between the two.
    pub(crate) duration: Option<Duration>,
    pub(crate) outcome: Outcome,
    pub(crate) seq_start: u64,
    pub(crate) seq_end: Option<u64>,
}

impl Span {
    fn begin(event: &Event, depth: usize, kind: Kind, name: &str) -> Self {
        Self {
            plan: event.plan_id().clone(),
            depth,
            kind,
            name: short(name),
            detail: String::new(),
            start: event.timestamp(),
            end: None,
            duration: None,
            outcome: Outcome::Open,
            seq_start: event.seq().unwrap_or(0),
            seq_end: None,
        }
    }

    fn point(event: &Event, depth: usize, kind: Kind, name: &str) -> Self {
        let mut span = Self::begin(event, depth, kind, name);
        (span.end, span.seq_end, span.outcome) = (Some(span.start), Some(span.seq_start), Outcome::Point);
        span
    }

    fn finish(&mut self, event: &Event, outcome: Outcome, fields: &Fields<'_>) {
        let said = fields.number("duration_us").map(Duration::from_micros);
        self.duration = Some(said.unwrap_or_else(|| event.timestamp().duration_since(self.start)));
        (self.end, self.seq_end, self.outcome) = (Some(event.timestamp()), event.seq(), outcome);
        if outcome == Outcome::Failed
            && let Some(error) = fields.words(fields::ERROR)
        {
            self.detail = short(&format!("{error}  {}", self.detail));
            self.detail.truncate(self.detail.trim_end().len());
        }
    }

    /// Where it begins on an axis of microseconds.
    pub(crate) fn start_us(&self) -> i64 {
        self.start.as_micros()
    }

    /// Where it ends there: never before its beginning. An end may have been recorded long after
    /// the work was over, and some runtimes know only how long a call took.
    pub(crate) fn end_us(&self) -> Option<i64> {
        let (from, end) = (self.start_us(), self.end?.as_micros());
        let lasted =
            self.duration.map_or(0, |duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX));
        let until = from.saturating_add(lasted);
        Some(if end > from { until.min(end) } else { until })
    }
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The spans of one plan, made from its events in the order of the log.
pub(crate) struct PlanSpans {
    plan: PlanId,
    depth: usize,
    /// What the plan was to reach.
    pub(crate) goal: String,
    own: Option<Span>,
    /// Without the plan's own.
    spans: Vec<Span>,
    /// Calls and subplans that wait for an answer, by their ids.
    open_calls: HashMap<String, usize>,
    open_subplans: HashMap<String, usize>,
}

impl PlanSpans {
    pub(crate) fn new(plan: PlanId, depth: usize) -> Self {
        let (open_calls, open_subplans) = (HashMap::new(), HashMap::new());
        Self { plan, depth, goal: String::new(), own: None, spans: Vec::new(), open_calls, open_subplans }
    }

    /// Adds the plan's next event.
    pub(crate) fn add(&mut self, event: &Event) {
        let fields = Fields::of(event);
        let is_first = self.own.is_none();
        let (name, depth) = (self.plan.as_str(), self.depth);
        let own = self.own.get_or_insert_with(|| Span::begin(event, depth, Kind::Plan, name));
        match event.event_type() {
            EventType::PlanStarted => {
                // A plan that is started again goes on.
                (own.end, own.seq_end, own.duration, own.outcome) = (None, None, None, Outcome::Open);
                if is_first {
                    self.goal = short(&fields.words(fields::GOAL).unwrap_or_default());
                    own.detail.clone_from(&self.goal);
                }
            }
            EventType::PlanCompleted => own.finish(event, Outcome::Ok, &fields),
            EventType::PlanFailed => own.finish(event, Outcome::Failed, &fields),
            EventType::DecisionMade => {
                let name = fields.words(fields::DECISION).unwrap_or_else(|| describe::event(event));
                let mut span = Span::point(event, self.depth, Kind::Decision, &name);
                span.detail = short(&fields.words(&["reason"]).unwrap_or_default());
                self.spans.push(span);
            }
            EventType::ToolCalled => {
                let mut span = Span::begin(event, self.depth, Kind::Tool, &tool(&fields));
                span.detail =
                    short(&fields.value(fields::ARGUMENTS).as_ref().map(describe::value).unwrap_or_default());
                if let Some(id) = fields.id("call_id") {
                    // In place of a call before it with this id, which nothing answers any more.
                    self.open_calls.insert(id, self.spans.len());
                }
                self.spans.push(span);
            }
            EventType::ToolCompleted => {
                let call = fields.id("call_id").and_then(|id| self.open_calls.remove(&id));
                let name = tool(&fields);
                self.answer(call, event, Kind::Tool, &name, &fields);
            }
            EventType::SubplanSpawned => {
                let child = fields.text("subplan").unwrap_or_default();
                let mut span = Span::begin(event, self.depth, Kind::Subplan, &child);
                span.detail = short(&fields.words(fields::GOAL).unwrap_or_default());
                self.open_subplans.insert(child, self.spans.len());
                self.spans.push(span);
            }
            EventType::SubplanCompleted => {
                let child = fields.text("subplan").unwrap_or_default();
                let spawned = self.open_subplans.remove(&child);
                self.answer(spawned, event, Kind::Subplan, &child, &fields);
            }
            other => {
                let mut span = Span::point(event, self.depth, Kind::Event, other.as_str());
                span.detail = short(&describe::event(event));
                self.spans.push(span);
            }
        }
    }

    /// Ends a span, or makes one of an answer whose question the log does not hold.
    fn answer(&mut self, asked: Option<usize>, event: &Event, kind: Kind, name: &str, fields: &Fields<'_>) {
        let outcome = Outcome::said(fields.flag("ok"));
        if let Some(span) = asked.and_then(|at| self.spans.get_mut(at)) {
            span.finish(event, outcome, fields);
            return;
        }
        let mut span = Span::begin(event, self.depth, kind, name);
        let lasted = fields.number("duration_us").and_then(|us| i64::try_from(us).ok());
        let start = lasted.and_then(|us| Timestamp::from_micros(span.start_us().checked_sub(us)?).ok());
        span.start = start.unwrap_or(span.start);
        span.finish(event, outcome, fields);
        self.spans.push(span);
    }
}

fn tool(fields: &Fields<'_>) -> String {
    fields.text("tool").or_else(|| fields.text("name")).unwrap_or_else(|| "(no name)".to_owned())
}

/// What stands under a plan.
enum Item {
    Span(Span),
    /// The plan at this place of the list.
    Plan(usize),
}

/// Puts the spans of plans together, given each before its subplans: each plan, and under it what
/// happened in it in the order of time, subplans with all that is theirs.
pub(crate) fn arrange(plans: Vec<PlanSpans>) -> Vec<Span> {
    let known: HashSet<String> = plans.iter().map(|plan| plan.plan.to_string()).collect();
    let mut owns = Vec::new();
    let mut items: Vec<Vec<Item>> = Vec::new();
    // The plans that are round the present one.
    let mut around: Vec<usize> = Vec::new();
    for plan in plans {
        let Some(own) = plan.own else { continue };
        let at = owns.len();
        around.truncate(plan.depth);
        if let Some(parent) = around.last() {
            items[*parent].push(Item::Plan(at));
        }
        around.push(at);
        let has_rows_of_its_own = |span: &Span| span.kind == Kind::Subplan && known.contains(&span.name);
        let own_items = plan.spans.into_iter().filter(|span| !has_rows_of_its_own(span));
        items.push(own_items.map(Item::Span).collect());
        owns.push(Some(own));
    }
    for items in &mut items {
        items.sort_by_key(|item| match item {
            Item::Span(span) => sort_key(span),
            Item::Plan(at) => owns[*at].as_ref().map_or((0, 0), sort_key),
        });
    }
    let mut arranged = Vec::new();
    let mut open = vec![vec![Item::Plan(0)].into_iter()];
    while let Some(rest) = open.last_mut() {
        match rest.next() {
            None => drop(open.pop()),
            Some(Item::Span(span)) => arranged.push(span),
            Some(Item::Plan(at)) => {
                arranged.extend(owns.get_mut(at).and_then(Option::take));
                open.push(items.get_mut(at).map(std::mem::take).unwrap_or_default().into_iter());
            }
        }
    }
    arranged
}

fn sort_key(span: &Span) -> (i64, u64) {
    (span.start_us(), span.seq_start)
}
