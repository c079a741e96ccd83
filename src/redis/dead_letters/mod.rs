//! [`DeadLetters`]: entries that their group gave up, with all that is needed to understand and replay
//! them.
//!
//! Those of all groups of a stream stand in one stream beside it. A replay sends one back to its own
//! group, and to no other. Nothing here handles an event, and nothing here is ever sent twice.

mod burial;
mod count;
mod form;
mod letter;
mod metadata;
mod query;
mod reason;
mod replayed;
mod sending;
mod trailer;
mod walk;

#[cfg(all(test, target_os = "linux"))]
mod tests;

use serde::{Serialize, Serializer};

#[cfg(feature = "server")]
pub(crate) use self::query::Reading;
pub(in crate::redis) use self::{
    burial::{Burial, Buried},
    replayed::replayed,
};
pub use self::{
    count::DeadLetterCount,
    letter::DeadLetter,
    query::{DEAD_LETTERS_PAGE_MAX, DeadLetterCursor, DeadLetterPage, DeadLetterQuery},
    reason::DeadLetterReason,
};
use self::{
    sending::Sent,
    walk::{Walk, queue_of},
};
#[cfg(feature = "server")]
use super::streams::Streams;
use super::{endpoint::RedisEndpoint, entry::EntryId, profile::Profile, reply, session::Session};
use crate::error::{Error, ErrorKind, Result};

/// How many letters that stay a replay tells of: with so many, it ends.
const REFUSED_MAX: usize = 1_000;

/// The dead letters of a profile on a Redis: what its groups gave up, why, and what is to become of it.
///
/// Those of all groups of a stream stand in one queue, a stream beside it. Every call makes a
/// connection of its own, and fails as `Unavailable` where the server cannot be reached within the
/// endpoint's timeouts, and as `Unauthorized` where the user may not do what it needs. A stream can
/// be named by its own key or by that of its dead letters; one that is not there is `NotFound`, and one
/// of another profile `InvalidInput`.
///
/// ```no_run
/// use planbus::redis::{DeadLetterQuery, DeadLetters, Profile, RedisEndpoint};
///
/// let letters = DeadLetters::new(RedisEndpoint::parse("redis://127.0.0.1/")?, Profile::native());
/// let timed_out = DeadLetterQuery::new().group("db-writers").error("timed out");
/// for letter in letters.list(&timed_out)?.letters {
///     println!("{} {:?} {:?}", letter.id, letter.original_id, letter.error);
/// }
/// let report = letters.replay_all(&timed_out, None)?;
/// println!("{} go to their group again, {} stay", report.replayed, report.refused.len());
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeadLetters {
    endpoint: RedisEndpoint,
    profile: Profile,
}

/// What a replay did.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ReplayReport {
    /// How many letters their group gets again.
    pub replayed: u64,
    /// How many were not there: replayed or deleted before, or dropped at the limit.
    pub gone: u64,
    /// Those that stay where they are; after 1,000 of them a replay ends.
    pub refused: Vec<RefusedReplay>,
}

/// A dead letter that was not replayed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RefusedReplay {
    /// The key of the dead letters among which it stays.
    pub queue: String,
    /// Its id there.
    pub id: EntryId,
    /// Why; a text as JSON. `InvalidInput` where it names no group, `NotFound` where its group is not
    /// there, `Unavailable` where the server has no memory left, `Storage` where it takes no entry more.
    #[serde(serialize_with = "as_text")]
    pub error: Error,
}

fn as_text<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(error)
}

impl DeadLetters {
    /// The dead letters of a profile on a server. Connects to nothing yet.
    #[must_use]
    pub fn new(endpoint: RedisEndpoint, profile: Profile) -> Self {
        Self { endpoint, profile }
    }

    /// Those of the same profile on the same server.
    #[cfg(feature = "server")]
    pub(crate) fn of(streams: &Streams) -> Self {
        Self::new(streams.endpoint().clone(), streams.profile().clone())
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// A page of the letters that a query wants.
    ///
    /// # Errors
    /// `InvalidOption` and `InvalidInput` for a wrong query, `TooLarge` where the profile has more than
    /// 10,000 queues and none is named.
    pub fn list(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage> {
        let selection = query.compile()?;
        let mut session = self.session("list dead letters")?;
        Walk::begin(&mut session, &self.profile, &selection)?.page(&mut session)
    }

    /// One letter, whole.
    ///
    /// # Errors
    /// `NotFound` where there is no such letter.
    pub fn show(&self, stream: &str, id: EntryId) -> Result<DeadLetter> {
        let queue = queue_of(&self.profile, stream)?;
        let mut session = self.session("show a dead letter")?;
        self.find(&mut session, &queue, id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("show a dead letter: there is no {id} in {queue}"))
        })
    }

    /// Sends letters back to the group that gave them up, or to the one that is named. No other group
    /// gets them, and each begins with its first attempt. A letter leaves its queue in the same step, so
    /// that a replay that is repeated finds it gone.
    ///
    /// A group that is not there gets none: nobody would read them.
    ///
    /// # Errors
    /// As every call; what is wrong with a single letter is told in the report.
    pub fn replay(&self, stream: &str, ids: &[EntryId], group: Option<&str>) -> Result<ReplayReport> {
        let queue = queue_of(&self.profile, stream)?;
        let mut session = self.session("replay dead letters")?;
        let mut report = ReplayReport::default();
        for id in ids {
            match self.find(&mut session, &queue, *id)? {
                Some(letter) => self.send(&mut session, &letter, group, &mut report)?,
                None => report.gone += 1,
            }
            if report.refused.len() >= REFUSED_MAX {
                break;
            }
        }
        Ok(report)
    }

    /// Replays every letter that a query wants, page by page: those that were there at the beginning,
    /// so that one that fails again meanwhile is not replayed twice.
    ///
    /// # Errors
    /// As [`list`](Self::list) and [`replay`](Self::replay).
    pub fn replay_all(&self, query: &DeadLetterQuery, group: Option<&str>) -> Result<ReplayReport> {
        let mut report = ReplayReport::default();
        self.each_page(query, "replay dead letters", |session, letters| {
            for letter in letters {
                self.send(session, &letter, group, &mut report)?;
                if report.refused.len() >= REFUSED_MAX {
                    return Ok(false);
                }
            }
            Ok(true)
        })?;
        Ok(report)
    }

    /// Deletes letters for good, and gives how many were there.
    ///
    /// # Errors
    /// As every call.
    pub fn purge(&self, stream: &str, ids: &[EntryId]) -> Result<u64> {
        let queue = queue_of(&self.profile, stream)?;
        let mut session = self.session("purge dead letters")?;
        let parts = ids.chunks(DEAD_LETTERS_PAGE_MAX);
        parts.map(|ids| sending::purge(&mut session, &queue, ids)).sum()
    }

    /// Deletes every letter that a query wants for good, and gives how many there were.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn purge_all(&self, query: &DeadLetterQuery) -> Result<u64> {
        let mut purged = 0;
        self.each_page(query, "purge dead letters", |session, letters| {
            for letters in letters.chunk_by(|one, other| one.queue == other.queue) {
                let ids: Vec<EntryId> = letters.iter().map(|letter| letter.id).collect();
                purged += sending::purge(session, &letters[0].queue, &ids)?;
            }
            Ok(true)
        })?;
        Ok(purged)
    }

    /// How many letters each queue of the profile holds, and what became of the others, by key.
    ///
    /// # Errors
    /// `TooLarge` where the profile has more than 10,000 queues.
    pub fn count(&self) -> Result<Vec<DeadLetterCount>> {
        count::count(&mut self.session("count dead letters")?, &self.profile)
    }

    fn find(&self, session: &mut Session, queue: &str, id: EntryId) -> Result<Option<DeadLetter>> {
        let mut command = ::redis::cmd("XRANGE");
        let id = id.to_string();
        let entries = reply::list(session.ask(command.arg(queue).arg(&id).arg(&id))?)?;
        let letter = entries.into_iter().next();
        letter.map(|entry| DeadLetter::parse(queue, entry, &self.profile)).transpose()
    }

    fn send(
        &self,
        session: &mut Session,
        letter: &DeadLetter,
        group: Option<&str>,
        report: &mut ReplayReport,
    ) -> Result<()> {
        match sending::replay(session, &self.profile, letter, group)? {
            Ok(Sent::Done) => report.replayed += 1,
            Ok(Sent::Gone) => report.gone += 1,
            Err(error) => {
                report.refused.push(RefusedReplay { queue: letter.queue.clone(), id: letter.id, error });
            }
        }
        Ok(())
    }

    /// Gives page after page, while it is asked to go on.
    fn each_page(
        &self,
        query: &DeadLetterQuery,
        doing: &str,
        mut act: impl FnMut(&mut Session, Vec<DeadLetter>) -> Result<bool>,
    ) -> Result<()> {
        let selection = query.compile()?;
        let mut session = self.session(doing)?;
        let mut walk = Walk::begin(&mut session, &self.profile, &selection)?;
        loop {
            let page = walk.page(&mut session)?;
            if !act(&mut session, page.letters)? || page.next.is_none() {
                return Ok(());
            }
        }
    }

    fn session(&self, doing: &str) -> Result<Session> {
        Session::open(&self.endpoint, doing)
    }
}
