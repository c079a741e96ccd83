//! The owner's lock: one process, and one store in it, writes to a log.
//!
//! The lock is on a file of its own, `<database>.lock`, which holds the owner's process id for
//! people. The file stays when the owner leaves: removing it could let two owners in.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

use super::{fault, files::Files};
use crate::error::{Error, ErrorKind, Result};

/// How often a file to lock may be replaced under our hands before we give up.
const ATTEMPTS_MAX: usize = 16;

/// The held lock; dropping it lets the next owner in.
#[derive(Debug)]
pub(super) struct OwnerLock {
    file: File,
}

impl OwnerLock {
    /// Takes the lock of a store, or says who has it.
    pub(super) fn take(files: &Files) -> Result<Self> {
        let file = claim(&files.lock)?.ok_or_else(|| locked(files))?;
        let mut lock = Self { file };
        lock.note(&format!("{}\n", std::process::id()))
            .map_err(|cause| fault::file("write the owner's process id to", &files.lock, cause))?;
        Ok(lock)
    }

    fn note(&mut self, text: &str) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(text.as_bytes())
    }

    /// Lets the next owner in.
    pub(super) fn release(self) {
        // What is left in the file is only for people; the lock itself goes with the file handle.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
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
    let mut text = String::new();
    // Best effort: the owner may just be writing it.
    let _ = File::open(&files.lock).and_then(|file| file.take(32).read_to_string(&mut text));
    let owner = match text.trim().parse::<u32>() {
        Ok(pid) if pid == std::process::id() => format!("this process ({pid}) has it open already"),
        Ok(pid) => format!("process {pid} has it open"),
        Err(_) => "another process has it open".to_owned(),
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
