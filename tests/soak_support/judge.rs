//! Whether what was seen of a run is that of a program that could run for ever: pure, and without a
//! limit that depends on the machine.
//!
//! What may fill at first (caches, rings, what is remembered to know an event again) fills in the first
//! half: only the second is judged for growth. Growth is the median of the slopes between all pairs of
//! moments, so that a single high figure is none.

use std::{fmt, time::Duration};

use super::process::Usage;

const MIB: f64 = (1 << 20) as f64;
/// What may grow in the second half of a run, in bytes, whatever its length: allocators and SQLite take
/// room in pieces.
const SLACK_BYTES: f64 = 16.0 * MIB;
/// What else may for each event. An hour at 400 events a second finds a leak of 60 bytes an event.
const EVENT_BYTES: f64 = 32.0;
/// What descriptors and threads may grow by: clients come and go, and so do the threads that read for them.
const SLACK_COUNT: f64 = 8.0;

/// The most bytes of the write-ahead log's file: 16,000 pages of 4 KiB, to which it is cut when it begins
/// anew, and what a look at it may miss. It is copied at 4,000, and goes on where a reader is in it then.
pub(super) const WAL_MAX_BYTES: u64 = 17_000 * (4_096 + 24);
/// What the search index may have beside as much as the log.
const SEARCH_SLACK_BYTES: u64 = 16 << 20;
/// Retention may be late by as many events as it keeps.
const HELD_MAX: u64 = 2;

/// What was seen at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// The last seq that a reader had.
    pub(crate) events: u64,
    pub(crate) runtime: Usage,
    /// The process of the clients and of the consumers.
    pub(crate) readers: Usage,
    /// What Redis uses.
    pub(crate) redis_bytes: u64,
    /// How long files are.
    pub(crate) log_bytes: u64,
    pub(crate) wal_bytes: u64,
    pub(crate) search_bytes: u64,
    pub(crate) inbox_bytes: u64,
}

/// What was seen of a slice of the run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slice {
    /// How all was once the readers had been waited for.
    pub(crate) end: Moment,
    /// How many events the log held, and how many it was to keep.
    pub(crate) held: u64,
    pub(crate) kept: u64,
    /// How far the mirror was behind.
    pub(crate) mirror_lag: u64,
    /// How long a publish took.
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
    /// Something grows on.
    Grows { what: &'static str, by: f64, allowed: f64, events: u64 },
    /// A file is longer than it may be.
    TooLong { events: u64, what: &'static str, bytes: u64, allowed: u64 },
    /// The log holds more than retention should leave.
    Held { events: u64, held: u64, kept: u64 },
    /// A reader did not have all in time.
    Behind { events: u64 },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grows { what, by, allowed, events } => {
                write!(f, "{what}: grew by {by:.0} over {events} events, allowed are {allowed:.0}")
            }
            Self::TooLong { events, what, bytes, allowed } => {
                write!(f, "{what}: {bytes} bytes after {events} events, allowed are {allowed}")
            }
            Self::Held { events, held, kept } => {
                write!(f, "the log holds {held} events after {events}, it was to keep {kept}")
            }
            Self::Behind { events } => write!(f, "after {events} events a reader was not there in time"),
        }
    }
}

/// A figure that may rise to a level, and must not grow on.
struct Level {
    name: &'static str,
    slack: f64,
    per_event: f64,
    of: fn(&Moment) -> u64,
}

impl Level {
    const fn bytes(name: &'static str, of: fn(&Moment) -> u64) -> Self {
        Self { name, slack: SLACK_BYTES, per_event: EVENT_BYTES, of }
    }

    const fn count(name: &'static str, of: fn(&Moment) -> u64) -> Self {
        Self { name, slack: SLACK_COUNT, per_event: 0.0, of }
    }

    fn judge(&self, half: &[Moment]) -> Option<Violation> {
        let events = half.last()?.events - half.first()?.events;
        let points: Vec<(f64, f64)> =
            half.iter().map(|moment| (moment.events as f64, (self.of)(moment) as f64)).collect();
        let (by, allowed) = (slope(&points) * events as f64, self.slack + self.per_event * events as f64);
        (by > allowed).then_some(Violation::Grows { what: self.name, by, allowed, events })
    }
}

const LEVELS: [Level; 10] = [
    Level::bytes("memory of the runtime", |moment| moment.runtime.memory_bytes),
    Level::bytes("memory of the readers", |moment| moment.readers.memory_bytes),
    Level::bytes("memory of Redis", |moment| moment.redis_bytes),
    Level::bytes("the log", |moment| moment.log_bytes),
    Level::bytes("the search index", |moment| moment.search_bytes),
    Level::bytes("the inbox", |moment| moment.inbox_bytes),
    Level::count("descriptors of the runtime", |moment| moment.runtime.descriptors),
    Level::count("descriptors of the readers", |moment| moment.readers.descriptors),
    Level::count("threads of the runtime", |moment| moment.runtime.threads),
    Level::count("threads of the readers", |moment| moment.readers.threads),
];

/// Judges a run.
pub(crate) fn judge(course: &Course) -> Vec<Violation> {
    let half = &course.moments[course.moments.len() / 2..];
    let mut found: Vec<Violation> = LEVELS.iter().filter_map(|level| level.judge(half)).collect();
    found.extend(course.moments.iter().flat_map(too_long));
    for Slice { end: Moment { events, .. }, held, kept, caught_up, .. } in &course.slices {
        let (events, held, kept) = (*events, *held, *kept);
        if held > HELD_MAX * kept {
            found.push(Violation::Held { events, held, kept });
        }
        if caught_up.is_none() {
            found.push(Violation::Behind { events });
        }
    }
    found
}

fn too_long(moment: &Moment) -> impl Iterator<Item = Violation> {
    let events = moment.events;
    let files = [
        ("the write-ahead log", moment.wal_bytes, WAL_MAX_BYTES),
        ("the search index", moment.search_bytes, moment.log_bytes + SEARCH_SLACK_BYTES),
    ];
    let too_long = files.into_iter().filter(|(_, bytes, allowed)| bytes > allowed);
    too_long.map(move |(what, bytes, allowed)| Violation::TooLong { events, what, bytes, allowed })
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
