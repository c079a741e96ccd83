//! Turns the errors of SQLite and of the file system into the crate's own, by kind.
//!
//! The one place that knows SQLite's codes. It never retries and never touches the store.

use std::{io, path::Path};

use rusqlite::{ErrorCode, ffi};

use crate::error::{Error, ErrorKind};

/// Tells a failure of SQLite: what we were doing, its kind, the cause.
pub(super) fn sqlite(doing: &str, cause: rusqlite::Error) -> Error {
    let kind = kind_of(&cause);
    let told = match kind {
        ErrorKind::DiskFull => format!("{doing}: no space is left for the store"),
        ErrorKind::Locked => format!("{doing}: another process holds the store's write lock"),
        ErrorKind::ReadOnly => format!("{doing}: the store cannot be written"),
        ErrorKind::Corrupt => format!("{doing}: the file is damaged, or is no planbus store"),
        ErrorKind::TooLarge => format!("{doing}: the row is larger than SQLite takes"),
        _ => format!("{doing}: SQLite failed"),
    };
    Error::with_source(kind, told, cause)
}

/// Tells a failure of the file system about a file.
pub(super) fn file(doing: &str, path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename | io::ErrorKind::NotADirectory => {
            ErrorKind::InvalidInput
        }
        _ => ErrorKind::Storage,
    };
    Error::with_source(kind, format!("{doing} {}", path.display()), cause)
}

/// The kind of a failure of SQLite.
pub(super) fn kind_of(cause: &rusqlite::Error) -> ErrorKind {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError, SqliteFailure,
        Utf8Error,
    };
    // Our SQL is fixed: where it does not compile, the tables are not those that planbus made.
    let is_foreign = match cause {
        SqlInputError { .. } => true,
        SqliteFailure(error, Some(told)) => {
            error.extended_code == ffi::SQLITE_ERROR && told.starts_with("no such ")
        }
        _ => false,
    };
    if is_foreign {
        return ErrorKind::Corrupt;
    }
    let Some(error) = cause.sqlite_error() else {
        return match cause {
            // A value that planbus never wrote.
            FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..) => ErrorKind::Corrupt,
            _ => ErrorKind::Storage,
        };
    };
    match error.extended_code {
        // A file that ends inside a page, or whose file system lost track of it.
        ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS => return ErrorKind::Corrupt,
        _ => {}
    }
    match error.code {
        ErrorCode::DiskFull => ErrorKind::DiskFull,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ErrorKind::Locked,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => ErrorKind::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => ErrorKind::Corrupt,
        ErrorCode::TooBig => ErrorKind::TooLarge,
        _ => ErrorKind::Storage,
    }
}

/// Whether the failure says that an index refused a value that is there already.
pub(super) fn is_unique_violation(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// Whether the failure says that the row's own place in the log is taken.
pub(super) fn is_seq_taken(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error().is_some_and(|error| {
        matches!(error.extended_code, ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID)
    })
}

/// Whether SQLite could not open one of the store's files.
pub(super) fn cannot_open(cause: &rusqlite::Error) -> bool {
    cause
        .sqlite_error()
        .is_some_and(|error| matches!(error.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// A row of the log that stands where planbus puts none.
pub(super) fn impossible_seq(seq: i64) -> Error {
    let problem = format!(
        "plan_events row {seq}: no event can have this seq, somebody put the row in; run `planbus verify`"
    );
    Error::new(ErrorKind::Corrupt, problem)
}

/// A row of the log that does not say what a row must.
pub(super) fn corrupt_row(seq: i64, column: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("plan_events row {seq}, column {column}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn every_failure_of_sqlite_has_the_kind_that_a_program_decides_by() {
        let cases = [
            (ffi::SQLITE_FULL, ErrorKind::DiskFull),
            (ffi::SQLITE_BUSY, ErrorKind::Locked),
            (ffi::SQLITE_BUSY_SNAPSHOT, ErrorKind::Locked),
            (ffi::SQLITE_READONLY, ErrorKind::ReadOnly),
            (ffi::SQLITE_PERM, ErrorKind::ReadOnly),
            (ffi::SQLITE_CORRUPT, ErrorKind::Corrupt),
            (ffi::SQLITE_NOTADB, ErrorKind::Corrupt),
            (ffi::SQLITE_IOERR_SHORT_READ, ErrorKind::Corrupt),
            (ffi::SQLITE_IOERR_FSYNC, ErrorKind::Storage),
            (ffi::SQLITE_TOOBIG, ErrorKind::TooLarge),
            (ffi::SQLITE_NOMEM, ErrorKind::Storage),
        ];
        for (code, kind) in cases {
            assert_eq!(sqlite("test", failure(code)).kind(), kind, "code {code}");
        }
    }

    #[test]
    fn sql_that_finds_no_table_is_told_as_damage() {
        let missing = ffi::Error::new(ffi::SQLITE_ERROR);
        let cause = rusqlite::Error::SqliteFailure(missing, Some("no such table: plan_events".to_owned()));
        assert_eq!(sqlite("test", cause).kind(), ErrorKind::Corrupt);
    }
}
