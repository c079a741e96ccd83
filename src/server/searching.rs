//! [`Search`]: the full-text index of a server, and the thread that keeps it up to date.
//!
//! It reads the log like any follower, and holds up neither publishers nor clients.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::{
    error::{Error, ErrorKind, Result},
    store::{EventStore, SearchIndex},
};

/// Where the index of a server is.
#[derive(Clone, Debug)]
pub(super) enum SearchFile {
    /// Beside the database; where it cannot be there, the server does without.
    Beside,
    At(PathBuf),
}

/// An index that follows the log for as long as this lives.
#[derive(Debug)]
pub(super) struct Search {
    index: Arc<SearchIndex>,
    store: EventStore,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Search {
    /// Opens the index, or makes it, and begins to follow.
    pub(super) fn start(store: &EventStore, file: &SearchFile) -> Result<Option<Self>> {
        let opened = match file {
            SearchFile::At(path) => {
                SearchIndex::open(store, path).map_err(|error| error.within("search_file"))
            }
            SearchFile::Beside => match SearchIndex::open(store, &SearchIndex::default_path(store)) {
                Err(error) => {
                    tracing::warn!(target: "planbus.serve", %error, "the log is served without a search index");
                    return Ok(None);
                }
                opened => opened,
            },
        };
        let (index, is_stopping) = (Arc::new(opened?), Arc::new(AtomicBool::new(false)));
        let follow = {
            let (index, is_stopping) = (Arc::clone(&index), Arc::clone(&is_stopping));
            move || index.follow(|| is_stopping.load(Ordering::Acquire))
        };
        let thread = thread::Builder::new().name("planbus-search".to_owned()).spawn(follow);
        let thread = thread.map_err(|cause| {
            Error::with_source(ErrorKind::Unavailable, "start the server's search index", cause)
        })?;
        Ok(Some(Self { index, store: store.clone(), is_stopping, thread: Some(thread) }))
    }

    pub(super) fn index(&self) -> &Arc<SearchIndex> {
        &self.index
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Release);
        self.store.wake_tails();
        if let Some(thread) = self.thread.take() {
            // What fails in it is logged there.
            let _ = thread.join();
        }
    }
}
