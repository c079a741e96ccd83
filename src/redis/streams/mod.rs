//! [`Streams`]: the streams of a profile, for whoever looks after them.
//!
//! Works without a store, also where no mirror runs. Appends nothing: what it removes, a mirror
//! appends again where the log still holds it.

mod follow;
mod info;
pub(super) mod list;
mod read;
mod trim;

use serde::{Serialize, Serializer};

use self::read::{Way, read};
pub use self::{
    follow::{FollowFrom, StreamFollower},
    info::{GroupInfo, Hold, MirrorPosition, StreamInfo},
    list::{LIST_MAX_STREAMS, StreamList},
    read::READ_MAX_ENTRIES,
    trim::{TrimReport, TrimRule},
};
use super::{
    endpoint::RedisEndpoint,
    entry::{EntryId, StreamEntry},
    health::Health,
    profile::Profile,
    reply,
    session::Session,
};
use crate::{
    error::{Error, ErrorKind, Result},
    filter::Filter,
};

const REBUILD: &str = concat!(include_str!("../group.lua"), include_str!("rebuild.lua"));

/// The streams of a profile on a Redis: what there is, how it stands, what is in it; trimming,
/// deletion, rebuilding.
///
/// Every call makes a connection of its own, and fails as `Unavailable` where the server cannot be
/// reached within the endpoint's timeouts, as `Unauthorized` where the user may not do what it needs,
/// and as `NotFound` where the stream that was named is not there.
///
/// ```no_run
/// use planbus::{Filter, redis::{Profile, RedisEndpoint, Streams}};
///
/// let streams = Streams::new(RedisEndpoint::parse("redis://127.0.0.1/")?, Profile::native());
/// for name in streams.list()?.streams {
///     for entry in streams.recent(&name, 10, Filter::all())? {
///         println!("{} {} {:?}", entry.stream, entry.id, entry.event?.event_type());
///     }
/// }
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Streams {
    endpoint: RedisEndpoint,
    profile: Profile,
}

/// What [`Streams::rebuild`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RebuildReport {
    /// How many entries were removed.
    pub removed: u64,
    /// The groups that were kept, and begin again at the beginning.
    pub groups: Vec<String>,
}

/// How a Redis is doing, and what it holds of a profile.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StreamsHealth {
    /// The server's own figures.
    #[serde(flatten)]
    pub server: Health,
    /// The profile's name.
    pub profile: String,
    /// How many streams it has; `None` where they were not counted.
    pub streams: Option<usize>,
    /// How many dead-letter queues; `None` where they were not counted.
    pub dead_letters: Option<usize>,
    /// Why they were not counted, a text as JSON: `TooLarge` where the profile has more than
    /// [`LIST_MAX_STREAMS`], or the server more than 1,000,000 keys to look through; what kept the
    /// user from listing them, like `Unauthorized`.
    #[serde(serialize_with = "as_text")]
    pub not_counted: Option<Error>,
}

fn as_text<S: Serializer>(error: &Option<Error>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(Error::to_string).serialize(serializer)
}

impl Streams {
    /// The streams of a profile on a server. Connects to nothing yet.
    #[must_use]
    pub fn new(endpoint: RedisEndpoint, profile: Profile) -> Self {
        Self { endpoint, profile }
    }

    /// The profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// All streams of the profile, as its registry names them, or by a scan of the keys.
    ///
    /// # Errors
    /// `TooLarge` beyond [`LIST_MAX_STREAMS`].
    pub fn list(&self) -> Result<StreamList> {
        list::list(&mut self.session("list streams")?, &self.profile)
    }

    /// How a stream stands.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    pub fn info(&self, name: &str) -> Result<StreamInfo> {
        let mut session = self.session("look at a stream")?;
        session.check_stream(name)?;
        StreamInfo::ask(&mut session, name)?.ok_or_else(|| session.no_stream(name))
    }

    /// How these streams stand, on one connection. One that is not there is left out.
    ///
    /// # Errors
    /// As every call.
    pub fn infos<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<StreamInfo>> {
        let mut session = self.session("look at streams")?;
        StreamInfo::ask_all(&mut session, names)
    }

    /// The newest entries that the filter wants, the newest first: up to `count`, at most
    /// [`READ_MAX_ENTRIES`]. An entry that holds no event is given too, whatever the filter, since
    /// nobody can say that it does not match; but never from the stream of a tenant that the filter
    /// does not want.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong count or filter, `NotFound` when the stream is not there.
    pub fn recent(&self, name: &str, count: usize, filter: Filter) -> Result<Vec<StreamEntry>> {
        let filter = filter.compile()?;
        read(&mut self.session("read a stream")?, &self.profile, name, Way::Back, count, &filter)
    }

    /// The first entries behind an id that the filter wants, in the order of the stream: up to `count`,
    /// at most [`READ_MAX_ENTRIES`]; fewer where the stream ends. [`EntryId::ZERO`] is before the
    /// first. An entry that holds no event is given too, as by [`recent`](Self::recent).
    ///
    /// # Errors
    /// As [`recent`](Self::recent).
    pub fn read_after(
        &self,
        name: &str,
        after: EntryId,
        count: usize,
        filter: Filter,
    ) -> Result<Vec<StreamEntry>> {
        let filter = filter.compile()?;
        read(&mut self.session("read a stream")?, &self.profile, name, Way::After(after), count, &filter)
    }

    /// Follows streams: these, or with none named all of the profile, also those that come later. It
    /// survives a server that goes away.
    ///
    /// # Errors
    /// `InvalidInput` for a wrong filter.
    pub fn follow(&self, names: &[&str], from: FollowFrom, filter: Filter) -> Result<StreamFollower> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(StreamFollower::new(self.endpoint.clone(), self.profile.clone(), names, from, filter.compile()?))
    }

    /// Removes a stream's oldest entries by a rule: in steps, with a script that looks at the groups
    /// and removes at once, so that none moves in between. What a group has not read or not acked stays,
    /// and so does what is behind it, unless forced.
    ///
    /// # Errors
    /// `NotFound` when the stream is not there.
    pub fn trim(&self, name: &str, rule: TrimRule, force: bool) -> Result<TrimReport> {
        trim::trim(&mut self.session("trim a stream")?, name, rule, force)
    }

    /// Deletes a stream with all of its groups, and takes it out of the profile's registry. A mirror
    /// that runs makes it again, from the log.
    ///
    /// # Errors
    /// `NotFound` when the stream is not there.
    pub fn delete(&self, name: &str) -> Result<()> {
        let mut session = self.session("delete a stream")?;
        session.check_stream(name)?;
        session.ask(::redis::cmd("UNLINK").arg(name))?;
        if let Some(registry) = self.profile.registry() {
            session.ask(::redis::cmd("SREM").arg(registry).arg(name))?;
        }
        Ok(())
    }

    /// Empties a stream, so that its mirror appends it anew: within about a second where it runs, or
    /// when it is started next. It mends a stream that is `Blocked` or `Forked`.
    ///
    /// Groups are kept and begin again at the beginning: their consumers get every event once more.
    /// What the log no longer holds, and what others wrote into the stream, is gone.
    ///
    /// # Errors
    /// `NotFound` when the stream is not there.
    pub fn rebuild(&self, name: &str) -> Result<RebuildReport> {
        let mut session = self.session("rebuild a stream")?;
        session.check_stream(name)?;
        let mut command = ::redis::cmd("EVAL");
        command.arg(REBUILD).arg(1).arg(name);
        let mut answer = reply::list(session.ask(&command)?)?.into_iter();
        let (Some(removed), Some(groups)) = (answer.next(), answer.next()) else {
            return Err(reply::unexpected("one to a rebuild"));
        };
        let name = |group| Ok(String::from_utf8_lossy(&reply::bytes(group)?).into_owned());
        Ok(RebuildReport {
            removed: reply::integer(removed)?.unsigned_abs(),
            groups: reply::list(groups)?.into_iter().map(name).collect::<Result<_>>()?,
        })
    }

    /// How the server is doing, and how many streams of the profile it holds, where they can be
    /// counted.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be reached.
    pub fn health(&self) -> Result<StreamsHealth> {
        let server = self.endpoint.health()?;
        let counted = self
            .session("count streams")
            .and_then(|mut session| list::list_to_count(&mut session, &self.profile));
        let (list, not_counted) = match counted {
            Ok(list) => (Some(list), None),
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => (None, Some(error)),
        };
        Ok(StreamsHealth {
            server,
            profile: self.profile.name().to_owned(),
            streams: list.as_ref().map(|list| list.streams.len()),
            dead_letters: list.as_ref().map(|list| list.dead_letters.len()),
            not_counted,
        })
    }

    #[cfg(feature = "server")]
    pub(crate) fn endpoint(&self) -> &RedisEndpoint {
        &self.endpoint
    }

    pub(in crate::redis) fn session(&self, doing: &str) -> Result<Session> {
        Session::open(&self.endpoint, doing)
    }
}
