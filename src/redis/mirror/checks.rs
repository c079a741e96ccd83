//! Looks at where streams stand, and what is done about one that stands elsewhere, or refuses.
//!
//! Decides nothing by itself: what a position means is for the book. Never appends.

use std::time::{Duration, Instant};

use ::redis::Cmd;

use super::{book::Stream, position::Position, script, session::Session};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::fault::Refusal,
};

/// The most streams that one round trip asks about, and that a look in passing asks about at all.
const CHECK_STREAMS_MAX: usize = 512;
/// How long streams that refuse entries are left alone; one that refuses again, twice as often each
/// time.
const BLOCKED_INTERVAL: Duration = Duration::from_secs(5);

/// What was looked at last.
#[derive(Debug)]
pub(super) struct Checks {
    /// When.
    pub(super) last: Instant,
    /// The stream that the next look begins behind.
    behind: Option<String>,
    tried_blocked: Instant,
    /// How often blocked streams were tried.
    rounds: u32,
}

impl Default for Checks {
    fn default() -> Self {
        let now = Instant::now();
        Self { last: now, behind: None, tried_blocked: now, rounds: 0 }
    }
}

impl Session<'_> {
    /// Looks whether all streams stand where the mirror left them, and mends what does not.
    pub(super) fn check_all(&mut self) -> Result<()> {
        self.checks.last = Instant::now();
        let mut behind = None;
        loop {
            let streams = self.worker.book.keys_behind(behind.as_deref(), CHECK_STREAMS_MAX);
            let Some(last) = streams.last() else { return Ok(()) };
            behind = Some(last.clone());
            self.check(&streams)?;
        }
    }

    /// Looks at the next streams in their turn.
    pub(super) fn check_some(&mut self) -> Result<()> {
        self.checks.last = Instant::now();
        let streams = self.worker.book.keys_behind(self.checks.behind.as_deref(), CHECK_STREAMS_MAX);
        self.checks.behind = streams.last().filter(|_| streams.len() == CHECK_STREAMS_MAX).cloned();
        self.check(&streams)?;
        self.try_blocked()
    }

    fn check(&mut self, streams: &[String]) -> Result<()> {
        if streams.is_empty() {
            return Ok(());
        }
        self.check_stopped()?;
        let mut commands: Vec<Cmd> = streams.iter().map(|stream| script::groups(stream)).collect();
        commands.extend(streams.iter().filter_map(|stream| self.registration(stream)));
        self.client.send(&commands)?;
        let mut replies = self.client.receive()?;
        let registrations = replies.split_off(streams.len());
        for (stream, reply) in streams.iter().zip(replies) {
            match script::position_of(reply, &self.worker.encoder.group) {
                Ok(Some(at)) => self.found(stream, at)?,
                Ok(None) => self.place(stream)?,
                Err(refusal) => self.refused(stream, refusal)?,
            }
        }
        self.take_registrations(streams, registrations)
    }

    /// Streams that refused entries may take them again. What they lack is read only then: else the
    /// cursor would go back for nothing, again and again.
    fn try_blocked(&mut self) -> Result<()> {
        if self.checks.tried_blocked.elapsed() < BLOCKED_INTERVAL {
            return Ok(());
        }
        self.checks.tried_blocked = Instant::now();
        self.checks.rounds = self.checks.rounds.wrapping_add(1);
        for stream in self.worker.book.blocked(self.checks.rounds) {
            self.check_stopped()?;
            self.client.send(&[script::info(&stream), script::probe(&stream)])?;
            let mut replies = self.client.receive()?.into_iter();
            let (Some(info), Some(probe)) = (replies.next(), replies.next()) else { return Ok(()) };
            match (script::last_id(info), script::probed(probe)) {
                (Err(refusal), _) | (_, Some(refusal)) => self.refused(&stream, refusal)?,
                (Ok(last), None) if last == script::LAST_ID => {}
                (Ok(_), None) => self.worker.book.unblock(&stream),
            }
        }
        Ok(())
    }

    /// A stream was found at a position: is it one of this log's?
    pub(super) fn found(&mut self, stream: &str, at: Position) -> Result<()> {
        let known = self.worker.book.known(stream).filter(|known| known.position == Some(at));
        // One that is blocked where it stands is tried again in its own time.
        if known.is_some_and(|known| known.is_open() || known.is_blocked()) {
            return Ok(());
        }
        let stood_at = self.worker.book.known(stream).map_or(0, Stream::last_seq);
        let (log, floor) = (self.worker.store.chain_at(at.seq)?, self.worker.store.floor()?);
        self.worker.book.found(stream, at, log, floor);
        if at.seq < stood_at {
            tracing::warn!(
                stream,
                seq = at.seq,
                stood_at,
                "planbus.mirror: the stream has lost entries; what the log holds of them is appended again"
            );
        }
        Ok(())
    }

    /// A stream does not take entries: what passes ends the session, the rest waits for somebody.
    pub(super) fn refused(&mut self, stream: &str, refusal: Refusal) -> Result<()> {
        let doing = format!("mirror into {stream}");
        if refusal.is_transient() || refusal.needs_reconnect() {
            return Err(refusal.into_error(&doing));
        }
        let is_exhausted = refusal.message.contains("exhausted");
        let hint = if is_exhausted {
            format!(" (mend it: planbus streams rebuild {stream})")
        } else {
            String::new()
        };
        let floor = self.worker.store.floor()?;
        self.worker.book.block(stream, refusal.into_error(&(doing + &hint)), floor);
        Ok(())
    }

    /// Ends the session where the mirror was stopped: what takes many round trips asks in between.
    pub(super) fn check_stopped(&self) -> Result<()> {
        match self.worker.shared.is_stopped() {
            true => Err(Error::new(ErrorKind::Closed, "the mirror was stopped")),
            false => Ok(()),
        }
    }

    /// Answers whoever asked whether Redis has everything, after a look of its own.
    pub(super) fn answer_requests(&mut self) -> Result<()> {
        let Some(request) = self.worker.shared.open_request() else { return Ok(()) };
        if self.worker.book.cursor() < request.wanted {
            return Ok(());
        }
        self.check_all()?;
        let is_sound = self.worker.book.is_sound();
        let has_all = self.worker.book.cursor() >= request.wanted && is_sound;
        if has_all {
            self.worker.save()?;
        }
        self.worker.tell(0, has_all);
        if has_all || !is_sound {
            self.worker.shared.answer(request, has_all);
        }
        Ok(())
    }
}
