//! Whether what was seen of a run is that of a program that could run for ever: pure, and without a
//! limit that depends on the machine.
//!
//! What may fill at first (caches, rings, what is remembered to know an event again) fills in the first
//! half: only the second is judged for growth. Growth is the median of the slopes between all pairs of
//! moments, so that a single high figure is none.

use std::{fmt, time::Duration};

use super::process::Usage;

/// What the memory of a process may grow by in the second half, beside what it may for an event: an
/// allocator takes memory in pieces of megabytes.
pub(crate) const MEMORY_SLACK_BYTES: f64 = (16 << 20) as f64;
/// What it may grow by for an event. A soak of an hour finds any leak above twice this.
pub(crate) const MEMORY_EVENT_BYTES: f64 = 32.0;
/// What the descriptors may grow by in the second half: clients come and go.
pub(crate) const DESCRIPTORS_SLACK: f64 = 8.0;
/// What the threads may grow by in the second half: the server's for reads come and go.
pub(crate) const THREADS_SLACK: f64 = 8.0;
/// The most bytes of the write-ahead log's file: twice the 4,000 pages of 4 KiB at which the log is
/// copied into the database.
pub(crate) const WAL_MAX_BYTES: u64 = 2 * 4_000 * (4_096 + 24);
/// What the search index may have beside as much as the database.
pub(crate) const SEARCH_SLACK_BYTES: u64 = 16 << 20;
/// Retention may be late by as many events as it keeps.
const HELD_MAX: u64 = 2;

/// What was seen at a moment, of the process of the runtime and of that of its readers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) events: u64,
    pub(crate) runtime: Usage,
    pub(crate) readers: Usage,
}

/// What was seen at the end of a slice of the run, once all readers had been waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slice {
    /// The last seq.
    pub(crate) events: u64,
    pub(crate) runtime: Usage,
    pub(crate) readers: Usage,
    pub(crate) wal_bytes: u64,
    pub(crate) db_bytes: u64,
    pub(crate) search_bytes: u64,
    /// How many events the log held, and how many it was to keep.
    pub(crate) held: u64,
    pub(crate) kept: u64,
    /// How far the mirror was behind.
    pub(crate) mirror_lag: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// How long it took until every reader had what was in the log; without it one never had.
    pub(crate) caught_up: Option<Duration>,
}

/// What was seen of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) moments: Vec<Moment>,
    pub(crate) slices: Vec<Slice>,
}

/// What a program does that cannot run for ever.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Violation {
    /// It holds more and more.
    Grows { process: &'static str, what: &'static str, by: f64, allowed: f64, events: u64 },
    /// A file is longer than it may be.
    TooLong { slice: usize, what: &'static str, bytes: u64, allowed: u64 },
    /// The log holds more than retention should leave.
    Held { slice: usize, events: u64, kept: u64 },
    /// A reader did not have all in time.
    Behind { slice: usize },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grows { process, what, by, allowed, events } => {
                write!(
                    f,
                    "{what} of the {process} grew by {by:.0} over {events} events, allowed are {allowed:.0}"
                )
            }
            Self::TooLong { slice, what, bytes, allowed } => {
                write!(f, "slice {slice}: {what} has {bytes} bytes, allowed are {allowed}")
            }
            Self::Held { slice, events, kept } => {
                write!(f, "slice {slice}: the log holds {events} events, it was to keep {kept}")
            }
            Self::Behind { slice } => write!(f, "slice {slice}: a reader was not there in time"),
        }
    }
}

/// Judges a run.
pub(crate) fn judge(course: &Course) -> Vec<Violation> {
    let half = &course.moments[course.moments.len() / 2..];
    let mut found = Vec::new();
    for (process, of) in
        [("runtime", (|moment| moment.runtime) as fn(&Moment) -> Usage), ("readers", |moment| moment.readers)]
    {
        found.extend(grows(process, half, of));
    }
    for (at, slice) in course.slices.iter().enumerate() {
        let slice_number = at + 1;
        let search_max = slice.db_bytes + SEARCH_SLACK_BYTES;
        let files = [
            ("the write-ahead log", slice.wal_bytes, WAL_MAX_BYTES),
            ("the search index", slice.search_bytes, search_max),
        ];
        let too_long = files.into_iter().filter(|(_, bytes, allowed)| bytes > allowed);
        found.extend(too_long.map(|(what, bytes, allowed)| Violation::TooLong {
            slice: slice_number,
            what,
            bytes,
            allowed,
        }));
        if slice.held > HELD_MAX * slice.kept {
            found.push(Violation::Held { slice: slice_number, events: slice.held, kept: slice.kept });
        }
        if slice.caught_up.is_none() {
            found.push(Violation::Behind { slice: slice_number });
        }
    }
    found
}

/// What is judged of a process, by how much it may grow, and its figure.
type Figure = (&'static str, f64, fn(Usage) -> u64);

/// What of a process grows.
fn grows(process: &'static str, half: &[Moment], of: fn(&Moment) -> Usage) -> Vec<Violation> {
    let (Some(first), Some(last)) = (half.first(), half.last()) else { return Vec::new() };
    let events = last.events - first.events;
    let memory_allowed = MEMORY_SLACK_BYTES + MEMORY_EVENT_BYTES * events as f64;
    let figures: [Figure; 3] = [
        ("memory", memory_allowed, |usage| usage.memory_bytes),
        ("descriptors", DESCRIPTORS_SLACK, |usage| usage.descriptors),
        ("threads", THREADS_SLACK, |usage| usage.threads),
    ];
    let judged = figures.into_iter().filter_map(|(what, allowed, figure)| {
        let points: Vec<_> =
            half.iter().map(|moment| (moment.events as f64, figure(of(moment)) as f64)).collect();
        let by = slope(&points) * events as f64;
        (by > allowed).then_some(Violation::Grows { process, what, by, allowed, events })
    });
    judged.collect()
}

/// The median of the slopes between all pairs of points (Theil and Sen); 0 where there are none.
fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = Vec::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let later = points[at + 1..].iter().filter(|(later, _)| later > x);
        slopes.extend(later.map(|(later, above)| (above - y) / (later - x)));
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(0.0)
}
