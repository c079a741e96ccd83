//! How plans look: as JSON, as a line, as a tree.

use std::time::Duration;

use planbus::{PlanStatus, PlanSummary, PlanTree, Timestamp};
use serde::Serialize;

use crate::{
    agent_runtime::units::{counted, duration},
    failure::{Exit, Failure},
    output::Output,
    style::{self, Style},
    text::escape,
};

/// A plan, or a tree of plans, as a JSON object.
pub(crate) fn to_json(plan: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(plan).map_err(|cause| Failure::of(Exit::Failed, "write a plan as JSON", &cause))
}

/// How long a plan took, or has taken so far.
pub(crate) fn lasted(plan: &PlanSummary) -> Duration {
    plan.duration.unwrap_or_else(|| Timestamp::now().duration_since(plan.started_at))
}

/// Plans of a tree with their depth, each before its subplans.
pub(crate) fn preorder(tree: &PlanTree) -> Vec<(usize, &PlanTree)> {
    let mut plans = Vec::new();
    let mut open = vec![(0, tree)];
    while let Some((depth, tree)) = open.pop() {
        plans.push((depth, tree));
        open.extend(tree.children.iter().rev().map(|child| (depth + 1, child)));
    }
    plans
}

/// Writes a tree, one plan a line.
pub(crate) fn write_tree(tree: &PlanTree, out: &mut Output) -> Result<(), Failure> {
    // What stands before the children of each open plan, and the plans that are still to come.
    let mut open = vec![(tree, String::new(), String::new(), None)];
    while let Some((tree, branch, indent, parent)) = open.pop() {
        write_line(tree, &branch, parent, out)?;
        if tree.is_cut {
            let more = out.paint(Style::Faint, "… more than a tree shows");
            out.line(&format!("{indent}└─ {more}"))?;
        }
        let last = tree.children.len().saturating_sub(1);
        for (at, child) in tree.children.iter().enumerate().rev() {
            let (branch, below) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let id = Some(tree.plan.plan_id.as_str());
            open.push((child, format!("{indent}{branch}"), format!("{indent}{below}"), id));
        }
    }
    Ok(())
}

fn write_line(tree: &PlanTree, branch: &str, parent: Option<&str>, out: &mut Output) -> Result<(), Failure> {
    let plan = &tree.plan;
    let id = plan.plan_id.as_str();
    // Most ids repeat their parent's, which stands above.
    let name = parent.and_then(|parent| id.strip_prefix(parent)?.strip_prefix('/')).unwrap_or(id);
    let mark = style::mark(plan.status);
    let mut facts = vec![duration(lasted(plan))];
    if plan.tool_calls > 0 {
        facts.push(counted(plan.tool_calls, "tool call"));
    }
    if plan.decisions > 0 {
        facts.push(counted(plan.decisions, "decision"));
    }
    if plan.status == PlanStatus::Running {
        facts.insert(0, "running".to_owned());
    }
    let failed = match plan.failed_tool_calls {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let error = plan.error.as_deref().map(|error| format!("  {}", escape(error))).unwrap_or_default();
    let line = [
        (Style::Faint, branch.to_owned()),
        (Style::from(plan.status), format!("{mark} ")),
        (Style::Plain, escape(name).into_owned()),
        (Style::Faint, format!("  {}", facts.join(", "))),
        (Style::Bad, failed),
        (Style::Bad, error),
    ];
    out.line(&out.line_of(&line))
}
