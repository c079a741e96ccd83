//! What is running, as the events tell.
//!
//! Pure: it neither draws nor asks for the time. It holds the plans that are open and those that have
//! ended just now, so its size is bounded by what runs at once, and by [`PLANS_MAX`].

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use planbus::{CorrelationId, Event, EventType, PlanId, Timestamp};

use super::node::{self, Node, moment, short};
use crate::{describe, fields::Fields, style::Style};

/// How many plans are kept; of those that start beyond them only the number is known.
const PLANS_MAX: usize = 10_000;
/// How many decisions and failures are kept, the newest.
const NEWS_MAX: usize = 100;
/// Over how many seconds the rate of events is taken.
const RATE_SECONDS: i64 = 5;

/// The plans that run, sums over all, and what happened last.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// How long a plan that has ended is shown.
    linger: Duration,
    pub(super) plans: HashMap<PlanId, Node>,
    /// Plans that stand under no other, in the order of their start.
    pub(super) roots: Vec<PlanId>,
    /// Plans that have ended and are still shown, in the order of their ends.
    ended: VecDeque<PlanId>,
    pub(crate) sums: Sums,
    news: VecDeque<News>,
    rate: VecDeque<(i64, u64)>,
}

/// Sums over all events so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) events: u64,
    pub(crate) running: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) tools: u64,
    pub(crate) failed_tools: u64,
    pub(crate) decisions: u64,
    /// Plans that run and are not kept.
    pub(crate) unlisted: u64,
}

/// A decision, or a failure.
#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) at: Timestamp,
    pub(crate) plan: PlanId,
    pub(crate) style: Style,
    pub(crate) mark: &'static str,
    pub(crate) what: String,
}

impl News {
    /// What there is to say of an event, if it is one of those that people wait for: the start and end
    /// of a plan, a decision, a tool that failed.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let event_type = event.event_type();
        let style = Style::from(event_type);
        let said = || describe::event(event);
        let (mark, style, what) = match event_type {
            EventType::PlanStarted => ("●", style, format!("started  {}", said())),
            EventType::PlanCompleted => ("✓", style, format!("completed  {}", said())),
            EventType::PlanFailed => ("✗", style, format!("failed  {}", said())),
            EventType::DecisionMade => ("◆", style, said()),
            EventType::ToolCompleted => ("✗", Style::Bad, node::failed_tool(&Fields::of(event))?),
            _ => return None,
        };
        let (at, plan) = (moment(event), event.plan_id().clone());
        Some(Self { at, plan, style, mark, what: short(what.trim_end()) })
    }

    /// Whether it is told beside a tree, which shows starts and ends by itself.
    fn is_beside_a_tree(&self) -> bool {
        !matches!(self.mark, "●" | "✓")
    }

    pub(crate) fn is_failure(&self) -> bool {
        self.style == Style::Bad
    }
}

impl Model {
    /// A model that shows plans for so long after they have ended.
    pub(crate) fn new(linger: Duration) -> Self {
        Self {
            linger,
            plans: HashMap::new(),
            roots: Vec::new(),
            ended: VecDeque::new(),
            sums: Sums::default(),
            news: VecDeque::new(),
            rate: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.sums.events += 1;
        self.count(moment(event));
        let plan = event.plan_id();
        let fields = Fields::of(event);
        match event.event_type() {
            EventType::PlanStarted => self.start(event, &fields),
            EventType::PlanCompleted | EventType::PlanFailed => self.end(event, &fields),
            EventType::DecisionMade => {
                self.sums.decisions += 1;
                self.of(plan, |node| node.decisions += 1);
            }
            EventType::ToolCalled => {
                self.sums.tools += 1;
                self.of(plan, |node| node.call(event, &fields));
            }
            EventType::ToolCompleted => {
                self.sums.failed_tools += u64::from(fields.flag("ok") == Some(false));
                self.of(plan, |node| node.answer(event, &fields));
            }
            EventType::SubplanCompleted => self.of(plan, |node| {
                node.ended_children += 1;
                node.failed_children += u64::from(fields.flag("ok") == Some(false));
            }),
            _ => {}
        }
        if let Some(news) = News::of(event).filter(News::is_beside_a_tree) {
            if self.news.len() == NEWS_MAX {
                self.news.pop_front();
            }
            self.news.push_back(news);
        }
    }

    /// Takes away the plans that ended too long ago to be shown.
    pub(crate) fn fold(&mut self, now: Timestamp) {
        while let Some(plan) = self.ended.front() {
            let end = self.plans.get(plan).and_then(|node| node.end.as_ref());
            if end.is_some_and(|end| now.duration_since(end.at) < self.linger) {
                return;
            }
            if let Some(plan) = self.ended.pop_front() {
                self.remove(&plan);
            }
        }
    }

    /// Says that all so far is the past, read only to know how things stand, and that so many plans run
    /// of which nothing else is known. The sums are of a run as a whole, or begin anew.
    pub(crate) fn begin(&mut self, unlisted: u64, is_one_run: bool) {
        if !is_one_run {
            self.sums = Sums { running: self.sums.running, ..Sums::default() };
        }
        self.sums.running += unlisted;
        self.sums.unlisted += unlisted;
        self.rate.clear();
        // It was read plan by plan.
        self.news.make_contiguous().sort_by_key(|news| news.at);
        let ended_at = |plan: &PlanId| self.plans.get(plan)?.end.as_ref().map(|end| end.at);
        self.ended.make_contiguous().sort_by_key(ended_at);
    }

    /// Events a second, lately.
    pub(crate) fn rate(&self, now: Timestamp) -> u64 {
        let since = now.as_micros() / 1_000_000 - RATE_SECONDS + 1;
        let lately = self.rate.iter().filter(|(second, _)| *second >= since);
        let events: u64 = lately.map(|(_, events)| events).sum();
        let micros = (now.as_micros() - since * 1_000_000).max(1).unsigned_abs();
        events.saturating_mul(1_000_000).div_ceil(micros)
    }

    /// Plans that completed and are still kept, in the order of their ends.
    pub(super) fn completed(&self) -> impl Iterator<Item = &Node> {
        self.ended.iter().filter_map(|plan| self.plans.get(plan)).filter(|node| !node.has_trouble())
    }

    /// The newest decisions and failures, the oldest of them first.
    pub(crate) fn news(&self, is_wanted: impl Fn(&News) -> bool, count: usize) -> Vec<&News> {
        let mut news: Vec<&News> =
            self.news.iter().rev().filter(|news| is_wanted(news)).take(count).collect();
        news.reverse();
        news
    }

    fn of(&mut self, plan: &PlanId, change: impl FnOnce(&mut Node)) {
        // What comes late changes no plan that has ended.
        if let Some(node) = self.plans.get_mut(plan).filter(|node| node.end.is_none()) {
            change(node);
        }
    }

    fn count(&mut self, at: Timestamp) {
        let second = at.as_micros() / 1_000_000;
        match self.rate.back_mut() {
            // Times may go back: then it counts for the newest.
            Some((last, events)) if *last >= second => *events += 1,
            _ => self.rate.push_back((second, 1)),
        }
        if self.rate.len() > RATE_SECONDS as usize {
            self.rate.pop_front();
        }
    }

    fn start(&mut self, event: &Event, fields: &Fields<'_>) {
        let plan = event.plan_id();
        if let Some(node) = self.plans.get_mut(plan) {
            self.sums.running += u64::from(node.end.is_some());
            node.begin_again(event);
            self.ended.retain(|ended| ended != plan);
            return;
        }
        self.sums.running += 1;
        if self.plans.len() == PLANS_MAX {
            self.sums.unlisted += 1;
            return;
        }
        let named = fields.text("parent").and_then(|parent| PlanId::try_from(parent.as_str()).ok());
        let root = || PlanId::try_from(event.correlation_id().map(CorrelationId::as_str)?).ok();
        let parent = named.or_else(root).filter(|parent| parent != plan && self.plans.contains_key(parent));
        match parent.as_ref().and_then(|parent| self.plans.get_mut(parent)) {
            Some(parent) => parent.children.push(plan.clone()),
            None => self.roots.push(plan.clone()),
        }
        self.plans.insert(plan.clone(), Node::begin(event, fields, parent));
    }

    fn end(&mut self, event: &Event, fields: &Fields<'_>) {
        let sums = &mut self.sums;
        match event.event_type() {
            EventType::PlanFailed => sums.failed += 1,
            _ => sums.completed += 1,
        }
        let plan = event.plan_id();
        match self.plans.get_mut(plan) {
            Some(node) if node.end.is_some() => {}
            Some(node) => {
                sums.running = sums.running.saturating_sub(1);
                node.finish(event, fields);
                self.ended.push_back(plan.clone());
            }
            None if sums.unlisted > 0 => {
                sums.running = sums.running.saturating_sub(1);
                sums.unlisted -= 1;
            }
            None => {}
        }
        if self.linger.is_zero() {
            self.fold(moment(event));
        }
    }

    fn remove(&mut self, plan: &PlanId) {
        let Some(node) = self.plans.remove(plan) else { return };
        match node.parent.and_then(|parent| self.plans.get_mut(&parent)) {
            Some(parent) => parent.children.retain(|child| child != plan),
            None => self.roots.retain(|root| root != plan),
        }
        // What outlives its parent stands by itself.
        for child in node.children {
            if let Some(node) = self.plans.get_mut(&child) {
                node.parent = None;
                self.roots.push(child);
            }
        }
    }
}
