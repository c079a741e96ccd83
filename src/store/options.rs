//! [`StoreOptions`]: how a store is opened, each option checked once and named when wrong.
//!
//! Never opens anything itself but through [`EventStore`].

use std::{path::Path, time::Duration};

use super::{EventStore, Unfinished};
use crate::{
    error::{Error, ErrorKind, Result},
    event::PAYLOAD_MAX_BYTES,
};

/// The longest wait for another process's lock that can be asked for.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// The largest payload that can be allowed: SQLite's own limit of a row is 1 GB.
const PAYLOAD_LIMIT_MAX_BYTES: usize = 256 << 20;
/// The smallest cap of the log's size that can be asked for.
const MAX_BYTES_MIN: u64 = 1 << 20;

/// What a committed event survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A power cut: every commit is synced to the disk.
    #[default]
    Full,
    /// The death of the process, but not a power cut, which may lose the last commits. Faster
    /// where the disk is slow to sync.
    Process,
}

/// How to open an [`EventStore`].
///
/// ```
/// use std::time::Duration;
/// use planbus::{Durability, EventStore};
///
/// # let dir = std::env::temp_dir().join(format!("planbus-options-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// let store = EventStore::options()
///     .durability(Durability::Process)
///     .busy_timeout(Duration::from_secs(2))
///     .open(dir.join("planbus.db"))?;
/// # drop(store);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a store is opened with them"]
pub struct StoreOptions {
    pub(super) durability: Durability,
    pub(super) busy_timeout: Duration,
    pub(super) payload_max_bytes: usize,
    pub(super) max_bytes: Option<u64>,
    pub(super) unfinished: Unfinished,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            busy_timeout: Duration::from_secs(5),
            payload_max_bytes: PAYLOAD_MAX_BYTES,
            max_bytes: None,
            unfinished: Unfinished::Leave,
        }
    }
}

impl StoreOptions {
    /// What a committed event survives; by default a power cut.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long to wait for a lock that another process holds for a moment, at most an hour; by
    /// default 5 seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// The most bytes of one event's payload, at most 256 MiB; by default 4 MiB.
    pub fn payload_max_bytes(mut self, bytes: usize) -> Self {
        self.payload_max_bytes = bytes;
        self
    }

    /// The most bytes that the database file may have, at least 1 MiB: publishing beyond fails
    /// with `DiskFull`. By default only the disk is the limit. A file that is larger already is
    /// not cut; it grows no more.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// What becomes of plans that the last owner left without an end; by default they stay.
    /// Opening for reading only never looks at them.
    pub fn unfinished(mut self, unfinished: Unfinished) -> Self {
        self.unfinished = unfinished;
        self
    }

    /// Opens the store at `path` as its owner, and creates it when it is missing.
    ///
    /// # Errors
    /// As [`EventStore::open`]; `InvalidOption` names an option that is out of its range. With
    /// [`Unfinished::Fail`] whatever committing may return.
    pub fn open(self, path: impl AsRef<Path>) -> Result<EventStore> {
        self.check()?;
        EventStore::open_as_owner(path.as_ref(), self)
    }

    /// Opens the store at `path` for reading only.
    ///
    /// # Errors
    /// As [`EventStore::open_read_only`]; `InvalidOption` names an option that is out of its range.
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<EventStore> {
        self.check()?;
        EventStore::open_as_reader(path.as_ref(), self)
    }

    fn check(&self) -> Result<()> {
        let wrong = |problem: String| Err(Error::new(ErrorKind::InvalidOption, problem));
        if self.busy_timeout > BUSY_TIMEOUT_MAX {
            let most = BUSY_TIMEOUT_MAX.as_secs();
            return wrong(format!("busy_timeout must be at most {most} s, got {:?}", self.busy_timeout));
        }
        if !(1..=PAYLOAD_LIMIT_MAX_BYTES).contains(&self.payload_max_bytes) {
            let got = self.payload_max_bytes;
            return wrong(format!("payload_max_bytes must be 1 to {PAYLOAD_LIMIT_MAX_BYTES}, got {got}"));
        }
        match self.max_bytes {
            Some(got) if got < MAX_BYTES_MIN => {
                wrong(format!("max_bytes must be at least {MAX_BYTES_MIN}, got {got}"))
            }
            _ => Ok(()),
        }
    }
}
