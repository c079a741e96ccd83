//! [`EventStore::verify`]: whether a store is as planbus wrote it.
//!
//! Puts together what `walk` says of the rows and `structure` of the rest. Never changes anything.

use rusqlite::Connection;

use super::{
    EventStore,
    chain::{ChainHash, Link},
    files::Files,
    lock::Note,
    opening,
    options::Durability,
    read, structure,
    wal_check::{self, WalState},
    walk::{Broken, Walk},
};
use crate::error::Result;

/// What [`EventStore::verify`] found.
///
/// ```
/// use planbus::{Event, EventStore, PlanStarted};
///
/// # let dir = std::env::temp_dir().join(format!("planbus-verify-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// let store = EventStore::open(dir.join("planbus.db"))?;
/// store.save(&Event::new("plan-7", PlanStarted::new("tidy up")))?;
/// let kept = store.verify()?.head; // to be kept where nobody who can write the store can
///
/// store.save(&Event::new("plan-8", PlanStarted::new("tidy up again")))?;
/// let found = store.verify_against(kept)?;
/// assert!(found.is_sound());
/// assert_eq!((found.events, found.kept_head_seq), (2, Some(1)));
/// # store.close()?;
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The store's id, a ULID.
    pub store_id: String,
    /// How many rows are sound: all, or those before the first that is not.
    pub events: u64,
    /// The first seq that retention left; of an empty log 1.
    pub first_seq: u64,
    /// The last seq that is sound, 0 for none.
    pub last_seq: u64,
    /// The chain at `last_seq`: it stands for all rows up to there.
    pub head: ChainHash,
    /// The first row that is not as planbus wrote it.
    pub broken: Option<Broken>,
    /// Where the head that was kept elsewhere stands in the log; `None` when none was given, or
    /// when it is not there.
    pub kept_head_seq: Option<u64>,
    /// What is wrong beside the rows, in words: damaged pages, definitions that were changed,
    /// triggers, a kept head that is not in the log.
    pub problems: Vec<String>,
    /// What somebody added that does no harm, in words: tables, indexes, views.
    pub notes: Vec<String>,
}

impl Verification {
    /// Whether everything is as planbus wrote it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.broken.is_none() && self.problems.is_empty()
    }

    /// What is wrong first, in words.
    #[must_use]
    pub fn first_problem(&self) -> Option<String> {
        self.broken.map(|broken| broken.to_string()).or_else(|| self.problems.first().cloned())
    }
}

impl EventStore {
    /// Checks the whole store: recomputes the chain of every row, compares tables, indexes and views
    /// with those that planbus makes, and has SQLite check every page.
    ///
    /// It finds the first row that was changed, removed or put in by somebody who did not recompute
    /// the chain. One who did, or who removed the last rows with every trace, is only found by
    /// [`verify_against`](Self::verify_against). Rows that are committed meanwhile are not looked
    /// at. The rows are read in short transactions; SQLite's own check is one long one, in which the
    /// write-ahead log of a busy store grows.
    ///
    /// # Errors
    /// `Corrupt` when the file is so damaged that it cannot be read to its end: the message names
    /// the last seq that is sound. Else as [`get`](Self::get).
    pub fn verify(&self) -> Result<Verification> {
        self.run_verification(None)
    }

    /// As [`verify`](Self::verify), and compares with a head that was kept elsewhere: the log must
    /// hold the row that it was the head of.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_against(&self, head: ChainHash) -> Result<Verification> {
        self.run_verification(Some(head.0))
    }

    fn run_verification(&self, kept: Option<Link>) -> Result<Verification> {
        // Read before the log's head: a living owner can only be ahead of its note.
        let note = Note::read(&self.inner.files);
        let head = self.inner.read(read::end)?;
        let mut walk = self.inner.read(|connection| Walk::start(connection, kept))?;
        while self.inner.read(|connection| walk.step(connection))? {}
        let mut found = self.inner.read(|connection| conclude(connection, walk, kept))?;
        found.add_losses(&self.inner.files, note, head)?;
        Ok(found)
    }
}

impl Verification {
    /// Adds what the last owner's note and the write-ahead log's file say, as far as SQLite leaves it
    /// out. What an owner with `Durability::Process` left may be so after a power cut.
    pub(super) fn add_losses(&mut self, files: &Files, note: Note, head: u64) -> Result<()> {
        let mut losses: Vec<String> = opening::missing(note, head).into_iter().collect();
        match wal_check::check(files)? {
            WalState::Whole => {}
            torn @ WalState::Torn { .. } => self.notes.push(torn.to_string()),
            damaged @ WalState::Damaged { .. } => losses.push(damaged.to_string()),
        }
        match note.durability {
            Durability::Full => self.problems.append(&mut losses),
            Durability::Process => self.notes.append(&mut losses),
        }
        Ok(())
    }
}

/// Checks a database that nobody writes to.
pub(super) fn verify_file(connection: &Connection) -> Result<Verification> {
    let mut walk = Walk::start(connection, None)?;
    while walk.step(connection)? {}
    conclude(connection, walk, None)
}

/// Looks at what is beside the rows, and puts everything together.
fn conclude(connection: &Connection, walk: Walk, kept: Option<Link>) -> Result<Verification> {
    let mut findings = structure::check(connection)?;
    findings.problems.extend(walk.wrong_sequence());
    if let (Some(kept), None) = (kept, walk.found) {
        findings.problems.push(format!(
            "head {}: is not in the log, which was cut, rewritten, or pruned beyond it",
            ChainHash(kept)
        ));
    }
    Ok(Verification {
        store_id: walk.store_id().to_owned(),
        events: walk.events,
        first_seq: walk.first_seq(),
        last_seq: read::unsigned(walk.seq),
        head: ChainHash(walk.link),
        broken: walk.broken,
        kept_head_seq: walk.found.map(read::unsigned),
        problems: findings.problems,
        notes: findings.notes,
    })
}
