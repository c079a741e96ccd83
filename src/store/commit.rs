//! Commits events: encodes them on the publisher's thread, queues them, and serves the queue as its
//! leader.
//!
//! Decides nothing about who leads (`queue` does) or how rows are written (`writer` does).

use std::time::Instant;

use super::{
    inner::{Inner, Owner},
    pool::closed,
    queue::{Unserved, Weight, Work},
    read,
    row::NewRow,
    writer::{Answer, Placed, Request, Served},
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::Event,
};

/// The most events, and bytes of them, that one request may commit.
const REQUEST_MAX_EVENTS: usize = 100_000;
const REQUEST_MAX_BYTES: usize = 512 << 20;

/// An event that was committed.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The event, with its seq and the time when it was recorded.
    pub(crate) event: Event,
    /// It was there before, with the same content.
    pub(crate) duplicate: bool,
}

impl Inner {
    /// Commits events: all or none.
    pub(super) fn commit(&self, events: Vec<Event>) -> Result<Vec<Stored>> {
        self.check_open()?;
        let owner = self.owner()?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let request = self.encode(events)?;
        let bytes = request.rows.iter().map(NewRow::bytes).sum();
        let weight = Weight { rows: request.rows.len(), bytes };
        if bytes > REQUEST_MAX_BYTES {
            let problem =
                format!("events: must be at most {REQUEST_MAX_BYTES} bytes in one commit, got {bytes}");
            return Err(Error::new(ErrorKind::TooLarge, problem));
        }
        let served = owner.queue.submit(request, weight, &Committer { inner: self, owner });
        self.recent.let_go();
        let Served { request, answer } = served.map_err(|unserved| match unserved {
            Unserved::Closed => closed(),
            Unserved::Abandoned => Error::new(
                ErrorKind::Indeterminate,
                "the thread that was committing the event panicked; publishing it again with the same event \
                 id settles whether it is in the log",
            ),
        })?;
        let placed = answer?;
        let stored = request.rows.into_iter().zip(placed).map(|(mut row, placed)| {
            put(&mut row, placed);
            Stored { event: row.event, duplicate: placed.duplicate }
        });
        Ok(stored.collect())
    }

    fn encode(&self, events: Vec<Event>) -> Result<Request> {
        let count = events.len();
        if count > REQUEST_MAX_EVENTS {
            let problem = format!("events: must be at most {REQUEST_MAX_EVENTS} in one commit, got {count}");
            return Err(Error::new(ErrorKind::TooLarge, problem));
        }
        let limit = self.options.payload_max_bytes;
        let rows = events.into_iter().enumerate().map(|(at, event)| {
            NewRow::encode(event, limit)
                .map_err(|error| if count == 1 { error } else { error.within(format!("event {}", at + 1)) })
        });
        Ok(Request { rows: rows.collect::<Result<_>>()? })
    }
}

/// Tells a row's event where it is in the log, unless it knows.
fn put(row: &mut NewRow, placed: Placed) {
    if row.event.seq() != Some(placed.seq) || row.event.recorded_at() != Some(placed.recorded_at) {
        let envelope = row.event.envelope_mut();
        envelope.seq = Some(placed.seq);
        envelope.recorded_at = Some(placed.recorded_at);
    }
}

/// The events that are new in the log, in the order of seq.
fn committed(batch: &mut [Request], answers: &[Answer]) -> impl Iterator<Item = Event> {
    let placed = answers.iter().flatten().flatten();
    let rows = batch.iter_mut().zip(answers).filter(|(_, answer)| answer.is_ok());
    let rows = rows.flat_map(|(request, _)| &mut request.rows);
    rows.zip(placed).filter(|(_, placed)| !placed.duplicate).map(|(row, placed)| {
        put(row, *placed);
        row.event.clone()
    })
}

/// What the leader of the queue does.
struct Committer<'a> {
    inner: &'a Inner,
    owner: &'a Owner,
}

impl Work<Request, Served> for Committer<'_> {
    fn serve(&self, mut batch: Vec<Request>) -> Vec<Served> {
        let begun = Instant::now();
        let mut writer = self.owner.writer.lock();
        let answers = match writer.as_mut() {
            Some(writer) => {
                let answers = writer.commit(&batch);
                self.owner.commits.note(begun.elapsed(), &answers);
                let head = read::unsigned(writer.tip.seq);
                if let Some(lock) = self.owner.lock.lock().as_mut() {
                    lock.acknowledge(head);
                }
                if self.inner.recent.is_wanted() {
                    self.inner.recent.keep(committed(&mut batch, &answers));
                }
                self.inner.signal.advance(head);
                answers
            }
            None => batch.iter().map(|_| Err(closed())).collect(),
        };
        batch.into_iter().zip(answers).map(|(request, answer)| Served { request, answer }).collect()
    }

    fn has_chore(&self) -> bool {
        self.owner.writer.lock().as_ref().is_some_and(|writer| writer.checkpoints.has_look_due())
    }

    fn chore(&self) {
        if let Some(writer) = self.owner.writer.lock().as_mut() {
            writer.look_after_wal(&self.inner.pool);
        }
    }
}
