//! Whether a store that is being opened has lost what its last owner acknowledged.
//!
//! SQLite takes what it can read of a write-ahead log for all there is, and goes on from there. So
//! before an owner overwrites anything, the log's file is looked at frame by frame (`wal_check`), and
//! the end of the log is compared with the note that the last owner left (`lock`). Changes nothing.

use rusqlite::Connection;

use super::{
    files::Files,
    lock::Note,
    options::Durability,
    read,
    wal_check::{self, WalState},
};
use crate::error::{Error, ErrorKind, Result};

/// Refuses, for an owner, a write-ahead log that was damaged in front of commits that were synced.
pub(super) fn check_wal(files: &Files, note: Note) -> Result<()> {
    let state = wal_check::check(files)?;
    match state {
        WalState::Whole => Ok(()),
        // Judged by the owner's note: mostly it was never acknowledged.
        WalState::Torn { .. } => {
            tracing::warn!(wal = %files.wal.display(), "planbus: {state}");
            Ok(())
        }
        WalState::Damaged { .. } => {
            let cut = format!("run `sqlite3 {} 'pragma wal_checkpoint'`", files.db.display());
            refuse(files, note, &state.to_string(), &cut)
        }
    }
}

/// Refuses, for an owner, a log that ends before what was acknowledged does.
pub(super) fn check_end(files: &Files, note: Note, connection: &Connection) -> Result<()> {
    let forget = format!("remove {}", files.lock.display());
    missing(note, read::end(connection)?).map_or(Ok(()), |loss| refuse(files, note, &loss, &forget))
}

/// Tells a reader, who may well look at what is left. The note was read before the log was opened, so
/// that a living owner can only be ahead of it.
pub(super) fn tell_end(files: &Files, note: Note, connection: &Connection) -> Result<()> {
    if let Some(loss) = missing(note, read::end(connection)?) {
        tracing::error!(store = %files.db.display(), "planbus: {loss}");
    }
    Ok(())
}

/// What is missing of a log with this head.
pub(super) fn missing(note: Note, head: u64) -> Option<String> {
    let acknowledged = note.acknowledged;
    (head < acknowledged).then(|| {
        format!(
            "the log ends with seq {head}, but its last owner had acknowledged events up to {acknowledged}"
        )
    })
}

/// With `Durability::Process` a power cut alone may lose commits: then it is only told.
fn refuse(files: &Files, note: Note, loss: &str, way_on: &str) -> Result<()> {
    let db = files.db.display();
    if note.durability == Durability::Process {
        tracing::error!(store = %db, "planbus: {loss}");
        return Ok(());
    }
    let problem = format!(
        "open the store {db}: {loss}; move its files away and restore a backup, or keep a copy of them and \
         {way_on} to go on with what is left"
    );
    Err(Error::new(ErrorKind::Corrupt, problem))
}
