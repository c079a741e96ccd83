//! [`Walk`]: a way through the dead letters of a profile, page by page.
//!
//! Reads in small parts and keeps no more than a page. Changes nothing.

use ::redis::{Cmd, cmd};

use super::{
    letter::DeadLetter,
    query::{DeadLetterCursor, DeadLetterPage, Selection},
};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::{entry::EntryId, profile::Profile, reply, session::Session},
};

/// The most dead-letter queues of one profile: more are refused, not listed in part.
const QUEUES_MAX: usize = 10_000;
/// How many letters are asked for at once: what waits in memory stays small, whatever they hold.
const PART_LETTERS: usize = 100;

/// The queue of a name: it is one, or it is its stream.
pub(super) fn queue_of(profile: &Profile, name: &str) -> Result<String> {
    match () {
        () if profile.is_dlq(name) => Ok(name.to_owned()),
        () if profile.is_stream(name) => Ok(profile.dlq_key(name)),
        () => {
            let problem =
                format!("{name} is no stream of the profile {}, nor its dead letters", profile.name());
            Err(Error::invalid("stream", problem))
        }
    }
}

/// All queues of a profile that are there, sorted.
pub(super) fn queues(session: &mut Session, profile: &Profile) -> Result<Vec<String>> {
    let mut queues = session.scan(&profile.dlq_pattern(), QUEUES_MAX)?;
    queues.retain(|key| profile.is_dlq(key));
    queues.sort_unstable();
    queues.dedup();
    if queues.len() > QUEUES_MAX {
        let told = format!("list dead letters: the profile has more than {QUEUES_MAX} queues");
        return Err(Error::new(ErrorKind::TooLarge, told));
    }
    Ok(queues)
}

/// A way through dead letters: those that were there when it began.
pub(super) struct Walk<'a> {
    profile: &'a Profile,
    selection: &'a Selection<'a>,
    /// The queues that are left, the last one first, each with its last letter.
    ahead: Vec<(String, EntryId)>,
    /// Where it stands in the next one of them.
    at: Option<EntryId>,
}

impl<'a> Walk<'a> {
    pub(super) fn begin(
        session: &mut Session,
        profile: &'a Profile,
        selection: &'a Selection<'a>,
    ) -> Result<Self> {
        let queues = match selection.name() {
            Some(name) => vec![named(session, profile, name)?],
            None => queues(session, profile)?,
        };
        let ends = session.last_ids(queues)?.into_iter();
        let mut ahead: Vec<_> = ends.filter_map(|(queue, end)| Some((queue, end?))).collect();
        if !selection.is_newest_first() {
            ahead.reverse();
        }
        let mut at = None;
        if let Some(after) = selection.after() {
            let is_ahead = |queue: &String| match selection.is_newest_first() {
                true => *queue <= after.queue,
                false => *queue >= after.queue,
            };
            ahead.retain(|(queue, _)| is_ahead(queue));
            at = ahead.last().filter(|(queue, _)| *queue == after.queue).map(|_| after.id);
        }
        Ok(Self { profile, selection, ahead, at })
    }

    /// The next page.
    pub(super) fn page(&mut self, session: &mut Session) -> Result<DeadLetterPage> {
        let mut letters = Vec::new();
        let mut left = Some(self.selection.reading_max());
        while let Some((queue, end)) = self.ahead.last() {
            let part = reply::list(session.ask(&self.part(queue, *end))?)?;
            let is_last = part.len() < PART_LETTERS;
            for entry in part {
                let letter = DeadLetter::parse(queue, entry, self.profile)?;
                self.at = Some(letter.id);
                left = left.and_then(|left| left.after(&letter));
                if self.selection.wants(&letter) {
                    letters.push(letter);
                }
                if letters.len() == self.selection.limit() || left.is_none() {
                    let next = self.at.map(|id| DeadLetterCursor { queue: queue.clone(), id });
                    return Ok(DeadLetterPage { letters, next });
                }
            }
            if is_last {
                self.ahead.pop();
                self.at = None;
            }
        }
        Ok(DeadLetterPage { letters, next: None })
    }

    fn part(&self, queue: &str, end: EntryId) -> Cmd {
        let behind = self.at.map(|id| format!("({id}"));
        let mut command;
        if self.selection.is_newest_first() {
            command = cmd("XREVRANGE");
            command.arg(queue).arg(behind.unwrap_or_else(|| end.to_string())).arg("-");
        } else {
            command = cmd("XRANGE");
            command.arg(queue).arg(behind.as_deref().unwrap_or("-")).arg(end.to_string());
        }
        command.arg("COUNT").arg(PART_LETTERS);
        command
    }
}

/// The queue of a name that was given, which may be empty, but not of a stream that nobody knows.
fn named(session: &mut Session, profile: &Profile, name: &str) -> Result<String> {
    let queue = queue_of(profile, name)?;
    let there = session.streams_of(&[queue.clone(), name.to_owned()])?;
    if there.is_empty() { Err(session.no_stream(name)) } else { Ok(queue) }
}
