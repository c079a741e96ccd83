//! Creates a database so that a crash leaves either none or a complete one.
//!
//! The database is built under a name of its own and renamed when everything is on the disk.
//! Only the owner comes here, so nobody else builds under the same name.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{fault, files::Files, schema};
use crate::error::{Error, ErrorKind, Result};

/// Removes what an owner left who was killed while creating the database.
pub(super) fn remove_leftovers(files: &Files) -> Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        remove(&with_suffix(&files.creating, suffix))?;
    }
    Ok(())
}

/// Creates the database.
pub(super) fn database(files: &Files) -> Result<()> {
    refuse_orphans(files)?;
    let doing = format!("create the store {}", files.db.display());
    let outcome = build(&files.creating, &doing).and_then(|()| put_in_place(&files.creating, files));
    if outcome.is_err() {
        // The first failure is what matters; the next owner removes what is left.
        let _ = remove_leftovers(files);
    }
    outcome
}

/// A write-ahead log without its database would be read into the new one.
pub(super) fn refuse_orphans(files: &Files) -> Result<()> {
    if files.wal_has_content() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "create the store {}: the database is missing, but its write-ahead log {} is there; \
                 restore the database, or remove the log if its events may be lost",
                files.db.display(),
                files.wal.display()
            ),
        ));
    }
    remove(&files.wal)?;
    remove(&files.shm)
}

/// Makes an empty file that only its user may read.
pub(super) fn private_file(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Closed again before SQLite opens it: it only fixes the mode, which -wal and -shm inherit.
    options.open(path).map_err(|cause| fault::file("create", path, cause)).map(drop)
}

fn build(path: &Path, doing: &str) -> Result<()> {
    private_file(path)?;
    let failed = |cause| fault::sqlite(doing, cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // A crash makes this file worthless anyway: it is synced once, when it is complete.
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF").map_err(failed)?;
    schema::create(&connection).map_err(failed)?;
    connection.execute_batch("PRAGMA journal_mode = WAL").map_err(failed)?;
    connection.close().map_err(|(_, cause)| failed(cause))
}

/// Gives a database that is complete its name, once it is on the disk; nothing is replaced.
pub(super) fn put_in_place(temporary: &Path, files: &Files) -> Result<()> {
    let failed = |cause| fault::file("put in place", &files.db, cause);
    OpenOptions::new().write(true).open(temporary).and_then(|file| file.sync_all()).map_err(failed)?;
    if fs::symlink_metadata(&files.db).is_ok() {
        let problem = format!("put in place {}: something else was created there", files.db.display());
        return Err(Error::new(ErrorKind::Locked, problem));
    }
    fs::rename(temporary, &files.db).map_err(failed)?;
    sync_directory(&files.directory).map_err(failed)
}

/// Makes a new name survive a power cut.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(fault::file("remove a leftover", path, cause))
        }
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
