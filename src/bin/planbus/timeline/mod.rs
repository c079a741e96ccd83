//! `planbus show --timeline`: a plan with its subplans, calls and decisions over one axis of time.
//!
//! Reads the log in pages; `spans` says what happened when, `pick` what of it is shown, `draw` how.

mod draw;
mod pick;
mod spans;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use planbus::{EventQuery, EventStore, PlanId};
use serde_json::json;

use self::{
    draw::{Axis, Layout, Rows, Scale, duration},
    spans::{Kind, Outcome, PlanSpans, Span},
};
use crate::{
    agent_runtime::units::{counted, number},
    failure::Failure,
    output::Output,
    plan_view::preorder,
    style::Style,
    text::{cut, escape},
};

/// How many rows a terminal is given.
const ROWS_MAX: usize = 200;
/// How many of the slowest calls are listed.
const SLOWEST_MAX: usize = 5;
/// How many events are read at once.
const PAGE_EVENTS: usize = 1_000;

/// Writes a plan's timeline for people.
pub(crate) fn write(store: &EventStore, plan: &PlanId, out: &mut Output) -> Result<(), Failure> {
    let (goal, spans) = read(store, plan)?;
    let shown = match out.columns() {
        Some(_) => pick::pick(&spans, ROWS_MAX),
        None => spans.iter().collect(),
    };
    if !goal.is_empty() {
        let goal = escape(&goal);
        out.line(&out.paint(Style::Heading, &cut(&goal, out.columns().unwrap_or(usize::MAX))))?;
    }
    let axis = Axis::of(&spans);
    if axis.scale == Scale::Seq {
        note("The times tell no order: what stands here is that of the log, by seq.", out)?;
    }
    let named = with_parents(&shown);
    let widest = named.iter().map(|(span, parent)| draw::label_width(span, *parent)).max().unwrap_or(0);
    let rows = Rows::new(&spans, axis, Layout::new(out.columns(), widest));
    out.line(&rows.head(out))?;
    for (span, parent) in named {
        out.line(&rows.draw(span, parent, out))?;
    }
    let left_out = spans.len() - shown.len();
    if left_out > 0 {
        note(&format!("and {} more, the shortest; -o json has them all", number(left_out as u64)), out)?;
    }
    out.line("")?;
    let summary = summary(&spans);
    out.line(&cut(&summary, out.columns().unwrap_or(usize::MAX)))?;
    write_slowest(&spans, out)
}

/// Writes a plan's timeline for programs: one span a line.
pub(crate) fn write_json(store: &EventStore, plan: &PlanId, out: &mut Output) -> Result<(), Failure> {
    for span in read(store, plan)?.1 {
        let duration_us = span.duration.map(|lasted| u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX));
        let object = json!({
            "plan": span.plan, "kind": span.kind.as_str(), "name": span.name, "start": span.start,
            "end": span.end, "duration_us": duration_us, "outcome": span.outcome.as_str(),
            "seq_start": span.seq_start, "seq_end": span.seq_end, "detail": span.detail,
        });
        out.json(&object.to_string())?;
    }
    Ok(())
}

/// What a plan was to reach, and the spans of it and its subplans, as they are shown.
fn read(store: &EventStore, plan: &PlanId) -> Result<(String, Vec<Span>), Failure> {
    let tree = store.plan_tree(plan)?;
    let mut plans = Vec::new();
    for (depth, tree) in preorder(&tree) {
        let plan = &tree.plan.plan_id;
        let mut spans = PlanSpans::new(plan.clone(), depth);
        // Not after seq 0: that would ask for what was pruned too.
        let mut rest = EventQuery::new().plan(plan).limit(PAGE_EVENTS);
        loop {
            let page = store.query(rest.clone())?;
            page.iter().for_each(|event| spans.add(event));
            match page.last().and_then(planbus::Event::seq) {
                Some(last) if page.len() == PAGE_EVENTS => rest = rest.after(last),
                _ => break,
            }
        }
        plans.push(spans);
    }
    let goal = plans.first().map(|root| root.goal.clone()).unwrap_or_default();
    Ok((goal, spans::arrange(plans)))
}

/// Each row with the id of the plan above it.
fn with_parents<'a>(spans: &[&'a Span]) -> Vec<(&'a Span, Option<&'a str>)> {
    let mut above: Vec<&str> = Vec::new();
    let with_parent = spans.iter().map(|span| {
        above.truncate(span.depth + usize::from(span.kind != Kind::Plan));
        let parent = above.last().copied();
        if span.kind == Kind::Plan {
            above.push(span.plan.as_str());
        }
        (*span, parent)
    });
    with_parent.collect()
}

fn summary(spans: &[Span]) -> String {
    let count = |kind: Kind, outcome: Option<Outcome>| {
        let is_counted = |span: &&Span| span.kind == kind && outcome.is_none_or(|is| span.outcome == is);
        spans.iter().filter(is_counted).count() as u64
    };
    let mut odd = Vec::new();
    for (outcome, word) in [(Outcome::Failed, "failed"), (Outcome::Open, "never answered")] {
        match count(Kind::Tool, Some(outcome)) {
            0 => {}
            calls => odd.push(format!("{} {word}", number(calls))),
        }
    }
    let odd = if odd.is_empty() { String::new() } else { format!(" ({})", odd.join(", ")) };
    let plans = counted(count(Kind::Plan, None), "plan");
    let calls = counted(count(Kind::Tool, None), "tool call");
    let decisions = counted(count(Kind::Decision, None), "decision");
    let lasted = spans.first().and_then(|root| root.duration).map(duration);
    format!("{plans}, {calls}{odd}, {decisions}, {}", lasted.as_deref().unwrap_or("not ended"))
}

/// Lists the calls that took longest.
fn write_slowest(spans: &[Span], out: &mut Output) -> Result<(), Failure> {
    let is_slow =
        |span: &&Span| span.kind == Kind::Tool && span.duration.is_some_and(|lasted| !lasted.is_zero());
    let mut slowest: Vec<&Span> = spans.iter().filter(is_slow).collect();
    if slowest.len() <= SLOWEST_MAX {
        // They all stand above.
        return Ok(());
    }
    slowest.sort_by_key(|span| (Reverse(span.duration), span.seq_start));
    out.line("")?;
    out.line(&out.paint(Style::Heading, "Slowest calls"))?;
    for span in slowest.into_iter().take(SLOWEST_MAX) {
        let took = duration(span.duration.unwrap_or_default());
        let what = format!("{}  {}", escape(&span.name), escape(&span.detail));
        let room = out.columns().unwrap_or(usize::MAX).saturating_sub(12);
        out.line(&format!("  {took:>8}  {}", cut(what.trim_end(), room)))?;
    }
    Ok(())
}

fn note(text: &str, out: &mut Output) -> Result<(), Failure> {
    let text = cut(text, out.columns().unwrap_or(usize::MAX)).into_owned();
    out.line(&out.paint(Style::Faint, &text))
}
