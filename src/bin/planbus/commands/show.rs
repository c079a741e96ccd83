//! `planbus show PLAN`: one plan with its subplans, what was decided and what failed.

use std::collections::HashMap;

use planbus::{EventStore, EventType, PlanId, PlanQuery, PlanTree};

use super::open;
use crate::{
    agent_runtime::units::{counted, duration},
    cli::{Form, Global, ShowOptions},
    describe,
    failure::{Exit, Failure},
    fields::{self, Fields},
    output::Output,
    plan_view::{self, preorder},
    style::Style,
    table::{Cell, Column, Table, cell},
    text::{cut, cut_start, escape},
    timeline,
};

/// How many decisions and how many failures are listed.
const LISTED_MAX: usize = 15;
/// How many plans are looked at for one that was meant.
const SUGGESTIONS_FROM: usize = 2_000;
/// How many plans are suggested.
const SUGGESTIONS_MAX: usize = 3;
/// The most columns of a terminal that a plan's id takes in a list.
const PLAN_COLUMNS: usize = 30;

/// Runs the command.
pub(crate) fn run(options: &ShowOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let store = open(global)?;
    if store.plan(&options.plan)?.is_none() {
        return Err(unknown(&store, &options.plan)?);
    }
    match (options.timeline, out.form(Form::Tree)) {
        (true, Form::Json) => return timeline::write_json(&store, &options.plan, out),
        (true, Form::Tree | Form::Table) => return timeline::write(&store, &options.plan, out),
        (false, _) => {}
    }
    match out.form(Form::Tree) {
        Form::Tree => write_tree(&store, &options.plan, out),
        Form::Table => write_table(&store.plan_tree(&options.plan)?, out),
        Form::Json => out.json(&plan_view::to_json(&store.plan_tree(&options.plan)?)?),
    }
}

/// Writes a plan's tree with what was decided and what failed.
pub(super) fn write_tree(store: &EventStore, plan: &PlanId, out: &mut Output) -> Result<(), Failure> {
    let tree = store.plan_tree(plan)?;
    if let Some(goal) = &tree.plan.goal {
        out.line(&out.paint(Style::Heading, &escape(goal)))?;
    }
    plan_view::write_tree(&tree, out)?;
    let plans = preorder(&tree);
    let sum = |count: fn(&PlanTree) -> u64| plans.iter().map(|(_, tree)| count(tree)).sum::<u64>();
    let (decisions, failures) = (sum(|tree| tree.plan.decisions), sum(|tree| tree.plan.failed_tool_calls));
    out.line("")?;
    out.line(&format!(
        "{}, {}, {} ({failures} failed), {}, {}",
        counted(plans.len() as u64, "plan"),
        counted(sum(|tree| tree.plan.events), "event"),
        counted(sum(|tree| tree.plan.tool_calls), "tool call"),
        counted(decisions, "decision"),
        duration(plan_view::lasted(&tree.plan)),
    ))?;
    let mut lists = Lists::default();
    for (_, tree) in &plans {
        if lists.is_full() {
            break;
        }
        if tree.plan.decisions > 0 || tree.plan.failed_tool_calls > 0 {
            lists.add(store, &tree.plan.plan_id)?;
        }
    }
    let root = tree.plan.plan_id.as_str();
    write_list("Failed tools", &lists.failures, failures, root, out)?;
    write_list("Decisions", &lists.decisions, decisions, root, out)
}

/// What was decided and what failed, with the plan where it was.
#[derive(Default)]
struct Lists {
    decisions: Vec<(PlanId, String)>,
    failures: Vec<(PlanId, String)>,
}

impl Lists {
    fn is_full(&self) -> bool {
        self.decisions.len() >= LISTED_MAX && self.failures.len() >= LISTED_MAX
    }

    fn add(&mut self, store: &EventStore, plan: &PlanId) -> Result<(), Failure> {
        let types = [EventType::DecisionMade, EventType::ToolCalled, EventType::ToolCompleted];
        let mut arguments = HashMap::new();
        for event in store.list_by_plan(plan, Some(&types))? {
            let fields = Fields::of(&event);
            match event.event_type() {
                EventType::DecisionMade => self.decisions.push((plan.clone(), describe::event(&event))),
                EventType::ToolCalled => {
                    let given = describe::arguments(&event);
                    arguments.extend(fields.text("call_id").map(|call_id| (call_id, given)));
                }
                _ if fields.flag("ok") == Some(false) => {
                    let tool = fields.text("tool").unwrap_or_default();
                    let error = fields.words(fields::ERROR).unwrap_or_else(|| "failed".to_owned());
                    let given = fields.text("call_id").and_then(|call_id| arguments.remove(&call_id));
                    let given = given.unwrap_or_default();
                    self.failures.push((plan.clone(), format!("{tool}: {error}  {given}")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn write_list(
    head: &str,
    listed: &[(PlanId, String)],
    total: u64,
    root: &str,
    out: &mut Output,
) -> Result<(), Failure> {
    if listed.is_empty() {
        return Ok(());
    }
    out.line("")?;
    out.line(&out.paint(Style::Heading, head))?;
    for (plan, what) in listed.iter().take(LISTED_MAX) {
        let id = plan.as_str();
        let id = id.strip_prefix(root).and_then(|id| id.strip_prefix('/')).unwrap_or(id);
        let columns = if out.columns().is_some() { PLAN_COLUMNS } else { usize::MAX };
        let id = cut_start(&escape(id), columns).into_owned();
        let what = escape(what);
        let room = out.columns().unwrap_or(usize::MAX).saturating_sub(crate::text::width(&id) + 4);
        out.line(&format!("  {}  {}", out.paint(Style::Faint, &id), cut(&what, room)))?;
    }
    let more = total.saturating_sub(listed.len().min(LISTED_MAX) as u64);
    if more > 0 {
        out.line(&out.paint(Style::Faint, &format!("  and {more} more")))?;
    }
    Ok(())
}

fn write_table(tree: &PlanTree, out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("STATUS", Column::Left),
        ("DURATION", Column::Right),
        ("EVENTS", Column::Right),
        ("TOOLS", Column::Right),
        ("FAILED", Column::Right),
        ("DECISIONS", Column::Right),
        ("SUBPLANS", Column::Right),
        ("PLAN", Column::Left),
    ];
    let rows: Vec<Vec<Cell>> = preorder(tree)
        .into_iter()
        .map(|(_, tree)| {
            let plan = &tree.plan;
            let numbers =
                [plan.events, plan.tool_calls, plan.failed_tool_calls, plan.decisions, plan.subplans];
            let mut row =
                vec![(plan.status.into(), plan.status.to_string()), cell(duration(plan_view::lasted(plan)))];
            row.extend(numbers.map(|number| cell(number.to_string())));
            row.push(cell(plan.plan_id.to_string()));
            row
        })
        .collect();
    let mut table = Table::new(&heads);
    table.fit(&rows, out);
    table.write_head(out)?;
    rows.iter().try_for_each(|row| table.write(row, out))
}

/// Says that there is no such plan, and which one may have been meant.
pub(super) fn unknown(store: &EventStore, plan: &PlanId) -> Result<Failure, Failure> {
    let wanted = plan.as_str().to_lowercase();
    let newest = store.plans(PlanQuery::new().limit(SUGGESTIONS_FROM))?;
    let mut near: Vec<String> = newest
        .into_iter()
        .map(|plan| plan.plan_id.to_string())
        .filter(|id| {
            let id = id.to_lowercase();
            id.contains(&wanted) || wanted.starts_with(&id)
        })
        .collect();
    // The shortest is the outermost.
    near.sort_by_key(String::len);
    near.truncate(SUGGESTIONS_MAX);
    let failure =
        Failure::new(Exit::NotFound, format!("plan {plan}: not in the log for tenant {}", store.tenant()));
    Ok(match near.is_empty() {
        true => failure.hint("`planbus plans` lists those that are"),
        false => failure.hint(&format!("did you mean {}?", escape(&near.join(" or ")))),
    })
}
