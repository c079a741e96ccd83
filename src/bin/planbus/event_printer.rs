//! Events as rows of a table, indented by plan, or as JSON.

use std::collections::HashMap;

use planbus::{Event, EventStore, EventType, PlanId, PlanStarted, Timestamp};

use crate::{
    cli::Form,
    describe,
    failure::Failure,
    output::Output,
    style::Style,
    table::{Cell, Column, Table, cell},
};

/// The part of a terminal's columns that a plan's id takes at most: one of so many.
const PLAN_SHARE: usize = 4;
/// A plan that is nested deeper is indented no further.
const INDENT_MAX: usize = 24;

/// Writes events in one of the forms.
pub(crate) struct Printer {
    form: Form,
    table: Table,
    is_begun: bool,
    /// How many were written.
    pub(crate) printed: u64,
    /// The year for which no row needs to name it.
    year: String,
    store: EventStore,
    /// How deep each plan is nested, as far as it was asked.
    depths: HashMap<PlanId, usize>,
}

impl Printer {
    pub(crate) fn new(form: Form, store: &EventStore) -> Self {
        let heads = [
            ("SEQ", Column::Right),
            ("TIME (UTC)", Column::Right),
            ("TYPE", Column::Left),
            ("PLAN", Column::End(PLAN_SHARE)),
            ("WHAT", Column::Left),
        ];
        let table = Table::new(&heads).at_least(&[6, 18, 16, 0, 0]);
        let year = year(&Timestamp::now().to_string()).to_owned();
        Self { form, table, is_begun: false, printed: 0, year, store: store.clone(), depths: HashMap::new() }
    }

    /// Writes the table's head, once, and as wide as the first rows need.
    pub(crate) fn begin(&mut self, out: &mut Output) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_begun, true) || self.form == Form::Json {
            return Ok(());
        }
        self.table.write_head(out)
    }

    /// Writes events that were read together; the columns widen for them.
    pub(crate) fn write_all(&mut self, events: &[Event], out: &mut Output) -> Result<(), Failure> {
        if self.form == Form::Json {
            return events.iter().try_for_each(|event| self.write(event, out));
        }
        let rows = events.iter().map(|event| self.row(event)).collect::<Result<Vec<_>, _>>()?;
        self.table.fit(&rows, out);
        self.begin(out)?;
        self.printed += rows.len() as u64;
        rows.iter().try_for_each(|row| self.table.write(row, out))
    }

    /// Writes an event as it comes; the columns stay as they are.
    pub(crate) fn write(&mut self, event: &Event, out: &mut Output) -> Result<(), Failure> {
        self.printed += 1;
        match self.form {
            Form::Json => out.json(&event.to_json()?),
            Form::Table | Form::Tree => {
                let row = self.row(event)?;
                self.table.write(&row, out)
            }
        }
    }

    fn row(&mut self, event: &Event) -> Result<Vec<Cell>, Failure> {
        let plan = match self.form {
            Form::Tree => {
                let depth = self.depth(event)?.min(INDENT_MAX);
                let id = event.plan_id().as_str();
                let name = if depth == 0 { id } else { id.rsplit('/').next().unwrap_or(id) };
                format!("{}{name}", "  ".repeat(depth))
            }
            Form::Table | Form::Json => event.plan_id().to_string(),
        };
        let event_type = event.event_type();
        let style = match event_type {
            EventType::ToolCompleted if event.payload().is_ok_and(|tool: Completed<'_>| !tool.ok) => {
                Style::Bad
            }
            other => Style::from(other),
        };
        Ok(vec![
            (Style::Faint, event.seq().map(|seq| seq.to_string()).unwrap_or_default()),
            (Style::Faint, self.short_time(event.timestamp())),
            (style, event_type.to_string()),
            cell(plan),
            cell(describe::event(event)),
        ])
    }

    /// The time without the year, unless it is another than this one, and without the microseconds:
    /// both are in the JSON.
    fn short_time(&self, time: Timestamp) -> String {
        let text = time.to_string();
        let begin = if year(&text) == self.year { 5 } else { 0 };
        format!("{} {}", text.get(begin..10).unwrap_or_default(), text.get(11..23).unwrap_or_default())
    }

    /// How many plans are above the event's, as far as the log knows.
    fn depth(&mut self, event: &Event) -> Result<usize, Failure> {
        let parent_of_start = || {
            let started =
                (event.event_type() == &EventType::PlanStarted).then(|| event.payload::<PlanStarted>());
            started.and_then(Result::ok).and_then(|plan| PlanId::try_from(plan.parent.as_deref()?).ok())
        };
        let mut above = Vec::new();
        let mut next = Some(event.plan_id().clone());
        let mut depth = 0;
        // Recorded parents may go round in circles.
        while let Some(plan) = next.take().filter(|plan| !above.contains(plan)) {
            if let Some(known) = self.depths.get(&plan) {
                depth = known + 1;
                break;
            }
            next = match parent_of_start().filter(|_| above.is_empty()) {
                Some(parent) => Some(parent),
                None => self.store.plan(&plan)?.and_then(|plan| plan.parent),
            };
            above.push(plan);
        }
        if above.is_empty() {
            return Ok(depth - 1);
        }
        for plan in above.into_iter().rev() {
            self.depths.insert(plan, depth);
            depth += 1;
        }
        Ok(depth - 1)
    }
}

/// A completed tool call.
type Completed<'a> = std::borrow::Cow<'a, planbus::ToolCompleted>;

/// The year of a time as it is printed.
fn year(time: &str) -> &str {
    time.get(..4).unwrap_or_default()
}
