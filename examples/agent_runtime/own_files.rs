//! The log's own files: what a tool of this process must never open.
//!
//! Closing any descriptor of a database file drops SQLite's locks on it in the whole process, so
//! these files are known by path and by inode, and are looked at with `stat` alone.

use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

/// What SQLite and planbus put beside a database.
const SUFFIXES: [&str; 5] = ["", "-wal", "-shm", "-journal", ".lock"];

/// The paths of a store's files.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnFiles {
    paths: Vec<PathBuf>,
}

impl OwnFiles {
    /// The files of the store at `database`, by the path that was given and by the real one.
    pub(crate) fn of(database: &Path) -> Self {
        let places = [std::path::absolute(database), fs::canonicalize(database)];
        let mut paths = Vec::new();
        for place in places.into_iter().flatten() {
            for suffix in SUFFIXES {
                let mut path = place.clone().into_os_string();
                path.push(suffix);
                let path = PathBuf::from(path);
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        Self { paths }
    }

    /// The files as they are now: the write-ahead log may have been made since the last time.
    pub(crate) fn now(&self) -> OwnFilesNow<'_> {
        let metadata = self.paths.iter().filter_map(|path| fs::metadata(path).ok());
        OwnFilesNow { files: self, ids: metadata.filter_map(|metadata| file_id(&metadata)).collect() }
    }
}

/// A store's files, with the inodes that they have now.
pub(crate) struct OwnFilesNow<'a> {
    files: &'a OwnFiles,
    ids: Vec<(u64, u64)>,
}

impl OwnFilesNow<'_> {
    /// Whether `path` is one of them, also under another name.
    pub(crate) fn contain(&self, path: &Path, metadata: &Metadata) -> bool {
        self.files.paths.iter().any(|own| own == path)
            || file_id(metadata).is_some_and(|id| self.ids.contains(&id))
    }
}

#[cfg(unix)]
fn file_id(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_id(_: &Metadata) -> Option<(u64, u64)> {
    None
}
