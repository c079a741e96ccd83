//! The tables and indexes of a store, and how a store comes to the newest version of them.
//!
//! Migrations only run forward, each in a transaction. A store from a newer version is refused
//! before anything is written to it.

use rusqlite::{Connection, OptionalExtension, params};

use super::{chain, fault, files::Files, views};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{EventId, Timestamp},
};

/// What `PRAGMA application_id` says in every store: "PLBS".
pub(super) const APPLICATION_ID: i64 = 0x504c_4253;
/// The version that this build writes, `PRAGMA user_version`.
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;
/// The size of a page. Larger ones were slower: every commit writes whole pages.
pub(super) const PAGE_BYTES: u64 = 4_096;

/// Step n brings a store from version n to n + 1. The views are not part of the steps: they are
/// made anew behind the last.
const MIGRATIONS: [&str; 4] = [VERSION_1, VERSION_2, VERSION_3, VERSION_4];

const VERSION_1: &str = r#"
CREATE TABLE plan_events(
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id       TEXT NOT NULL UNIQUE,
    event_type     TEXT NOT NULL,
    plan_id        TEXT NOT NULL,
    timestamp      TEXT NOT NULL,
    recorded_at    TEXT NOT NULL,
    payload        TEXT NOT NULL,
    tenant         TEXT NOT NULL,
    source         TEXT,
    call_chain     TEXT,
    correlation_id TEXT,
    causation_id   TEXT,
    trace_parent   TEXT,
    priority       TEXT NOT NULL,
    context_refs   TEXT,
    schema_version INTEGER NOT NULL,
    chain          BLOB NOT NULL
) STRICT;
CREATE INDEX plan_events_plan ON plan_events(tenant, plan_id, id);
CREATE INDEX plan_events_lifecycle ON plan_events(tenant, id)
    WHERE event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed', 'SubplanSpawned');

CREATE TABLE store_meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE cursors(
    reader   TEXT NOT NULL,
    stream   TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    PRIMARY KEY (reader, stream)
) STRICT, WITHOUT ROWID;
"#;

/// Every index costs every commit that touches it, so these hold rare types only: lists of plans
/// in the order of the log, how a plan stands, and who spawned whom, each without reading events.
const VERSION_2: &str = r#"
DROP INDEX plan_events_lifecycle;
CREATE INDEX plan_events_lifecycle ON plan_events(tenant, id, event_type, plan_id)
    WHERE event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed');
CREATE INDEX plan_events_state ON plan_events(tenant, plan_id, id, event_type)
    WHERE event_type IN ('PlanStarted', 'PlanCompleted', 'PlanFailed');
CREATE INDEX plan_events_spawned ON plan_events(tenant, plan_id, id)
    WHERE event_type = 'SubplanSpawned';
"#;

/// What mirrors were set up to do, and what they left out of their streams, by reason.
const VERSION_3: &str = r#"
CREATE TABLE mirrors(reader TEXT PRIMARY KEY, setup TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE mirror_skips(
    reader    TEXT NOT NULL,
    reason    TEXT NOT NULL,
    events    INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    PRIMARY KEY (reader, reason)
) STRICT, WITHOUT ROWID;
"#;

/// The indexes of starts and ends say `OR` where they said `IN`: for a list of more than two SQLite
/// makes a table anew for each row that is inserted, and throws it away. Queries say it as the
/// indexes do, else they do not use them.
const VERSION_4: &str = r#"
DROP INDEX plan_events_lifecycle;
DROP INDEX plan_events_state;
CREATE INDEX plan_events_lifecycle ON plan_events(tenant, id, event_type, plan_id)
    WHERE event_type = 'PlanStarted' OR event_type = 'PlanCompleted' OR event_type = 'PlanFailed';
CREATE INDEX plan_events_state ON plan_events(tenant, plan_id, id, event_type)
    WHERE event_type = 'PlanStarted' OR event_type = 'PlanCompleted' OR event_type = 'PlanFailed';
"#;

/// What `store_meta` says of the store.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    /// The store's id, a ULID.
    pub(super) store_id: String,
    pub(super) chain_anchor: chain::Link,
}

/// Fills an empty database: the tables of the newest version, and a new identity.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA encoding = 'UTF-8';
         PRAGMA application_id = {APPLICATION_ID};"
    ))?;
    migrate_from(connection, 0)?;
    let store_id = EventId::generate().to_string();
    let anchor = chain::anchor(&store_id);
    let mut insert = connection.prepare("INSERT INTO store_meta(key, value) VALUES (?1, ?2)")?;
    insert.execute(params!["store_id", store_id])?;
    insert.execute(params!["chain_anchor", anchor])?;
    insert.execute(params!["settle_counter", 0])?;
    insert.execute(params!["created_at", Timestamp::now().to_string()])?;
    Ok(())
}

/// Refuses what is no store of this or an older version; reads only.
pub(super) fn check(connection: &Connection, files: &Files) -> Result<i64> {
    let shown = files.db.display();
    let failed = |cause| fault::sqlite(&format!("open the store {shown}"), cause);
    let application: i64 = pragma(connection, "application_id").map_err(failed)?;
    let version: i64 = pragma(connection, "user_version").map_err(failed)?;
    if application != APPLICATION_ID {
        let problem = format!("open the store {shown}: the file is another program's database");
        return Err(Error::new(ErrorKind::Corrupt, problem));
    }
    if version > SCHEMA_VERSION {
        return Err(Error::new(
            ErrorKind::SchemaTooNew,
            format!(
                "open the store {shown}: its schema is version {version}, this planbus knows up to \
                 {SCHEMA_VERSION}; use a newer planbus"
            ),
        ));
    }
    if version < 1 {
        let problem = format!("open the store {shown}: its schema version is {version}");
        return Err(Error::new(ErrorKind::Corrupt, problem));
    }
    check_length(connection, files)?;
    Ok(version)
}

/// Refuses a file that was cut short. While the write-ahead log holds pages, SQLite itself knows
/// what the file must contain, and the file may be behind.
fn check_length(connection: &Connection, files: &Files) -> Result<()> {
    let failed = |cause| fault::sqlite("look at the size of the store", cause);
    let pages: u64 = pragma(connection, "page_count").map_err(failed)?.cast_unsigned();
    let page_bytes: u64 = pragma(connection, "page_size").map_err(failed)?.cast_unsigned();
    let file_bytes = std::fs::symlink_metadata(&files.db).map_or(0, |metadata| metadata.len());
    if !files.wal_has_content() && file_bytes < pages * page_bytes {
        let expected = pages * page_bytes;
        let shown = files.db.display();
        let problem = format!(
            "open the store {shown}: the file was cut to {file_bytes} bytes, it must have {expected}"
        );
        return Err(Error::new(ErrorKind::Corrupt, problem));
    }
    Ok(())
}

/// Brings a store of an older version to the newest one, in one transaction.
pub(super) fn migrate(connection: &Connection, version: i64) -> Result<()> {
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    let failed = |cause| fault::sqlite("bring the store to the newest schema", cause);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
    let done = migrate_from(connection, version).and_then(|()| connection.execute_batch("COMMIT"));
    done.map_err(|cause| {
        // The transaction is gone with the connection at the latest, which the caller drops.
        let _ = connection.execute_batch("ROLLBACK");
        failed(cause)
    })
}

/// Makes the tables and indexes of one version in an empty database, and the views of the newest.
pub(super) fn create_version(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    let steps = usize::try_from(version).unwrap_or(0);
    MIGRATIONS.iter().take(steps).try_for_each(|step| connection.execute_batch(step))?;
    if version == SCHEMA_VERSION { views::replace(connection) } else { Ok(()) }
}

fn migrate_from(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(version).unwrap_or(0);
    for step in MIGRATIONS.iter().skip(done) {
        connection.execute_batch(step)?;
    }
    views::replace(connection)?;
    connection.execute_batch(&format!("PRAGMA user_version = {SCHEMA_VERSION}"))
}

/// Reads the store's identity.
pub(super) fn meta(connection: &Connection) -> Result<Meta> {
    let failed = |cause| fault::sqlite("read store_meta", cause);
    let value = |key: &str| -> Result<rusqlite::types::Value> {
        connection
            .query_row("SELECT value FROM store_meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(failed)?
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("store_meta: the row {key} is missing")))
    };
    let wrong = |key: &str| Error::new(ErrorKind::Corrupt, format!("store_meta: the row {key} is not valid"));
    let store_id = match value("store_id")? {
        rusqlite::types::Value::Text(id) if id.parse::<EventId>().is_ok() => id,
        _ => return Err(wrong("store_id")),
    };
    let chain_anchor = match value("chain_anchor")? {
        rusqlite::types::Value::Blob(anchor) => anchor.try_into().map_err(|_| wrong("chain_anchor"))?,
        _ => return Err(wrong("chain_anchor")),
    };
    Ok(Meta { store_id, chain_anchor })
}

/// The value of a pragma that is one number.
pub(super) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
