//! The tables of an inbox, beside the user's own, and their version.
//!
//! Touches no table, pragma or version that is the user's.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior::Immediate};

use super::fault;
use crate::{
    error::{Error, ErrorKind, Result},
    store::schema::{APPLICATION_ID, pragma},
};

/// The version that this build writes, in `planbus_inbox_meta`: `user_version` is the user's.
const VERSION: i64 = 1;

/// `floor`: the group has handled everything up to here. `forgotten`: rows up to here may be gone, and
/// an event up to here counts as handled; nothing does where no store numbers the events.
const TABLES: &str = "
CREATE TABLE planbus_inbox_meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE planbus_inbox_scopes(
    id        INTEGER PRIMARY KEY,
    grp       TEXT NOT NULL,
    stream    TEXT NOT NULL,
    store     TEXT, -- NULL for what no planbus wrote
    floor     INTEGER NOT NULL DEFAULT 0,
    forgotten INTEGER NOT NULL DEFAULT -1,
    UNIQUE (grp, stream, store)
) STRICT;
CREATE TABLE planbus_inbox(
    scope    INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    place    INTEGER NOT NULL,
    PRIMARY KEY (scope, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX planbus_inbox_place ON planbus_inbox(scope, place);
CREATE TABLE planbus_inbox_replays(
    scope      INTEGER NOT NULL,
    event_id   TEXT NOT NULL,
    handled_at INTEGER NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (scope, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX planbus_inbox_replays_age ON planbus_inbox_replays(handled_at);
INSERT INTO planbus_inbox_meta(key, value) VALUES ('version', 1);
";

/// Refuses a database that cannot have an inbox; reads only. Says whether it has one.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<bool> {
    let failed = |cause| fault::sqlite(&format!("open the inbox {}", path.display()), cause);
    let has_store = has_table(connection, "plan_events").map_err(failed)?
        && has_table(connection, "store_meta").map_err(failed)?;
    if has_store || pragma(connection, "application_id").map_err(failed)? == APPLICATION_ID {
        let problem = "is a planbus store: an inbox is in a database of your own, beside your tables";
        return Err(fault::refused(path, problem));
    }
    if !has_table(connection, "planbus_inbox_meta").map_err(failed)? {
        return match has_table(connection, "planbus_inbox").map_err(failed)? {
            true => Err(fault::refused(path, "has a table planbus_inbox that planbus did not make")),
            false => Ok(false),
        };
    }
    let version: Option<i64> = connection
        .query_row("SELECT value FROM planbus_inbox_meta WHERE key = 'version'", [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    match version {
        Some(VERSION) => Ok(true),
        Some(newer) if newer > VERSION => Err(Error::new(
            ErrorKind::SchemaTooNew,
            format!(
                "open the inbox {}: its schema is version {newer}, this planbus knows up to {VERSION}; use a \
                 newer planbus",
                path.display()
            ),
        )),
        _ => Err(Error::new(
            ErrorKind::Corrupt,
            format!("open the inbox {}: planbus_inbox_meta does not tell its version", path.display()),
        )),
    }
}

/// Makes the tables, unless somebody else has made them meanwhile.
pub(super) fn create(connection: &Connection, path: &Path) -> Result<()> {
    let failed = |cause| fault::sqlite(&format!("make the inbox in {}", path.display()), cause);
    let transaction = Transaction::new_unchecked(connection, Immediate).map_err(failed)?;
    if !check(&transaction, path)? {
        transaction.execute_batch(TABLES).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = ?1";
    connection.query_row(sql, [name], |row| row.get(0))
}
