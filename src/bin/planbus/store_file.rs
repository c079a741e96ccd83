//! Which file a store is, by more than its name, and whether it still is.
//!
//! The file is never opened: that is the store's alone.

use std::{fs, path::Path};

use crate::failure::{Exit, Failure};

/// What stood at the path of a store.
#[derive(Debug, PartialEq)]
pub(crate) enum StoreFile {
    Missing,
    There { id: Option<(u64, u64)> },
}

impl StoreFile {
    pub(crate) fn of(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(metadata) => Self::There { id: file_id(&metadata) },
            Err(_) => Self::Missing,
        }
    }

    /// Fails where another file stands there now, or none: what is open then never grows again.
    pub(crate) fn check(&self, path: &Path, exit: Exit) -> Result<(), Failure> {
        if *self != Self::Missing && Self::of(path) == *self {
            return Ok(());
        }
        Err(Failure::new(exit, format!("the store {} was moved, removed or replaced", path.display())))
    }
}

/// By what a file is told from another of its name.
#[cfg(unix)]
pub(crate) fn file_id(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

/// By what a file is told from another of its name: not to be had here.
#[cfg(not(unix))]
pub(crate) fn file_id(_: &fs::Metadata) -> Option<(u64, u64)> {
    None
}
