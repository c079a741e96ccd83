//! `planbus pending`: what a group was given and has not done, and why it failed.
//!
//! Reads in pages; works without a store, and claims nothing.

use std::time::Duration;

use clap::Args;
use planbus::redis::{PENDING_MAX_ENTRIES, PendingEntry, PendingQuery, Streams};
use serde_json::json;

use super::{groups::unknown, note_nothing};
use crate::{
    agent_runtime::units::{duration, number},
    cli::{Form, Global, whole_number},
    failure::Failure,
    output::Output,
    redis::{self, ProfileOptions, RedisOptions, failed},
    style::Style,
    table::{Cell, Column, Table, cell},
    terminal,
    text::escape,
};

/// How many of a stream are shown on a terminal unless the user says.
const FIRST_DEFAULT: u64 = 50;
/// How many are read at once.
const PAGE_ENTRIES: u64 = 1_000;
/// The part of a terminal's columns that a plan's id and a consumer's name take at most: one of so
/// many.
const NAME_SHARE: usize = 6;

/// The options of `pending`.
#[derive(Args, Debug)]
pub(crate) struct PendingOptions {
    #[command(flatten)]
    redis: RedisOptions,
    #[command(flatten)]
    profile: ProfileOptions,

    /// Only of this stream: its key [default: all that have the group]
    #[arg(value_name = "STREAM")]
    name: Option<String>,

    /// The group
    #[arg(long, short, value_name = "NAME")]
    group: String,

    /// Only the N oldest of each stream
    #[arg(long, value_name = "N", value_parser = whole_number::<1, { u64::MAX }>)]
    first: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(options: &PendingOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("pending")?;
    let streams = redis::streams(&options.redis, &options.profile)?;
    let names = match &options.name {
        Some(name) => vec![name.clone()],
        None => with_group(&streams, &options.group)?,
    };
    let by_default = if terminal::is_stdout() { FIRST_DEFAULT } else { u64::MAX };
    let first = options.first.unwrap_or(by_default);
    let mut printer = Printer { form, has_written: false };
    for name in names {
        let query = PendingQuery::new(&name, &options.group);
        let replays = query.clone().replays();
        for query in [query, replays] {
            each_page(&streams, query, first, |page| printer.write(page, out))?;
        }
    }
    if !printer.has_written {
        out.flush()?;
        note_nothing("pending entry", global);
    }
    Ok(())
}

/// The streams that have the group.
fn with_group(streams: &Streams, group: &str) -> Result<Vec<String>, Failure> {
    let groups = streams.groups().map_err(failed)?.into_iter();
    let names: Vec<String> =
        groups.filter(|found| found.info.name == group).map(|found| found.stream).collect();
    if names.is_empty() { Err(unknown(group, streams)) } else { Ok(names) }
}

fn each_page(
    streams: &Streams,
    mut query: PendingQuery,
    first: u64,
    mut write: impl FnMut(Page<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut left = first;
    let mut is_first = true;
    while left > 0 {
        let count = usize::try_from(left.min(PAGE_ENTRIES)).unwrap_or(PENDING_MAX_ENTRIES);
        let entries = streams.pending(&query.clone().limit(count)).map_err(failed)?;
        let Some(last) = entries.last() else { return Ok(()) };
        write(Page { is_first, entries: &entries })?;
        (query, is_first) = (query.after(last.id), false);
        left -= entries.len() as u64;
        if entries.len() < count {
            return Ok(());
        }
    }
    Ok(())
}

/// Entries of one stream that were read together.
struct Page<'a> {
    is_first: bool,
    entries: &'a [PendingEntry],
}

struct Printer {
    form: Form,
    has_written: bool,
}

impl Printer {
    fn write(&mut self, page: Page<'_>, out: &mut Output) -> Result<(), Failure> {
        let has_written = std::mem::replace(&mut self.has_written, true);
        if self.form == Form::Json {
            return page.entries.iter().try_for_each(|entry| out.json(&to_json(entry)));
        }
        let mut table = Table::new(&[
            ("ENTRY", Column::Left),
            ("IDLE", Column::Right),
            ("GIVEN", Column::Right),
            ("FAILED", Column::Right),
            ("NEXT", Column::Left),
            ("TYPE", Column::Left),
            ("PLAN", Column::End(NAME_SHARE)),
            ("CONSUMER", Column::End(NAME_SHARE)),
            ("LAST ERROR", Column::Left),
        ]);
        let rows: Vec<Vec<Cell>> = page.entries.iter().map(row).collect();
        table.fit(&rows, out);
        if let (true, Some(entry)) = (page.is_first, page.entries.first()) {
            if has_written {
                out.line("")?;
            }
            out.line(&out.paint(Style::Heading, &escape(&entry.stream)))?;
            table.write_head(out)?;
        }
        rows.iter().try_for_each(|row| table.write(row, out))
    }
}

fn row(entry: &PendingEntry) -> Vec<Cell> {
    let (event_type, plan) = match &entry.event {
        Some(event) => {
            ((Style::from(event.event_type()), event.event_type().to_string()), event.plan_id().to_string())
        }
        None if entry.is_deleted => ((Style::Bad, "deleted".to_owned()), String::new()),
        None => ((Style::Bad, "no event".to_owned()), String::new()),
    };
    vec![
        cell(entry.id.to_string()),
        (Style::Faint, duration(entry.idle)),
        cell(number(entry.deliveries)),
        (
            if entry.failed_attempts > 0 { Style::Bad } else { Style::Faint },
            entry.failed_attempts.to_string(),
        ),
        cell(next(entry)),
        event_type,
        cell(plan),
        cell(&entry.consumer),
        // Its lines are for the JSON.
        cell(entry.last_error.as_deref().unwrap_or_default().replace('\n', " / ")),
    ]
}

/// What happens to it next.
fn next(entry: &PendingEntry) -> String {
    match entry.due_in {
        None => String::new(),
        Some(Duration::ZERO) if entry.failed_attempts == 0 => "given back".to_owned(),
        Some(Duration::ZERO) => "due".to_owned(),
        Some(time) => format!("in {}", duration(time)),
    }
}

fn to_json(entry: &PendingEntry) -> String {
    let mut json = serde_json::to_value(entry).unwrap_or_default();
    let event = entry.event.as_ref();
    json["event_id"] = json!(event.map(|event| event.event_id().to_string()));
    json["event_type"] = json!(event.map(|event| event.event_type().as_str()));
    json["plan_id"] = json!(event.map(|event| event.plan_id().as_str()));
    json.to_string()
}
