//! How a model looks: its plans as the lines of a tree.
//!
//! Pure. Only the lines that are asked for are made, so that a thousand plans cost what a screen does.

use std::{collections::HashSet, time::Duration};

use planbus::{PlanId, Timestamp};

use super::{
    model::Model,
    node::{Call, Node},
};
use crate::{
    agent_runtime::units::{counted, duration, number},
    style::{Painter, Style},
    text::cut,
};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How long each picture of the spinner stands.
const SPIN_MICROS: i64 = 80_000;
/// The most columns that a plan's name takes, and the part of a narrow terminal: one of so many.
const NAME_COLUMNS: (usize, usize) = (40, 2);
/// Deeper plans are indented no further.
const INDENT_MAX: usize = 12;
/// With fewer columns what went well is not counted: what is done now matters more.
const COUNTED_COLUMNS_MIN: usize = 60;
/// How many calls of one plan that run at once have a line each.
const CALLS_SHOWN: usize = 5;

/// The lines of a tree, not yet written.
pub(crate) struct Outline<'a> {
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    /// What stands before it, to the tree's branches.
    branch: String,
    what: What<'a>,
}

enum What<'a> {
    Plan(&'a Node),
    Call(&'a Call),
    MoreCalls(usize),
}

/// With what lines are written.
#[derive(Clone, Copy)]
pub(crate) struct Pen {
    pub(crate) columns: usize,
    pub(crate) now: Timestamp,
    /// The mark of a plan that runs.
    pub(crate) running: &'static str,
    pub(crate) painter: Painter,
}

impl<'a> Outline<'a> {
    /// The tree of a model, the newest plan at the top; of plans in which nothing failed nothing, where
    /// only the others are asked for. Where there is no room for all, plans that completed make way, those
    /// first that did so first: they are counted elsewhere.
    pub(crate) fn of(model: &'a Model, only_failed: bool, room: usize) -> Self {
        let wanted = only_failed.then(|| with_trouble(model));
        let is_wanted = |plan: &PlanId| wanted.as_ref().is_none_or(|wanted| wanted.contains(plan));
        let outline = Self::grow(model, is_wanted);
        let mut way = HashSet::new();
        let surplus = outline.rows.len().saturating_sub(room);
        for node in model.completed().filter(|node| is_wanted(&node.id)) {
            // A plan stays as long as something below it does.
            if way.len() < surplus && node.children.iter().all(|child| way.contains(child)) {
                way.insert(&node.id);
            }
        }
        if way.is_empty() {
            outline
        } else {
            Self::grow(model, |plan| is_wanted(plan) && !way.contains(plan))
        }
    }

    fn grow(model: &'a Model, is_wanted: impl Fn(&PlanId) -> bool) -> Self {
        let mut outline = Self { rows: Vec::new() };
        let roots = model.roots.iter().filter(|root| is_wanted(root));
        // What is still to come: a plan, what stands before it, and before what is below it.
        let mut open: Vec<(&PlanId, String, String)> =
            roots.map(|root| (root, String::new(), String::new())).collect();
        while let Some((plan, branch, indent)) = open.pop() {
            let Some(node) = model.plans.get(plan) else { continue };
            let children: Vec<&PlanId> = node.children.iter().filter(|child| is_wanted(child)).collect();
            let is_deep = indent.chars().count() >= 3 * INDENT_MAX;
            outline.rows.push(Row { branch, what: What::Plan(node) });
            outline.push_calls(node, &format!("{indent}{}", if children.is_empty() { "   " } else { "│  " }));
            let last = children.len().saturating_sub(1);
            for (at, child) in children.into_iter().enumerate().rev() {
                let (branch, below) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                let below = if is_deep { indent.clone() } else { format!("{indent}{below}") };
                open.push((child, format!("{indent}{branch}"), below));
            }
        }
        outline
    }

    /// A single call stands on its plan's line; calls that run at once have their own.
    fn push_calls(&mut self, node: &'a Node, indent: &str) {
        if node.calls.len() < 2 {
            return;
        }
        let hidden = node.calls.len().saturating_sub(CALLS_SHOWN);
        let calls = node.calls.iter().skip(hidden).map(What::Call);
        let more = (hidden > 0).then_some(What::MoreCalls(hidden));
        let rows = more.into_iter().chain(calls);
        self.rows.extend(rows.map(|what| Row { branch: indent.to_owned(), what }));
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// So many lines from `first` on.
    pub(crate) fn lines(&self, first: usize, count: usize, pen: Pen) -> Vec<String> {
        self.rows.iter().skip(first).take(count).map(|row| row.line(pen)).collect()
    }
}

/// The plans in which something failed, and those that they are below of.
fn with_trouble(model: &Model) -> HashSet<PlanId> {
    let mut wanted = HashSet::new();
    for node in model.plans.values().filter(|node| node.has_trouble()) {
        let mut next = Some(node);
        // Whoever is there already brought those above.
        while let Some(node) = next.filter(|node| wanted.insert(node.id.clone())) {
            next = node.parent.as_ref().and_then(|parent| model.plans.get(parent));
        }
    }
    wanted
}

impl Row<'_> {
    fn line(&self, pen: Pen) -> String {
        let mut parts = vec![(Style::Faint, self.branch.clone())];
        match &self.what {
            What::Plan(node) => push_plan(&mut parts, node, pen),
            What::Call(call) => push_call(&mut parts, call, "", pen.now),
            What::MoreCalls(hidden) => {
                parts.push((Style::Faint, format!("… and {} longer ones", counted(*hidden as u64, "call"))));
            }
        }
        pen.painter.line(&parts, pen.columns)
    }
}

fn push_plan(parts: &mut Vec<(Style, String)>, node: &Node, pen: Pen) {
    let now = pen.now;
    let (style, mark) = match &node.end {
        None => (Style::Started, pen.running),
        Some(end) if end.error.is_some() => (Style::Bad, "✗"),
        Some(_) => (Style::Good, "✓"),
    };
    let (most, share) = NAME_COLUMNS;
    let name = cut(&node.name(), most.min(pen.columns / share)).into_owned();
    let lasted = match &node.end {
        None => ticking(now.duration_since(node.begun)),
        Some(end) => duration(end.lasted),
    };
    parts.extend([(style, format!("{mark} ")), (Style::Plain, name), (Style::Faint, format!("  {lasted}"))]);
    let good = |count, noun| (count, Style::Faint, counted(count, noun));
    let bad = |count: u64| (count, Style::Bad, format!("{} failed", number(count)));
    let counts = [
        good(node.tools, "tool call"),
        bad(node.failed_tools),
        good(node.decisions, "decision"),
        (node.ended_children, Style::Faint, format!("{} done", counted(node.ended_children, "subplan"))),
        bad(node.failed_children),
    ];
    let is_shown = |style| style == Style::Bad || pen.columns >= COUNTED_COLUMNS_MIN;
    let counts = counts.into_iter().filter(|(count, style, _)| *count > 0 && is_shown(*style));
    parts.extend(counts.map(|(_, style, text)| (style, format!(", {text}"))));
    match (&node.end, node.calls.back(), &node.last_call) {
        (Some(end), ..) => parts.extend(end.error.iter().map(|error| (Style::Bad, format!("  {error}")))),
        (None, Some(call), _) if node.calls.len() == 1 => push_call(parts, call, "  ", now),
        (None, None, Some(answer)) => {
            let (style, mark) = if answer.has_failed { (Style::Bad, "✗") } else { (Style::Good, "✓") };
            let what = format!("{}  {}", answer.what, duration(answer.lasted));
            parts.extend([(style, format!("  {mark} ")), (Style::Faint, what)]);
        }
        _ => {}
    }
    if node.parent.is_none() && !node.goal.is_empty() {
        parts.push((Style::Faint, format!("  “{}”", node.goal)));
    }
}

fn push_call(parts: &mut Vec<(Style, String)>, call: &Call, gap: &str, now: Timestamp) {
    parts.push((Style::Tool, format!("{gap}▸ {}", call.what)));
    parts.push((Style::Faint, format!("  {}", ticking(now.duration_since(call.begun)))));
}

/// A mark that turns while time goes on.
pub(crate) fn spinner(now: Timestamp) -> &'static str {
    let at = now.as_micros().div_euclid(SPIN_MICROS).rem_euclid(SPINNER.len() as i64);
    SPINNER[at as usize]
}

/// A time that goes on: in tenths, of which the eye can follow the last.
fn ticking(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100),
        _ => duration(time),
    }
}
