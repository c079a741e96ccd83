//! [`SearchIndex`]: full-text search over the log, in a file of its own beside it.
//!
//! The index follows the log like any reader: it never taxes a commit, and never writes to the store.
//! What it holds is derived. Where it is damaged, of another version, or not of this log, it is made
//! anew, and meanwhile says how far it has read. It only names seqs: what is found is read from the
//! log, for one tenant, so that whatever stands in the index no other tenant's event is returned.

mod file;
mod log;
mod place;
mod query;
#[cfg(test)]
mod tests;
mod words;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::RwLock;

pub(crate) use self::query::SearchQuery;
use self::{
    file::{Change, IndexFile},
    log::Next,
    place::Place,
    words::Document,
};
use super::{
    EventStore,
    files::{Files, Found},
    lock::Claim,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, Tenant},
};

/// The most events that one transaction takes into the index.
pub(crate) const SEARCH_BATCH_MAX: usize = 500;
/// How many seqs one transaction at most removes from the index once they were pruned.
const PRUNE_SEQS: u64 = 1_000;
/// The index is asked for at least so many seqs at a time.
const CANDIDATES_MIN: usize = 64;
/// A page ends, and names its next one, when so many seqs that the index named were looked at.
const CANDIDATES_MAX: usize = 10_000;
/// How long `follow` waits for the log before it looks for what was pruned.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// How long `follow` waits before it tries again what failed.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A full-text index of a store, open in one process at a time. Its file may be removed at any time: it
/// is made anew when the index is opened next.
///
/// Damage that SQLite can see is met with a new index too. It has no checksums: what a flipped bit made
/// of a word is not found, or found by another word, until the file is removed. What was pruned from the
/// log is never found again; its words leave the file when SQLite merges the index, some time later.
#[derive(Debug)]
pub(crate) struct SearchIndex {
    store: EventStore,
    files: Files,
    /// `None` where making it anew failed: the next use tries again.
    file: RwLock<Option<IndexFile>>,
    /// What was told last of how far it has read.
    indexed: AtomicU64,
    /// Held for as long as the index is open; after the file, so that it is closed first.
    _lock: Claim,
}

/// How far an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SearchProgress {
    /// All events up to this seq can be found; 0 for none.
    pub(crate) indexed_seq: u64,
    /// The last seq that the log holds.
    pub(crate) last_seq: u64,
    /// The last seq that was given: more than `last_seq` where somebody cut off the log's end.
    given_seq: u64,
    /// Events that the log no longer holds are yet to be removed.
    has_pruned: bool,
}

impl SearchProgress {
    /// Whether nothing was left to do.
    pub(crate) fn is_complete(&self) -> bool {
        self.indexed_seq >= self.last_seq && !self.has_pruned
    }
}

/// A page of what was found.
#[derive(Debug)]
pub(crate) struct SearchPage {
    pub(crate) events: Vec<Event>,
    /// The next page is before this seq, or after it where the oldest come first; `None` where no more
    /// was found. A page may be short, or empty, and yet have a next one.
    pub(crate) next: Option<u64>,
    /// The index has read the log up to this seq.
    pub(crate) indexed_seq: u64,
    /// The last seq that the log holds: where it is more than `indexed_seq`, newer events are missing.
    pub(crate) last_seq: u64,
}

impl SearchIndex {
    /// Where the index of a store is unless somebody says otherwise: beside the database.
    pub(crate) fn default_path(store: &EventStore) -> PathBuf {
        let mut path = OsString::from(store.path());
        path.push(".search");
        path.into()
    }

    /// Opens the index of a store at `path`, and makes it where it is missing or of no use.
    ///
    /// # Errors
    /// `Locked` when another server has it open; `InvalidInput` when the path is the store's, on a
    /// network file system, or of a file that is no search index; `ReadOnly` and `DiskFull` when it
    /// cannot be written.
    pub(crate) fn open(store: &EventStore, path: &Path) -> Result<Self> {
        let files = Files::resolve(path)?;
        files.refuse_network()?;
        if store.inner.files.hold(&files.db) {
            let shown = files.db.display();
            return Err(Error::invalid("path", format!("must not be a file of the store, got {shown}")));
        }
        let lock = file::hold(&files)?;
        let opened = match files.find()? {
            Found::Nothing => None,
            Found::File { .. } => match IndexFile::open(&files, 1, store.store_id()) {
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                opened => Some(opened?),
            },
        };
        let index = Self {
            store: store.clone(),
            files,
            file: RwLock::new(opened),
            indexed: AtomicU64::new(0),
            _lock: lock,
        };
        // Whether it is of this log is settled before anybody asks it.
        index.catch_up(0)?;
        Ok(index)
    }

    /// Takes up to `limit` more events into the index, 500 at most, and removes some that were pruned
    /// from the log.
    ///
    /// # Errors
    /// As any read of the store; `DiskFull`, `ReadOnly` and `Storage` when the index cannot be written.
    /// Nothing is lost by that: a later call goes on where the last one ended.
    pub(crate) fn catch_up(&self, limit: usize) -> Result<SearchProgress> {
        loop {
            let (number, from) = self.with_file(|file| Ok((file.number, file.place()?)))?;
            let batch = match log::next(&self.store, &from, limit.min(SEARCH_BATCH_MAX))? {
                Next::GoOn(batch) => batch,
                Next::StartOver(reason) => {
                    self.start_over(Some(number), reason)?;
                    continue;
                }
            };
            // An empty index has nothing to remove.
            let begin = if from.indexed == 0 { batch.floor } else { from.floor };
            let floor = batch.floor.min(begin + PRUNE_SEQS);
            let to = Place { floor, indexed: batch.examined, chain: batch.chain, ..from.clone() };
            let added: Vec<_> =
                batch.events.iter().filter_map(|event| Some((event.seq()?, Document::of(event)))).collect();
            let change = Change { removed: begin..floor, added: &added, from: &from, to: &to };
            // The file may have been made anew meanwhile, by a search that found it damaged.
            if from == to || self.with_file(|file| file.apply(&change))? {
                self.indexed.store(to.indexed, Ordering::Relaxed);
                return Ok(SearchProgress {
                    indexed_seq: to.indexed,
                    last_seq: batch.last,
                    given_seq: batch.head,
                    has_pruned: floor < batch.floor,
                });
            }
        }
    }

    /// All events up to this seq can be found, 0 for none: as it was after the last change of the index.
    /// Waits for nobody.
    pub(crate) fn indexed_seq(&self) -> u64 {
        self.indexed.load(Ordering::Relaxed)
    }

    /// Keeps the index up to date until `should_stop` says so or the store is closed. It is asked after
    /// each batch, each second, and when [`EventStore::wake_tails`] was called. What fails is logged
    /// and tried again.
    pub(crate) fn follow(&self, should_stop: impl Fn() -> bool) {
        let mut told = String::new();
        loop {
            // Asked for before `should_stop` is: a call in between ends the wait.
            let calls = log::calls(&self.store);
            if should_stop() {
                return;
            }
            let outcome = self.catch_up(SEARCH_BATCH_MAX).and_then(|progress| {
                if progress.is_complete() {
                    log::wait_beyond(&self.store, progress.given_seq, calls, IDLE_MAX)?;
                }
                Ok(())
            });
            match outcome {
                Ok(()) => told.clear(),
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => {
                    if told != error.to_string() {
                        told = error.to_string();
                        tracing::warn!(?error, "planbus.search: the index stands still");
                    }
                    log::wait_for_call(&self.store, calls, RETRY_AFTER);
                }
            }
        }
    }

    /// A page of the tenant's events that a query asks for, as far as the index has read the log. No
    /// event is on two pages, and none that stays in the log is on no page.
    ///
    /// # Errors
    /// `InvalidInput` names a field of the query that was given wrong; else as any read of the store.
    pub(crate) fn search(&self, tenant: &Tenant, query: &SearchQuery) -> Result<SearchPage> {
        query.check()?;
        let mut question = query.question(tenant);
        let mut page = SearchPage { events: Vec::new(), next: None, indexed_seq: u64::MAX, last_seq: 0 };
        let mut examined = 0;
        loop {
            let left = query.page_limit() - page.events.len();
            // One more than is looked at tells whether there is more.
            let asked = left.max(CANDIDATES_MIN);
            let (seqs, place) = self.with_file(|file| file.find(&question, asked + 1))?;
            page.indexed_seq = page.indexed_seq.min(place.indexed);
            let candidates = &seqs[..seqs.len().min(asked)];
            let (events, looked_at) =
                log::events(&self.store, tenant, candidates, left, |event| query.wants(event))?;
            page.events.extend(events);
            if looked_at == seqs.len() {
                break;
            }
            examined += looked_at;
            if let Some(last) = candidates[..looked_at].last() {
                question.go_on_behind(*last);
                if looked_at < asked || page.events.len() == query.page_limit() || examined >= CANDIDATES_MAX
                {
                    page.next = Some(*last);
                    break;
                }
            }
        }
        page.last_seq = log::last(&self.store)?;
        Ok(page)
    }

    /// Does something with the file, once more where it turned out to be damaged and was made anew.
    fn with_file<T>(&self, work: impl Fn(&IndexFile) -> Result<T>) -> Result<T> {
        let (number, outcome) = {
            let file = self.file.read();
            (file.as_ref().map(|file| file.number), file.as_ref().map(&work))
        };
        match outcome {
            // Not found where somebody removed it.
            Some(Err(error)) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                self.start_over(number, &error.to_string())?;
            }
            Some(outcome) => return outcome,
            None => self.start_over(number, "there is none of use")?,
        }
        let file = self.file.read();
        file.as_ref().map_or_else(|| Err(file::damaged("was not made anew")), work)
    }

    /// Makes the index anew, unless somebody has done so since it had this number.
    fn start_over(&self, number: Option<u64>, reason: &str) -> Result<()> {
        let mut file = self.file.write();
        if file.as_ref().map(|file| file.number) != number {
            return Ok(());
        }
        tracing::info!(path = %self.files.db.display(), reason, "planbus.search: the index begins anew");
        // Closed before its files go.
        *file = None;
        let next = number.map_or(1, |number| number + 1);
        *file = Some(IndexFile::create(&self.files, next, &Place::start(self.store.store_id()))?);
        Ok(())
    }
}
