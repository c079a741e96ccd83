//! Tells what failed in an inbox: the same kinds as for the store, in words for a user's database.

use std::path::Path;

use crate::{
    error::{Error, ErrorKind},
    store::fault::kind_of,
};

/// Tells a failure of SQLite: what we were doing, its kind, the cause.
pub(super) fn sqlite(doing: &str, cause: rusqlite::Error) -> Error {
    tell(doing, kind_of(&cause), cause)
}

/// Tells a failure of SQLite in a commit. Where the disk failed, what was committed may come to light
/// with the next recovery; all of it or nothing.
pub(super) fn commit(cause: rusqlite::Error) -> Error {
    const DOING: &str = "commit the inbox's transaction";
    if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
        let told = format!("{DOING}: a deferred constraint does not hold");
        return Error::with_source(ErrorKind::InvalidInput, told, cause);
    }
    match kind_of(&cause) {
        ErrorKind::Storage => tell(DOING, ErrorKind::Indeterminate, cause),
        kind => tell(DOING, kind, cause),
    }
}

fn tell(doing: &str, kind: ErrorKind, cause: rusqlite::Error) -> Error {
    let problem = match kind {
        ErrorKind::DiskFull => "no space is left for the database",
        ErrorKind::Locked => "another connection holds the database's write lock",
        ErrorKind::ReadOnly => "the database cannot be written",
        ErrorKind::Corrupt => "the file is damaged, or its tables are not those that planbus made",
        ErrorKind::Indeterminate => "the disk failed, and nobody knows whether it is done",
        _ => "SQLite failed",
    };
    Error::with_source(kind, format!("{doing}: {problem}"), cause)
}

/// The path cannot be an inbox.
pub(super) fn refused(path: &Path, problem: &str) -> Error {
    Error::invalid("inbox", format!("{} {problem}", path.display()))
}
