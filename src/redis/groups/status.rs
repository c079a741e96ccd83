//! [`GroupStatus`] and [`GroupConsumer`]: how a group stands in a stream, and who is in it.

use std::time::Duration;

use ::redis::{Cmd, Value, cmd};
use serde::{Serialize, Serializer};

use crate::{
    error::{Error, ErrorKind, Result},
    redis::{
        group_keys::GroupKeys,
        profile::Profile,
        reply,
        session::Session,
        streams::{GroupInfo, StreamInfo},
    },
};

/// How a group stands in a stream.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct GroupStatus {
    /// The stream's key.
    pub stream: String,
    /// What Redis tells of the group.
    #[serde(flatten)]
    pub info: GroupInfo,
    /// How many of the pending entries, replays included, wait for another attempt, or for a consumer
    /// because they were given back.
    pub waiting: u64,
    /// How many dead letters were sent back to the group and are not done.
    pub replays: u64,
    /// How many dead letters the stream has, of all its groups together.
    pub stream_dead_letters: u64,
    /// The consumer that alone reads the stream for the group now, where plans keep their order.
    pub lease: Option<String>,
}

/// A consumer that a group knows.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct GroupConsumer {
    /// Its name.
    pub name: String,
    /// How many entries it was given and has not acked.
    pub pending: u64,
    /// How long ago it was last heard of. In JSON milliseconds.
    #[serde(rename = "idle_ms", serialize_with = "as_millis")]
    pub idle: Duration,
}

pub(super) fn as_millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// How the groups of these streams stand.
pub(super) fn ask(
    session: &mut Session,
    profile: &Profile,
    infos: &[StreamInfo],
) -> Result<Vec<GroupStatus>> {
    let groups: Vec<(GroupKeys, GroupInfo)> = infos
        .iter()
        .flat_map(|info| info.groups.iter().map(move |group| (&info.name, group)))
        .map(|(stream, group)| (GroupKeys::new(profile, stream, &group.name), group.clone()))
        .collect();
    let commands: Vec<Cmd> = groups.iter().flat_map(|(keys, _)| commands(keys)).collect();
    let mut answers = session.ask_all(&commands)?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let status = |(keys, info): (GroupKeys, GroupInfo)| {
        Ok(GroupStatus {
            stream: keys.stream,
            info,
            waiting: number(next())? + number(next())?,
            replays: number(next())?,
            stream_dead_letters: number(next())?,
            lease: holder(next())?,
        })
    };
    groups.into_iter().map(status).collect()
}

/// What [`ask`] asks of one group.
fn commands(keys: &GroupKeys) -> [Cmd; 5] {
    let of = |name: &str, key: &str| {
        let mut command = cmd(name);
        command.arg(key);
        command
    };
    [
        of("ZCARD", &keys.due),
        of("ZCARD", &keys.for_replays().due),
        of("XLEN", &keys.replay),
        of("XLEN", &keys.dlq),
        of("GET", &keys.lease),
    ]
}

fn number(answer: Value) -> Result<u64> {
    Ok(reply::integer(answer)?.unsigned_abs())
}

/// The consumers of a group.
pub(super) fn consumers(session: &mut Session, stream: &str, group: &str) -> Result<Vec<GroupConsumer>> {
    let mut command = cmd("XINFO");
    command.arg("CONSUMERS").arg(stream).arg(group);
    let Some(answer) = session.ask_unless("NOGROUP", &command)? else {
        return Err(no_group(stream, group));
    };
    let mut consumers = Vec::new();
    for facts in reply::list(answer)? {
        let (mut name, mut pending, mut idle_ms) = (Vec::new(), 0, 0);
        for (fact, value) in reply::pairs(facts)? {
            match &fact[..] {
                b"name" => name = reply::bytes(value)?,
                b"pending" => pending = number(value)?,
                b"idle" => idle_ms = number(value)?,
                _ => {}
            }
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        consumers.push(GroupConsumer { name, pending, idle: Duration::from_millis(idle_ms) });
    }
    consumers.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(consumers)
}

/// The error of a group that is not there.
pub(super) fn no_group(stream: &str, group: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("look at a group: {stream} has no group {group}"))
}

/// Whose a lease is: a token of its holder's, with a number behind the name.
fn holder(token: Value) -> Result<Option<String>> {
    let Some(token) = Some(token).filter(|token| *token != Value::Nil) else { return Ok(None) };
    let token = reply::text(token)?;
    Ok(Some(token.rsplit_once('#').map_or(token.clone(), |(name, _)| name.to_owned())))
}
