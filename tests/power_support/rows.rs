//! The log read with plain SQL: its rows, their chain, and whether the file is sound.

use std::path::Path;

use rusqlite::{Connection, types::Value};
use sha2::{Digest, Sha256};

/// A row of the log, with its chain last.
pub(crate) type Row = Vec<Value>;

/// The link of a row, as EVENTS.md specifies it.
fn link(previous: &[u8], row: &[Value]) -> Vec<u8> {
    let mut hash = Sha256::new().chain_update(previous);
    for value in &row[..row.len() - 1] {
        match value {
            Value::Text(text) => {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
            Value::Integer(integer) => {
                hash.update(8_u64.to_be_bytes());
                hash.update(integer.to_be_bytes());
            }
            Value::Null => hash.update([0xff; 8]),
            other => panic!("no column holds {other:?}"),
        }
    }
    hash.finalize().to_vec()
}

/// The id of a store and its whole log, read with plain SQL.
pub(crate) fn read_rows(path: &Path) -> rusqlite::Result<(String, Vec<Row>)> {
    let log = Connection::open(path)?;
    let id = log.query_row("SELECT value FROM store_meta WHERE key = 'store_id'", [], |row| row.get(0))?;
    let rows = select(&log, "SELECT * FROM plan_events WHERE id > ?1 ORDER BY id", 0)?;
    Ok((id, rows))
}

fn select(log: &Connection, sql: &str, after: usize) -> rusqlite::Result<Vec<Row>> {
    let mut statement = log.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([after as i64], |row| (0..columns).map(|at| row.get(at)).collect())?;
    rows.collect()
}

/// The place of the first row whose chain is not what its content gives.
pub(crate) fn first_unlinked(store_id: &str, rows: &[Row]) -> Option<usize> {
    let anchor = Sha256::new().chain_update("planbus chain v1\n").chain_update(store_id).finalize().to_vec();
    let mut previous = Value::Blob(anchor);
    rows.iter().position(|row| {
        let is_wrong = !is_linked(&previous, row);
        previous = row[row.len() - 1].clone();
        is_wrong
    })
}

fn is_linked(previous: &Value, row: &Row) -> bool {
    matches!(previous, Value::Blob(previous) if row.last() == Some(&Value::Blob(link(previous, row))))
}

/// Checks that a file is sound and holds one row more than these, linked to the last of them.
pub(crate) fn check_whole(path: &Path, store_id: &str, rows: &[Row]) -> Result<(), String> {
    let look = || -> rusqlite::Result<(String, Vec<Row>)> {
        let log = Connection::open(path)?;
        let said = log.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        Ok((said, select(&log, "SELECT * FROM plan_events WHERE id > ?1", rows.len())?))
    };
    let (said, new) = look().map_err(|error| error.to_string())?;
    let is_linked = match (rows.last(), &new[..]) {
        (Some(before), [row]) => is_linked(&before[before.len() - 1], row),
        (None, new) => new.len() == 1 && first_unlinked(store_id, new).is_none(),
        _ => false,
    };
    if said == "ok" && is_linked { Ok(()) } else { Err(format!("integrity: {said}; {} new rows", new.len())) }
}
