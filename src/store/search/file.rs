//! The index as a file: an SQLite database of its own, made anew whenever it is not just what is
//! expected. Never opens the store, and never waits for anything but the disk.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, ffi, params};

use super::{place::Place, words::Document};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        StoreOptions, create, fault,
        files::{Files, Found},
        lock,
        pool::Pool,
        read, schema,
    },
};

/// Says that a database is an index of planbus: "PLBX".
const APPLICATION_ID: i64 = 0x504c_4258;
/// Goes up whenever what is indexed, or how, changes: an index of another version is made anew.
const VERSION: i64 = 1;
/// Stands in the lock's file behind the process id.
const LOCK_MARK: &str = " search";
/// How long one who reads the file with a program of his own may hold us up.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// What the write-ahead log keeps of the disk.
const WAL_KEEP_BYTES: u64 = 4 << 20;

/// The words are cut by `words`; the tokenizer folds case and accents, and cuts at spaces only. The
/// table holds no text: what is found is read from the log.
const TABLES: &str = "
    CREATE TABLE place (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        store_id TEXT NOT NULL, floor INTEGER NOT NULL, indexed INTEGER NOT NULL, chain BLOB NOT NULL
    ) STRICT;
    CREATE VIRTUAL TABLE words USING fts5(
        scope, text, parts, content = '', contentless_delete = 1,
        tokenize = \"unicode61 remove_diacritics 2 categories 'L* M* N* P* S* C*'\"
    );";

/// The open file: one connection writes, a few read.
#[derive(Debug)]
pub(super) struct IndexFile {
    /// Tells this file from those that were at its path before.
    pub(super) number: u64,
    writer: Mutex<Connection>,
    readers: Pool,
}

/// What one transaction does to the index.
pub(super) struct Change<'a> {
    /// Seqs to be removed.
    pub(super) removed: std::ops::Range<u64>,
    pub(super) added: &'a [(u64, Document)],
    /// Where the index stood when the change was made up; where it stands afterwards.
    pub(super) from: &'a Place,
    pub(super) to: &'a Place,
}

/// The part of the index that is asked.
pub(super) struct Question {
    /// In the syntax of FTS5.
    pub(super) expression: String,
    pub(super) seqs: std::ops::Range<u64>,
    pub(super) newest_first: bool,
}

impl IndexFile {
    /// Opens the index of a store; `Corrupt` where the file is not one, or damaged.
    pub(super) fn open(files: &Files, number: u64, store_id: &str) -> Result<Self> {
        let writer = connect(files)?;
        check(&writer, store_id)?;
        Ok(Self::new(files, number, writer))
    }

    /// Makes an empty index in place of whatever is there.
    pub(super) fn create(files: &Files, number: u64, place: &Place) -> Result<Self> {
        for path in [&files.db, &files.wal, &files.shm] {
            create::remove(path)?;
        }
        create::private_file(&files.db)?;
        let writer = connect(files)?;
        let made = writer
            .execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION_ID}; BEGIN; {TABLES} PRAGMA user_version = {VERSION};"
            ))
            .and_then(|()| set_place(&writer, place))
            .and_then(|()| writer.execute_batch("COMMIT"));
        made.map_err(|cause| failed("create", cause))?;
        Ok(Self::new(files, number, writer))
    }

    fn new(files: &Files, number: u64, writer: Connection) -> Self {
        let options = StoreOptions { busy_timeout: BUSY_TIMEOUT, ..StoreOptions::default() };
        Self { number, writer: Mutex::new(writer), readers: Pool::new(files.clone(), options) }
    }

    /// Where the index stands.
    pub(super) fn place(&self) -> Result<Place> {
        place(&self.writer.lock())
    }

    /// Makes a change, all of it or nothing: nothing where the index no longer stands where the change
    /// begins. Whether it was made.
    pub(super) fn apply(&self, change: &Change<'_>) -> Result<bool> {
        let writer = self.writer.lock();
        if place(&writer)? != *change.from {
            return Ok(false);
        }
        write(&writer, change).map_err(|cause| failed("update", cause))?;
        Ok(true)
    }

    /// The first seqs that the index has for a question, at most `limit`, and up to where it has read.
    pub(super) fn find(&self, question: &Question, limit: usize) -> Result<(Vec<u64>, Place)> {
        self.readers.read(|connection| {
            let failed = |cause| failed("search", cause);
            let snapshot = connection.unchecked_transaction().map_err(failed)?;
            let place = place(&snapshot)?;
            let seqs = find(&snapshot, question, limit).map_err(failed)?;
            snapshot.commit().map_err(failed)?;
            Ok((seqs, place))
        })
    }

    /// Lets a test do to the file what a disk would.
    #[cfg(test)]
    pub(super) fn execute(&self, sql: &str) {
        self.writer.lock().execute_batch(sql).expect("SQL of a test");
    }
}

/// Takes the lock of an index, and leaves a note of who has it and what for. What stands at the path
/// may be replaced from now on: it is nothing, an index, or what became of one that had this lock. Any
/// other file is somebody else's, and refused.
pub(super) fn hold(files: &Files) -> Result<lock::Claim> {
    let shown = files.db.display();
    if !is_ours(files)? {
        let problem = format!("{shown} is no search index of planbus; remove it, or name another file");
        return Err(Error::invalid("path", problem));
    }
    let lock = lock::claim(&files.lock)?.ok_or_else(|| {
        let holder = lock::holder(files);
        let problem = format!("open the search index {shown}: {holder}; name another file for this one");
        Error::new(ErrorKind::Locked, problem)
    })?;
    let note = format!("{}{LOCK_MARK}\n", std::process::id());
    let written = lock.set_len(0).and_then(|()| (&*lock).write_all(note.as_bytes()));
    written.map_err(|cause| fault::file("write to", &files.lock, cause))?;
    Ok(lock)
}

fn is_ours(files: &Files) -> Result<bool> {
    /// The header of a database, as far as its application id.
    const HEADER_BYTES: usize = 72;
    match files.find()? {
        Found::Nothing | Found::File { bytes: 0 } => return Ok(true),
        Found::File { .. } if has_mark(&files.lock) => return Ok(true),
        Found::File { .. } => {}
    }
    let mut header = Vec::new();
    let read = File::open(&files.db).and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header));
    read.map_err(|cause| fault::file("look at the search index", &files.db, cause))?;
    let id = header.get(HEADER_BYTES - 4..).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
    Ok(id.map(i64::from) == Some(APPLICATION_ID))
}

/// Whether a lock is that of an index. A store's is a file of the same name, without the mark.
fn has_mark(lock: &Path) -> bool {
    /// A process id and the mark.
    const NOTE_MAX_BYTES: u64 = 64;
    let mut note = String::new();
    // What cannot be read says nothing.
    File::open(lock)
        .and_then(|file| file.take(NOTE_MAX_BYTES).read_to_string(&mut note))
        .is_ok_and(|_| note.trim_end().ends_with(LOCK_MARK))
}

/// Opens the connection that writes. Power cuts may take the newest transactions, never a part of one.
fn connect(files: &Files) -> Result<Connection> {
    let failed = |cause| failed("open", cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(&files.db, flags).map_err(|cause| cannot_open(files, cause))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection
        .execute_batch(&format!(
            "PRAGMA trusted_schema = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             PRAGMA journal_size_limit = {WAL_KEEP_BYTES};"
        ))
        .map_err(|cause| cannot_open(files, cause))?;
    Ok(connection)
}

/// Whether the database has our tables, just as we make them, for this store.
fn check(connection: &Connection, store_id: &str) -> Result<()> {
    let failed = |cause| failed("open", cause);
    let is_known = |name, expected| schema::pragma(connection, name).map(|found| found == expected);
    if !is_known("application_id", APPLICATION_ID).map_err(failed)?
        || !is_known("user_version", VERSION).map_err(failed)?
        || tables(connection).map_err(failed)? != expected_tables().map_err(failed)?
    {
        return Err(damaged("is of another version"));
    }
    if place(connection)?.store_id == store_id { Ok(()) } else { Err(damaged("is of another store")) }
}

/// The definitions of all tables, indexes, triggers and views.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn expected_tables() -> rusqlite::Result<Vec<(String, Option<String>)>> {
    let made = Connection::open_in_memory()?;
    made.execute_batch(TABLES)?;
    tables(&made)
}

fn place(connection: &Connection) -> Result<Place> {
    let failed = |cause| failed("read", cause);
    let mut statement = connection
        .prepare_cached("SELECT store_id, floor, indexed, chain FROM place WHERE one = 1")
        .map_err(failed)?;
    let place = statement.query_row([], |row| {
        Ok(Place {
            store_id: row.get(0)?,
            floor: read::unsigned(row.get(1)?),
            indexed: read::unsigned(row.get(2)?),
            chain: row.get(3)?,
        })
    });
    place.map_err(|cause| match cause {
        rusqlite::Error::QueryReturnedNoRows => damaged("does not say how far it is"),
        cause => failed(cause),
    })
}

fn set_place(connection: &Connection, place: &Place) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("REPLACE INTO place VALUES (1, ?1, ?2, ?3, ?4)")?;
    let (floor, indexed) = (place.floor.cast_signed(), place.indexed.cast_signed());
    statement.execute(params![place.store_id, floor, indexed, place.chain]).map(drop)
}

fn write(connection: &Connection, change: &Change<'_>) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    if !change.removed.is_empty() {
        let (from, to) = (change.removed.start.cast_signed(), change.removed.end.cast_signed());
        transaction
            .prepare_cached("DELETE FROM words WHERE rowid >= ?1 AND rowid < ?2")?
            .execute([from, to])?;
    }
    let mut insert = transaction
        .prepare_cached("INSERT INTO words (rowid, scope, text, parts) VALUES (?1, ?2, ?3, ?4)")?;
    for (seq, document) in change.added {
        insert.execute(params![seq.cast_signed(), document.scope, document.text, document.parts])?;
    }
    drop(insert);
    set_place(&transaction, change.to)?;
    transaction.commit()
}

fn find(connection: &Connection, question: &Question, limit: usize) -> rusqlite::Result<Vec<u64>> {
    const OLDEST: &str =
        "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid >= ?2 AND rowid < ?3 ORDER BY rowid LIMIT ?4";
    const NEWEST: &str = "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid >= ?2 AND rowid < ?3 \
                          ORDER BY rowid DESC LIMIT ?4";
    let mut statement = connection.prepare_cached(if question.newest_first { NEWEST } else { OLDEST })?;
    let seqs = (question.seqs.start.cast_signed(), question.seqs.end.cast_signed());
    let rows =
        statement.query_map(params![question.expression, seqs.0, seqs.1, limit as i64], |row| row.get(0))?;
    rows.map(|seq| seq.map(read::unsigned)).collect()
}

/// The index is not what it should be: it is made anew.
pub(super) fn damaged(problem: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the search index {problem}"))
}

fn cannot_open(files: &Files, cause: rusqlite::Error) -> Error {
    if fault::cannot_open(&cause) {
        let shown = files.db.display();
        let problem = format!("open the search index {shown}: the file or its directory cannot be written");
        return Error::with_source(ErrorKind::ReadOnly, problem, cause);
    }
    failed("open", cause)
}

fn failed(doing: &str, cause: rusqlite::Error) -> Error {
    let kind = match fault::kind_of(&cause) {
        // Our SQL is right: where SQLite cannot run it, a table does not say what it must.
        ErrorKind::Storage
            if cause.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_ERROR) =>
        {
            ErrorKind::Corrupt
        }
        kind => kind,
    };
    let problem = match kind {
        ErrorKind::DiskFull => "no space is left for it",
        ErrorKind::Locked => "another program holds its lock",
        ErrorKind::ReadOnly => "it cannot be written",
        ErrorKind::Corrupt => "it is damaged",
        _ => "SQLite failed",
    };
    Error::with_source(kind, format!("{doing} the search index: {problem}"), cause)
}
