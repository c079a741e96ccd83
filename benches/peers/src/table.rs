//! The table: one row for each performance goal.

mod consumer;
mod dispatch;
mod durable;
mod mirror;
mod readers;
mod server;

use std::{fs, io, path::Path};

use serde_json::json;

pub(crate) use self::readers::read_for_ever;
use crate::{chart, report::Row};

/// What a part is called, and what measures it in this many rounds.
type Part = (&'static str, fn(usize) -> Vec<Row>);

const PARTS: &[Part] = &[
    ("dispatch", dispatch::run),
    ("durable", durable::run),
    ("readers", readers::run),
    ("mirror", mirror::run),
    ("consumer", consumer::run),
    ("server", server::run),
];

/// What can be measured by itself.
pub(crate) fn names() -> Vec<&'static str> {
    PARTS.iter().map(|(name, _)| *name).collect()
}

/// Measures these parts (all where none is named), prints their rows, and writes them to a folder.
pub(crate) fn run(wanted: &[String], rounds: usize, out: &Path) -> io::Result<()> {
    let mut rows = Vec::new();
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            rows.extend(measure(rounds));
        }
    }
    fs::create_dir_all(out)?;
    let told = json!({"rounds": rounds, "unit": "nanoseconds", "rows": rows});
    fs::write(out.join("table.json"), serde_json::to_string_pretty(&told)?)?;
    fs::write(out.join("table.svg"), chart::table_svg(&rows)?)
}
