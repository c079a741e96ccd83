//! The groups of a profile's streams, for whoever looks after them: how they stand, who is in them,
//! and what they have in hand.
//!
//! Only reads. Nothing here is claimed, acked or given to anybody.

mod pending;
mod status;

use self::pending::read;
pub use self::{
    pending::{PENDING_MAX_ENTRIES, PendingEntry, PendingQuery},
    status::{GroupConsumer, GroupStatus},
};
use super::streams::{StreamInfo, Streams, list};
use crate::error::Result;

impl Streams {
    /// How the groups of the profile's streams stand, by stream and name. Mirrors' own are not among
    /// them.
    ///
    /// # Errors
    /// `TooLarge` where the profile has more than [`LIST_MAX_STREAMS`](crate::redis::LIST_MAX_STREAMS).
    pub fn groups(&self) -> Result<Vec<GroupStatus>> {
        self.streams_and_groups().map(|(_, groups)| groups)
    }

    /// How the profile's streams stand, and their groups as by [`groups`](Self::groups).
    pub(crate) fn streams_and_groups(&self) -> Result<(Vec<StreamInfo>, Vec<GroupStatus>)> {
        let mut session = self.session("look at groups")?;
        let names = list::list(&mut session, self.profile())?.streams;
        let infos = StreamInfo::ask_all(&mut session, &names)?;
        let groups = status::ask(&mut session, self.profile(), &infos)?;
        Ok((infos, groups))
    }

    /// The consumers that a group of a stream knows, alive or not, by name.
    ///
    /// # Errors
    /// `NotFound` where there is no such stream, or no such group in it.
    pub fn consumers(&self, stream: &str, group: &str) -> Result<Vec<GroupConsumer>> {
        let mut session = self.session("look at consumers")?;
        session.check_stream(stream)?;
        status::consumers(&mut session, stream, group)
    }

    /// The entries that were delivered to a group and are not done, with what is known of their failed
    /// attempts.
    ///
    /// ```no_run
    /// use planbus::redis::{PendingQuery, Profile, RedisEndpoint, Streams};
    ///
    /// let streams = Streams::new(RedisEndpoint::parse("redis://127.0.0.1/")?, Profile::native());
    /// for group in streams.groups()? {
    ///     for entry in streams.pending(&PendingQuery::new(&group.stream, &group.info.name).limit(10))? {
    ///         println!("{} {} {:?}", entry.id, entry.failed_attempts, entry.last_error);
    ///     }
    /// }
    /// # Ok::<(), planbus::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for a wrong limit; `NotFound` where there is no such stream, or no such group in
    /// it.
    pub fn pending(&self, query: &PendingQuery) -> Result<Vec<PendingEntry>> {
        query.check()?;
        let mut session = self.session("look at pending entries")?;
        session.check_stream(query.stream())?;
        read(&mut session, self.profile(), query)
    }
}
