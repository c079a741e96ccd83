//! [`Looks`]: how a profile's streams, groups and dead letters stand, looked up no more often than is
//! worth it.
//!
//! A look happens on a thread of its own, when somebody asks and the last one is old: with nobody
//! asking, Redis is not asked. Who asks waits for it only so long. Where Redis does not answer, that
//! is told and nothing else: what was known before is not passed off as new.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use crate::{
    error::{Error, ErrorKind, Result},
    redis::{
        DeadLetterCount, DeadLetters, GroupStatus, Health, MirrorPosition, StreamInfo, Streams, spawn_thread,
    },
    store::EventStore,
};

/// For how long a look is good.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// How long a caller waits for a look, which itself takes as long as the endpoint's timeouts let it.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The most streams that are told one by one, the longest.
const STREAMS_MAX: usize = 500;
/// The most groups of a stream that are told one by one, those that are farthest behind.
const GROUPS_MAX: usize = 500;
/// The most queues of dead letters, those that hold most.
const QUEUES_MAX: usize = 500;
/// The longest name of a stream or a group that is told.
const NAME_MAX_BYTES: usize = 512;

/// Looks at a Redis, shared by all who ask.
#[derive(Debug)]
pub(super) struct Looks {
    streams: Streams,
    store: EventStore,
    is_looking: AtomicBool,
    last: watch::Sender<Option<Arc<Look>>>,
}

/// What a look at Redis found.
#[derive(Debug)]
pub(in crate::server) struct Look {
    until: Instant,
    /// How the server is, or why it did not answer.
    pub(in crate::server) health: Result<Health>,
    /// What it holds of the profile, or why it did not say.
    pub(in crate::server) found: Result<Found>,
}

/// What a Redis holds of a profile.
#[derive(Debug, Default)]
pub(in crate::server) struct Found {
    pub(in crate::server) streams: Vec<MirroredStream>,
    pub(in crate::server) groups: Vec<GroupStatus>,
    pub(in crate::server) queues: Vec<Queue>,
    /// How many groups and queues there are that are not told.
    pub(in crate::server) left_out: u64,
    /// And how many streams.
    pub(in crate::server) streams_left_out: u64,
}

/// A stream, and how far it equals the log.
#[derive(Debug)]
pub(in crate::server) struct MirroredStream {
    pub(in crate::server) info: StreamInfo,
    /// The seq of the last event of this log in it; `None` where no mirror of this log writes it.
    pub(in crate::server) mirrored_seq: Option<u64>,
    /// How many events the log has that no mirror has looked at for this stream.
    pub(in crate::server) lag: Option<u64>,
}

/// A queue of dead letters.
#[derive(Debug)]
pub(in crate::server) struct Queue {
    pub(in crate::server) count: DeadLetterCount,
    /// How many of its letters were sent back to their groups and are not done.
    pub(in crate::server) replaying: u64,
}

impl Looks {
    pub(super) fn new(streams: Streams, store: EventStore) -> Arc<Self> {
        let (last, _) = watch::channel(None);
        Arc::new(Self { streams, store, is_looking: AtomicBool::new(false), last })
    }

    /// How Redis stands now, or stood a moment ago.
    pub(super) async fn look(self: &Arc<Self>) -> Arc<Look> {
        let mut last = self.last.subscribe();
        let is_good =
            |look: &Option<Arc<Look>>| look.as_ref().is_some_and(|look| look.until > Instant::now());
        if !is_good(&last.borrow()) {
            self.begin();
        }
        let waited = timeout(WAIT_MAX, last.wait_for(is_good)).await;
        let look = waited.ok().and_then(|look| look.ok()?.clone());
        look.unwrap_or_else(|| {
            let told = format!("redis: no answer within {WAIT_MAX:?}");
            Arc::new(Look::failed(Error::new(ErrorKind::Unavailable, told)))
        })
    }

    /// Takes the last look for old.
    pub(super) fn forget(&self) {
        self.last.send_replace(None);
    }

    /// Begins a look, unless one is under way.
    fn begin(self: &Arc<Self>) {
        if self.is_looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let looking = Arc::clone(self);
        let look = move || {
            let look = Look::at(&looking.streams, &looking.store);
            looking.last.send_replace(Some(Arc::new(look)));
            looking.is_looking.store(false, Ordering::Release);
        };
        if let Err(error) = spawn_thread("planbus-figures".to_owned(), look) {
            tracing::warn!(target: "planbus.serve", %error, "no thread to look at Redis");
            self.is_looking.store(false, Ordering::Release);
        }
    }
}

impl Look {
    fn at(streams: &Streams, store: &EventStore) -> Self {
        let health = streams.endpoint().health();
        let found = health.as_ref().map_err(Error::clone).and_then(|_| Found::ask(streams, store));
        if let Err(error) = &found {
            tracing::warn!(target: "planbus.serve", %error, "no figures of Redis");
        }
        Self { until: Instant::now() + GOOD_FOR, health, found }
    }

    fn failed(error: Error) -> Self {
        Self { until: Instant::now(), health: Err(error.clone()), found: Err(error) }
    }
}

impl Found {
    fn ask(streams: &Streams, store: &EventStore) -> Result<Self> {
        // The log first: what is published meanwhile is no lag.
        let log = Log::read(store, streams.profile().name())?;
        let (infos, groups) = streams.streams_and_groups()?;
        let counts = DeadLetters::of(streams).count()?;
        let mut replaying: HashMap<String, u64> = HashMap::new();
        for group in groups.iter().filter(|group| group.replays > 0) {
            *replaying.entry(streams.profile().dlq_key(&group.stream)).or_default() += group.replays;
        }
        let queues = counts.into_iter().map(|count| {
            let replaying = replaying.get(&count.queue).copied().unwrap_or_default();
            Queue { count, replaying }
        });
        Ok(Self::choose(infos.into_iter().map(|info| log.compare(info)).collect(), groups, queues.collect()))
    }

    /// Keeps what is worst.
    fn choose(
        mut streams: Vec<MirroredStream>,
        mut groups: Vec<GroupStatus>,
        mut queues: Vec<Queue>,
    ) -> Self {
        let (all_streams, all) = (streams.len(), groups.len() + queues.len());
        let is_short = |name: &str| name.len() <= NAME_MAX_BYTES;
        streams.retain(|stream| is_short(&stream.info.name));
        groups.retain(|group| is_short(&group.stream) && is_short(&group.info.name));
        queues.retain(|queue| is_short(&queue.count.queue));
        streams.sort_by_key(|stream| std::cmp::Reverse(stream.info.length));
        // A lag that the server cannot tell is a long one.
        groups.sort_by_key(|group| {
            std::cmp::Reverse(group.info.lag.unwrap_or(u64::MAX).saturating_add(group.info.pending))
        });
        queues.sort_by_key(|queue| std::cmp::Reverse(queue.count.waiting));
        streams.truncate(STREAMS_MAX);
        groups.truncate(GROUPS_MAX);
        queues.truncate(QUEUES_MAX);
        let left_out = (all - groups.len() - queues.len()) as u64;
        let streams_left_out = (all_streams - streams.len()) as u64;
        Self { streams, groups, queues, left_out, streams_left_out }
    }
}

/// The log that streams are compared with, and how far mirrors say that they are.
#[derive(Debug, Default)]
struct Log {
    store_id: String,
    head: u64,
    /// The last seq that a mirror has finished, by its reader and, of what it appended, by stream.
    cursors: HashMap<(String, String), u64>,
    /// The name of a mirror that was given none.
    profile: String,
}

impl Log {
    fn read(store: &EventStore, profile: &str) -> Result<Self> {
        Ok(Self {
            store_id: store.store_id().to_owned(),
            head: store.head()?,
            cursors: store.cursors()?.into_iter().map(|at| ((at.reader, at.stream), at.seq)).collect(),
            profile: profile.to_owned(),
        })
    }

    fn compare(&self, info: StreamInfo) -> MirroredStream {
        let own = || info.mirrors.iter().filter(|mirror| mirror.store == self.store_id);
        let lag = |mirror| self.head.saturating_sub(self.finished(&info.name, mirror));
        MirroredStream { mirrored_seq: own().map(|mirror| mirror.seq).max(), lag: own().map(lag).min(), info }
    }

    /// Up to where a stream has all that a mirror is to bring there. One that few events go to is as far
    /// as its mirror, unless it lost what it had.
    fn finished(&self, stream: &str, mirror: &MirrorPosition) -> u64 {
        let reader = format!("mirror.{}", mirror.name.as_ref().unwrap_or(&self.profile));
        let cursor = |stream: &str| self.cursors.get(&(reader.clone(), stream.to_owned())).copied();
        match (cursor(stream), cursor("")) {
            (Some(appended), Some(finished)) if mirror.seq >= appended => finished.max(mirror.seq),
            _ => mirror.seq,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::{EntryId, GroupInfo};

    fn group(name: &str, lag: Option<u64>, pending: u64) -> GroupStatus {
        let info = GroupInfo {
            name: name.to_owned(),
            consumers: 1,
            pending,
            lag,
            oldest_pending_id: None,
            last_delivered_id: EntryId::default(),
        };
        let (stream, lease) = ("events".to_owned(), None);
        GroupStatus { stream, info, waiting: 0, replays: 0, stream_dead_letters: 0, lease }
    }

    fn queue(name: &str, waiting: u64) -> Queue {
        let count = DeadLetterCount { queue: name.to_owned(), waiting, ..DeadLetterCount::default() };
        Queue { count, replaying: 0 }
    }

    fn stream(name: &str, mirrors: Vec<MirrorPosition>) -> StreamInfo {
        StreamInfo {
            name: name.to_owned(),
            length: 1,
            bytes: None,
            first_id: None,
            last_id: None,
            last_generated_id: EntryId::default(),
            entries_added: None,
            groups: Vec::new(),
            mirrors,
            held_by: None,
        }
    }

    fn position(store: &str, name: Option<&str>, seq: u64) -> MirrorPosition {
        MirrorPosition { store: store.to_owned(), name: name.map(str::to_owned), seq, chain: 0 }
    }

    #[test]
    fn of_too_many_the_worst_are_told_and_how_many_are_not() {
        let mut groups: Vec<_> = (0..600).map(|at| group(&format!("group-{at}"), Some(at), 0)).collect();
        groups.push(group("cannot tell", None, 0));
        groups.push(group("holds much", Some(0), 1_000));
        groups.push(group(&"x".repeat(NAME_MAX_BYTES + 1), Some(9_999), 0));
        let queues = (0..600).map(|at| queue(&format!("queue-{at}"), at)).collect();
        let streams = (0..600).map(|at| Log::default().compare(stream(&format!("stream-{at}"), Vec::new())));
        let found = Found::choose(streams.collect(), groups, queues);
        let names: Vec<_> = found.groups.iter().map(|group| group.info.name.as_str()).collect();
        assert_eq!((names.len(), &names[..3]), (GROUPS_MAX, &["cannot tell", "holds much", "group-599"][..]));
        assert_eq!(found.queues.iter().map(|queue| queue.count.waiting).min(), Some(100));
        assert_eq!((found.left_out, found.streams_left_out), (103 + 100, 100));
    }

    #[test]
    fn a_stream_lags_behind_the_log_by_what_its_mirror_has_not_finished() {
        let cursors = [("mirror.native", "", 90), ("mirror.native", "rare", 7), ("mirror.two", "", 40)];
        let cursors =
            cursors.map(|(reader, stream, seq)| ((reader.to_owned(), stream.to_owned()), seq)).into();
        let log = Log { store_id: "ours".to_owned(), head: 100, cursors, profile: "native".to_owned() };
        let compared = |name: &str, mirrors| {
            let stream = log.compare(stream(name, mirrors));
            (stream.mirrored_seq, stream.lag)
        };
        assert_eq!(compared("rare", vec![position("ours", None, 7)]), (Some(7), Some(10)));
        assert_eq!(compared("rare", vec![position("ours", None, 5)]), (Some(5), Some(95)), "it lost one");
        assert_eq!(compared("new", vec![position("ours", None, 93)]), (Some(93), Some(7)));
        let both = vec![position("ours", Some("two"), 40), position("ours", None, 7)];
        assert_eq!(compared("rare", both), (Some(40), Some(10)));
        assert_eq!(compared("rare", vec![position("theirs", None, 99)]), (None, None));
    }
}
