//! [`PendingQuery`] and [`PendingEntry`]: what a group has in hand, and what is known of its failures.

use std::time::Duration;

use ::redis::{Cmd, Value, cmd};
use serde::Serialize;

use super::status::{as_millis, no_group};
use crate::{
    error::{Error, Result},
    event::{Event, Timestamp},
    redis::{
        dead_letters::replayed, entry::EntryId, failures::FailureRecord, group_keys::GroupKeys,
        profile::Profile, reply, session::Session,
    },
};

/// The most pending entries of one call.
pub const PENDING_MAX_ENTRIES: usize = 10_000;
/// How many entries are asked for at once.
const PAGE_ENTRIES: usize = 200;

/// Which pending entries: those of a group in one stream, the oldest first.
#[derive(Clone, Debug)]
#[must_use]
pub struct PendingQuery {
    stream: String,
    group: String,
    is_replays: bool,
    after: EntryId,
    limit: usize,
}

/// An entry that was delivered to a group and is not done.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PendingEntry {
    /// The key of the stream in which it stands.
    pub stream: String,
    /// Its id there.
    pub id: EntryId,
    /// The consumer that was given it last.
    pub consumer: String,
    /// How long ago that was, or the consumer said that it is still busy with it. In JSON milliseconds.
    #[serde(rename = "idle_ms", serialize_with = "as_millis")]
    pub idle: Duration,
    /// How often it was delivered.
    pub deliveries: u64,
    /// How many attempts failed.
    pub failed_attempts: u32,
    /// When the first one did, by the server's clock.
    pub first_failed_at: Option<Timestamp>,
    /// When the last one did, by the server's clock.
    pub last_failed_at: Option<Timestamp>,
    /// What the last one said.
    pub last_error: Option<String>,
    /// In how long any consumer may take it; zero where it may now. `None` while its consumer has it.
    /// In JSON milliseconds.
    #[serde(rename = "due_in_ms", serialize_with = "as_optional_millis")]
    pub due_in: Option<Duration>,
    /// Whether the entry is no longer in its stream: it was deleted or trimmed.
    pub is_deleted: bool,
    /// The event that the profile reads in the entry; `None` where it reads none, or nothing is there.
    #[serde(skip)]
    pub event: Option<Event>,
}

fn as_optional_millis<S: serde::Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => as_millis(time, to),
        None => to.serialize_none(),
    }
}

impl PendingQuery {
    /// The first 1,000 that a group has pending in a stream.
    pub fn new(stream: impl Into<String>, group: impl Into<String>) -> Self {
        let (stream, group) = (stream.into(), group.into());
        Self { stream, group, is_replays: false, after: EntryId::ZERO, limit: 1_000 }
    }

    /// Those of the dead letters that were sent back to the group, instead. Their ids are those of the
    /// replays.
    pub fn replays(mut self) -> Self {
        self.is_replays = true;
        self
    }

    /// Only those behind this id, to read on.
    pub fn after(mut self, id: EntryId) -> Self {
        self.after = id;
        self
    }

    /// At most so many, 1 to [`PENDING_MAX_ENTRIES`].
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries;
        self
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.limit {
            1..=PENDING_MAX_ENTRIES => Ok(()),
            limit => Err(Error::invalid("limit", format!("must be 1 to {PENDING_MAX_ENTRIES}, got {limit}"))),
        }
    }
}

/// Reads what the query asks for, page by page.
pub(super) fn read(
    session: &mut Session,
    profile: &Profile,
    query: &PendingQuery,
) -> Result<Vec<PendingEntry>> {
    let keys = GroupKeys::new(profile, &query.stream, &query.group);
    let keys = if query.is_replays { keys.for_replays() } else { keys };
    let mut found: Vec<PendingEntry> = Vec::new();
    let mut after = query.after;
    while found.len() < query.limit {
        let count = PAGE_ENTRIES.min(query.limit - found.len());
        let Some(begin) = after.next() else { break };
        let mut command = cmd("XPENDING");
        command.arg(&keys.stream).arg(&query.group).arg(begin.to_string()).arg("+").arg(count);
        let answer = match session.ask_unless("NOGROUP", &command)? {
            Some(answer) => reply::list(answer)?,
            // Where nothing was replayed yet there is nothing that could have the group.
            None if query.is_replays => break,
            None => return Err(no_group(&query.stream, &query.group)),
        };
        let is_last = answer.len() < count;
        let page = answer.into_iter().map(|item| listed(&keys, item)).collect::<Result<Vec<_>>>()?;
        after = page.last().map_or(after, |last| last.id);
        found.extend(complete(session, profile, &keys, query.is_replays, page)?);
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// An entry as the pending list tells of it.
fn listed(keys: &GroupKeys, item: Value) -> Result<PendingEntry> {
    let Ok([id, consumer, idle, deliveries]) = <[Value; 4]>::try_from(reply::list(item)?) else {
        return Err(reply::unexpected("a pending entry"));
    };
    Ok(PendingEntry {
        stream: keys.stream.clone(),
        id: reply::text(id)?.parse()?,
        consumer: String::from_utf8_lossy(&reply::bytes(consumer)?).into_owned(),
        idle: Duration::from_millis(reply::integer(idle)?.unsigned_abs()),
        deliveries: reply::integer(deliveries)?.unsigned_abs(),
        failed_attempts: 0,
        first_failed_at: None,
        last_failed_at: None,
        last_error: None,
        due_in: None,
        is_deleted: false,
        event: None,
    })
}

/// Adds what stands beside the stream, and the events.
fn complete(
    session: &mut Session,
    profile: &Profile,
    keys: &GroupKeys,
    is_replays: bool,
    mut page: Vec<PendingEntry>,
) -> Result<Vec<PendingEntry>> {
    if page.is_empty() {
        return Ok(page);
    }
    let now_ms = now_ms(session.ask(&cmd("TIME"))?)?;
    let commands = page.iter().flat_map(|entry| {
        let id = entry.id.to_string();
        let of = |name: &str, key: &str| {
            let mut command = cmd(name);
            command.arg(key).arg(&id);
            command
        };
        let mut entry = of("XRANGE", &keys.stream);
        entry.arg(&id);
        [of("HGET", &keys.failures), of("ZSCORE", &keys.due), entry]
    });
    let mut answers = session.ask_all(&commands.collect::<Vec<Cmd>>())?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    for entry in &mut page {
        let (record, due, stands) = (next(), next(), next());
        if record != Value::Nil {
            let record = FailureRecord::parse(&reply::bytes(record)?);
            entry.failed_attempts = record.attempts;
            entry.first_failed_at = record.first_failed_ms.and_then(time);
            entry.last_failed_at = record.last_failed_ms.and_then(time);
            entry.last_error = record.error.map(Into::into);
        }
        entry.due_in = due_ms(due)?.map(|due_ms| Duration::from_millis(due_ms.saturating_sub(now_ms)));
        match reply::entries(stands)?.pop() {
            None => entry.is_deleted = true,
            Some((_, mut fields)) => {
                let from = if is_replays { replayed(&mut fields) } else { None };
                let (stream, id) = match &from {
                    Some(from) => (from.stream.as_str(), from.id),
                    None => (keys.stream.as_str(), entry.id),
                };
                entry.event = profile.decode(stream, &id.to_string(), &fields).ok();
            }
        }
    }
    Ok(page)
}

/// The server's time, as `TIME` answers it.
fn now_ms(answer: Value) -> Result<u64> {
    let Ok([seconds, micros]) = <[Value; 2]>::try_from(reply::list(answer)?) else {
        return Err(reply::unexpected("a time"));
    };
    Ok(reply::integer(seconds)?.unsigned_abs() * 1_000 + reply::integer(micros)?.unsigned_abs() / 1_000)
}

/// A score of the entries that wait, which a server writes as a number or as text.
fn due_ms(score: Value) -> Result<Option<u64>> {
    let score = match score {
        Value::Nil => return Ok(None),
        Value::Double(score) => score,
        other => reply::text(other)?.parse().map_err(|_| reply::unexpected("a score"))?,
    };
    Ok(Some(score.max(0.0) as u64))
}

fn time(ms: u64) -> Option<Timestamp> {
    Timestamp::from_micros(i64::try_from(ms).ok()?.checked_mul(1_000)?).ok()
}
