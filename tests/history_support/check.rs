//! The check: what is in the log is in its own stream, once and in order.
//!
//! It looks by itself, with a client and a reader of its own, at what the processes left.

use std::{collections::HashMap, fmt, path::Path};

use planbus::EventStore;
use serde_json::Value;

use crate::redis_support::{RedisServer, Reply};

/// What the key of a stream's dead letters ends with, and what the keys beside it have in them.
pub(super) const DLQ: &str = ":dlq";

/// What is wrong with the streams, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Violations {
    /// Events of the log that no stream has.
    pub(crate) lost: usize,
    /// Entries beyond the first of an event.
    pub(crate) doubled: usize,
    /// Entries that come before one with a lower seq.
    pub(crate) disordered: usize,
    /// Entries of the store that its log does not have.
    pub(crate) unknown: usize,
    /// Entries in a stream that is another tenant's or type's.
    pub(crate) misplaced: usize,
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
        self.misplaced += other.misplaced;
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, disordered, unknown, misplaced } = self;
        write!(f, "{lost} lost, {doubled} doubled, {disordered} out of order, {unknown} unknown, ")?;
        write!(f, "{misplaced} misplaced")
    }
}

/// What planbus wrote of itself into an entry.
pub(super) struct Mark {
    store: String,
    seq: u64,
    pub(super) event_id: String,
    /// What `per-type` calls the event's type; `native` has streams by tenant.
    named_type: Option<String>,
}

impl Mark {
    /// The mark of an entry in the fields of `native`, or in the one of `per-type`; none in a foreign one.
    pub(super) fn of(fields: &[(String, String)]) -> Option<Self> {
        let field =
            |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        if let Some(data) = field("data") {
            let data: Value = serde_json::from_str(&data).ok()?;
            let mark = &data["metadata"]["planbus"];
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let event_id = text(&mark["event_id"])?;
            let (store, seq, named_type) =
                (text(&mark["store"])?, mark["seq"].as_u64()?, text(&data["type"]));
            return Some(Self { store, seq, event_id, named_type });
        }
        let (seq, event_id) = (field("seq")?.parse().ok()?, field("event_id")?);
        Some(Self { store: field("store")?, seq, event_id, named_type: None })
    }

    /// The stream to which an entry of this mark belongs; `None` where nobody knows the event.
    fn stream(&self, tenants: &HashMap<String, &str>) -> Option<String> {
        match &self.named_type {
            Some(name) => Some(format!("events:{name}")),
            None => Some(format!("planbus:{{{}}}:events", tenants.get(&self.event_id)?)),
        }
    }
}

/// The streams of a server; what groups keep beside them in streams of their own is none of them.
pub(crate) fn streams(server: &RedisServer) -> Vec<String> {
    let mut keys: Vec<String> = server.call(&["KEYS", "*"]).items().iter().map(Reply::to_string).collect();
    keys.retain(|key| !key.contains(DLQ) && server.command(&["TYPE", key]) == "stream");
    keys.sort();
    keys
}

/// Compares a store's log with what stands of it in the streams, each event in its own.
pub(crate) fn compare(db: &Path, server: &RedisServer) -> Violations {
    let store = EventStore::open_read_only(db).expect("opens");
    let log = store.read_after(0, usize::MAX).expect("reads");
    let tenants: HashMap<String, &str> =
        log.iter().map(|event| (event.event_id().to_string(), event.tenant().as_str())).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut violations = Violations::default();
    for stream in streams(server) {
        let mut highest = 0;
        for (_, fields) in server.entries(&stream) {
            let Some(mark) = Mark::of(&fields).filter(|mark| mark.store == store.store_id()) else {
                continue;
            };
            violations.misplaced += usize::from(mark.stream(&tenants).is_some_and(|own| own != stream));
            let times = seen.entry(mark.event_id).or_default();
            *times += 1;
            violations.doubled += usize::from(*times > 1);
            violations.disordered += usize::from(mark.seq < highest);
            highest = highest.max(mark.seq);
        }
    }
    for event in &log {
        violations.lost += usize::from(seen.remove(&event.event_id().to_string()).is_none());
    }
    violations.unknown = seen.len();
    violations
}
