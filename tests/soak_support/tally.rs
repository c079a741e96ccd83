//! [`Tally`]: which events somebody has seen, in a few numbers however many they are.
//!
//! Two that agree have seen the same events, but for a chance of one in 2^64.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which events somebody has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) last_seq: u64,
    /// Says which, in whatever order.
    sum: u64,
    /// Says which, and in which order.
    order: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, seq: u64) {
        self.events += 1;
        self.last_seq = self.last_seq.max(seq);
        self.sum = self.sum.wrapping_add(mix(seq));
        self.order = self.order.rotate_left(7) ^ mix(seq);
    }

    /// Whether these are the same events, in whatever order.
    pub(crate) fn has_same_events(&self, other: &Self) -> bool {
        (self.events, self.sum) == (other.events, other.sum)
    }

    /// Without what another one has seen of it.
    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.events -= other.events;
        self.sum = self.sum.wrapping_sub(other.sum);
        self
    }

    /// From its parts that know no order, as a database keeps them.
    pub(crate) fn unordered(events: u64, sum: u64) -> Self {
        Self { events, sum, ..Self::default() }
    }
}

/// What the runtime's own tail has seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Marks {
    pub(crate) all: Tally,
    /// Those that a handler of the group that fails never takes.
    pub(crate) poison: Tally,
    pub(crate) by_type: BTreeMap<String, Tally>,
}

impl Marks {
    pub(crate) fn add(&mut self, seq: u64, event_type: &str) {
        self.all.add(seq);
        if Fate::of(seq) == Fate::Poison {
            self.poison.add(seq);
        }
        match self.by_type.get_mut(event_type) {
            Some(tally) => tally.add(seq),
            None => self.by_type.entry(event_type.to_owned()).or_default().add(seq),
        }
    }

    /// What a client sees that asks for one type, or for all.
    pub(crate) fn of(&self, event_type: Option<&str>) -> Tally {
        event_type.map_or(self.all, |name| self.by_type.get(name).copied().unwrap_or_default())
    }
}

/// What becomes of an event in the group that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Taken,
    /// Its first attempt fails: one event in a hundred.
    Retried,
    /// Every attempt fails: one event in a thousand.
    Poison,
}

impl Fate {
    pub(crate) fn of(seq: u64) -> Self {
        match mix(seq) % 1_000 {
            0 => Self::Poison,
            1..=10 => Self::Retried,
            _ => Self::Taken,
        }
    }
}

/// What an event adds to a tally's sum: neighbours are far apart.
pub(crate) fn mix(seq: u64) -> u64 {
    let mut bits = seq.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
