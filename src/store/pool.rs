//! The connections that read: bounded, opened when first needed, read-only.
//!
//! A reader never holds a transaction for longer than one page: a long one would keep the
//! write-ahead log from being reused.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{
    connect::{self, Reader},
    files::Files,
    options::StoreOptions,
};
use crate::error::{Error, ErrorKind, Result};

/// The most connections that read at one time; further readers wait for one.
const CONNECTIONS_MAX: usize = 8;

/// How long a pause waits for those who are reading.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// The pool.
#[derive(Debug)]
pub(super) struct Pool {
    files: Files,
    options: StoreOptions,
    state: Mutex<State>,
    /// A connection came back.
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Reader>,
    in_use: usize,
    is_paused: bool,
    is_closed: bool,
}

impl Pool {
    pub(super) fn new(files: Files, options: StoreOptions) -> Self {
        Self { files, options, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Puts a connection into the pool that was opened to see whether it can be.
    pub(super) fn add(&self, reader: Reader) {
        if !reader.is_snapshot {
            self.state.lock().idle.push(reader);
        }
    }

    /// Lends a connection to `work`.
    pub(super) fn read<T>(&self, work: impl FnOnce(&rusqlite::Connection) -> Result<T>) -> Result<T> {
        let lent = self.lend()?;
        let Some(reader) = &lent.reader else { return Err(closed()) };
        work(&reader.connection)
    }

    fn lend(&self) -> Result<Lent<'_>> {
        let mut state = self.state.lock();
        while !state.is_closed
            && (state.is_paused || state.idle.is_empty() && state.in_use >= CONNECTIONS_MAX)
        {
            self.returned.wait(&mut state);
        }
        if state.is_closed {
            return Err(closed());
        }
        state.in_use += 1;
        let mut lent = Lent { pool: self, reader: state.idle.pop() };
        drop(state);
        if lent.reader.is_none() {
            lent.reader = Some(connect::reader(&self.files, &self.options)?);
        }
        Ok(lent)
    }

    /// Lets nobody begin to read until what is returned is dropped, and waits a moment for those who
    /// are reading. Only one at a time may pause: the one who writes.
    pub(super) fn pause(&self) -> Paused<'_> {
        let deadline = Instant::now() + PAUSE_MAX;
        let mut state = self.state.lock();
        state.is_paused = true;
        while state.in_use > 0 && !self.returned.wait_until(&mut state, deadline).timed_out() {}
        Paused { pool: self }
    }

    /// Closes the connections, once those in use came back.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        self.returned.notify_all();
        while state.in_use > 0 {
            self.returned.wait(&mut state);
        }
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    /// Gives the connections up without closing them: they belong to the process before the fork.
    pub(super) fn forget(&self) {
        if let Some(mut state) = self.state.try_lock() {
            state.is_closed = true;
            std::mem::take(&mut state.idle).into_iter().for_each(std::mem::forget);
        }
    }
}

/// Nobody begins to read while this lives.
pub(super) struct Paused<'a> {
    pool: &'a Pool,
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.pool.state.lock().is_paused = false;
        self.pool.returned.notify_all();
    }
}

/// A connection that goes back to the pool when dropped.
struct Lent<'a> {
    pool: &'a Pool,
    reader: Option<Reader>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // One that is in a transaction was left by a panic or an error; one that takes the file as
        // immutable would miss an owner who comes.
        let reusable =
            self.reader.take().filter(|reader| !reader.is_snapshot && reader.connection.is_autocommit());
        let mut state = self.pool.state.lock();
        state.in_use -= 1;
        state.idle.extend(reusable);
        drop(state);
        self.pool.returned.notify_all();
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed")
}
