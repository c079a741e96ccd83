//! `planbus plans`: lists plans, the newest first.

use planbus::{EventStore, PlanQuery, PlanSummary};

use super::{note_nothing, open};
use crate::{
    agent_runtime::units::duration,
    cli::{Form, Global, PlansOptions},
    failure::Failure,
    output::Output,
    plan_view,
    style::Style,
    table::{Cell, Column, Table, cell},
    terminal,
};

/// How many plans are shown on a terminal unless the user says.
const LAST_DEFAULT: usize = 50;
/// How many plans are read at once.
const PAGE_PLANS: usize = 500;
/// The part of a terminal's columns that a plan's id takes at most: one of so many.
const PLAN_SHARE: usize = 3;
/// The columns, each with the narrowest terminal that has it.
const COLUMNS: [(&str, Column, usize); 8] = [
    ("STARTED (UTC)", Column::Left, 60),
    ("STATUS", Column::Left, 0),
    ("DURATION", Column::Right, 40),
    ("EVENTS", Column::Right, 120),
    ("TOOLS", Column::Right, 110),
    ("FAILED", Column::Right, 110),
    ("PLAN", Column::End(PLAN_SHARE), 0),
    ("GOAL", Column::Left, 72),
];
/// The narrowest terminal that has the seconds of a plan's start.
const SECONDS_FROM: usize = 100;

/// Runs the command.
pub(crate) fn run(options: &PlansOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let store = open(global)?;
    let form = out.form(Form::Table);
    let by_default = if terminal::is_stdout() { LAST_DEFAULT } else { usize::MAX };
    let last = options.last.map_or(by_default, |last| last as usize);
    let mut query = PlanQuery::new();
    if let Some(status) = options.status {
        query = query.status(status);
    }
    // A tree shows every subplan below its root.
    if options.roots || form == Form::Tree {
        query = query.roots_only();
    }
    let shown = COLUMNS.map(|(_, _, least)| out.columns().is_none_or(|columns| columns >= least));
    let heads = COLUMNS.map(|(head, column, _)| (head, column));
    let mut table = Table::new(&only(heads, shown));
    let mut is_first = true;
    let listed = each_page(&store, query, last, |plans| match form {
        Form::Json => plans.iter().try_for_each(|plan| out.json(&plan_view::to_json(plan)?)),
        Form::Tree => {
            plans.iter().try_for_each(|plan| plan_view::write_tree(&store.plan_tree(&plan.plan_id)?, out))
        }
        Form::Table => {
            let with_seconds = out.columns().is_none_or(|columns| columns >= SECONDS_FROM);
            let rows: Vec<_> = plans.iter().map(|plan| only(row(plan, with_seconds), shown)).collect();
            table.fit(&rows, out);
            if std::mem::take(&mut is_first) {
                table.write_head(out)?;
            }
            rows.iter().try_for_each(|row| table.write(row, out))
        }
    })?;
    if listed == 0 {
        out.flush()?;
        note_nothing("plan", global);
    }
    Ok(())
}

/// Hands on the newest `last` plans, page by page, and says how many there were; at least one page,
/// if only an empty one.
fn each_page(
    store: &EventStore,
    query: PlanQuery,
    last: usize,
    mut take: impl FnMut(&[PlanSummary]) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let mut left = last;
    let mut page_query = query.clone();
    loop {
        let wanted = left.min(PAGE_PLANS);
        let plans = store.plans(page_query.limit(wanted))?;
        take(&plans)?;
        left -= plans.len();
        match plans.last() {
            Some(plan) if plans.len() == wanted && left > 0 => {
                page_query = query.clone().before(plan.first_seq)
            }
            _ => return Ok(last - left),
        }
    }
}

/// What stands in the columns that are shown.
fn only<T, const N: usize>(all: [T; N], shown: [bool; N]) -> Vec<T> {
    all.into_iter().zip(shown).filter_map(|(one, shown)| shown.then_some(one)).collect()
}

fn row(plan: &PlanSummary, with_seconds: bool) -> [Cell; COLUMNS.len()] {
    let failed = if plan.failed_tool_calls > 0 { Style::Bad } else { Style::Faint };
    let started = plan.started_at.to_string();
    let started = started.get(..if with_seconds { 19 } else { 16 }).unwrap_or_default().replace('T', " ");
    let why = plan.error.as_deref().or(plan.goal.as_deref()).unwrap_or_default();
    [
        (Style::Faint, started),
        (plan.status.into(), plan.status.to_string()),
        cell(duration(plan_view::lasted(plan))),
        cell(plan.events.to_string()),
        cell(plan.tool_calls.to_string()),
        (failed, plan.failed_tool_calls.to_string()),
        cell(plan.plan_id.to_string()),
        cell(why),
    ]
}
