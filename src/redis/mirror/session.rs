//! [`Session`]: the mirror over one connection: batches on their way, and looks at where streams stand.
//!
//! One round trip is under way at a time, and while it is, the next batch is made. The first failure
//! of the connection ends the session; nothing is sent twice over one.

use std::time::Duration;

use super::{
    batch::Batch,
    book::{GONE, Stream},
    checks::Checks,
    position::Position,
    script::{self, Appended},
    worker::Worker,
};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::{
        back_off::BackOff,
        client::{Client, Reply},
        trim::{TRIM_STEP_MAX_ENTRIES, TrimStep, trim_command},
    },
};

/// How often the mirror looks whether streams still stand where it left them.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The most streams that a mirror has.
const STREAMS_MAX: usize = 100_000;
/// A stream is trimmed when it got so many entries, or a hundredth of its limit; but at least when it
/// got half of what one trim takes away.
const TRIM_AFTER_ENTRIES: u64 = 100;
const TRIM_AFTER_MAX_ENTRIES: u64 = TRIM_STEP_MAX_ENTRIES / 2;

/// One connection's time.
pub(super) struct Session<'a> {
    pub(super) worker: &'a mut Worker,
    pub(super) client: Client,
    pub(super) checks: Checks,
}

impl<'a> Session<'a> {
    pub(super) fn new(worker: &'a mut Worker, client: Client) -> Self {
        Self { worker, client, checks: Checks::default() }
    }

    /// Mirrors until the mirror is stopped; an error ends the connection.
    pub(super) fn run(&mut self, back_off: &mut BackOff) -> Result<()> {
        self.check_all()?;
        self.worker.shared.tell(|news| news.is_compared = true);
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
            if self.checks.last.elapsed() >= CHECK_INTERVAL {
                self.check_some()?;
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
        if self.worker.book.tally.count(GONE, after + 1, next - 1) {
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
            let until = self.checks.last + CHECK_INTERVAL;
            self.worker.store.wait_beyond(cursor, calls, until);
        }
        Ok(())
    }

    /// Sends a batch, makes the next one meanwhile, and takes the answers.
    fn append(&mut self, batch: Batch) -> Result<Option<Batch>> {
        self.place_unknown(&batch)?;
        if self.worker.book.cursor() < batch.after {
            // A stream turned out to lack events from before.
            return Ok(None);
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

    /// Looks where streams stand that come up for the first time.
    fn place_unknown(&mut self, batch: &Batch) -> Result<()> {
        let is_unknown = |stream: &&String| {
            self.worker.book.known(stream).is_none_or(|known| known.position.is_none() && known.is_open())
        };
        let unknown = batch.appends.iter().map(|(stream, _)| stream).filter(is_unknown).cloned();
        let (written, new): (Vec<String>, Vec<String>) =
            unknown.partition(|stream| self.worker.book.known(stream).is_some_and(Stream::was_written));
        if self.worker.book.len() + new.len() > STREAMS_MAX {
            let problem = format!(
                "the mirror would have more than {STREAMS_MAX} streams; a key template with <partition> has fewer"
            );
            return Err(Error::new(ErrorKind::TooLarge, problem));
        }
        self.place_new(&new)?;
        written.iter().try_for_each(|stream| self.place(stream))
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
            let is_due = |max_len: &u64| {
                known.untrimmed >= (max_len / 100).clamp(TRIM_AFTER_ENTRIES, TRIM_AFTER_MAX_ENTRIES)
            };
            let trim = max_len.filter(is_due);
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
                self.take_trim(&stream, reply);
                Ok(0)
            }
        }
    }

    /// A stream that cannot be trimmed is no less equal to the log.
    fn take_trim(&mut self, stream: &str, reply: Reply) {
        let known = self.worker.book.stream(stream);
        let was_refused = std::mem::replace(&mut known.is_trim_refused, reply.is_err());
        let step = match reply {
            Ok(value) => TrimStep::of_reply(&value).unwrap_or_default(),
            Err(refusal) => {
                // Told once: it grows until somebody mends that.
                if !was_refused {
                    tracing::warn!(stream, %refusal, "planbus.mirror: the stream cannot be trimmed");
                }
                TrimStep::default()
            }
        };
        if step.removed >= TRIM_STEP_MAX_ENTRIES {
            // There is more: on with the next batch.
            known.untrimmed = u64::MAX;
        }
        self.worker.book.hold_trim(stream, step.held_by);
    }

    fn take_append(&mut self, stream: &str, ids: &[Position], reply: Reply, after: u64) -> Result<u64> {
        let Appended { at, added, refused } = match Appended::of_reply(reply) {
            Ok(appended) => appended,
            Err(refusal) => {
                self.refused(stream, refusal)?;
                return Ok(0);
            }
        };
        let reached = at.and_then(|at| ids.iter().position(|id| *id == at));
        match (at, reached) {
            (Some(at), Some(_)) => self.worker.book.reached(stream, at),
            // Nothing was appended: it stands where it was, or elsewhere, or nowhere.
            (Some(at), None) => self.found(stream, at)?,
            (None, _) => self.place(stream)?,
        }
        if let Some(refusal) = refused {
            self.refused(stream, refusal)?;
        }
        if reached.map_or(0, |reached| reached + 1) < ids.len() {
            // The cursor is beyond what it lacks, also where it stands as it did.
            self.worker.book.rewind(after);
        }
        Ok(added)
    }
}

/// A command on its way.
enum Sent {
    Append { stream: String, ids: Vec<Position> },
    Trim { stream: String },
}
