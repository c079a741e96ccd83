//! [`StreamFollower`]: entries of one or several streams as they come, whatever becomes of the server.
//!
//! It has a connection of its own, on which it waits no longer than the server's answer may take. It
//! keeps its place by the ids of entries, so that a lost connection loses none of them.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::Bound::{Excluded, Included, Unbounded},
    thread,
    time::{Duration, Instant},
};

use ::redis::{Cmd, Value};

use super::{list::list, read::wants};
use crate::{
    error::{Error, Result},
    filter::CompiledFilter,
    redis::{
        back_off::BackOff,
        endpoint::RedisEndpoint,
        entry::{EntryId, StreamEntry, parse_all},
        profile::Profile,
        reply,
        session::Session,
    },
};

/// How long one read waits at the server for an entry to come.
const BLOCK_MAX: Duration = Duration::from_millis(500);
/// How often streams that came or were made anew are looked for.
const REFRESH: Duration = Duration::from_secs(1);
/// The most entries of each stream that one read takes.
const PAGE_ENTRIES: usize = 100;
/// The most entries that one read takes of all its streams together, and so the most streams.
const READ_MAX_ENTRIES: usize = 500;
/// The pause between two rounds where one read cannot wait for all streams: in a cluster, and where
/// they are many.
const ROUND_PAUSE: Duration = Duration::from_millis(50);

/// Where a [`StreamFollower`] begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowFrom {
    /// With entries that come from now on.
    #[default]
    Now,
    /// With the oldest entry of each stream.
    Beginning,
    /// Behind this entry of each stream.
    After(EntryId),
    /// Behind these entries, by stream; with the oldest entry of any other stream.
    Places(BTreeMap<String, EntryId>),
}

/// Follows streams; made by [`Streams::follow`](super::Streams::follow).
///
/// Entries of one stream come in its order; those of several as they arrive. A stream that is deleted
/// and made anew is read from its beginning, so that an event may come twice.
pub struct StreamFollower {
    endpoint: RedisEndpoint,
    profile: Profile,
    /// What was asked for; empty for all of the profile.
    names: Vec<String>,
    from: FollowFrom,
    filter: CompiledFilter,
    /// The last entry that was read, by stream.
    positions: BTreeMap<String, EntryId>,
    is_begun: bool,
    session: Option<Session>,
    refreshed: Option<Instant>,
    /// Whether the streams must be read one by one.
    is_split: bool,
    /// The stream that was read last, where one read is not for all: those behind it are next.
    turn: String,
    back_off: BackOff,
    last_error: Option<Error>,
    ready: VecDeque<StreamEntry>,
}

impl StreamFollower {
    pub(super) fn new(
        endpoint: RedisEndpoint,
        profile: Profile,
        names: Vec<String>,
        from: FollowFrom,
        filter: CompiledFilter,
    ) -> Self {
        let back_off = endpoint.back_off();
        Self {
            endpoint,
            profile,
            names,
            from,
            filter,
            positions: BTreeMap::new(),
            is_begun: false,
            session: None,
            refreshed: None,
            is_split: false,
            turn: String::new(),
            back_off,
            last_error: None,
            ready: VecDeque::new(),
        }
    }

    /// The next entry; `None` where none came in time. While the server is away it tries again, with
    /// growing pauses, and [`last_error`](Self::last_error) says why.
    ///
    /// # Errors
    /// What does not pass by itself: `Unauthorized`, or a key that is no stream.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<StreamEntry>> {
        let end = Instant::now().checked_add(timeout);
        let left = || end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Ok(Some(entry));
            }
            match self.read(left()) {
                Ok(()) => {
                    self.back_off.reset();
                    self.last_error = None;
                }
                Err(error) if error.is_transient() => {
                    self.session = None;
                    self.last_error = Some(error);
                    let pause = self.back_off.next_delay();
                    thread::sleep(pause.min(left()));
                }
                Err(error) => {
                    self.session = None;
                    return Err(error);
                }
            }
            if self.ready.is_empty() && left().is_zero() {
                return Ok(None);
            }
        }
    }

    /// Why the server cannot be read now; `None` while it can.
    #[must_use]
    pub fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    /// The streams that are followed now.
    pub fn streams(&self) -> impl Iterator<Item = &str> {
        self.positions.keys().map(String::as_str)
    }

    /// Reads once, and waits at most so long for something to come.
    fn read(&mut self, wait: Duration) -> Result<()> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => {
                // What was lost with the connection may be more than the connection.
                self.refreshed = None;
                let mut session = Session::open(&self.endpoint, "follow streams")?;
                session.allow_wait(BLOCK_MAX)?;
                session
            }
        };
        if self.refreshed.is_none_or(|at| at.elapsed() >= REFRESH) {
            self.refresh(&mut session)?;
            self.refreshed = Some(Instant::now());
        }
        let wait = wait.min(BLOCK_MAX);
        if self.positions.is_empty() {
            thread::sleep(wait.min(ROUND_PAUSE));
        } else {
            self.read_round(&mut session, wait)?;
        }
        self.session = Some(session);
        Ok(())
    }

    /// Looks for streams that came, and for those that begin anew.
    fn refresh(&mut self, session: &mut Session) -> Result<()> {
        let names =
            if self.names.is_empty() { list(session, &self.profile)?.streams } else { self.names.clone() };
        for (name, last) in session.last_ids(names)? {
            let known = self.positions.get(&name).copied();
            let position = match (known, &self.from) {
                // It does not go on where it was: it is another stream.
                (Some(known), _) if last.is_some_and(|last| last < known) => EntryId::ZERO,
                (Some(known), _) => known,
                (None, FollowFrom::Now) if !self.is_begun => last.unwrap_or_default(),
                (None, FollowFrom::After(id)) if !self.is_begun => *id,
                (None, FollowFrom::Places(places)) => places.get(&name).copied().unwrap_or_default(),
                (None, _) => EntryId::ZERO,
            };
            self.positions.insert(name, position);
        }
        self.is_begun = true;
        Ok(())
    }

    /// Reads part after part of the streams, until something came or all had their turn. Where one
    /// part is all, the server waits for them.
    fn read_round(&mut self, session: &mut Session, wait: Duration) -> Result<()> {
        let mut left = self.positions.len();
        let is_one = left <= READ_MAX_ENTRIES;
        while left > 0 && self.ready.is_empty() {
            let part = self.next_part();
            left = left.saturating_sub(part.len());
            let block = if is_one { wait } else { Duration::ZERO };
            for answer in self.ask_part(session, &part, block)? {
                self.take(answer)?;
            }
        }
        if self.ready.is_empty() && (self.is_split || !is_one) {
            thread::sleep(wait.min(ROUND_PAUSE));
        }
        Ok(())
    }

    /// The streams whose turn it is, and how far each was read.
    fn next_part(&mut self) -> Vec<(String, EntryId)> {
        let behind = self.positions.range::<str, _>((Excluded(self.turn.as_str()), Unbounded));
        let before = self.positions.range::<str, _>((Unbounded, Included(self.turn.as_str())));
        let part = behind.chain(before).take(READ_MAX_ENTRIES);
        let part: Vec<_> = part.map(|(name, position)| (name.clone(), *position)).collect();
        self.turn = part.last().map(|(name, _)| name.clone()).unwrap_or_default();
        part
    }

    /// What came to these streams. A server of a cluster reads streams of one slot together, and
    /// those of several one by one, without waiting.
    fn ask_part(
        &mut self,
        session: &mut Session,
        part: &[(String, EntryId)],
        wait: Duration,
    ) -> Result<Vec<Value>> {
        let count = PAGE_ENTRIES.min(READ_MAX_ENTRIES / part.len().max(1));
        if !self.is_split {
            match session.ask_unless("CROSSSLOT", &read_command(part, count, wait))? {
                Some(answer) => return Ok(vec![answer]),
                None => self.is_split = true,
            }
        }
        let commands: Vec<Cmd> = part.chunks(1).map(|one| read_command(one, count, Duration::ZERO)).collect();
        session.ask_all(&commands)
    }

    fn take(&mut self, answer: Value) -> Result<()> {
        for (name, entries) in reply::by_stream(answer)? {
            let name = String::from_utf8_lossy(&name).into_owned();
            let entries = parse_all(&name, entries, &self.profile)?;
            if let Some(last) = entries.last() {
                self.positions.insert(name, last.id);
            }
            self.ready.extend(entries.into_iter().filter(|entry| wants(&self.filter, &self.profile, entry)));
        }
        Ok(())
    }
}

impl fmt::Debug for StreamFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamFollower")
            .field("endpoint", &self.endpoint)
            .field("positions", &self.positions)
            .finish_non_exhaustive()
    }
}

fn read_command(streams: &[(String, EntryId)], count: usize, wait: Duration) -> Cmd {
    let mut command = ::redis::cmd("XREAD");
    command.arg("COUNT").arg(count);
    // To wait for no time at all is to wait for ever.
    if wait.as_millis() > 0 {
        command.arg("BLOCK").arg(wait.as_millis() as u64);
    }
    command.arg("STREAMS");
    for (name, _) in streams {
        command.arg(name);
    }
    for (_, id) in streams {
        command.arg(id.to_string());
    }
    command
}
