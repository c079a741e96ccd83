//! [`EventStore::backup`] and [`EventStore::restore`]: whole copies of a store, checked before they
//! get their name.
//!
//! A copy is made from one snapshot, so that it ends however fast others publish, and under a
//! temporary name: what bears the final name is complete and on the disk. Never replaces a file.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{
    EventStore, connect, create, fault,
    files::{Files, Found},
    inner::Inner,
    lock::{Note, OwnerLock},
    options::Durability,
    read, schema,
    verify::{self, Verification},
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::EventId,
};

/// How many pages are copied at one time.
const STEP_PAGES: i32 = 1_000;

/// A backup that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What was found in it. A log that is not sound is copied too, as evidence.
    pub verification: Verification,
}

impl EventStore {
    /// Writes a copy of the whole store to a new file, as the log is now, while others publish.
    ///
    /// The copy is one file that only its user may read. It is verified, and on the disk, before it
    /// gets its name; until then it is `<path>.<ULID>.partial`, a new one each time. A process that is
    /// killed in between leaves that file, which may be removed. Publishing goes on meanwhile; the write-ahead log is not reused until the copy
    /// is made, so it grows by what is published then.
    ///
    /// ```
    /// use planbus::{Event, EventStore, PlanStarted};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let store = EventStore::open(dir.path().join("planbus.db"))?;
    /// store.save(&Event::new("plan-7", PlanStarted::new("tidy up")))?;
    /// let report = store.backup(dir.path().join("monday.db"))?;
    /// assert!(report.verification.is_sound());
    ///
    /// EventStore::restore(&report.path, dir.path().join("restored.db"))?;
    /// assert_eq!(EventStore::open(dir.path().join("restored.db"))?.head()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` when there is something at `path`; `Locked` when something came there while the
    /// copy was made; `Corrupt` when the store is so damaged that it cannot be read to its end;
    /// `DiskFull`, `ReadOnly`, `Storage`. No error leaves a file at `path`.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<BackupReport> {
        let doing = format!("back up to {}", path.as_ref().display());
        self.write_backup(path.as_ref()).map_err(|error| error.within(doing))
    }

    fn write_backup(&self, path: &Path) -> Result<BackupReport> {
        self.inner.check_open()?;
        let files = Files::resolve(path)?;
        if self.inner.files.hold(&files.db) {
            return Err(Error::invalid("path", "must not be one of the store's own files"));
        }
        refuse_existing(&files, "a backup never replaces a file")?;
        let partial = partial(&files);
        create::private_file(&partial)?;
        let copied = copy(&self.inner, &partial).and_then(|verification| {
            put_in_place(&partial, &files)?;
            Ok(verification)
        });
        // Gone already where it was renamed. A failure to remove it is not what matters.
        let _ = fs::remove_file(&partial);
        let verification = copied?;
        let bytes = fs::metadata(&files.db).map_or(0, |metadata| metadata.len());
        Ok(BackupReport { path: files.db, bytes, verification })
    }

    /// Brings a backup, or any other store, back as a store at `to`, where there must be none.
    ///
    /// Every row and page of the copy is checked before it gets its name, so a crash leaves either
    /// nothing or the whole. The restored store has the store id and the chain of the backup: it is
    /// the same log, and what was published after the backup is not in it.
    ///
    /// # Errors
    /// `NotFound` when there is nothing at `from`; `Corrupt` or `SchemaTooNew` when it is no store
    /// that can be read to its end; `Unsound` when its rows are not as planbus wrote them; `Locked`
    /// when `to` has an owner; `InvalidInput` when a store is there already; `DiskFull`, `ReadOnly`,
    /// `Storage`.
    pub fn restore(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Verification> {
        let doing = format!("restore {}", from.as_ref().display());
        restore(from.as_ref(), to.as_ref()).map_err(|error| error.within(doing))
    }
}

fn restore(from: &Path, to: &Path) -> Result<Verification> {
    let source = EventStore::open_read_only(from)?;
    let files = Files::resolve(to)?;
    files.refuse_network()?;
    let lock = OwnerLock::take(&files, Durability::Full)?;
    let restored = restore_as_owner(&source.inner, &files);
    lock.release(true);
    restored
}

fn restore_as_owner(source: &Inner, files: &Files) -> Result<Verification> {
    refuse_existing(files, "move it away first, with its -wal file")?;
    create::refuse_orphans(files)?;
    create::remove_leftovers(files)?;
    let restored = create::private_file(&files.creating)
        .and_then(|()| copy(source, &files.creating))
        .and_then(|verification| match verification.first_problem() {
            Some(problem) => Err(Error::new(ErrorKind::Unsound, problem)),
            None => create::put_in_place(&files.creating, files).map(|()| verification),
        });
    if restored.is_err() {
        // The failure is what matters; the next owner removes what is left.
        let _ = create::remove_leftovers(files);
    }
    restored
}

fn refuse_existing(files: &Files, advice: &str) -> Result<()> {
    match files.find()? {
        Found::Nothing => Ok(()),
        Found::File { .. } => {
            let shown = files.db.display();
            Err(Error::invalid("path", format!("{shown} is there already; {advice}")))
        }
    }
}

/// A name that is nobody's, not even another backup's to the same file.
fn partial(files: &Files) -> PathBuf {
    let mut name = OsString::from(&files.db);
    name.push(format!(".{}.partial", EventId::generate()));
    name.into()
}

/// Gives a backup its name. It is linked there, which no two backups can do, where the file system
/// has links; else renamed as a new store is.
fn put_in_place(partial: &Path, files: &Files) -> Result<()> {
    let failed = |cause| fault::file("put in place", &files.db, cause);
    OpenOptions::new().write(true).open(partial).and_then(|file| file.sync_all()).map_err(failed)?;
    match fs::hard_link(partial, &files.db) {
        Ok(()) => create::sync_directory(&files.directory).map_err(failed),
        Err(_) => create::put_in_place(partial, files),
    }
}

/// Copies a store into an empty file, and checks the copy.
fn copy(source: &Inner, to: &Path) -> Result<Verification> {
    let note = Note::read(&source.files);
    source.read(|connection| copy_pages(connection, to))?;
    let copied = connect::immutable(to).map_err(|cause| fault::sqlite("read the copy", cause))?;
    let mut verification = verify::verify_file(&copied)?;
    verification.add_losses(&source.files, note, read::end(&copied)?)?;
    Ok(verification)
}

fn copy_pages(connection: &Connection, to: &Path) -> Result<()> {
    let failed = |cause| fault::sqlite("copy the store", cause);
    // In one read transaction: without it, every commit would make the copy begin anew.
    let snapshot = connection.unchecked_transaction().map_err(failed)?;
    schema::pragma(&snapshot, "schema_version").map_err(failed)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(failed)?;
    // A crash makes this file worthless anyway: it is synced once, when it is complete.
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(failed)?;
    let backup = Backup::new(&snapshot, &mut target).map_err(failed)?;
    while match backup.step(STEP_PAGES).map_err(failed)? {
        StepResult::Done => false,
        StepResult::More => true,
        _ => return Err(Error::new(ErrorKind::Locked, "copy the store: another process has locked it")),
    } {}
    drop(backup);
    target.close().map_err(|(_, cause)| failed(cause))
}
