//! What is running, as the events tell, and how that looks in so many lines and columns.
//!
//! Pure: it neither draws nor asks for the time. It holds the plans that are open, never those that
//! have ended, so its size is bounded by what runs at once.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use planbus::{DecisionMade, Event, EventType, Payload, PlanId, PlanStarted, ToolCalled, ToolCompleted};

use crate::{
    agent_runtime::units::{counted, duration, number},
    style::{Painter, Style},
    text::{cut, escape, width},
};

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How long each picture of the spinner stands.
const SPIN: Duration = Duration::from_millis(80);
/// The most columns that a plan's name takes.
const NAME_COLUMNS: usize = 40;
/// Deeper plans are indented no further.
const INDENT_MAX: usize = 12;

/// The open plans of a run, and sums over all.
pub(super) struct Model {
    begun: Instant,
    plans: HashMap<PlanId, Node>,
    root: Option<PlanId>,
    events: u64,
    ended: u64,
    failed_plans: u64,
    tools: u64,
    failed_tools: u64,
    decisions: u64,
}

/// A plan that is open.
struct Node {
    name: String,
    parent: Option<PlanId>,
    begun: Instant,
    /// Calls that have not returned, by their ids, the newest last.
    calls: Vec<(String, String)>,
    tools: u64,
    failed_tools: u64,
    /// Subplans that are open, in the order of their start.
    children: Vec<PlanId>,
    ended_children: u64,
}

impl Model {
    pub(super) fn new(begun: Instant) -> Self {
        Self {
            begun,
            plans: HashMap::new(),
            root: None,
            events: 0,
            ended: 0,
            failed_plans: 0,
            tools: 0,
            failed_tools: 0,
            decisions: 0,
        }
    }

    /// Takes in what happened.
    pub(super) fn apply(&mut self, event: &Event, now: Instant) {
        self.events += 1;
        let plan = event.plan_id();
        match event.event_type() {
            EventType::PlanStarted => {
                if let Some(started) = typed::<PlanStarted>(event) {
                    self.start(plan, &started, now);
                }
            }
            EventType::PlanCompleted => self.end(plan, false),
            EventType::PlanFailed => self.end(plan, true),
            EventType::DecisionMade if typed::<DecisionMade>(event).is_some() => self.decisions += 1,
            EventType::ToolCalled => {
                if let Some(call) = typed::<ToolCalled>(event) {
                    self.tools += 1;
                    if let Some(node) = self.plans.get_mut(plan) {
                        node.tools += 1;
                        node.calls.push((call.call_id.clone(), in_short(&call)));
                    }
                }
            }
            EventType::ToolCompleted => {
                if let Some(done) = typed::<ToolCompleted>(event) {
                    let failed = u64::from(!done.ok);
                    self.failed_tools += failed;
                    if let Some(node) = self.plans.get_mut(plan) {
                        node.failed_tools += failed;
                        node.calls.retain(|(call_id, _)| *call_id != done.call_id);
                    }
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, plan: &PlanId, started: &PlanStarted, now: Instant) {
        let parent = started.parent.as_deref().and_then(|parent| PlanId::try_from(parent).ok());
        let parent = parent.filter(|parent| self.plans.contains_key(parent));
        let id = plan.as_str();
        let name = match &parent {
            Some(parent) => {
                id.strip_prefix(parent.as_str()).and_then(|name| name.strip_prefix('/')).unwrap_or(id)
            }
            None => started.goal.as_deref().unwrap_or(id),
        };
        let node = Node {
            name: escape(name).into_owned(),
            parent: parent.clone(),
            begun: now,
            calls: Vec::new(),
            tools: 0,
            failed_tools: 0,
            children: Vec::new(),
            ended_children: 0,
        };
        self.plans.insert(plan.clone(), node);
        match parent.and_then(|parent| self.plans.get_mut(&parent)) {
            Some(parent) => parent.children.push(plan.clone()),
            None => self.root = Some(plan.clone()),
        }
    }

    fn end(&mut self, plan: &PlanId, has_failed: bool) {
        self.ended += 1;
        self.failed_plans += u64::from(has_failed);
        let ended = self.plans.remove(plan);
        if let Some(parent) =
            ended.and_then(|node| node.parent).and_then(|parent| self.plans.get_mut(&parent))
        {
            parent.children.retain(|child| child != plan);
            parent.ended_children += 1;
        }
    }

    /// The picture at `now`, in at most so many columns, and one row fewer than the terminal has:
    /// the cursor rests on the last.
    pub(super) fn frame(&self, columns: usize, rows: usize, now: Instant, painter: Painter) -> String {
        // A line that fills the last column makes some terminals begin the next one.
        let columns = columns.saturating_sub(1);
        let room = rows.saturating_sub(3).max(1);
        let since = now.saturating_duration_since(self.begun);
        let spinner = SPINNER[(since.as_millis() / SPIN.as_millis()) as usize % SPINNER.len()];
        let mut lines = Vec::new();
        let mut open: Vec<(usize, &PlanId)> = self.root.iter().map(|root| (0, root)).collect();
        while let Some((depth, plan)) = open.pop() {
            let Some(node) = self.plans.get(plan) else { continue };
            if lines.len() == room {
                break;
            }
            lines.push(node.line(depth, spinner, columns, now, painter));
            open.extend(node.children.iter().rev().map(|child| (depth + 1, child)));
        }
        let hidden = self.plans.len().saturating_sub(lines.len());
        if hidden > 0 {
            lines.push(painter.paint(Style::Faint, &cut(&format!("  … and {hidden} more running"), columns)));
        }
        lines.push(painter.paint(Style::Heading, &cut(&self.sums(since), columns)));
        lines.join("\n")
    }

    fn sums(&self, since: Duration) -> String {
        let rate = (self.events as f64 / since.as_secs_f64().max(0.001)) as u64;
        format!(
            "{}  {} running, {} done, {} failed  {} ({} failed)  {}  {} ({}/s)",
            duration(Duration::from_millis(since.as_millis() as u64 / 100 * 100)),
            number(self.plans.len() as u64),
            number(self.ended - self.failed_plans),
            number(self.failed_plans),
            counted(self.tools, "tool call"),
            number(self.failed_tools),
            counted(self.decisions, "decision"),
            counted(self.events, "event"),
            number(rate),
        )
    }
}

impl Node {
    fn line(&self, depth: usize, spinner: &str, columns: usize, now: Instant, painter: Painter) -> String {
        let indent = "  ".repeat(depth.min(INDENT_MAX));
        let name = cut(&self.name, NAME_COLUMNS);
        let mut facts = vec![duration(now.saturating_duration_since(self.begun))];
        if self.tools > 0 {
            facts.push(counted(self.tools, "tool call"));
        }
        if self.failed_tools > 0 {
            facts.push(format!("{} failed", number(self.failed_tools)));
        }
        if self.ended_children > 0 {
            facts.push(format!("{} done", counted(self.ended_children, "subplan")));
        }
        let call = self.calls.last().map(|(_, call)| format!("  {call}")).unwrap_or_default();
        // Cut from the left to the right, so that every part knows what room is left.
        let mut room = columns;
        let mut take = |text: &str| {
            let shown = cut(text, room).into_owned();
            room = room.saturating_sub(width(&shown));
            shown
        };
        let parts = [
            (Style::Started, take(&format!("{indent}{spinner} "))),
            (Style::Plain, take(&name)),
            (Style::Faint, take(&format!("  {}", facts.join(", ")))),
            (Style::Tool, take(&call)),
        ];
        parts.iter().map(|(style, text)| painter.paint(*style, text)).collect()
    }
}

fn typed<P: Payload>(event: &Event) -> Option<std::borrow::Cow<'_, P>> {
    event.payload::<P>().ok()
}

/// A call's tool, and the name of what it works on: where that is, the plan above tells.
fn in_short(call: &ToolCalled) -> String {
    let path = call.arguments.get("path").and_then(|path| path.as_str()).unwrap_or_default();
    let path = path.rsplit('/').next().unwrap_or(path);
    escape(format!("{} {path}", call.tool).trim_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use planbus::{Event, PlanCompleted, ToolCalled};
    use serde_json::json;

    use super::*;

    fn started(plan: &str, parent: &str) -> Event {
        let mut payload = PlanStarted::new("survey \u{1b}[2J");
        payload.parent = Some(parent.to_owned());
        Event::new(plan, payload)
    }

    #[test]
    fn a_frame_fits_the_terminal_and_tells_how_much_it_leaves_out() {
        let now = Instant::now();
        let mut model = Model::new(now);
        model.apply(&Event::new("root", PlanStarted::new("survey \u{1b}[2J")), now);
        for plan in 0..100 {
            let id = format!("root/{plan} {}", "long ".repeat(30));
            model.apply(&started(&id, "root"), now);
            let call = ToolCalled::new("call-1", "read_file", json!({"path": "a/b\u{202e}.txt"}));
            model.apply(&Event::new(id.as_str(), call), now);
        }
        for (columns, rows) in [(60, 10), (200, 50), (20, 5), (1, 1), (0, 0)] {
            let frame = model.frame(columns, rows, now, Painter::new(false));
            let lines: Vec<&str> = frame.lines().collect();
            assert!(lines.len() < rows.max(4), "{columns}x{rows}: {} lines", lines.len());
            assert!(lines.iter().all(|line| width(line) < columns.max(2)), "{columns}x{rows}:\n{frame}");
            assert!(!frame.contains(['\u{1b}', '\u{202e}']), "{frame:?}");
        }
        assert!(model.frame(60, 10, now, Painter::new(false)).contains("… and 94 more running"));
    }

    #[test]
    fn ended_plans_leave_the_tree_and_are_counted() {
        let now = Instant::now();
        let mut model = Model::new(now);
        model.apply(&Event::new("root", PlanStarted::new("survey")), now);
        model.apply(&started("root/a", "root"), now);
        model.apply(&Event::new("root/a", PlanCompleted::new()), now);
        let frame = model.frame(80, 24, now, Painter::new(false));
        assert!(frame.contains("1 subplan done") && frame.contains("1 running, 1 done, 0 failed"), "{frame}");
        assert_eq!(frame.lines().count(), 2);
    }
}
