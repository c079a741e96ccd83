//! [`DeadLetterCount`]: how many dead letters there are, and what became of the others.
//!
//! Looks into none of them.

use ::redis::{Cmd, Value, cmd};
use serde::Serialize;

use super::walk::queues;
use crate::{
    error::Result,
    redis::{group_keys::counts_key, profile::Profile, reply, session::Session},
};

/// How many dead letters a queue holds, and what became of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeadLetterCount {
    /// The key of the dead letters.
    pub queue: String,
    /// The stream whose dead letters they are; `None` where several share the queue.
    pub stream: Option<String>,
    /// How many stand there now.
    pub waiting: u64,
    /// How many planbus ever moved there.
    pub moved: u64,
    /// How many were the oldest beyond the limit, and dropped.
    pub dropped: u64,
    /// How many were sent back to their group.
    pub replayed: u64,
    /// How many were deleted by hand.
    pub purged: u64,
}

/// Counts every queue of a profile.
pub(super) fn count(session: &mut Session, profile: &Profile) -> Result<Vec<DeadLetterCount>> {
    let queues = queues(session, profile)?;
    let commands: Vec<Cmd> = queues.iter().flat_map(|queue| commands(queue)).collect();
    let mut answers = session.ask_all(&commands)?.into_iter();
    let mut counts = Vec::with_capacity(queues.len());
    for queue in queues {
        let (Some(length), Some(facts)) = (answers.next(), answers.next()) else { break };
        counts.push(of(queue, length, facts, profile)?);
    }
    Ok(counts)
}

fn commands(queue: &str) -> [Cmd; 2] {
    let (mut length, mut facts) = (cmd("XLEN"), cmd("HMGET"));
    length.arg(queue);
    facts.arg(counts_key(queue)).arg(&["moved", "dropped", "replayed", "purged"]);
    [length, facts]
}

fn of(queue: String, length: Value, facts: Value, profile: &Profile) -> Result<DeadLetterCount> {
    let mut facts = reply::list(facts)?.into_iter();
    let mut next = || match facts.next() {
        None | Some(Value::Nil) => Ok(0),
        Some(number) => reply::integer(number).map(i64::unsigned_abs),
    };
    Ok(DeadLetterCount {
        stream: profile.stream_of(&queue),
        queue,
        waiting: reply::integer(length)?.unsigned_abs(),
        moved: next()?,
        dropped: next()?,
        replayed: next()?,
        purged: next()?,
    })
}
