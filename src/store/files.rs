//! The paths of a store's files, and what is refused before anything is opened.
//!
//! Never opens the database file: closing it again would drop SQLite's own locks.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::fault;
use crate::error::{Error, ErrorKind, Result};

/// The files of one store.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) db: PathBuf,
    pub(super) wal: PathBuf,
    pub(super) shm: PathBuf,
    pub(super) lock: PathBuf,
    /// The database while it is being created.
    pub(super) creating: PathBuf,
    pub(super) directory: PathBuf,
}

/// What stands at the database's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    File { bytes: u64 },
}

impl Files {
    /// The files of the store at `path`; the directory must exist.
    pub(super) fn resolve(path: &Path) -> Result<Self> {
        if path.as_os_str().is_empty() || path == Path::new(":memory:") {
            let problem = "must name a file; a bus without a store is EventBus::builder().in_memory()";
            return Err(Error::invalid("path", problem));
        }
        let Some(name) = path.file_name() else {
            return Err(Error::invalid("path", format!("must name a file, got {}", path.display())));
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let directory = fs::canonicalize(parent).map_err(|cause| {
            let missing = fault::file("open the directory", parent, cause);
            missing.within(format!("open the store {}", path.display()))
        })?;
        let beside = |suffix: &str| {
            let mut file = OsString::from(name);
            file.push(suffix);
            directory.join(file)
        };
        Ok(Self {
            db: directory.join(name),
            wal: beside("-wal"),
            shm: beside("-shm"),
            lock: beside(".lock"),
            creating: beside(".creating"),
            directory,
        })
    }

    /// Whether SQLite or planbus keep the store in this file, or look for it there.
    pub(super) fn hold(&self, path: &Path) -> bool {
        let mut journal = OsString::from(&self.db);
        journal.push("-journal");
        path == Path::new(&journal)
            || [&self.db, &self.wal, &self.shm, &self.lock, &self.creating].into_iter().any(|own| own == path)
    }

    /// What stands at the database's path; anything but a regular file is refused.
    pub(super) fn find(&self) -> Result<Found> {
        let metadata = match fs::symlink_metadata(&self.db) {
            Ok(metadata) => metadata,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(cause) => return Err(fault::file("look at the store", &self.db, cause)),
        };
        let refused = |what: &str| {
            Err(Error::invalid("path", format!("must be a regular file, {} is {what}", self.db.display())))
        };
        match metadata.file_type() {
            kind if kind.is_symlink() => refused("a symbolic link"),
            kind if kind.is_dir() => refused("a directory"),
            kind if !kind.is_file() => refused("a special file"),
            _ => Ok(Found::File { bytes: metadata.len() }),
        }
    }

    /// Whether the write-ahead log holds anything.
    pub(super) fn wal_has_content(&self) -> bool {
        self.wal_bytes() > 0
    }

    /// The size of the write-ahead log's file, 0 when there is none.
    pub(super) fn wal_bytes(&self) -> u64 {
        fs::symlink_metadata(&self.wal).map_or(0, |metadata| metadata.len())
    }

    /// Refuses directories on network file systems: their locks and syncs cannot be trusted.
    pub(super) fn refuse_network(&self) -> Result<()> {
        match network_of(&self.directory) {
            Some(name) => Err(Error::invalid(
                "path",
                format!(
                    "must be on a local disk, {} is on {name}: a store there would lose events",
                    self.directory.display()
                ),
            )),
            None => Ok(()),
        }
    }

    pub(super) fn missing(&self) -> Error {
        Error::new(ErrorKind::NotFound, format!("there is no store at {}", self.db.display()))
    }
}

/// The network file system that a directory is on, where that can be told.
#[cfg(target_os = "linux")]
pub(super) fn network_of(directory: &Path) -> Option<&'static str> {
    let found = nix::sys::statfs::statfs(directory).ok()?;
    // The magic numbers are 32 bits wide, whatever type the platform gives them.
    network_name(found.filesystem_type().0 as u32)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn network_of(_directory: &Path) -> Option<&'static str> {
    None
}

/// The network file systems by the magic number that `statfs` returns.
#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517b => "SMB",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 => "SMB 2",
        0x5346_414f => "AFS",
        0x0102_1997 => "9P",
        0x00c3_6400 => "Ceph",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_names_no_file_is_refused_by_name() {
        for path in ["", ":memory:", "/", ".."] {
            let error = Files::resolve(Path::new(path)).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}");
            assert!(error.to_string().starts_with("path: "), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn network_file_systems_are_known_by_their_magic_number() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("CIFS"));
        assert_eq!(network_name(0xef53), None, "ext4");
    }
}
