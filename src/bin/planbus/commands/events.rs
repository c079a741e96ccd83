//! `planbus events`: lists events in the order of the log, and follows it.
//!
//! Reads in pages and keeps none, so that a log of any size can go through a pipe. What it prints
//! has no gap and no repetition between the past and what follows.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use planbus::{
    Event, EventQuery, EventStore, EventType, Filter, PlanId, PlanStarted, Timestamp, TypePattern,
};

use super::{check_times, note_nothing, open, stream_events};
use crate::{
    cli::{EventsOptions, Form, Global},
    describe,
    failure::{Exit, Failure},
    family::PlanEnd,
    follow::Follow,
    interrupt,
    output::Output,
    style::Style,
    table::{Cell, Column, Table, cell},
    terminal,
};

/// How many events are shown on a terminal unless the user says.
pub(super) const LAST_DEFAULT: u64 = 50;
/// How many events are read at once.
const PAGE_EVENTS: usize = 1_000;
/// How long a wait for new events lasts before Ctrl-C is looked at again.
pub(super) const WAIT: Duration = Duration::from_millis(100);
/// The part of a terminal's columns that a plan's id takes at most: one of so many.
const PLAN_SHARE: usize = 4;
/// A plan that is nested deeper is indented no further.
const INDENT_MAX: usize = 24;

/// Runs the command.
pub(crate) fn run(options: &EventsOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    check_times(options.since, options.until)?;
    if let Some(endpoint) = options.redis.endpoint()? {
        return stream_events::run(options, endpoint, global, out);
    }
    let store = open(global)?;
    let stop = options.follow.then(interrupt::flag).transpose()?;
    // What is committed from here on belongs to the tail.
    let head = store.head()?;
    check(options, &store, head)?;
    let bounded = options.after.is_some() || options.since.is_some() || options.until.is_some();
    let by_default = (terminal::is_stdout() && !bounded).then_some(LAST_DEFAULT);
    let mut printer = Printer::new(out.form(Form::Table), &store);
    let past = query(options).before(head + 1);
    match options.last.or(by_default) {
        Some(0) => {}
        Some(last) => {
            let mut events = store.query(past.newest_first().limit(last as usize))?;
            events.reverse();
            printer.write_all(&events, out)?;
        }
        None => {
            let mut page = past.limit(PAGE_EVENTS);
            loop {
                let events = store.query(page.clone())?;
                printer.write_all(&events, out)?;
                match events.last().and_then(Event::seq) {
                    Some(seq) if events.len() == PAGE_EVENTS => page = page.after(seq),
                    _ => break,
                }
            }
        }
    }
    printer.begin(out)?;
    match stop {
        Some(stop) => {
            let tail = Follow::after(head, followed(options, global), &store, global)?;
            follow(options, tail, &stop, &mut printer, out)
        }
        None => {
            if printer.printed == 0 && options.last != Some(0) {
                out.flush()?;
                note_nothing("event", global);
            }
            Ok(())
        }
    }
}

/// Refuses what can match nothing, now or later.
fn check(options: &EventsOptions, store: &EventStore, head: u64) -> Result<(), Failure> {
    if let Some(after) = options.after.filter(|after| *after > head) {
        return Err(Failure::new(Exit::Usage, format!("--after {after}: the log ends at {head}")));
    }
    if let Some(plan) = options.plan.as_ref().filter(|_| !options.follow)
        && store.query(EventQuery::new().plan(plan).limit(1))?.is_empty()
    {
        return Err(super::show::unknown(store, plan)?);
    }
    Ok(())
}

fn query(options: &EventsOptions) -> EventQuery {
    let mut query = EventQuery::new();
    if !options.types.is_empty() {
        query = query.types(options.types.iter().cloned());
    }
    if let Some(plan) = &options.plan {
        query = query.plan(plan);
    }
    if let Some(since) = options.since {
        query = query.since(since);
    }
    if let Some(until) = options.until {
        query = query.until(until);
    }
    if let Some(text) = &options.grep {
        query = query.text(text);
    }
    if let Some(source) = &options.source {
        query = query.source(source);
    }
    if let Some(correlation) = &options.correlation {
        query = query.correlation_id(correlation);
    }
    if let Some(after) = options.after {
        query = query.after(after);
    }
    query
}

fn follow(
    options: &EventsOptions,
    mut follow: Follow<'_>,
    stop: &AtomicBool,
    printer: &mut Printer,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut awaited = Awaited::new(options, &printer.store)?;
    out.flush()?;
    let mut wait = WAIT;
    while !stop.load(Ordering::Relaxed) {
        match follow.next(wait)? {
            Some(event) => {
                awaited.take(&event);
                if is_told(options, &event) && is_wanted(options, &event)? {
                    printer.write(&event, out)?;
                }
                // What waits already is written before the lines are handed on.
                wait = Duration::ZERO;
            }
            // While nothing comes there is no write that would tell that nobody reads.
            None if terminal::is_stdout_closed() => return Ok(()),
            // Everything that the log holds was read: no later start stands in it.
            None if awaited.has_come() => break,
            None => {
                out.flush()?;
                wait = WAIT;
            }
        }
    }
    awaited.outcome()
}

/// The plan whose end is waited for, if any is.
struct Awaited<'a>(Option<(&'a PlanId, PlanEnd)>);

impl<'a> Awaited<'a> {
    fn new(options: &'a EventsOptions, store: &EventStore) -> Result<Self, Failure> {
        let Some(plan) = options.plan.as_ref().filter(|_| options.until_end) else { return Ok(Self(None)) };
        let end = store.plan(plan)?.as_ref().map(PlanEnd::from).unwrap_or_default();
        Ok(Self(Some((plan, end))))
    }

    fn take(&mut self, event: &Event) {
        if let Some((_, end)) = &mut self.0 {
            end.take(event);
        }
    }

    fn has_come(&self) -> bool {
        self.0.as_ref().is_some_and(|(_, end)| end.has_come())
    }

    fn outcome(&self) -> Result<(), Failure> {
        self.0.as_ref().map_or(Ok(()), |(plan, end)| end.outcome(plan))
    }
}

/// What is followed: a plan's end too, where it is waited for and the types asked for leave it out.
fn followed(options: &EventsOptions, global: &Global) -> Filter {
    match options.plan.as_ref().filter(|_| options.until_end) {
        Some(plan) => Filter::all().tenant(global.tenant()).plan(plan),
        None => filter(options, global),
    }
}

/// What of the options is told by an event's envelope.
pub(super) fn filter(options: &EventsOptions, global: &Global) -> Filter {
    let mut filter = Filter::all().tenant(global.tenant());
    if !options.types.is_empty() {
        filter = filter.types(options.types.iter().cloned());
    }
    if let Some(plan) = &options.plan {
        filter = filter.plan(plan);
    }
    if let Some(source) = &options.source {
        filter = filter.source(source);
    }
    if let Some(correlation) = &options.correlation {
        filter = filter.correlation_id(correlation);
    }
    filter
}

/// Whether a filter of the bus would let an event of the plan through, for the tail that has none.
fn is_told(options: &EventsOptions, event: &Event) -> bool {
    let is_of_type = |event_type: &TypePattern| event_type.matches(event.event_type());
    (options.types.is_empty() || options.types.iter().any(is_of_type))
        && options.source.as_ref().is_none_or(|source| event.source() == Some(source))
        && options.correlation.as_ref().is_none_or(|id| event.correlation_id() == Some(id))
}

/// What a filter of the bus does not look at.
pub(super) fn is_wanted(options: &EventsOptions, event: &Event) -> Result<bool, Failure> {
    let is_recent = options.since.is_none_or(|since| event.timestamp() >= since);
    let Some(text) = options.grep.as_deref() else { return Ok(is_recent) };
    let has_text = event.payload_json()?.contains(text)
        || event.event_type().as_str().contains(text)
        || event.source().is_some_and(|source| source.as_str().contains(text));
    Ok(is_recent && has_text)
}

/// Writes events in one of the forms.
struct Printer {
    form: Form,
    table: Table,
    is_begun: bool,
    printed: u64,
    /// The year for which no row needs to name it.
    year: String,
    store: EventStore,
    /// How deep each plan is nested, as far as it was asked.
    depths: HashMap<PlanId, usize>,
}

impl Printer {
    fn new(form: Form, store: &EventStore) -> Self {
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
    fn begin(&mut self, out: &mut Output) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_begun, true) || self.form == Form::Json {
            return Ok(());
        }
        self.table.write_head(out)
    }

    /// Writes events that were read together; the columns widen for them.
    fn write_all(&mut self, events: &[Event], out: &mut Output) -> Result<(), Failure> {
        if self.form == Form::Json {
            return events.iter().try_for_each(|event| self.write(event, out));
        }
        let rows = events.iter().map(|event| self.row(event)).collect::<Result<Vec<_>, _>>()?;
        self.table.fit(&rows, out);
        self.begin(out)?;
        self.printed += rows.len() as u64;
        rows.iter().try_for_each(|row| self.table.write(row, out))
    }

    fn write(&mut self, event: &Event, out: &mut Output) -> Result<(), Failure> {
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
