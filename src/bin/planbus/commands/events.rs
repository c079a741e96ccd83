//! `planbus events`: lists events in the order of the log, and follows it.
//!
//! Reads in pages and keeps none, so that a log of any size can go through a pipe. What it prints
//! has no gap and no repetition between the past and what follows.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use planbus::{Error, Event, EventQuery, EventStore, Filter, PlanId, TypePattern};

use super::{check_times, note_nothing, open, stream_events};
use crate::{
    cli::{EventsOptions, Form, Global},
    event_printer::Printer,
    failure::{Exit, Failure},
    family::PlanEnd,
    follow::{self, Follow},
    interrupt,
    output::Output,
    store_file::StoreFile,
    terminal,
};

/// How many events are shown on a terminal unless the user says.
pub(super) const LAST_DEFAULT: u64 = 50;
/// How many events are read at once.
const PAGE_EVENTS: usize = 1_000;
/// How long a wait for new events lasts before Ctrl-C is looked at again.
pub(super) const WAIT: Duration = Duration::from_millis(100);

/// Runs the command.
pub(crate) fn run(options: &EventsOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    check_times(options.since, options.until)?;
    if let Some(endpoint) = options.redis.endpoint()? {
        return stream_events::run(options, endpoint, global, out);
    }
    let store = open(global)?;
    let file = StoreFile::of(&global.db);
    let stop = options.follow.then(interrupt::flag).transpose()?;
    // What is committed from here on belongs to the tail.
    let head = store.head()?;
    check(options, &store, head)?;
    let bounded = options.after.is_some() || options.since.is_some() || options.until.is_some();
    let by_default = (terminal::is_stdout() && !bounded).then_some(LAST_DEFAULT);
    let mut printer = Printer::new(out.form(Form::Table), &store);
    let past = query(options).before(head + 1);
    // Whoever follows may be cut off while it reads the past, too.
    let failed = |error: Error| if options.follow { follow::cut(&error) } else { error.into() };
    match options.last.or(by_default) {
        Some(0) => {}
        Some(last) => {
            let mut events = store.query(past.newest_first().limit(last as usize)).map_err(failed)?;
            events.reverse();
            printer.write_all(&events, out)?;
        }
        None => {
            let mut page = past.limit(PAGE_EVENTS);
            loop {
                let events = store.query(page.clone()).map_err(failed)?;
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
            let tail = Follow::after(head, followed(options, global), &store, file, global)?;
            write_new(options, &store, tail, &stop, &mut printer, out)
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

fn write_new(
    options: &EventsOptions,
    store: &EventStore,
    mut follow: Follow<'_>,
    stop: &AtomicBool,
    printer: &mut Printer,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut awaited = Awaited::new(options, store)?;
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
