//! [`Session`]: the mirror over one connection: batches on their way, and looks at where streams stand.
//!
//! One round trip is under way at a time, and while it is, the next batch is made. The first failure
//! of the connection ends the session; nothing is sent twice over one.

use std::time::{Duration, Instant};

use ::redis::Cmd;

use super::{
    batch::Batch,
    position::Position,
    script::{self, Appended},
    worker::Worker,
};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::{
        back_off::BackOff,
        client::{Client, Reply},
        fault::Refusal,
        trim::{TrimStep, trim_command},
    },
};

/// How often the mirror looks whether streams still stand where it left them.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The most streams that one round trip asks about.
const CHECK_STREAMS_MAX: usize = 512;
/// How long a stream that refuses entries is left alone before it is tried again.
const BLOCKED_INTERVAL: Duration = Duration::from_secs(5);
/// A stream is trimmed when it got so many entries, or a hundredth of its limit.
const TRIM_AFTER_ENTRIES: u64 = 100;

/// One connection's time.
pub(super) struct Session<'a> {
    pub(super) worker: &'a mut Worker,
    pub(super) client: Client,
    checked_at: Instant,
    tried_blocked_at: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(worker: &'a mut Worker, client: Client) -> Self {
        let now = Instant::now();
        Self { worker, client, checked_at: now, tried_blocked_at: now }
    }

    /// Mirrors until the mirror is stopped; an error ends the connection.
    pub(super) fn run(&mut self, back_off: &mut BackOff) -> Result<()> {
        self.check()?;
        let mut ahead = None;
        while !self.worker.shared.is_stopped() {
            let calls = self.worker.store.calls();
            let batch = match ahead.take() {
                Some(batch) => batch,
                None => self.next()?,
            };
            if batch.is_empty() {
                self.rest(calls)?;
            } else {
                ahead = self.append(batch)?;
            }
            // Not before: a server that lets the mirror in may still refuse all that it sends.
            back_off.reset();
            self.answer_requests()?;
            if self.checked_at.elapsed() >= CHECK_INTERVAL {
                self.check()?;
            }
            self.worker.save_sometimes()?;
            ahead = ahead.filter(|batch: &Batch| batch.after == self.worker.book.cursor());
        }
        Ok(())
    }

    /// The next part of the log.
    fn next(&mut self) -> Result<Batch> {
        loop {
            let after = self.worker.book.cursor();
            match self.worker.encoder.next(after) {
                Err(error) if error.kind() == ErrorKind::Pruned => self.pass_over_hole(after)?,
                batch => return batch,
            }
        }
    }

    /// Goes on behind events that the log no longer holds.
    fn pass_over_hole(&mut self, after: u64) -> Result<()> {
        let next = self.worker.store.next_held(after)?;
        if self.worker.book.tally.count("no longer in the log", after + 1, next - 1) {
            tracing::warn!(
                first_seq = after + 1,
                last_seq = next - 1,
                "planbus.mirror: no longer in the log"
            );
        }
        self.worker.book.advance(next - 1);
        Ok(())
    }

    /// Everything is in Redis: waits for more.
    fn rest(&mut self, calls: u64) -> Result<()> {
        self.worker.tell(0, true);
        if self.worker.shared.open_request().is_none() && !self.worker.shared.is_stopped() {
            let cursor = self.worker.book.cursor();
            let until = self.checked_at + CHECK_INTERVAL;
            self.worker.store.wait_beyond(cursor, calls, until);
        }
        Ok(())
    }

    /// Sends a batch, makes the next one meanwhile, and takes the answers.
    fn append(&mut self, batch: Batch) -> Result<Option<Batch>> {
        let places = self.place_new(&batch)?;
        if places {
            // A stream may have turned out to lack events from before.
            if self.worker.book.cursor() < batch.after {
                return Ok(None);
            }
        }
        let Batch { after, end, appends, skipped, stopped } = batch;
        let sent = self.send(appends)?;
        let ahead = if stopped.is_none() { self.worker.encoder.next(end).ok() } else { None };
        let replies = self.client.receive()?;
        self.worker.book.advance(end);
        let appended =
            self.take_answers(sent, replies, after).inspect_err(|_| self.worker.book.rewind(after))?;
        for (seq, why) in skipped {
            if self.worker.book.tally.count(why.reason(), seq, seq) {
                tracing::debug!(seq, %why, "planbus.mirror: skipped");
            }
        }
        tracing::trace!(after, end, appended, "planbus.mirror");
        let head = self.worker.store.head()?;
        let is_current =
            head.saturating_sub(self.worker.book.cursor()) <= self.worker.encoder.limits.events as u64;
        // One that stops before its first event changes nothing.
        if end > after {
            self.worker.tell(appended, is_current && stopped.is_none());
        }
        match stopped {
            Some((seq, why)) => {
                let problem = format!("the event at seq {seq} cannot be expressed by the profile: {why}");
                Err(Error::new(ErrorKind::InvalidInput, problem))
            }
            None => Ok(ahead.filter(|_| self.worker.book.cursor() == end)),
        }
    }

    /// Looks where streams stand that come up for the first time; whether there were any.
    fn place_new(&mut self, batch: &Batch) -> Result<bool> {
        let is_new = |stream: &String| {
            self.worker.book.known(stream).is_none_or(|known| known.position.is_none() && known.is_open())
        };
        let new: Vec<String> =
            batch.appends.iter().map(|(stream, _)| stream).filter(|stream| is_new(stream)).cloned().collect();
        for stream in &new {
            self.check_stopped()?;
            self.place(stream)?;
        }
        Ok(!new.is_empty())
    }

    fn send(&mut self, appends: Vec<(String, script::Append)>) -> Result<Vec<Sent>> {
        let max_len = self.worker.encoder.profile.max_len();
        let (mut commands, mut sent) = (Vec::new(), Vec::new());
        for (stream, append) in appends {
            let known = self.worker.book.stream(&stream);
            let Some(believed) = known.position.filter(|_| known.is_open()) else { continue };
            if believed.seq >= append.last().seq {
                continue;
            }
            known.untrimmed = known.untrimmed.saturating_add(append.ids().len() as u64);
            let trim = max_len.filter(|max_len| known.untrimmed >= TRIM_AFTER_ENTRIES.max(max_len / 100));
            let (command, ids) = append.into_command(believed);
            commands.push(command);
            sent.push(Sent::Append { stream: stream.clone(), ids });
            if let Some(max_len) = trim {
                known.untrimmed = 0;
                commands.push(trim_command(&stream, max_len));
                sent.push(Sent::Trim { stream });
            }
        }
        if !commands.is_empty() {
            self.client.send(&commands)?;
        }
        Ok(sent)
    }

    /// Takes the answers to all commands of the batch after a seq; how many entries were appended.
    fn take_answers(&mut self, sent: Vec<Sent>, replies: Vec<Reply>, after: u64) -> Result<u64> {
        sent.into_iter().zip(replies).map(|(sent, reply)| self.take_answer(sent, reply, after)).sum()
    }

    /// Takes the answer to one command; how many entries it appended.
    fn take_answer(&mut self, sent: Sent, reply: Reply, after: u64) -> Result<u64> {
        match sent {
            Sent::Append { stream, ids } => self.take_append(&stream, &ids, reply, after),
            Sent::Trim { stream } => {
                // A stream that cannot be trimmed is no less equal to the log.
                let known = self.worker.book.stream(&stream);
                let was_refused = std::mem::replace(&mut known.is_trim_refused, reply.is_err());
                known.trim_held_by = match reply {
                    Ok(value) => TrimStep::of_reply(&value).and_then(|step| step.held_by),
                    Err(refusal) => {
                        // Told once: it grows until somebody mends that.
                        if !was_refused {
                            tracing::warn!(stream, %refusal, "planbus.mirror: the stream cannot be trimmed");
                        }
                        None
                    }
                };
                Ok(0)
            }
        }
    }

    fn take_append(&mut self, stream: &str, ids: &[Position], reply: Reply, after: u64) -> Result<u64> {
        let Appended { at, refused } = match Appended::of_reply(reply) {
            Ok(appended) => appended,
            Err(refusal) => {
                self.refused(stream, refusal)?;
                return Ok(0);
            }
        };
        let reached = at.and_then(|at| ids.iter().position(|id| *id == at));
        match (at, reached) {
            (Some(at), Some(_)) => self.worker.book.stream(stream).position = Some(at),
            // Nothing was appended: it stands where it was, or elsewhere, or nowhere.
            (Some(at), None) => self.found(stream, at)?,
            (None, _) => self.place(stream)?,
        }
        if let Some(refusal) = refused {
            self.refused(stream, refusal)?;
        }
        let appended = reached.map_or(0, |reached| reached + 1);
        if appended < ids.len() {
            // The cursor is beyond what it lacks, also where it stands as it did.
            self.worker.book.rewind(after);
        }
        Ok(appended as u64)
    }

    /// Ends the session where the mirror was stopped: what takes many round trips asks in between.
    pub(super) fn check_stopped(&self) -> Result<()> {
        match self.worker.shared.is_stopped() {
            true => Err(Error::new(ErrorKind::Closed, "the mirror was stopped")),
            false => Ok(()),
        }
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

    /// Looks whether all streams stand where the mirror left them, and mends what does not.
    fn check(&mut self) -> Result<()> {
        self.checked_at = Instant::now();
        let streams: Vec<String> = self.worker.book.streams().map(|(key, _)| key.clone()).collect();
        for streams in streams.chunks(CHECK_STREAMS_MAX) {
            let mut commands: Vec<Cmd> = streams.iter().map(|stream| script::groups(stream)).collect();
            let registered = streams.iter().filter_map(|stream| self.registration(stream));
            commands.extend(registered);
            self.client.send(&commands)?;
            let replies = self.client.receive()?;
            for (stream, reply) in streams.iter().zip(replies) {
                self.check_stopped()?;
                match script::position_of(reply, &self.worker.encoder.group) {
                    Ok(Some(at)) => self.found(stream, at)?,
                    Ok(None) => self.place(stream)?,
                    Err(refusal) => self.refused(stream, refusal)?,
                }
            }
        }
        if self.tried_blocked_at.elapsed() >= BLOCKED_INTERVAL {
            self.tried_blocked_at = Instant::now();
            self.try_blocked()?;
        }
        Ok(())
    }

    /// Streams that refused entries may take them again.
    fn try_blocked(&mut self) -> Result<()> {
        let blocked = self.worker.book.streams().filter(|(_, stream)| stream.is_blocked());
        let blocked: Vec<String> = blocked.map(|(key, _)| key.clone()).collect();
        for stream in blocked {
            let info = self.client.call(&script::info(&stream))?;
            match script::last_id(info) {
                Ok(last) if last.starts_with(&format!("{}-{}", u64::MAX, u64::MAX)) => {}
                Ok(_) => self.worker.book.unblock(&stream),
                Err(refusal) => self.refused(&stream, refusal)?,
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
        let (log, floor) = (self.worker.store.chain_at(at.seq)?, self.worker.store.floor()?);
        self.worker.book.found(stream, at, log, floor);
        Ok(())
    }

    /// Answers whoever asked whether Redis has everything, after a look of its own.
    fn answer_requests(&mut self) -> Result<()> {
        let Some(request) = self.worker.shared.open_request() else { return Ok(()) };
        if self.worker.book.cursor() < request.wanted {
            return Ok(());
        }
        self.check()?;
        let has_all = self.worker.book.cursor() >= request.wanted && self.worker.book.is_sound();
        if has_all {
            self.worker.save()?;
        }
        let is_open = self.worker.book.is_sound();
        self.worker.tell(0, is_open && has_all);
        if has_all || !is_open {
            self.worker.shared.answer(request, has_all);
        }
        Ok(())
    }
}

/// A command on its way.
enum Sent {
    Append { stream: String, ids: Vec<Position> },
    Trim { stream: String },
}
