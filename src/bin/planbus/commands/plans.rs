//! `planbus plans`: lists plans, the newest first.

use planbus::{EventStore, PlanQuery, PlanSummary};

use super::open;
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
    let heads = [
        ("STARTED (UTC)", Column::Left),
        ("STATUS", Column::Left),
        ("DURATION", Column::Right),
        ("EVENTS", Column::Right),
        ("TOOLS", Column::Right),
        ("FAILED", Column::Right),
        ("PLAN", Column::End(PLAN_SHARE)),
        ("GOAL", Column::Left),
    ];
    let mut table = Table::new(&heads);
    let mut is_first = true;
    each_page(&store, query, last, |plans| match form {
        Form::Json => plans
            .iter()
            .try_for_each(|plan| out.json(&plan_view::to_json(plan, &global.tenant()).to_string())),
        Form::Tree => {
            plans.iter().try_for_each(|plan| plan_view::write_tree(&store.plan_tree(&plan.plan_id)?, out))
        }
        Form::Table => {
            let rows: Vec<_> = plans.iter().map(row).collect();
            table.fit(&rows, out);
            if std::mem::take(&mut is_first) {
                table.write_head(out)?;
            }
            rows.iter().try_for_each(|row| table.write(row, out))
        }
    })
}

/// Hands on the newest `last` plans, page by page; at least one page, if only an empty one.
fn each_page(
    store: &EventStore,
    query: PlanQuery,
    last: usize,
    mut take: impl FnMut(&[PlanSummary]) -> Result<(), Failure>,
) -> Result<(), Failure> {
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
            _ => return Ok(()),
        }
    }
}

fn row(plan: &PlanSummary) -> Vec<Cell> {
    let failed = if plan.failed_tool_calls > 0 { Style::Bad } else { Style::Faint };
    let started = plan.started_at.to_string();
    let why = plan.error.as_deref().or(plan.goal.as_deref()).unwrap_or_default();
    vec![
        (Style::Faint, started.get(..19).unwrap_or_default().replace('T', " ")),
        (plan.status.into(), plan.status.to_string()),
        cell(duration(plan_view::lasted(plan))),
        cell(plan.events.to_string()),
        cell(plan.tool_calls.to_string()),
        (failed, plan.failed_tool_calls.to_string()),
        cell(plan.plan_id.to_string()),
        cell(why),
    ]
}
