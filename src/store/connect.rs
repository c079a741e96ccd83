//! Opens SQLite connections as the store needs them: one that writes, many that read.
//!
//! The only place where SQLite is opened on a live store. A missing file is never created here.

use std::{ffi::OsStr, path::Path};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    checkpoint::KEEP_BYTES,
    fault,
    files::{Files, Found},
    options::{Durability, StoreOptions},
    schema,
};
use crate::error::{Error, ErrorKind, Result};

/// What the writing connection keeps, 16 MiB: the leaves and inner pages that it writes to.
pub(super) const WRITER_CACHE: &str = "PRAGMA cache_size = -16384";
/// How many prepared statements a connection keeps.
const STATEMENTS_MAX: usize = 64;

/// Opens the connection that writes, on a store that is complete and that `check` finds nothing wrong
/// with. A store that is refused stays as it is.
pub(super) fn writer(
    files: &Files,
    options: &StoreOptions,
    check: impl FnOnce(&Connection) -> Result<()>,
) -> Result<Connection> {
    refuse_empty(files)?;
    // Closing a store that is refused must not move its write-ahead log.
    let leave_wal = files.wal_has_content();
    let failed = |cause| opening(files, cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&files.db, flags).map_err(failed)?;
    connection.busy_timeout(options.busy_timeout).map_err(failed)?;
    set_no_checkpoint_on_close(&connection, leave_wal).map_err(failed)?;
    let version = schema::check(&connection, files)?;
    check(&connection)?;
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(failed)? {
        let shown = files.db.display();
        let problem = format!("open the store {shown}: the file cannot be written; open it read-only");
        return Err(Error::new(ErrorKind::ReadOnly, problem));
    }
    configure(&connection, options).map_err(failed)?;
    schema::migrate(&connection, version)?;
    set_no_checkpoint_on_close(&connection, false).map_err(failed)?;
    Ok(connection)
}

/// Whether closing the connection leaves the write-ahead log where it is.
pub(super) fn set_no_checkpoint_on_close(connection: &Connection, leave: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave).map(drop)
}

fn configure(connection: &Connection, options: &StoreOptions) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Process => "NORMAL",
    };
    // fullfsync only means something on macOS, where fsync alone does not reach the disk.
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = {KEEP_BYTES}; PRAGMA trusted_schema = OFF;
         {WRITER_CACHE};"
    ))?;
    let pages = options.max_bytes.map(|bytes| bytes / schema::PAGE_BYTES);
    if let Some(pages) = pages.and_then(|pages| i64::try_from(pages).ok()) {
        connection.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(())
}

/// A connection that reads, and whether it takes the file for one that nobody writes to.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) connection: Connection,
    /// Opened as immutable: never sees what an owner writes later.
    pub(super) is_snapshot: bool,
}

/// Opens a connection that reads.
///
/// Where neither `-wal` nor `-shm` can be made, because the directory is read-only, SQLite cannot
/// open a store that no owner has open; then it is taken as immutable, as long as no write-ahead
/// log with content says that something is missing from the file.
pub(super) fn reader(files: &Files, options: &StoreOptions) -> Result<Reader> {
    refuse_empty(files)?;
    let (connection, is_snapshot) = match try_reader(&files.db, OpenFlags::empty()) {
        Err(cause) if fault::cannot_open(&cause) && !files.wal_has_content() => (immutable(&files.db), true),
        opened => (opened, false),
    };
    let failed = |cause| opening(files, cause);
    let connection = connection.map_err(failed)?;
    connection.busy_timeout(options.busy_timeout).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(Reader { connection, is_snapshot })
}

/// Opens a file that nobody writes to, without a file beside it.
pub(super) fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    try_reader(Path::new(&immutable_uri(path.as_os_str())), OpenFlags::SQLITE_OPEN_URI)
}

fn try_reader(path: &Path, extra: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF")?;
    // The files are opened by the first read only.
    schema::pragma(&connection, "schema_version")?;
    Ok(connection)
}

fn refuse_empty(files: &Files) -> Result<()> {
    match files.find()? {
        Found::Nothing => Err(files.missing()),
        Found::File { bytes: 0 } => Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "open the store {}: the file is empty, which no store ever is; restore it from a backup, \
                 or remove it to begin a new store",
                files.db.display()
            ),
        )),
        Found::File { .. } => Ok(()),
    }
}

fn opening(files: &Files, cause: rusqlite::Error) -> Error {
    let shown = files.db.display();
    if fault::cannot_open(&cause) {
        let problem = format!("open the store {shown}: the file or its directory does not permit it");
        return Error::with_source(ErrorKind::ReadOnly, problem, cause);
    }
    fault::sqlite(&format!("open the store {shown}"), cause)
}

/// The file as a URI that says nobody writes to it.
fn immutable_uri(path: &OsStr) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_add_options_to_the_uri() {
        assert_eq!(
            immutable_uri(OsStr::new("/a b/x?mode=rw#%.db")),
            "file:/a%20b/x%3Fmode%3Drw%23%25.db?immutable=1"
        );
    }
}
