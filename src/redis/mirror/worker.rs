//! [`Worker`]: the mirror's thread: connects, mirrors for as long as the connection lasts, and tries
//! again.
//!
//! It only reads the log, and never holds up who writes it: its cursor is saved at most once a
//! second.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    batch::Encoder,
    book::Book,
    session::Session,
    shared::Shared,
    status::{MirrorState, StreamTrouble},
};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::{RedisEndpoint, back_off::BackOff},
    store::{Claim, EventStore},
};

/// How often the mirror's cursor is saved in the store.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a mirror that waits to try again looks whether its store was closed.
const CLOSED_INTERVAL: Duration = Duration::from_millis(100);

/// The mirror's thread.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) store: EventStore,
    pub(super) endpoint: RedisEndpoint,
    pub(super) shared: Arc<Shared>,
    pub(super) encoder: Encoder,
    pub(super) book: Book,
    /// The reader whose cursor it is in the store, and the right to be the only one.
    pub(super) claim: Claim,
    pub(super) setup: String,
    pub(super) saved_at: Instant,
}

/// Tells that the thread has ended, also where it panicked.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.tell(|news| {
            news.state = MirrorState::Stopped;
            if thread::panicking() {
                news.last_error = Some(Error::new(ErrorKind::Storage, "the mirror's thread panicked"));
            }
        });
    }
}

impl Worker {
    /// Mirrors until it is stopped, or the store is closed.
    pub(super) fn run(mut self) {
        let _told = End(Arc::clone(&self.shared));
        let mut back_off = self.endpoint.back_off();
        while self.goes_on() {
            match self.mirror(&mut back_off) {
                Ok(()) => break,
                Err(error) if error.kind() == ErrorKind::Closed => break,
                Err(error) => self.wait_after(error, &mut back_off),
            }
        }
        // A store that was closed keeps the cursor that was saved last.
        let _ = self.save();
        tracing::debug!(mirror = self.claim.reader(), "planbus.mirror: stopped");
    }

    /// Mirrors over one connection; returns when it was stopped.
    fn mirror(&mut self, back_off: &mut BackOff) -> Result<()> {
        let client = self.endpoint.connect()?;
        let server = client.server().clone();
        for warning in &server.warnings {
            tracing::warn!(mirror = self.claim.reader(), warning = warning.as_str(), "planbus.mirror");
        }
        self.shared.tell(|news| news.server = Some(server));
        Session::new(self, client).run(back_off)
    }

    fn wait_after(&mut self, error: Error, back_off: &mut BackOff) {
        let state = if error.is_transient() { MirrorState::Retrying } else { MirrorState::Blocked };
        let delay = back_off.next_delay();
        let told = self.shared.news();
        // Told once, not at every try.
        if told.last_error.map(|last| last.to_string()) != Some(error.to_string()) || told.state != state {
            let reader = self.claim.reader();
            tracing::warn!(mirror = reader, state = state.as_str(), %error, cause = ?error, "planbus.mirror");
        }
        self.shared.tell(|news| {
            news.state = state;
            news.last_error = Some(error);
        });
        if let Some(request) = self.shared.hear()
            && state == MirrorState::Blocked
        {
            self.shared.answer(request, false);
        }
        // What turned out to be missing in Redis is kept in the log, also while Redis is away.
        let _ = self.save_sometimes();
        self.pause(Instant::now() + delay);
    }

    /// Whether it is not stopped, and its store not closed.
    fn goes_on(&self) -> bool {
        !self.shared.is_stopped() && self.store.head().is_ok()
    }

    /// Waits until the deadline, unless it is over before, or somebody asks how it stands. Not by the
    /// log's own signal: publishers must not wake who has nothing to do for them.
    fn pause(&self, deadline: Instant) {
        while self.goes_on() && !self.shared.has_new_request() && Instant::now() < deadline {
            self.shared.wait_until(deadline.min(Instant::now() + CLOSED_INTERVAL));
        }
    }

    /// Tells how it stands.
    pub(super) fn tell(&mut self, appended: u64, is_current: bool) {
        let troubled: Vec<StreamTrouble> = self.book.troubles();
        let worst = troubled.iter().max_by_key(|trouble| trouble.state as u8);
        let usual = if is_current { MirrorState::Live } else { MirrorState::CatchingUp };
        let state = worst.map_or(usual, |trouble| trouble.state);
        let last_error = worst.map(|trouble| trouble.error.clone());
        let (seq, streams, skipped) = (self.book.needed_after(), self.book.len(), self.book.tally.to_vec());
        let trim_held_by = self.book.held_trims();
        self.shared.tell(|news| {
            (news.state, news.last_error, news.troubled) = (state, last_error, troubled);
            news.appended += appended;
            (news.seq, news.streams, news.skipped) = (seq, streams, skipped);
            news.trim_held_by = trim_held_by;
        });
    }

    /// Saves the cursor when that is due.
    pub(super) fn save_sometimes(&mut self) -> Result<()> {
        if self.saved_at.elapsed() < SAVE_INTERVAL { Ok(()) } else { self.save() }
    }

    /// Saves how far the mirror is. A store that is full keeps what it had, and is asked again.
    pub(super) fn save(&mut self) -> Result<()> {
        self.saved_at = Instant::now();
        let Some(progress) = self.book.unsaved(&self.setup) else { return Ok(()) };
        match self.store.save_progress(self.claim.reader(), &progress) {
            Ok(()) => self.book.note_saved(progress),
            Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
            Err(error) => tracing::warn!(mirror = self.claim.reader(), %error, "planbus.mirror: save"),
        }
        Ok(())
    }
}
