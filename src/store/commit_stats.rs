//! [`CommitStats`]: how long commits take, how many events they hold, and how many failed.
//!
//! Counted by whoever leads the group commit, in atomics that a reader looks at without holding up
//! anybody. Decides nothing, and lasts as long as the store is open.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{EventStore, writer::Answer};
use crate::error::{Error, ErrorKind};

const NANOS_IN_SECOND: f64 = 1e9;

/// The upper bounds of the buckets for the time of a commit, in nanoseconds: 50 us to 10 s.
const TIMES: [u64; 17] = [
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// The upper bounds of the buckets for the events of a commit.
const SIZES: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000];

/// What a store's owner has committed since it opened the store.
///
/// A commit is what one publisher did for all that waited: one transaction, or some more where one
/// failed. Commits that added no event, and the owner's own, which save cursors and prune, are not
/// among them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CommitStats {
    /// How long commits took, in seconds: from when the events were taken to when they were durable.
    /// What a publisher waited before, for its turn, is not in it.
    pub seconds: Histogram,
    /// How many events each commit added to the log; their sum is that of all events added.
    pub events: Histogram,
    /// Commits that failed, for some of their events at least, by no fault of the events: the disk
    /// was full or broken, the database locked.
    pub failed: u64,
}

/// How often values were how large.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// Upper bounds, rising, the last one infinite, each with how many values were at most as large and
    /// larger than the bound before.
    pub buckets: Vec<(f64, u64)>,
    /// How many values there were: those of all buckets.
    pub count: u64,
    /// The sum of all values.
    pub sum: f64,
}

impl EventStore {
    /// What this process has committed since it opened the store as its owner: nothing where it only
    /// reads. Never waits, and costs no read.
    ///
    /// ```
    /// # use planbus::{Event, EventStore, PlanStarted};
    /// # let dir = tempfile::tempdir()?;
    /// # let store = EventStore::open(dir.path().join("planbus.db"))?;
    /// store.save(&Event::new("plan-7", PlanStarted::new("tidy up")))?;
    /// let commits = store.commit_stats();
    /// assert_eq!((commits.seconds.count, commits.events.sum, commits.failed), (1, 1.0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn commit_stats(&self) -> CommitStats {
        self.inner.owner.as_ref().map_or_else(|| Tally::default().read(), |owner| owner.commits.read())
    }
}

/// The counters.
#[derive(Debug)]
pub(super) struct Tally {
    times: Counts<{ TIMES.len() }>,
    sizes: Counts<{ SIZES.len() }>,
    failed: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { times: Counts::new(TIMES), sizes: Counts::new(SIZES), failed: AtomicU64::new(0) }
    }
}

impl Tally {
    /// Counts a commit by its answers.
    pub(super) fn note(&self, took: Duration, answers: &[Answer]) {
        let placed = answers.iter().flatten().flatten();
        let added = placed.filter(|placed| !placed.duplicate).count();
        if added > 0 {
            self.times.note(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            self.sizes.note(added as u64);
        }
        if answers.iter().any(|answer| answer.as_ref().is_err_and(is_no_fault_of_the_events)) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> CommitStats {
        CommitStats {
            seconds: self.times.read(NANOS_IN_SECOND),
            events: self.sizes.read(1.0),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

fn is_no_fault_of_the_events(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge | ErrorKind::Conflict)
}

/// How many values fell into each bucket; the values of the last are above every bound.
#[derive(Debug)]
struct Counts<const N: usize> {
    bounds: [u64; N],
    buckets: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Counts<N> {
    fn new(bounds: [u64; N]) -> Self {
        let buckets = std::array::from_fn(|_| AtomicU64::new(0));
        Self { bounds, buckets, above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    fn note(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        self.buckets.get(place).unwrap_or(&self.above).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// The values divided by `unit`.
    fn read(&self, unit: f64) -> Histogram {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / unit).chain([f64::INFINITY]);
        let counts = self.buckets.iter().chain([&self.above]).map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Histogram { buckets, count, sum: self.sum.load(Ordering::Relaxed) as f64 / unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Timestamp, store::writer::Placed};

    fn added(events: usize) -> Answer {
        let recorded_at = Timestamp::now();
        Ok((1..=events as u64).map(|seq| Placed { seq, recorded_at, duplicate: false }).collect())
    }

    fn counted(histogram: &Histogram) -> Vec<(f64, u64)> {
        histogram.buckets.iter().copied().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn a_value_falls_into_the_first_bucket_that_holds_it_and_none_is_too_large() {
        let tally = Tally::default();
        for micros in [1, 50, 51, 10_000_000, 10_000_001] {
            tally.note(Duration::from_micros(micros), &[added(1)]);
        }
        tally.note(Duration::MAX, &[added(100_001)]);
        let stats = tally.read();
        assert_eq!(counted(&stats.seconds), [(0.00005, 2), (0.0001, 1), (10.0, 1), (f64::INFINITY, 2)]);
        assert_eq!(counted(&stats.events), [(1.0, 5), (f64::INFINITY, 1)]);
        assert_eq!((stats.seconds.count, stats.events.count, stats.events.sum), (6, 6, 100_006.0));
        assert!(TIMES.is_sorted() && SIZES.is_sorted());
    }

    #[test]
    fn a_commit_is_counted_as_one_and_a_failure_only_where_the_events_are_not_at_fault() {
        let refused = |kind| Err(Error::new(kind, "refused"));
        let duplicate = Ok(vec![Placed { seq: 1, recorded_at: Timestamp::now(), duplicate: true }]);
        let tally = Tally::default();
        tally.note(Duration::from_millis(3), &[added(3), duplicate.clone(), refused(ErrorKind::Conflict)]);
        tally.note(Duration::from_millis(3), &[duplicate, refused(ErrorKind::TooLarge)]);
        let stats = tally.read();
        assert_eq!(
            (stats.failed, counted(&stats.seconds), counted(&stats.events)),
            (0, vec![(0.005, 1)], vec![(5.0, 1)])
        );
        assert!((stats.seconds.sum - 0.003).abs() < 1e-9);
        tally.note(Duration::from_millis(3), &[refused(ErrorKind::DiskFull), refused(ErrorKind::DiskFull)]);
        tally.note(Duration::from_millis(3), &[added(1), refused(ErrorKind::Indeterminate)]);
        let stats = tally.read();
        assert_eq!((stats.failed, stats.seconds.count, stats.events.sum), (2, 2, 4.0));
    }
}
