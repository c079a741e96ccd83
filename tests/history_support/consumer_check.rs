//! The check of consumers: what is in the log was handled, what is poison was buried, and when.
//!
//! It is given what the consumers wrote down and what stands in Redis, and decides purely.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use planbus::Event;

use super::{
    group::Letter,
    journal::{ATTEMPTS, DELAYS, Fate, Record, What},
};

/// The server counts in whole milliseconds: what is early by less is not.
const CLOCK_US: u64 = 1_000;

/// How much later than its delay an attempt may begin: a part of the delay, and what a busy machine takes.
const LATE_PART: u64 = 10;
const LATE_US: u64 = 500_000;

/// What is wrong with what a group's consumers did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Violations {
    /// Events that nobody handled.
    pub(crate) lost: usize,
    /// Effects, or calls, beyond the one that an event was to have.
    pub(crate) doubled: usize,
    /// Events that were handled and are not in the log.
    pub(crate) unknown: usize,
    /// What should be a dead letter and is none.
    pub(crate) unburied: usize,
    /// Dead letters beyond the first.
    pub(crate) buried_again: usize,
    /// Dead letters of what did not fail for good.
    pub(crate) misburied: usize,
    /// Attempts before their time.
    pub(crate) early: usize,
    /// Events that began before one of the same plan was done with.
    pub(crate) disordered: usize,
    /// What Redis holds of a group that has nothing to do.
    pub(crate) left: usize,
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
        self.unknown += other.unknown;
        self.unburied += other.unburied;
        self.buried_again += other.buried_again;
        self.misburied += other.misburied;
        self.early += other.early;
        self.disordered += other.disordered;
        self.left += other.left;
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lost, doubled, unknown, unburied, buried_again, misburied, early, disordered, left } =
            self;
        write!(f, "{lost} lost, {doubled} doubled, {unknown} unknown, {unburied} unburied, ")?;
        write!(f, "{buried_again} buried again, {misburied} misburied, {early} early, ")?;
        write!(f, "{disordered} out of order, {left} left")
    }
}

/// What a history did that lets a group off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    /// Events that left a stream before their time: they need not be handled.
    pub(crate) trimmed: HashSet<String>,
    /// Entries of others, by what they hold; whether they were there all the time.
    pub(crate) malformed: BTreeMap<String, bool>,
    /// How often a group began again beside the dead letters that it had: what is poison is buried again.
    pub(crate) rewinds: usize,
}

/// How often an event may have its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    Once,
    AtLeastOnce,
}

/// What is known of a group in the end.
pub(crate) struct Handled<'a> {
    pub(crate) group: &'a str,
    pub(crate) log: &'a [Event],
    /// What its consumers wrote down, in any order.
    pub(crate) records: &'a [Record],
    /// How often each event had its effect.
    pub(crate) effects: &'a HashMap<String, usize>,
    /// The dead letters of all groups.
    pub(crate) letters: &'a [Letter],
    pub(crate) allowed: &'a Allowed,
}

impl Handled<'_> {
    /// What is wrong, but for order.
    pub(crate) fn violations(&self, times: Times) -> Violations {
        let mut found = Violations { early: self.early(), ..Violations::default() };
        let ids: HashSet<String> = self.log.iter().map(|event| event.event_id().to_string()).collect();
        for id in &ids {
            let effects = self.effects.get(id).copied().unwrap_or(0);
            let letters = self.letters_of(|letter| letter.event_id.as_ref() == Some(id));
            let must = !self.allowed.trimmed.contains(id);
            if self.fate(id) == Fate::Poison {
                found.doubled += effects;
                found.unburied += usize::from(letters == 0 && must);
                found.buried_again += letters.saturating_sub(1 + self.allowed.rewinds);
            } else {
                found.lost += usize::from(effects == 0 && must);
                found.misburied += letters;
                if times == Times::Once {
                    found.doubled += effects.saturating_sub(1);
                }
            }
        }
        let begun: HashSet<&String> = self.records.iter().map(|record| &record.event_id).collect();
        found.unknown = begun.into_iter().chain(self.effects.keys()).filter(|id| !ids.contains(*id)).count();
        for (text, is_sure) in &self.allowed.malformed {
            let letters = self.letters_of(|letter| letter.fields.iter().any(|(_, value)| value == text));
            found.unburied += usize::from(letters == 0 && *is_sure);
            found.buried_again += letters.saturating_sub(1 + self.allowed.rewinds);
        }
        let is_known = |letter: &Letter| match &letter.event_id {
            Some(id) => ids.contains(id),
            None => letter.fields.iter().any(|(_, value)| self.allowed.malformed.contains_key(value)),
        };
        found.misburied += self.letters_of(|letter| !is_known(letter));
        found
    }

    fn fate(&self, event_id: &str) -> Fate {
        Fate::of(self.group, event_id)
    }

    fn letters_of(&self, is_meant: impl Fn(&Letter) -> bool) -> usize {
        self.letters.iter().filter(|letter| letter.group == self.group && is_meant(letter)).count()
    }

    /// When what happened to an event the first time.
    fn first(&self, is_meant: impl Fn(&Record) -> bool) -> HashMap<&str, u64> {
        let mut first: HashMap<&str, u64> = HashMap::new();
        for record in self.records.iter().filter(|record| is_meant(record)) {
            let at_us = first.entry(&record.event_id).or_insert(record.at_us);
            *at_us = record.at_us.min(*at_us);
        }
        first
    }

    /// Attempts that began sooner after each failure of the attempt before than that had to wait.
    fn early(&self) -> usize {
        let mut failed: HashMap<(&str, u32), u64> = HashMap::new();
        for record in self.records.iter().filter(|record| record.what == What::Failed) {
            let at_us = failed.entry((&record.event_id, record.attempt)).or_insert(record.at_us);
            *at_us = record.at_us.min(*at_us);
        }
        let again = self.records.iter().filter(|record| record.what == What::Begun && record.attempt > 1);
        again
            .filter(|record| {
                let before = record.attempt - 1;
                let delay = DELAYS.get(before as usize - 1).map_or(0, |delay| delay.as_micros() as u64);
                let since = failed.get(&(record.event_id.as_str(), before));
                since.is_none_or(|since| record.at_us + CLOCK_US < since + delay)
            })
            .count()
    }

    /// Shows what is known of an event.
    fn tell(&self, event_id: &str, what: &str) {
        let known: Vec<&Record> = self.records.iter().filter(|record| record.event_id == event_id).collect();
        println!("{}: {event_id} {what}: {known:?}", self.group);
    }

    /// How many events began before the one before them in their plan was done with, in the first place.
    pub(crate) fn disordered(&self) -> usize {
        let begun = self.first(|record| record.what == What::Begun);
        let is_end = |record: &Record| match record.what {
            What::Begun => false,
            What::Done => true,
            What::Failed => record.attempt == ATTEMPTS,
        };
        let ended = self.first(is_end);
        let mut plans: HashMap<_, u64> = HashMap::new();
        let mut disordered = 0;
        for event in self.log {
            let id = event.event_id().to_string();
            if self.allowed.trimmed.contains(&id) {
                continue;
            }
            let plan = plans.entry((event.tenant().clone(), event.plan_id().clone())).or_default();
            if begun.get(id.as_str()).is_some_and(|begun| begun < plan) {
                disordered += 1;
                self.tell(&id, &format!("began before {plan}"));
            }
            *plan = ended.get(id.as_str()).copied().unwrap_or(u64::MAX).max(*plan);
        }
        disordered
    }
}

/// How late the attempts began that are later than they may be, in microseconds after their time.
///
/// What a consumer held that was killed meanwhile has `more` more.
pub(crate) fn late_us(records: &[Record], kills: &[u64], more: Duration) -> Vec<u64> {
    let mut failed: HashMap<(&str, u32), Vec<u64>> = HashMap::new();
    for record in records.iter().filter(|record| record.what == What::Failed) {
        failed.entry((&record.event_id, record.attempt)).or_default().push(record.at_us);
    }
    let again = records.iter().filter(|record| record.what == What::Begun && record.attempt > 1);
    let late = again.filter_map(|record| {
        let failed = failed.get(&(record.event_id.as_str(), record.attempt - 1))?;
        let since = failed.iter().filter(|at_us| **at_us <= record.at_us).max()?;
        let delay = delay_us(record.attempt - 1);
        let is_hit = kills.iter().any(|kill| (since..=&record.at_us).contains(&kill));
        let may = delay / LATE_PART + LATE_US + if is_hit { more.as_micros() as u64 } else { 0 };
        Some((record.at_us - since).saturating_sub(delay)).filter(|late| *late > may)
    });
    late.collect()
}

/// How long an event waits after an attempt has failed.
fn delay_us(attempt: u32) -> u64 {
    DELAYS.get(attempt as usize - 1).map_or(0, |delay| delay.as_micros() as u64)
}
