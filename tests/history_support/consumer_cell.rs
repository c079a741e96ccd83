//! A cell with consumers: a server behind a proxy, a process that publishes and mirrors, and processes
//! that consume what it publishes.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use planbus::EventStore;
use rusqlite::Connection;

use super::{
    cell::Cell,
    consumer::{Consumer, Kind, Role},
    consumer_check::{Allowed, Handled, Times, Violations},
    group::{self, Letter},
    journal::{self, ATTEMPT_BYTES, GOOD, POISONED, Record, What},
    random::Random,
};
use crate::redis_support::{ServerKind, wait_for};

/// Where the effects of handlers with an inbox stand.
pub(crate) const EFFECTS: &str = "effects.db";

/// The groups of a cell's consumers, in the order of their seats: two that fail share their work.
const SEATS: [&str; 3] = [POISONED, POISONED, GOOD];

/// The groups, each once.
const GROUPS: [&str; 2] = [POISONED, GOOD];

/// What runs where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The test that a child runs which publishes.
    pub(crate) publisher: &'static str,
    /// The test that a child runs which consumes.
    pub(crate) consumer: &'static str,
    pub(crate) kind: Kind,
    pub(crate) server: ServerKind,
    pub(crate) profile: &'static str,
}

/// What a history of consumers runs in.
pub(crate) struct ConsumerCell {
    pub(crate) plan: Plan,
    pub(crate) cell: Cell,
    pub(crate) consumers: Vec<Consumer>,
    pub(crate) allowed: Allowed,
    /// How many processes have consumed.
    started: usize,
}

impl ConsumerCell {
    /// Starts them all; `None` where the test is to return.
    pub(crate) fn start(plan: Plan) -> Option<Self> {
        let cell = Cell::start(plan.publisher, plan.server, plan.profile)?;
        let mut cell = Self { plan, cell, consumers: Vec::new(), allowed: Allowed::default(), started: 0 };
        if plan.kind == Kind::Inbox {
            let table = "CREATE TABLE effects (event_id TEXT, grp TEXT, consumer INTEGER) STRICT";
            let database = Connection::open(cell.effects_db()).expect("opens");
            database.execute_batch(table).expect("makes the table");
        }
        for seat in 0..SEATS.len() {
            let consumer = cell.another(seat);
            cell.consumers.push(consumer);
        }
        Some(cell)
    }

    /// A process more, for a seat.
    fn another(&mut self, seat: usize) -> Consumer {
        let Plan { consumer, kind, profile, .. } = self.plan;
        self.started += 1;
        let (profile, group) = (profile.to_owned(), SEATS[seat].to_owned());
        let role = Role { kind, profile, group, seat, number: self.started };
        Consumer::start(consumer, self.cell.folder(), &self.cell.proxy.url(), role)
    }

    /// Another process takes the seat of one that has ended.
    pub(crate) fn seat_again(&mut self, seat: usize) {
        self.consumers[seat] = self.another(seat);
    }

    /// One of the seats of the group that fails.
    pub(crate) fn poisoned_seat(random: &mut Random) -> usize {
        random.below(SEATS.iter().filter(|group| **group == POISONED).count())
    }

    /// Any seat.
    pub(crate) fn seat(random: &mut Random) -> usize {
        random.below(SEATS.len())
    }

    /// Publishes, and lets the consumers begin to handle it.
    pub(crate) fn publish_and_see(&mut self, events: usize, attempts: usize) {
        let length = || journal::length(self.cell.folder(), POISONED);
        let before = length();
        self.cell.publisher.publish(events);
        let enough = before + attempts.min(events) as u64 * ATTEMPT_BYTES / 2;
        wait_for("the consumers are at work", || journal::length(self.cell.folder(), POISONED) >= enough);
    }

    /// Waits until nothing is left to do; else what is.
    pub(crate) fn drain(&mut self, limit: Duration) -> Result<(), String> {
        self.cell.publisher.wait_published();
        let start = Instant::now();
        let mut mirror = Err("was not asked".to_owned());
        loop {
            if mirror.is_err() {
                mirror = self.cell.publisher.flush(limit.saturating_sub(start.elapsed()));
            }
            let left: Vec<_> =
                GROUPS.iter().map(|group| (group, group::left(&self.cell.server, group))).collect();
            if mirror.is_ok() && left.iter().all(|(_, left)| left.is_empty()) {
                return Ok(());
            }
            if start.elapsed() > limit {
                let told: Vec<String> = self.consumers.iter_mut().map(Consumer::status).collect();
                return Err(format!("left: {left:?}; the mirror: {mirror:?}; the consumers: {told:#?}"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Ends all consumers in order.
    pub(crate) fn stop_consumers(&mut self) {
        for consumer in &mut self.consumers {
            consumer.stop();
        }
    }

    /// What is wrong with what each group's consumers did so far, together.
    pub(crate) fn violations(&self, times: Times) -> Violations {
        let mut sum = Violations::default();
        for group in GROUPS {
            sum += self.violations_of(group, times);
        }
        sum
    }

    /// What is wrong with what one group's consumers did so far.
    pub(crate) fn violations_of(&self, group: &str, times: Times) -> Violations {
        // The log last: what was handled is in it by then.
        let records = self.records(group);
        let effects = self.effects(group, &records);
        let letters: Vec<Letter> = group::letters(&self.cell.server);
        let store = EventStore::open_read_only(self.cell.db()).expect("opens");
        let log = store.read_after(0, usize::MAX).expect("reads");
        let allowed = &self.allowed;
        let handled =
            Handled { group, log: &log, records: &records, effects: &effects, letters: &letters, allowed };
        let mut found = handled.violations(times);
        if self.plan.kind == Kind::PerPlan {
            found.disordered = handled.disordered();
        }
        found.left = group::left(&self.cell.server, group).values().map(group::Left::count).sum();
        found
    }

    /// Waits until the group that fails has so many dead letters more.
    pub(crate) fn see_letters(&self, more: usize) {
        let letters = || group::letters(&self.cell.server).len();
        let before = letters();
        wait_for("something is given up", || letters() >= before + more);
    }

    /// What a group's consumers wrote down.
    pub(crate) fn records(&self, group: &str) -> Vec<Record> {
        journal::read(self.cell.folder()).remove(group).unwrap_or_default()
    }

    /// How often each event had its effect.
    fn effects(&self, group: &str, records: &[Record]) -> HashMap<String, usize> {
        if self.plan.kind != Kind::Inbox {
            return done(records);
        }
        let database = Connection::open(self.effects_db()).expect("opens");
        let mut query = database
            .prepare("SELECT event_id, count(*) FROM effects WHERE grp = ?1 GROUP BY 1")
            .expect("is a query");
        let rows =
            query.query_map([group], |row| Ok((row.get(0)?, row.get::<_, u32>(1)? as usize))).expect("runs");
        rows.map(|row| row.expect("a row")).collect()
    }

    fn effects_db(&self) -> PathBuf {
        self.cell.beside(EFFECTS)
    }
}

/// How often each event was handled.
pub(crate) fn done(records: &[Record]) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for record in records.iter().filter(|record| record.what == What::Done) {
        *times.entry(record.event_id.clone()).or_default() += 1;
    }
    times
}
