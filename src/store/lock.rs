//! The owner's lock: one process, and one store in it, writes to a log.
//!
//! The lock is on a file of its own, `<database>.lock`, which holds the owner's process id for
//! people, and for the next owner whether commits were left to a power cut. The file stays when the
//! owner leaves: removing it could let two owners in.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
};

use super::{create, fault, files::Files, options::Durability};
use crate::error::{Error, ErrorKind, Result};

/// How often a file to lock may be replaced under our hands before we give up.
const ATTEMPTS_MAX: usize = 16;

/// What stands behind the process id of an owner with [`Durability::Process`].
const UNSYNCED: &str = "process";
/// More than a note ever holds.
const NOTE_MAX_BYTES: u64 = 64;

/// The held lock; dropping it lets the next owner in.
#[derive(Debug)]
pub(super) struct OwnerLock {
    file: File,
    durability: Durability,
}

impl OwnerLock {
    /// Takes the lock of a store, or says who has it.
    pub(super) fn take(files: &Files, durability: Durability) -> Result<Self> {
        let file = claim(&files.lock)?.ok_or_else(|| locked(files))?;
        let durability = match left_by(&file) {
            Durability::Full => durability,
            unsynced => unsynced,
        };
        let mut lock = Self { file, durability };
        lock.note(files)
            .map_err(|cause| fault::file("write the owner's process id to", &files.lock, cause))?;
        Ok(lock)
    }

    /// What may be asked of the commits in the write-ahead log: the durability of this owner, or of
    /// the last one where that was less and it did not end well.
    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    /// Notes who the owner is. Written over what is there: no moment is without the note.
    fn note(&mut self, files: &Files) -> io::Result<()> {
        let pid = std::process::id();
        let note = match self.durability {
            Durability::Full => format!("{pid}\n"),
            Durability::Process => format!("{pid} {UNSYNCED}\n"),
        };
        self.file.rewind()?;
        self.file.write_all(note.as_bytes())?;
        self.file.set_len(note.len() as u64)?;
        if self.durability == Durability::Process {
            // A power cut may lose commits of this owner, but not the word that it may.
            self.file.sync_all()?;
            create::sync_directory(&files.directory)?;
        }
        Ok(())
    }

    /// Lets the next owner in.
    pub(super) fn release(self) {
        // Nothing is left for the next owner to know; the lock itself goes with the file handle.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// What the present owner, or the last one if it did not end well, promises of its commits.
pub(super) fn durability(files: &Files) -> Durability {
    File::open(&files.lock).map_or(Durability::Full, |file| left_by(&file))
}

fn left_by(file: &File) -> Durability {
    match read_note(file).split_whitespace().nth(1) {
        Some(UNSYNCED) => Durability::Process,
        _ => Durability::Full,
    }
}

/// Best effort: the owner may just be writing it.
fn read_note(file: &File) -> String {
    let mut text = String::new();
    let _ = file.take(NOTE_MAX_BYTES).read_to_string(&mut text);
    text
}

/// Opens a file, which is created where it is missing, and locks it; `None` when somebody else has.
pub(super) fn claim(path: &Path) -> Result<Option<File>> {
    for _ in 0..ATTEMPTS_MAX {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(fault::file("lock", path, cause)),
        }
        // Somebody may have removed the file between opening and locking it.
        if is_at(&file, path) {
            return Ok(Some(file));
        }
    }
    Err(Error::new(ErrorKind::Locked, format!("{} is being replaced all the time", path.display())))
}

fn open(path: &Path) -> Result<File> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        let problem = format!("must have a regular file or nothing at {}", path.display());
        return Err(Error::invalid("path", problem));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    }
    options.open(path).map_err(|cause| fault::file("open to lock", path, cause))
}

fn locked(files: &Files) -> Error {
    let note = File::open(&files.lock).map_or_else(|_| String::new(), |file| read_note(&file));
    let owner = match note.split_whitespace().next().and_then(|pid| pid.parse::<u32>().ok()) {
        Some(pid) if pid == std::process::id() => format!("this process ({pid}) has it open already"),
        Some(pid) => format!("process {pid} has it open"),
        None => "another process has it open".to_owned(),
    };
    let shown = files.db.display();
    Error::new(ErrorKind::Locked, format!("open the store {shown}: {owner}; only one owner may write"))
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(held), Ok(there)) => held.dev() == there.dev() && held.ino() == there.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}
