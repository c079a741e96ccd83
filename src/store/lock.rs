//! The owner's lock: one process, and one store in it, writes to a log.
//!
//! The lock is on a file of its own, `<database>.lock`, which stays when the owner leaves: removing it
//! could let two owners in. It holds a note: the owner's process id, for people; what its commits
//! survive; and the last seq that it acknowledged. The note is written after each commit and not
//! synced, so it is never ahead of what was committed, and it outlives a killed process: whoever
//! comes next sees whether acknowledged events are gone. An owner that ends well leaves none.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read},
    ops::Deref,
    path::Path,
};

use super::{EventStore, create, fault, files::Files, options::Durability};
use crate::error::{Error, ErrorKind, Result};

/// How often a file to lock may be replaced under our hands before we give up.
const ATTEMPTS_MAX: usize = 16;
/// More than a note ever holds.
const NOTE_MAX_BYTES: u64 = 64;

/// What an owner says in the lock's file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Note {
    pid: u32,
    /// What the commits in the write-ahead log survive.
    pub(super) durability: Durability,
    /// The last seq that was acknowledged, 0 for none.
    pub(super) acknowledged: u64,
}

impl Note {
    /// What the present owner says, or the last one if it did not end well.
    pub(super) fn read(files: &Files) -> Self {
        File::open(&files.lock).map_or_else(|_| Self::default(), |file| Self::read_from(&file))
    }

    /// Best effort: what is no note says nothing.
    fn read_from(file: &File) -> Self {
        let mut text = String::new();
        let _ = file.take(NOTE_MAX_BYTES).read_to_string(&mut text);
        let mut words = text.split_whitespace();
        let pid = words.next().and_then(|pid| pid.parse().ok()).unwrap_or_default();
        let durability = match words.next() {
            Some("process") => Durability::Process,
            _ => Durability::Full,
        };
        let acknowledged = words.next().and_then(|seq| seq.parse().ok()).unwrap_or_default();
        Self { pid, durability, acknowledged }
    }

    /// Writes the note over the one before, which is as long.
    fn write_to(&self, file: &File) -> io::Result<()> {
        let durability = match self.durability {
            Durability::Full => "full",
            Durability::Process => "process",
        };
        let text = format!("{:<10} {durability:<7} {:020}\n", self.pid, self.acknowledged);
        write_at_start(file, text.as_bytes())
    }
}

#[cfg(unix)]
fn write_at_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_start(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    use std::io::{Seek, Write};
    file.rewind()?;
    file.write_all(bytes)
}

impl EventStore {
    /// Whether a process has the store open for writing, this one or another. Asking hinders nobody.
    ///
    /// Where the system cannot tell, which is everywhere but on Linux, an owner that was killed counts
    /// until the next one has come and gone.
    ///
    /// # Errors
    /// `Closed` when the store is; `Storage` or `ReadOnly` when the file with the owner's lock cannot be
    /// looked at.
    pub fn has_owner(&self) -> Result<bool> {
        self.inner.check_open()?;
        Ok(!self.is_read_only() || is_held(&self.inner.files)?)
    }
}

/// The held lock; dropping it lets the next owner in.
#[derive(Debug)]
pub(super) struct OwnerLock {
    file: Claim,
    note: Note,
}

impl OwnerLock {
    /// Takes the lock of a store, or says who has it.
    pub(super) fn take(files: &Files, durability: Durability) -> Result<Self> {
        let file = claim(&files.lock)?.ok_or_else(|| locked(files))?;
        let mut note = Note::read_from(&file);
        note.pid = std::process::id();
        if durability == Durability::Process {
            note.durability = durability;
        }
        let written = note.write_to(&file).and_then(|()| match note.durability {
            Durability::Full => Ok(()),
            // A power cut may lose commits of this owner, but not the word that it may.
            Durability::Process => file.sync_all().and_then(|()| create::sync_directory(&files.directory)),
        });
        written.map_err(|cause| fault::file("write the owner's note to", &files.lock, cause))?;
        if let Err(cause) = sign::put_up(&file) {
            tracing::debug!(%cause, "planbus: readers will take the store for one without an owner");
        }
        Ok(Self { file, note })
    }

    /// What is known of the commits in the write-ahead log: those of this owner, and of the last one
    /// where it did not end well.
    pub(super) fn note(&self) -> Note {
        self.note
    }

    /// Notes the last seq that is about to be acknowledged. What cannot be noted is only missed by
    /// whoever looks for losses.
    pub(super) fn acknowledge(&mut self, seq: u64) {
        if seq != self.note.acknowledged {
            self.note.acknowledged = seq;
            if let Err(cause) = self.note.write_to(&self.file) {
                tracing::debug!(%cause, "planbus.commit: the owner's note was not written");
            }
        }
    }

    /// Lets the next owner in; with nothing to look for where this one `ended_well`.
    pub(super) fn release(self, ended_well: bool) {
        // What fails here is mended by the next owner, who writes a note and puts up a sign of its own.
        if ended_well {
            let _ = self.file.set_len(0);
        }
        let _ = sign::take_down(&self.file);
    }
}

/// A file that is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Claim(File);

impl Deref for Claim {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing is not enough: a child process that another thread has just forked has the file open
        // as well, until it becomes another program. What cannot be unlocked goes with that.
        let _ = self.0.unlock();
    }
}

/// Opens a file, which is created where it is missing, and locks it; `None` when somebody else has.
pub(super) fn claim(path: &Path) -> Result<Option<Claim>> {
    for _ in 0..ATTEMPTS_MAX {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(cause)) => return Err(fault::file("lock", path, cause)),
        }
        // Somebody may have removed the file between opening and locking it.
        if is_at(&file, path) {
            return Ok(Some(Claim(file)));
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

/// Whether somebody has the lock. Asks without taking it: that could turn away an owner who comes at
/// this moment.
fn is_held(files: &Files) -> Result<bool> {
    match File::open(&files.lock) {
        Ok(file) => {
            sign::is_up(&file).map_err(|cause| fault::file("look who has locked", &files.lock, cause))
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(fault::file("open", &files.lock, cause)),
    }
}

/// A second lock on the same file, an open file description lock, which unlike the first can be asked
/// for. The system takes both away with the owner's process.
#[cfg(target_os = "linux")]
mod sign {
    use std::{fs::File, io};

    use nix::{
        fcntl::{FcntlArg, fcntl},
        libc,
    };

    pub(super) fn put_up(file: &File) -> io::Result<()> {
        Ok(fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))).map(drop)?)
    }

    pub(super) fn take_down(file: &File) -> io::Result<()> {
        Ok(fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK))).map(drop)?)
    }

    pub(super) fn is_up(file: &File) -> io::Result<bool> {
        let mut found = whole(libc::F_RDLCK);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
        Ok(found.l_type != libc::F_UNLCK as i16)
    }

    fn whole(kind: i32) -> libc::flock {
        let (kind, from_start) = (kind as i16, libc::SEEK_SET as i16);
        libc::flock { l_type: kind, l_whence: from_start, l_start: 0, l_len: 0, l_pid: 0 }
    }
}

/// Where no lock can be asked for, the note stands for it: it outlives an owner that was killed.
#[cfg(not(target_os = "linux"))]
mod sign {
    use std::{fs::File, io};

    use super::Note;

    pub(super) fn put_up(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn take_down(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn is_up(file: &File) -> io::Result<bool> {
        Ok(Note::read_from(file).pid != 0)
    }
}

/// Who has the lock, as far as its file tells.
pub(super) fn holder(files: &Files) -> String {
    match Note::read(files).pid {
        0 => "another process has it open".to_owned(),
        pid if pid == std::process::id() => format!("this process ({pid}) has it open already"),
        pid => format!("process {pid} has it open"),
    }
}

fn locked(files: &Files) -> Error {
    let (shown, owner) = (files.db.display(), holder(files));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_go_is_free_even_where_a_forked_child_has_the_file_open_still() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let claim = claim(&path).expect("opens").expect("is free");
        // As a child has it between fork and exec: the same open file.
        let _inherited = claim.try_clone().expect("a copy");
        assert!(super::claim(&path).expect("opens").is_none(), "it is held");
        drop(claim);
        assert!(super::claim(&path).expect("opens").is_some(), "it was let go");
    }
}
