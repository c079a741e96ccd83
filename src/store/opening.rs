//! [`Opening`]: looks at what a killed owner left, before SQLite opens it and takes it for whole.
//!
//! Only reads. Decides what is refused; `wal_check` finds out what there is.

use parking_lot::{Mutex, MutexGuard};

use super::{
    files::Files,
    guards::Guards,
    lock,
    options::Durability,
    wal_check::{self, WalState},
    wal_index::{self, Committed},
};
use crate::error::{Error, ErrorKind, Result};

static OPENING: Mutex<()> = Mutex::new(());

/// Held from the first look at a store's files until its guards are: what `wal_index` looks at must
/// not be open in this process.
#[derive(Debug)]
pub(super) struct Opening(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Opening {
    /// Refuses a write-ahead log that lost commits, before an owner overwrites what can be seen still.
    pub(super) fn as_owner(files: &Files, durability: Durability) -> Result<Self> {
        let opening = Self(OPENING.lock());
        let committed = committed(files);
        refuse(files, check_length(files, committed)?, durability)?;
        refuse(files, wal_check::check(files, committed)?, durability)?;
        Ok(opening)
    }

    /// Refuses a write-ahead log that was cut, as its length tells.
    pub(super) fn as_reader(files: &Files) -> Result<Self> {
        let opening = Self(OPENING.lock());
        let durability = lock::durability(files);
        // While an owner writes, what is read first may be of another moment than what is read next.
        if check_length(files, committed(files))? != WalState::Whole {
            refuse(files, check_length(files, committed(files))?, durability)?;
        }
        Ok(opening)
    }
}

/// What was committed to the write-ahead log, if it can be looked up without harm.
fn committed(files: &Files) -> Option<Committed> {
    if Guards::are_held(files) { None } else { wal_index::committed(files) }
}

fn check_length(files: &Files, committed: Option<Committed>) -> Result<WalState> {
    committed.map_or(Ok(WalState::Whole), |committed| wal_check::check_length(files, committed))
}

/// With `Durability::Process` a power cut alone may leave a log damaged: then it is only told.
fn refuse(files: &Files, state: WalState, durability: Durability) -> Result<()> {
    let (db, wal, shm) = (files.db.display(), files.wal.display(), files.shm.display());
    let way_out = match state {
        WalState::Whole => return Ok(()),
        WalState::Torn { .. } => {
            tracing::warn!(%wal, "planbus: {state}");
            return Ok(());
        }
        WalState::Damaged { .. } | WalState::Cut { .. } if durability == Durability::Process => {
            tracing::error!(%wal, "planbus: {state}");
            return Ok(());
        }
        WalState::Damaged { .. } => {
            format!("keep a copy of {wal} and let `sqlite3` checkpoint what is before the damage")
        }
        WalState::Cut { .. } => format!("remove {shm} to go on without them"),
    };
    let problem = format!("open the store {db}: {state}; restore a backup, or {way_out}");
    Err(Error::new(ErrorKind::Corrupt, problem))
}
