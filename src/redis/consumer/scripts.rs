//! The scripts of a consumer, and what their answers mean.
//!
//! Each looks at who has an entry before it writes, so that sending one twice does no harm. They are
//! always sent whole: a server that forgot them is no case of its own.

use std::time::Duration;

use ::redis::{Cmd, Value, cmd};

use crate::{
    error::Result,
    redis::{
        EntryId,
        group_keys::GroupKeys,
        reply::{self, Fields},
    },
};

const ENSURE: &str = include_str!("ensure.lua");
const CLAIM: &str = concat!(include_str!("holder.lua"), include_str!("claim.lua"));
const DUE: &str = concat!(include_str!("holder.lua"), include_str!("due.lua"));
const FAIL: &str = concat!(include_str!("holder.lua"), include_str!("fail.lua"));
const DONE: &str = concat!(include_str!("holder.lua"), include_str!("done.lua"));
const RELEASE: &str = concat!(include_str!("holder.lua"), include_str!("release.lua"));
const RENEW: &str = concat!(include_str!("holder.lua"), include_str!("renew.lua"));
const SWEEP: &str = include_str!("sweep.lua");
const READ: &str = concat!(include_str!("holder.lua"), include_str!("read.lua"));
const LEASE: &str = concat!(include_str!("holder.lua"), include_str!("lease.lua"));

/// Who calls: a consumer of a group, and the token of its lease, empty where it needs none.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) group: String,
    /// The consumer's name in Redis.
    pub(super) consumer: String,
    pub(super) token: String,
    number: u64,
}

/// An entry that a script handed over.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) id: EntryId,
    pub(super) fields: Fields,
    pub(super) deliveries: u64,
    pub(super) record: Vec<u8>,
    /// It waits for its time, and was only shown.
    pub(super) is_waiting: bool,
}

/// What [`Caller::claim`] found.
#[derive(Debug)]
pub(super) struct Claimed {
    /// The last id that was looked at, where there may be more.
    pub(super) last: Option<EntryId>,
    pub(super) entries: Vec<Taken>,
    /// Entries that were deleted while they were pending.
    pub(super) deleted: Vec<EntryId>,
}

/// What [`Caller::due`] found.
#[derive(Debug)]
pub(super) struct Due {
    /// In how long the next one is due.
    pub(super) next: Option<Duration>,
    pub(super) entries: Vec<Taken>,
    /// Entries that waited, and that are pending no more, or another's.
    pub(super) gone: Vec<EntryId>,
    /// Entries that were deleted while they waited.
    pub(super) deleted: Vec<EntryId>,
    pub(super) has_replays: bool,
}

/// What is kept of entries besides their place in the pending list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    /// When they failed, and when they are due.
    Failures,
    /// The same, and themselves: they stand in the stream of replays.
    Replay,
}

/// What [`Caller::renew`] found.
#[derive(Debug)]
pub(super) struct Renewed {
    /// Entries that are no longer the caller's.
    pub(super) lost: Vec<EntryId>,
    /// Entries that were deleted.
    pub(super) deleted: Vec<EntryId>,
}

/// What to look for among the pending entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    /// Behind this id.
    pub(super) after: EntryId,
    pub(super) count: usize,
    /// For how long nobody has touched them.
    pub(super) idle: Duration,
    /// Only the caller's own.
    pub(super) own: bool,
    /// Also those that wait for their time.
    pub(super) waiting: bool,
    /// One that may end the process that handles it may be among them.
    pub(super) suspect: bool,
    /// These are left alone.
    pub(super) skipped: &'a [EntryId],
}

/// What [`Caller::ensure`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ensured {
    NoStream,
    WasThere,
    Made,
    /// Somebody has the lease, and the caller needs none.
    Leased,
}

impl Ensured {
    pub(super) fn of(answer: Value) -> Result<Self> {
        match reply::integer(answer)? {
            0 => Ok(Self::NoStream),
            1 => Ok(Self::WasThere),
            2 => Ok(Self::Made),
            3 => Ok(Self::Leased),
            _ => Err(reply::unexpected("one about a group")),
        }
    }
}

impl Caller {
    /// A caller who needs no lease.
    pub(super) fn new(group: String, consumer: String) -> Self {
        Self { group, consumer, token: String::new(), number: 0 }
    }

    /// The same consumer with tokens of the next number: what was sent with those before is refused as
    /// soon as a lease is taken with these.
    pub(super) fn with_next_tokens(&self) -> Self {
        let number = self.number + 1;
        Self { token: format!("{}#{number}", self.consumer), number, ..self.clone() }
    }

    /// Makes the group where the stream is there and the group is not.
    pub(super) fn ensure(&self, keys: &GroupKeys, start: &str) -> Cmd {
        let mut command = self.eval(ENSURE, keys, &[]);
        command.arg(&self.group).arg(start).arg(if self.token.is_empty() { "free" } else { "" });
        command
    }

    /// Reads new entries of streams, all of which have the group.
    pub(super) fn read(&self, streams: &[&str], count: usize, wait: Duration) -> Cmd {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.group).arg(&self.consumer).arg("COUNT").arg(count);
        // To wait for no time at all is to wait for ever.
        if wait.as_millis() > 0 {
            command.arg("BLOCK").arg(wait.as_millis() as u64);
        }
        command.arg("STREAMS").arg(streams);
        streams.iter().for_each(|_| {
            command.arg(">");
        });
        command
    }

    /// Reads new entries of one stream, if the lease is the caller's.
    pub(super) fn read_leased(&self, keys: &GroupKeys, count: usize) -> Cmd {
        let mut command = eval(READ, &[&keys.stream, &keys.lease]);
        command.arg(&self.group).arg(&self.consumer).arg(&self.token).arg(count);
        command
    }

    pub(super) fn claim(&self, keys: &GroupKeys, search: &Search<'_>) -> Cmd {
        let mut command = self.eval(CLAIM, keys, &[]);
        command.arg(&self.group).arg(&self.consumer).arg(&self.token);
        command.arg(search.idle.as_millis() as u64).arg(behind(search.after)).arg(search.count);
        command.arg(if search.own { self.consumer.as_str() } else { "" });
        command.arg(if search.waiting { "due" } else { "" });
        command.arg(if search.suspect { "one" } else { "" });
        search.skipped.iter().for_each(|id| {
            command.arg(id.to_string());
        });
        command
    }

    pub(super) fn due(&self, keys: &GroupKeys, count: usize, republishes: bool) -> Cmd {
        let mut command = self.eval(DUE, keys, &[&keys.replay]);
        command.arg(&self.group).arg(&self.consumer).arg(&self.token).arg(count);
        command.arg(if republishes { "republish" } else { "" });
        command
    }

    /// Notes a failed attempt; the answer is 1 where the entry was the caller's.
    pub(super) fn fail(
        &self,
        keys: &GroupKeys,
        id: EntryId,
        delay: Duration,
        attempts: u32,
        error: &str,
    ) -> Cmd {
        let mut command = self.eval(FAIL, keys, &[]);
        command.arg(&self.group).arg(&self.consumer).arg(&self.token).arg(id.to_string());
        // A part of a millisecond more, so that it is never early.
        command.arg(delay.as_micros().div_ceil(1_000) as u64).arg(attempts).arg(error);
        command
    }

    /// Acks entries of which nothing else is kept.
    pub(super) fn ack(&self, keys: &GroupKeys, ids: &[EntryId]) -> Cmd {
        let mut command = cmd("XACK");
        command.arg(&keys.stream).arg(&self.group);
        ids.iter().for_each(|id| {
            command.arg(id.to_string());
        });
        command
    }

    /// Acks entries and forgets what is kept of them, at most 500 at a time.
    pub(super) fn done(&self, keys: &GroupKeys, ids: &[EntryId], kept: Kept) -> Cmd {
        let mut command = self.eval(DONE, keys, &[]);
        command.arg(&self.group).arg(&self.token).arg(match kept {
            Kept::Nothing => "bare",
            Kept::Failures => "",
            Kept::Replay => "delete",
        });
        ids.iter().for_each(|id| {
            command.arg(id.to_string());
        });
        command
    }

    /// Gives entries back.
    pub(super) fn release(&self, keys: &GroupKeys, ids: &[EntryId]) -> Cmd {
        let mut command = self.eval(RELEASE, keys, &[]);
        command.arg(&self.group).arg(&self.consumer).arg(&self.token);
        ids.iter().for_each(|id| {
            command.arg(id.to_string());
        });
        command
    }

    /// Renews entries; [`Renewed`] reads the answer.
    pub(super) fn renew(&self, keys: &GroupKeys, ids: &[EntryId]) -> Cmd {
        let mut command = eval(RENEW, &[&keys.stream]);
        command.arg(&self.group).arg(&self.consumer);
        ids.iter().for_each(|id| {
            command.arg(id.to_string());
        });
        command
    }

    /// Removes consumers that are gone.
    pub(super) fn sweep(&self, keys: &GroupKeys, idle: Duration, most: usize) -> Cmd {
        let mut command = eval(SWEEP, &[&keys.stream]);
        command.arg(&self.group).arg(idle.as_millis() as u64).arg(most).arg("");
        command
    }

    /// Removes the caller's own name, unless it has something pending.
    pub(super) fn leave(&self, keys: &GroupKeys) -> Cmd {
        let mut command = eval(SWEEP, &[&keys.stream]);
        command.arg(&self.group).arg(0).arg(1).arg(&self.consumer);
        command
    }

    /// Takes or keeps the lease of a stream.
    pub(super) fn hold(&self, keys: &GroupKeys, ttl: Duration) -> Cmd {
        let mut command = eval(LEASE, &[&keys.lease, &keys.standby]);
        command.arg(&self.consumer).arg(self.number).arg(ttl.as_millis() as u64);
        command
    }

    /// Gives the lease of a stream back.
    pub(super) fn free(&self, keys: &GroupKeys) -> Cmd {
        let mut command = eval(LEASE, &[&keys.lease, &keys.standby]);
        command.arg(&self.consumer).arg(self.number).arg("free");
        command
    }

    fn eval(&self, script: &str, keys: &GroupKeys, more: &[&String]) -> Cmd {
        eval(script, &[&[&keys.stream, &keys.due, &keys.failures, &keys.lease], more].concat())
    }
}

fn eval(script: &str, keys: &[&String]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(script).arg(keys.len()).arg(keys);
    command
}

fn behind(id: EntryId) -> String {
    if id == EntryId::ZERO { "-".to_owned() } else { format!("({id}") }
}

/// Whose a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Anothers,
    /// The caller's, and how many others stand by for it.
    Ours {
        is_new: bool,
        standbys: usize,
    },
}

impl Held {
    pub(super) fn of(answer: Value) -> Result<Self> {
        let Some([held, standbys]) = parts(answer)? else {
            return Err(reply::unexpected("one about a lease"));
        };
        let standbys = usize::try_from(reply::integer(standbys)?).unwrap_or_default();
        Ok(match reply::integer(held)? {
            0 => Self::Anothers,
            held => Self::Ours { is_new: held == 2, standbys },
        })
    }
}

impl Claimed {
    /// `None` where the lease is another's.
    pub(super) fn of(answer: Value) -> Result<Option<Self>> {
        let Some([last, entries, deleted]) = parts(answer)? else { return Ok(None) };
        let last = Some(reply::text(last)?).filter(|text| !text.is_empty());
        Ok(Some(Self {
            last: last.map(|id| id.parse()).transpose()?,
            entries: taken(entries)?,
            deleted: ids(deleted)?,
        }))
    }
}

impl Due {
    /// `None` where the lease is another's.
    pub(super) fn of(answer: Value) -> Result<Option<Self>> {
        let Some([next, entries, gone, deleted, has_replays]) = parts(answer)? else { return Ok(None) };
        let next = reply::text(next)?;
        Ok(Some(Self {
            next: next.parse().ok().map(Duration::from_millis),
            entries: taken(entries)?,
            gone: ids(gone)?,
            deleted: ids(deleted)?,
            has_replays: reply::integer(has_replays)? > 0,
        }))
    }
}

impl Renewed {
    pub(super) fn of(answer: Value) -> Result<Self> {
        let [lost, deleted] = parts(answer)?.ok_or_else(|| reply::unexpected("one of this script"))?;
        Ok(Self { lost: ids(lost)?, deleted: ids(deleted)? })
    }
}

/// Ids in a list.
fn ids(answer: Value) -> Result<Vec<EntryId>> {
    reply::list(answer)?.into_iter().map(|id| reply::text(id)?.parse()).collect()
}

fn parts<const N: usize>(answer: Value) -> Result<Option<[Value; N]>> {
    match answer {
        Value::Nil => Ok(None),
        answer => {
            let parts = reply::list(answer)?.try_into();
            parts.map(Some).map_err(|_| reply::unexpected("one of this script"))
        }
    }
}

fn taken(entries: Value) -> Result<Vec<Taken>> {
    let one = |entry: Value| {
        let Some([id, fields, deliveries, record, due]) = parts(entry)? else {
            return Err(reply::unexpected("a pending entry"));
        };
        let fields = reply::pairs(fields)?.into_iter().map(|(name, value)| Ok((name, reply::bytes(value)?)));
        Ok(Taken {
            id: reply::text(id)?.parse()?,
            fields: fields.collect::<Result<_>>()?,
            deliveries: reply::integer(deliveries)?.unsigned_abs(),
            record: reply::bytes(record)?,
            is_waiting: !reply::bytes(due)?.is_empty(),
        })
    };
    reply::list(entries)?.into_iter().map(one).collect()
}
