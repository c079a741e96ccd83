//! [`Burial`]: the move of a pending entry to the dead letters, as one script.
//!
//! Never acks what is not among the dead letters, and never leaves a copy there of what is pending
//! still. Sent twice, it moves once.

use ::redis::{Cmd, Value, cmd};

use super::{
    form::{self, Facts},
    reason::DeadLetterReason,
    replayed::replayed,
};
use crate::{
    error::Result,
    event::Timestamp,
    redis::{entry::EntryId, group_keys::GroupKeys, profile::Profile, reply},
};

const SCRIPT: &str = concat!(include_str!("utc.lua"), include_str!("bury.lua"));

/// A pending entry that is to become a dead letter.
#[derive(Debug)]
pub(in crate::redis) struct Burial<'a> {
    /// The keys of its stream and of the group.
    pub(in crate::redis) keys: &'a GroupKeys,
    /// The group in which it is pending.
    pub(in crate::redis) group: &'a str,
    /// Who must own it, by the name that Redis knows.
    pub(in crate::redis) consumer: &'a str,
    pub(in crate::redis) id: EntryId,
    /// The entry as it stands in its stream.
    pub(in crate::redis) fields: &'a [(Vec<u8>, Vec<u8>)],
    /// How many times its handler failed.
    pub(in crate::redis) attempts: u32,
    /// How many times Redis gave it to a consumer.
    pub(in crate::redis) deliveries: u64,
    /// When it first failed, by the server's clock; `None` for now.
    pub(in crate::redis) first_failed_ms: Option<u64>,
    /// What the last failure said; the letter keeps the first 4 KiB of it.
    pub(in crate::redis) error: &'a str,
    pub(in crate::redis) reason: DeadLetterReason,
    /// How many dead letters are kept: the oldest beyond it are dropped, and counted.
    pub(in crate::redis) max_len: u64,
    /// What the key `lease` must hold; `None` where anybody of the group may act.
    pub(in crate::redis) lease: Option<&'a str>,
    /// Whether the keys' stream is that of replayed letters: then the letter names the stream from
    /// which the entry first came, and the entry is deleted.
    pub(in crate::redis) is_replay: bool,
}

/// What became of a [`Burial`]. Where the server refused it, as without memory, the entry is pending
/// still, and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::redis) enum Buried {
    /// The entry is a dead letter.
    Done,
    /// Another consumer owns it, or the lease.
    NotOurs,
    /// It is not pending: moved before, or acked.
    Gone,
}

impl Burial<'_> {
    /// The command that moves it; [`Buried::of_reply`] reads the answer.
    pub(in crate::redis) fn command(&self, profile: &Profile) -> Cmd {
        let form = form::form(profile);
        let mut own = self.fields.to_vec();
        let from = if self.is_replay { replayed(&mut own) } else { None };
        let (stream, id) = from.map_or((self.keys.stream.clone(), self.id), |from| (from.stream, from.id));
        let facts = Facts {
            stream: Some(stream),
            id: Some(id),
            group: Some(self.group.to_owned()),
            consumer: Some(self.consumer.to_owned()),
            attempts: Some(self.attempts),
            deliveries: Some(self.deliveries),
            first_failed_at: self.first_failed_ms.and_then(moment),
            last_failed_at: None,
            error: Some(self.error.to_owned()),
            reason: Some(self.reason),
        };
        let GroupKeys { stream, dlq, counts, due, failures, lease, .. } = self.keys;
        let mut command = cmd("EVAL");
        command.arg(SCRIPT).arg(6).arg(&[stream, dlq, counts, due, failures, lease]);
        command.arg(self.group).arg(self.consumer).arg(self.id.to_string());
        command.arg(self.lease.unwrap_or_default()).arg(self.max_len);
        command.arg(if self.is_replay { "replay" } else { "" }).arg(form.quote());
        for (name, value) in form::write(own, &facts, form) {
            command.arg(name).arg(value);
        }
        command
    }
}

impl Buried {
    /// Reads the answer to a burial.
    pub(in crate::redis) fn of_reply(value: Value) -> Result<Self> {
        match reply::bytes(value)?.as_slice() {
            b"done" => Ok(Self::Done),
            b"other" => Ok(Self::NotOurs),
            b"gone" => Ok(Self::Gone),
            _ => Err(reply::unexpected("one to a burial")),
        }
    }
}

fn moment(millis: u64) -> Option<Timestamp> {
    Timestamp::from_micros(i64::try_from(millis).ok()?.checked_mul(1_000)?).ok()
}
