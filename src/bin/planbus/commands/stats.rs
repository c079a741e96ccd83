//! `planbus stats`: figures about a whole store, all tenants together.
//!
//! Answers at once for a log of any length; only `--types` reads the log.

use std::collections::BTreeMap;

use clap::Args;
use planbus::{Cursor, EventStore, StoreStats};
use serde_json::{Value, json};

use super::open;
use crate::{
    agent_runtime::units::{bytes, counted, number},
    cli::{Form, Global},
    failure::Failure,
    output::Output,
    style::Style,
    table::{Cell, Column, cell, write_below},
    text::escape,
};

/// The width of a fact's name: beside it, a head fits a terminal of 80 columns.
const FACT_COLUMNS: usize = 13;

/// The options of `stats`.
#[derive(Args, Debug)]
pub(crate) struct StatsOptions {
    /// Count the events of each type too, which reads the whole log
    #[arg(long)]
    types: bool,

    /// List how far mirrors have come in each stream, too
    #[arg(long)]
    streams: bool,
}

/// Runs the command.
pub(crate) fn run(options: &StatsOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("stats")?;
    let store = open(global)?;
    let stats = store.stats()?;
    let by_type = options.types.then(|| EventStore::count_by_type(&store)).transpose()?;
    match form {
        Form::Json => out.json(&to_json(&stats, by_type.as_ref()).to_string()),
        Form::Table | Form::Tree => {
            write_facts(&stats, out)?;
            write_cursors(&stats, options.streams, out)?;
            by_type.map_or(Ok(()), |by_type| write_types(&by_type, out))
        }
    }
}

fn to_json(stats: &StoreStats, by_type: Option<&BTreeMap<String, u64>>) -> Value {
    let cursor = |cursor: &Cursor| json!({"reader": cursor.reader, "stream": cursor.stream, "seq": cursor.seq, "lag": lag(stats, cursor)});
    let mut json = json!({
        "path": stats.path.to_string_lossy(), "store_id": stats.store_id, "schema_version": stats.schema_version,
        "events": stats.events, "first_seq": stats.first_seq, "last_seq": stats.last_seq,
        "first_recorded_at": stats.first_recorded_at, "last_recorded_at": stats.last_recorded_at,
        "head": stats.head_chain,
        "last_minute": stats.last_minute, "last_hour": stats.last_hour, "last_day": stats.last_day,
        "cursors": stats.cursors.iter().map(cursor).collect::<Value>(),
        "db_bytes": stats.db_bytes, "page_bytes": stats.page_bytes, "pages": stats.pages,
        "free_pages": stats.free_pages, "wal_bytes": stats.wal_bytes, "wal_pages": stats.wal_pages,
        "wal_copied_pages": stats.wal_copied_pages,
    });
    if let Some(by_type) = by_type {
        json["events_by_type"] = json!(by_type);
    }
    json
}

/// What a reader has still to read; a stream's cursor stands at its last event, and tells nothing of that.
fn lag(stats: &StoreStats, cursor: &Cursor) -> Option<u64> {
    cursor.stream.is_empty().then(|| stats.last_seq.saturating_sub(cursor.seq))
}

fn write_facts(stats: &StoreStats, out: &mut Output) -> Result<(), Failure> {
    let between = |first: Option<String>, last: Option<String>| match (first, last) {
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "none".to_owned(),
    };
    let pages = |count: u64| bytes(count * stats.page_bytes);
    let mut wal = format!("{} file", bytes(stats.wal_bytes));
    if let (Some(used), Some(copied)) = (stats.wal_pages, stats.wal_copied_pages) {
        let (used, copied) = (pages(used), pages(copied));
        wal.push_str(&format!(", {used} of it in use, of which {copied} are copied into the database"));
    }
    let facts = [
        ("store", stats.path.to_string_lossy().into_owned()),
        ("store id", stats.store_id.clone()),
        ("schema", format!("version {}", stats.schema_version)),
        ("events", number(stats.events)),
        ("seqs", between(stats.first_seq.map(|seq| seq.to_string()), Some(stats.last_seq.to_string()))),
        (
            "recorded",
            between(
                stats.first_recorded_at.map(|time| time.to_string()),
                stats.last_recorded_at.map(|time| time.to_string()),
            ),
        ),
        ("last minute", number(stats.last_minute)),
        ("last hour", number(stats.last_hour)),
        ("last 24 hours", number(stats.last_day)),
        ("head", stats.head_chain.clone().unwrap_or_else(|| "none".to_owned())),
        ("database", format!("{} ({} free)", bytes(stats.db_bytes), pages(stats.free_pages))),
        ("write-ahead", wal),
    ];
    for (name, value) in facts {
        let head = out.paint(Style::Faint, &format!("{name:<FACT_COLUMNS$}"));
        out.wrapped(&format!("{head}  "), FACT_COLUMNS + 2, &escape(&value))?;
    }
    Ok(())
}

fn write_cursors(stats: &StoreStats, with_streams: bool, out: &mut Output) -> Result<(), Failure> {
    let row = |cursor: &Cursor| -> Vec<Cell> {
        let numbers = [cursor.seq.to_string(), lag(stats, cursor).map(number).unwrap_or_default()].map(cell);
        [&numbers[..], &[cell(&cursor.reader), cell(&cursor.stream)]].concat()
    };
    let heads =
        [("SEQ", Column::Right), ("LAG", Column::Right), ("READER", Column::Left), ("STREAM", Column::Left)];
    let is_shown = |cursor: &&Cursor| with_streams || cursor.stream.is_empty();
    let rows: Vec<Vec<Cell>> = stats.cursors.iter().filter(is_shown).map(row).collect();
    write_below(&heads, &rows, out)?;
    match stats.cursors.len() - rows.len() {
        0 => Ok(()),
        hidden => {
            let streams = counted(hidden as u64, "stream");
            out.line(&format!("{streams} of mirrors; --streams lists them"))
        }
    }
}

fn write_types(by_type: &BTreeMap<String, u64>, out: &mut Output) -> Result<(), Failure> {
    let mut types: Vec<_> = by_type.iter().collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows: Vec<Vec<Cell>> =
        types.into_iter().map(|(name, count)| vec![cell(number(*count)), cell(name)]).collect();
    write_below(&[("EVENTS", Column::Right), ("TYPE", Column::Left)], &rows, out)
}
