//! The check: what is in the log is in its stream, once and in order.
//!
//! It looks by itself, with a client and a reader of its own, at what the processes left.

use std::{collections::HashMap, fmt, path::Path};

use planbus::EventStore;

use crate::redis_support::RedisServer;

/// The stream of the histories.
pub(crate) const STREAM: &str = "planbus:{default}:events";

/// What is wrong with a stream, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Violations {
    /// Events of the log that the stream lacks.
    pub(crate) lost: usize,
    /// Entries beyond the first of an event.
    pub(crate) doubled: usize,
    /// Entries that come before one with a lower seq.
    pub(crate) disordered: usize,
    /// Entries of the store that its log does not have.
    pub(crate) unknown: usize,
}

impl Violations {
    pub(crate) fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign for Violations {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.unknown += other.unknown;
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, disordered, unknown } = self;
        write!(f, "{lost} lost, {doubled} doubled, {disordered} out of order, {unknown} unknown")
    }
}

/// Compares a store's log with what stands of it in the stream; also how many events the log has.
pub(crate) fn compare(db: &Path, server: &RedisServer) -> (Violations, usize) {
    let store = EventStore::open_read_only(db).expect("opens");
    let log = store.read_after(0, usize::MAX).expect("reads");
    let mut seen = HashMap::new();
    let (mut violations, mut highest) = (Violations::default(), 0);
    for (_, fields) in server.entries(STREAM) {
        let field =
            |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        // Entries of others are none of ours.
        if field("store").as_deref() != Some(store.store_id()) {
            continue;
        }
        let seq: u64 = field("seq").and_then(|seq| seq.parse().ok()).expect("an entry of ours has its seq");
        let times = seen.entry(field("event_id").expect("an entry of ours has its id")).or_insert(0);
        *times += 1;
        violations.doubled += usize::from(*times > 1);
        violations.disordered += usize::from(seq < highest);
        highest = highest.max(seq);
    }
    for event in &log {
        violations.lost += usize::from(seen.remove(&event.event_id().to_string()).is_none());
    }
    violations.unknown = seen.len();
    (violations, log.len())
}
