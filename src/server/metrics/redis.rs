//! [`RedisFigures`]: how the groups and dead letters of a profile stand, looked up no more often than
//! is worth it.
//!
//! A look happens on a thread of its own, when somebody asks and the last one is old: with nobody
//! scraping, Redis is not asked. Who asks waits for it only so long. Where Redis does not answer, that
//! is told and nothing else: what was known before is not passed off as new.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use super::page::Page;
use crate::{
    error::Result,
    redis::{DeadLetterCount, DeadLetters, GroupStatus, Streams, spawn_thread},
};

/// For how long a look is good.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// How long a scrape waits for a look, which itself takes as long as the endpoint's timeouts let it.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The most groups of a stream that are told one by one, those that are farthest behind.
const GROUPS_MAX: usize = 500;
/// The most queues of dead letters, those that hold most.
const QUEUES_MAX: usize = 500;
/// The longest name of a stream or a group that becomes a label.
const NAME_MAX_BYTES: usize = 512;

/// The names and values of labels.
type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// The figures of a profile's streams.
#[derive(Debug)]
pub(in crate::server) struct RedisFigures {
    streams: Streams,
    is_looking: AtomicBool,
    last: watch::Sender<Option<Arc<Look>>>,
}

/// What a look at Redis found.
#[derive(Debug)]
pub(in crate::server) struct Look {
    until: Instant,
    /// `None` where it did not answer.
    found: Option<Found>,
}

#[derive(Debug)]
struct Found {
    groups: Vec<GroupStatus>,
    queues: Vec<DeadLetterCount>,
    /// How many groups and queues there are that are not told.
    left_out: u64,
}

impl RedisFigures {
    pub(in crate::server) fn new(streams: Streams) -> Arc<Self> {
        let (last, _) = watch::channel(None);
        Arc::new(Self { streams, is_looking: AtomicBool::new(false), last })
    }

    /// How Redis stands now, or stood a moment ago.
    pub(in crate::server) async fn look(self: &Arc<Self>) -> Arc<Look> {
        let mut last = self.last.subscribe();
        let is_good =
            |look: &Option<Arc<Look>>| look.as_ref().is_some_and(|look| look.until > Instant::now());
        if !is_good(&last.borrow()) {
            self.begin();
        }
        let waited = timeout(WAIT_MAX, last.wait_for(is_good)).await;
        let look = waited.ok().and_then(|look| look.ok()?.clone());
        look.unwrap_or_else(|| Arc::new(Look { until: Instant::now(), found: None }))
    }

    /// Begins a look, unless one is under way.
    fn begin(self: &Arc<Self>) {
        if self.is_looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let looking = Arc::clone(self);
        let look = move || {
            let found = Found::ask(&looking.streams)
                .inspect_err(|error| tracing::warn!(target: "planbus.serve", %error, "no figures of Redis"));
            let look = Look { until: Instant::now() + GOOD_FOR, found: found.ok() };
            looking.last.send_replace(Some(Arc::new(look)));
            looking.is_looking.store(false, Ordering::Release);
        };
        if let Err(error) = spawn_thread("planbus-figures".to_owned(), look) {
            tracing::warn!(target: "planbus.serve", %error, "no thread to look at Redis");
            self.is_looking.store(false, Ordering::Release);
        }
    }
}

impl Found {
    fn ask(streams: &Streams) -> Result<Self> {
        Ok(Self::choose(streams.groups()?, DeadLetters::of(streams).count()?))
    }

    /// Keeps what is worst.
    fn choose(mut groups: Vec<GroupStatus>, mut queues: Vec<DeadLetterCount>) -> Self {
        let all = groups.len() + queues.len();
        groups
            .retain(|group| group.stream.len() <= NAME_MAX_BYTES && group.info.name.len() <= NAME_MAX_BYTES);
        queues.retain(|queue| queue.queue.len() <= NAME_MAX_BYTES);
        // A lag that the server cannot tell is a long one.
        groups.sort_by_key(|group| {
            std::cmp::Reverse(group.info.lag.unwrap_or(u64::MAX).saturating_add(group.info.pending))
        });
        queues.sort_by_key(|queue| std::cmp::Reverse(queue.waiting));
        groups.truncate(GROUPS_MAX);
        queues.truncate(QUEUES_MAX);
        let left_out = (all - groups.len() - queues.len()) as u64;
        Self { groups, queues, left_out }
    }
}

impl Look {
    pub(super) fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge("planbus_redis_up", "Whether Redis told its figures.", u64::from(self.found.is_some()))?;
        let Some(found) = &self.found else { return Ok(()) };
        let told = |count: fn(&GroupStatus) -> Option<u64>| {
            found.groups.iter().filter_map(move |group| Some((labels(group), count(group)?)))
        };
        page.gauges(
            "planbus_consumer_lag_events",
            "Entries of a stream that a group has not read, where Redis can tell.",
            told(|group| group.info.lag),
        )?;
        page.gauges(
            "planbus_consumer_pending_events",
            "Entries that were delivered to a group and are not done.",
            told(|group| Some(group.info.pending)),
        )?;
        page.gauges(
            "planbus_consumer_waiting_events",
            "Those of the pending that wait for another attempt.",
            told(|group| Some(group.waiting)),
        )?;
        page.gauges(
            "planbus_dead_letters",
            "Dead letters that wait in a queue.",
            found
                .queues
                .iter()
                .map(|queue| -> (Labels<'_, 1>, u64) { ([("queue", &queue.queue)], queue.waiting) }),
        )?;
        page.gauge(
            "planbus_redis_left_out",
            "Groups and queues that are not told, since there are too many or their names are too long.",
            found.left_out,
        )
    }
}

fn labels(group: &GroupStatus) -> Labels<'_, 2> {
    [("stream", &group.stream), ("group", &group.info.name)]
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

    fn queue(name: &str, waiting: u64) -> DeadLetterCount {
        DeadLetterCount { queue: name.to_owned(), waiting, ..DeadLetterCount::default() }
    }

    #[test]
    fn of_too_many_the_worst_are_told_and_how_many_are_not() {
        let mut groups: Vec<_> = (0..600).map(|at| group(&format!("group-{at}"), Some(at), 0)).collect();
        groups.push(group("cannot tell", None, 0));
        groups.push(group("holds much", Some(0), 1_000));
        groups.push(group(&"x".repeat(NAME_MAX_BYTES + 1), Some(9_999), 0));
        let queues = (0..600).map(|at| queue(&format!("queue-{at}"), at)).collect();
        let found = Found::choose(groups, queues);
        let names: Vec<_> = found.groups.iter().map(|group| group.info.name.as_str()).collect();
        assert_eq!((names.len(), &names[..3]), (GROUPS_MAX, &["cannot tell", "holds much", "group-599"][..]));
        assert_eq!(found.queues.iter().map(|queue| queue.waiting).min(), Some(100));
        assert_eq!(found.left_out, 103 + 100);
    }
}
