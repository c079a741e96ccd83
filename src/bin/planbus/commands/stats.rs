//! `planbus stats`: figures about a whole store, all tenants together.

use planbus::StoreStats;
use serde_json::json;

use super::open;
use crate::{
    agent_runtime::units::{bytes, number},
    cli::{Form, Global},
    failure::Failure,
    output::Output,
    style::Style,
    table::{Cell, Column, Table, cell},
    text::escape,
};

/// Runs the command.
pub(crate) fn run(global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("stats")?;
    let stats = open(global)?.stats()?;
    match form {
        Form::Json => out.json(&to_json(&stats).to_string()),
        Form::Table | Form::Tree => write_table(&stats, out),
    }
}

fn to_json(stats: &StoreStats) -> serde_json::Value {
    json!({
        "path": stats.path.to_string_lossy(), "store_id": stats.store_id, "schema_version": stats.schema_version,
        "events": stats.events, "first_seq": stats.first_seq, "last_seq": stats.last_seq, "plans": stats.plans,
        "events_by_type": stats.events_by_type, "db_bytes": stats.db_bytes, "wal_bytes": stats.wal_bytes,
        "page_bytes": stats.page_bytes, "pages": stats.pages, "free_pages": stats.free_pages,
    })
}

fn write_table(stats: &StoreStats, out: &mut Output) -> Result<(), Failure> {
    let seqs = match stats.first_seq {
        Some(first) => format!("{first} to {}", stats.last_seq),
        None => "none".to_owned(),
    };
    let facts = [
        ("store", stats.path.to_string_lossy().into_owned()),
        ("store id", stats.store_id.clone()),
        ("schema", format!("version {}", stats.schema_version)),
        ("events", number(stats.events)),
        ("seqs", seqs),
        ("plans", number(stats.plans)),
        (
            "database",
            format!("{} ({} free)", bytes(stats.db_bytes), bytes(stats.free_pages * stats.page_bytes)),
        ),
        ("write-ahead log", bytes(stats.wal_bytes)),
    ];
    for (name, value) in facts {
        out.line(&format!("{}  {}", out.paint(Style::Faint, &format!("{name:<15}")), escape(&value)))?;
    }
    if stats.events_by_type.is_empty() {
        return Ok(());
    }
    let mut types: Vec<_> = stats.events_by_type.iter().collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows: Vec<Vec<Cell>> =
        types.into_iter().map(|(name, count)| vec![cell(number(*count)), cell(name)]).collect();
    let mut table = Table::new(&[("EVENTS", Column::Right), ("TYPE", Column::Left)]);
    table.fit(&rows, out);
    out.line("")?;
    table.write_head(out)?;
    rows.iter().try_for_each(|row| table.write(row, out))
}
