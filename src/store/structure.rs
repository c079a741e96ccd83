//! What a store is made of: its tables, indexes and views against those that planbus makes, and
//! SQLite's own check of every page.
//!
//! Only reads, and never looks into a row; `walk` does that.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{fault, schema};
use crate::error::Result;

/// The most lines that SQLite's own check may tell.
const CHECK_MAX_LINES: usize = 100;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What is not as it should be.
    pub(super) problems: Vec<String>,
    /// What somebody else added, which does no harm.
    pub(super) notes: Vec<String>,
}

/// The definition of a table, index, view or trigger by its kind and name.
type Definitions = BTreeMap<(String, String), Option<String>>;

/// Looks at all definitions and all pages, in one read transaction.
pub(super) fn check(connection: &Connection) -> Result<Findings> {
    let mut findings = Findings::default();
    compare(connection, &mut findings).map_err(|cause| fault::sqlite("compare the tables", cause))?;
    check_pages(connection, &mut findings).map_err(|cause| fault::sqlite("check the pages", cause))?;
    Ok(findings)
}

fn compare(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let model = Connection::open_in_memory()?;
    let version = schema::pragma(connection, "user_version")?;
    schema::create_version(&model, version)?;
    let (mut found, wanted) = (definitions(connection)?, definitions(&model)?);
    // The views of older versions are not known any more: the next owner replaces them.
    found.retain(|(kind, _), _| kind != "view" || version == schema::SCHEMA_VERSION);
    for ((kind, name), definition) in wanted {
        match found.remove(&(kind.clone(), name.clone())) {
            Some(same) if same == definition => {}
            Some(_) => findings.problems.push(format!("{kind} {name}: is not as planbus makes it")),
            None => findings.problems.push(format!("{kind} {name}: is missing")),
        }
    }
    for (kind, name) in found.into_keys() {
        if kind == "trigger" {
            findings.problems.push(format!("trigger {name}: planbus makes none"));
        } else {
            findings.notes.push(format!("{kind} {name}: was added by somebody else"));
        }
    }
    Ok(())
}

fn definitions(connection: &Connection) -> rusqlite::Result<Definitions> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}

fn check_pages(connection: &Connection, findings: &mut Findings) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({CHECK_MAX_LINES})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    for line in lines {
        let line = line?;
        if line != "ok" {
            findings.problems.push(line.replace('\n', " "));
        }
    }
    Ok(())
}
