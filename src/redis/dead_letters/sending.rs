//! What changes dead letters: the replay of one to its group, and the deletion of some.
//!
//! Each is one script, so that a letter is where it was or where it is to be. Sent twice, each does its
//! work once.

use ::redis::{Cmd, cmd};

use super::{letter::DeadLetter, replayed::Replayed};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::{
        entry::EntryId,
        group_keys::{GroupKeys, check_group, counts_key},
        profile::Profile,
        reply,
        session::Session,
    },
};

const REPLAY: &str = include_str!("replay.lua");
const PURGE: &str = include_str!("purge.lua");

/// What became of a letter that was to be replayed.
pub(super) enum Sent {
    /// Its group gets it again.
    Done,
    /// It was replayed or deleted before.
    Gone,
}

/// Replays a letter to the group that gave it up, or to the one that is named. The inner error is of
/// this letter alone, which stays where it is.
pub(super) fn replay(
    session: &mut Session,
    profile: &Profile,
    letter: &DeadLetter,
    group: Option<&str>,
) -> Result<Result<Sent>> {
    let (stream, group) = match address(letter, group) {
        Ok(address) => address,
        Err(error) => return Ok(Err(error)),
    };
    let answer = match session.attempt(&replay_command(profile, letter, stream, group))? {
        Ok(answer) => reply::bytes(answer)?,
        // A replica, say, refuses every letter, and this connection is of no more use.
        Err(refused) if session.is_over() => return Err(refused),
        Err(refused) => return Ok(Err(refused)),
    };
    match answer.as_slice() {
        b"done" => Ok(Ok(Sent::Done)),
        b"gone" => Ok(Ok(Sent::Gone)),
        b"no group" => {
            let told = format!("replay a dead letter: {stream} has no group {group}: start a consumer of it");
            Ok(Err(Error::new(ErrorKind::NotFound, told)))
        }
        _ => Err(reply::unexpected("one to a replay")),
    }
}

/// The stream and the group that a letter goes back to.
fn address<'a>(letter: &'a DeadLetter, group: Option<&'a str>) -> Result<(&'a str, &'a str)> {
    let Some(group) = group.or(letter.group.as_deref()) else {
        let problem = "the dead letter names none, since another system wrote it: name one to replay it to";
        return Err(Error::invalid("group", problem));
    };
    check_group(group)?;
    let Some(stream) = &letter.stream else {
        let problem = format!("nothing says from which stream the dead letter {} comes", letter.id);
        return Err(Error::invalid("stream", problem));
    };
    Ok((stream, group))
}

fn replay_command(profile: &Profile, letter: &DeadLetter, stream: &str, group: &str) -> Cmd {
    let keys = GroupKeys::new(profile, stream, group);
    let id = letter.original_id.unwrap_or(letter.id);
    let from = Replayed { stream: stream.to_owned(), id, letter: letter.id };
    let mut command = cmd("EVAL");
    command.arg(REPLAY).arg(4).arg(&[&keys.stream, &letter.queue, &keys.counts, &keys.replay]);
    command.arg(group).arg(letter.id.to_string());
    for (name, value) in from.append(&letter.fields) {
        command.arg(name).arg(value);
    }
    command
}

/// Deletes letters of one queue, and gives how many were there.
pub(super) fn purge(session: &mut Session, queue: &str, ids: &[EntryId]) -> Result<u64> {
    let mut command = cmd("EVAL");
    command.arg(PURGE).arg(2).arg(queue).arg(counts_key(queue));
    ids.iter().for_each(|id| _ = command.arg(id.to_string()));
    Ok(reply::integer(session.ask(&command)?)?.unsigned_abs())
}
