//! Guards against another copy of SQLite in this process, and against a replaced `-wal` file.
//!
//! POSIX locks belong to the process: when anybody in it opens and closes the database file, all
//! of SQLite's locks on the file are gone, and another program's SQLite believes that nobody has
//! the store open. It then removes the live write-ahead log, and acknowledged events with it. Open
//! file description locks do not go that way. We hold shared ones on the ranges that such a
//! program locks exclusively first: the database's SHARED range, and the `-shm` file's dead man's
//! switch.
//!
//! A guard's own files are closed only after SQLite has closed the same files, and all stores of
//! a process on one file share one guard: closing would do the very harm.

#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
};

#[cfg(target_os = "linux")]
pub(super) use self::linux::Guards;
#[cfg(not(target_os = "linux"))]
pub(super) use self::none::Guards;

/// Watches whether the write-ahead log's file is still the one that SQLite writes to.
///
/// Not by `stat`: on newer kernels a file whose times were asked for gets new ones with its next
/// write, and syncing that write then costs a second one, of the inode: half as fast again.
#[derive(Debug)]
pub(super) struct WalWatch {
    /// Kept open for its link in `/proc`, which says when the name is gone. SQLite puts no locks on
    /// this file, so that closing it does no harm.
    file: Option<File>,
    link: PathBuf,
    name: OsString,
}

impl WalWatch {
    /// Watches the file that SQLite has opened just now.
    pub(super) fn start(wal: &Path) -> Self {
        let file = File::open(wal).ok();
        let name = wal.file_name().unwrap_or_default().to_owned();
        #[cfg(target_os = "linux")]
        let link = file.as_ref().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()).into());
        #[cfg(not(target_os = "linux"))]
        let link = None;
        let mut watch = Self { file, link: link.unwrap_or_default(), name };
        if !watch.is_intact() {
            // No /proc here: then there is nothing to watch by.
            watch.file = None;
        }
        watch
    }

    /// Whether the file still has its name. Once removed, the link ends with " (deleted)".
    pub(super) fn is_intact(&self) -> bool {
        self.file.is_none()
            || std::fs::read_link(&self.link).is_ok_and(|path| path.file_name() == Some(&self.name))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::BTreeMap,
        fs::{File, OpenOptions},
        os::unix::fs::{MetadataExt, OpenOptionsExt},
        path::Path,
        sync::{Arc, Weak},
    };

    use nix::{
        fcntl::{FcntlArg, fcntl},
        libc,
    };
    use parking_lot::Mutex;

    use crate::{
        error::Result,
        store::{fault, files::Files},
    };

    /// The database's SHARED range: `SHARED_FIRST` and `SHARED_SIZE` of SQLite's unix VFS.
    const SHARED_RANGE: (i64, i64) = (0x4000_0002, 510);
    /// The `-shm` file's dead man's switch, `UNIX_SHM_DMS`.
    const DEAD_MANS_SWITCH: (i64, i64) = (128, 1);

    /// The guards of this process by device and inode of the database.
    static HELD: Mutex<BTreeMap<(u64, u64), Weak<Guards>>> = Mutex::new(BTreeMap::new());

    /// Shared locks that keep other copies of SQLite from taking the store for unused.
    #[derive(Debug)]
    pub(in crate::store) struct Guards {
        key: (u64, u64),
        db: File,
        shm: File,
    }

    impl Guards {
        /// Takes the guards of a store that SQLite has open and has read from, so that all of its
        /// files are there.
        pub(in crate::store) fn hold(files: &Files) -> Result<Arc<Self>> {
            let mut held = HELD.lock();
            let found = std::fs::symlink_metadata(&files.db)
                .map_err(|cause| fault::file("look at the store", &files.db, cause))?;
            let key = (found.dev(), found.ino());
            if let Some(guards) = held.get(&key).and_then(Weak::upgrade) {
                return Ok(guards);
            }
            let guards = Arc::new(Self { key, db: open(&files.db)?, shm: open(&files.shm)? });
            lock(&guards.db, SHARED_RANGE, libc::F_RDLCK)
                .map_err(|cause| fault::file("guard", &files.db, cause))?;
            lock(&guards.shm, DEAD_MANS_SWITCH, libc::F_RDLCK)
                .map_err(|cause| fault::file("guard", &files.shm, cause))?;
            held.insert(key, Arc::downgrade(&guards));
            Ok(guards)
        }

        /// Lets SQLite close the store as its last user, if no other store of this process uses
        /// the guards. What comes back is to be dropped after SQLite closed its files.
        pub(in crate::store) fn release(self: Arc<Self>) -> Arc<Self> {
            let mut held = HELD.lock();
            if Arc::strong_count(&self) == 1 {
                held.remove(&self.key);
                // A failed unlock only keeps SQLite from tidying up; closing the files unlocks.
                let _ = lock(&self.db, SHARED_RANGE, libc::F_UNLCK);
                let _ = lock(&self.shm, DEAD_MANS_SWITCH, libc::F_UNLCK);
            }
            self
        }
    }

    fn open(path: &Path) -> Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW);
        options.open(path).map_err(|cause| fault::file("open the guard of", path, cause))
    }

    fn lock(file: &File, (start, length): (i64, i64), kind: i32) -> std::io::Result<()> {
        let range = libc::flock {
            l_type: kind as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: start,
            l_len: length,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_OFD_SETLK(&range)).map(drop).map_err(Into::into)
    }
}

#[cfg(not(target_os = "linux"))]
mod none {
    use std::sync::Arc;

    use crate::{error::Result, store::files::Files};

    /// No guards where the system has no open file description locks.
    #[derive(Debug)]
    pub(in crate::store) struct Guards;

    impl Guards {
        pub(in crate::store) fn hold(_files: &Files) -> Result<Arc<Self>> {
            Ok(Arc::new(Self))
        }

        pub(in crate::store) fn release(self: Arc<Self>) -> Arc<Self> {
            self
        }
    }
}
