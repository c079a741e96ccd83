//! [`Board`]: what one consumer has in hand, and what is next.
//!
//! Pure: it knows neither Redis nor threads. Entries come in, are given to workers in turn, and leave
//! when they are settled. Where plans keep their order, an entry waits until those before it of its
//! plan have left; what waits for long is kept as an id and read again when its turn comes.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::delivery::{Delivery, Key};
use crate::redis::EntryId;

/// A plan of one source, by hash: two plans that share one wait for each other, no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    pub(super) source: usize,
    pub(super) hash: u64,
}

/// How much may be in hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Entries in full.
    pub(super) entries: usize,
    /// About their bytes.
    pub(super) bytes: usize,
    /// Entries that wait behind others of their plan and are known by their id alone.
    pub(super) parked: usize,
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    plan: Option<Plan>,
    bytes: usize,
}

#[derive(Debug)]
enum Phase {
    /// To be given to a worker.
    Ready(Box<Delivery>),
    /// Its turn comes after others of its plan.
    Behind(Box<Delivery>),
    /// As `Behind`, or its turn has come; its fields are to be read again.
    Parked,
    /// With a worker, or its outcome is on the way to Redis.
    Out,
    /// It failed; Redis says when it is tried again.
    Waiting,
}

impl Phase {
    fn is_held(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Behind(_) | Self::Out)
    }
}

/// How many entries may always be read again whose turn has come.
const WANTED_MIN: usize = 8;

/// What one consumer has in hand.
#[derive(Debug)]
pub(super) struct Board {
    limits: Limits,
    slots: HashMap<Key, Slot, foldhash::fast::RandomState>,
    ready: VecDeque<Key>,
    /// The entries of each plan in their order, where plans keep it. The first has its turn.
    plans: HashMap<Plan, BTreeMap<EntryId, ()>, foldhash::fast::RandomState>,
    /// Entries whose turn has come and whose fields are to be read again.
    wanted: VecDeque<Key>,
    /// Those in hand that may end the process.
    suspects: HashSet<Key, foldhash::fast::RandomState>,
    held: usize,
    held_bytes: usize,
    /// How many of the held ones are ready; the queue may name some that are no longer.
    ready_slots: usize,
    /// How many of the held ones are behind others.
    behind: usize,
    parked: usize,
}

impl Board {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: HashMap::default(),
            ready: VecDeque::new(),
            plans: HashMap::default(),
            wanted: VecDeque::new(),
            suspects: HashSet::default(),
            held: 0,
            held_bytes: 0,
            ready_slots: 0,
            behind: 0,
            parked: 0,
        }
    }

    /// How many more entries may come, if they are as large as those in hand.
    pub(super) fn room(&self) -> usize {
        if self.parked >= self.limits.parked { 0 } else { self.room_in_full() }
    }

    /// The same, however many are known by their ids alone.
    pub(super) fn room_in_full(&self) -> usize {
        let entries = self.limits.entries.saturating_sub(self.held);
        match self.held_bytes.checked_div(self.held) {
            Some(mean) if mean > 0 => entries.min(self.limits.bytes.saturating_sub(self.held_bytes) / mean),
            _ => entries,
        }
    }

    /// Whether one in hand may end the process.
    pub(super) fn has_suspect(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// How many wait behind others of their plan, in full or by their ids.
    pub(super) fn in_line(&self) -> usize {
        self.behind + self.parked
    }

    /// How many can be given to a worker now.
    pub(super) fn ready(&self) -> usize {
        self.ready_slots
    }

    /// Whether the entry is known and not expected: it came twice.
    pub(super) fn knows(&self, key: &Key) -> bool {
        self.slots.get(key).is_some_and(|slot| slot.phase.is_held())
    }

    /// An entry came: for the first time, for another attempt, or its fields because its turn has come.
    /// One that is in hand already is ignored.
    pub(super) fn arrive(&mut self, delivery: Box<Delivery>, plan: Option<Plan>, is_retry: bool) {
        let key = delivery.key;
        if self.knows(&key) {
            return;
        }
        self.forget(&key);
        if delivery.is_suspect() {
            self.suspects.insert(key);
        }
        let bytes = delivery.bytes;
        let has_turn = match plan {
            None => true,
            Some(plan) => {
                let line = self.plans.entry(plan).or_default();
                line.insert(key.id, ());
                line.first_key_value().is_some_and(|(first, ())| *first == key.id)
            }
        };
        let phase = match has_turn {
            true => Phase::Ready(delivery),
            false if self.behind >= self.limits.entries / 2 => Phase::Parked,
            false => Phase::Behind(delivery),
        };
        match (has_turn, is_retry) {
            (true, true) => self.ready.push_front(key),
            (true, false) => self.ready.push_back(key),
            (false, _) => {}
        }
        self.put(key, Slot { phase, plan, bytes });
    }

    /// An entry came that needs no worker, and is kept until Redis was told; whether it is news.
    pub(super) fn hold(&mut self, key: Key) -> bool {
        if self.knows(&key) {
            return false;
        }
        let plan = self.take(&key).and_then(|slot| slot.plan);
        self.put(key, Slot { phase: Phase::Out, plan, bytes: 0 });
        true
    }

    /// An entry was found that waits for its time; its plan waits with it.
    pub(super) fn wait_for(&mut self, key: Key, plan: Plan) {
        if self.knows(&key) {
            return;
        }
        self.forget(&key);
        self.plans.entry(plan).or_default().insert(key.id, ());
        self.put(key, Slot { phase: Phase::Waiting, plan: Some(plan), bytes: 0 });
    }

    /// The next delivery for a worker.
    pub(super) fn next(&mut self) -> Option<Box<Delivery>> {
        while let Some(key) = self.ready.pop_front() {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            match std::mem::replace(&mut slot.phase, Phase::Out) {
                Phase::Ready(delivery) => {
                    self.ready_slots -= 1;
                    return Some(delivery);
                }
                other => slot.phase = other,
            }
        }
        None
    }

    /// It is done with: handled, a dead letter, or no longer ours. The next of its plan has its turn.
    pub(super) fn leave(&mut self, key: &Key) {
        let Some(plan) = self.take(key).and_then(|slot| slot.plan) else { return };
        let Some(line) = self.plans.get_mut(&plan) else { return };
        line.remove(&key.id);
        match line.first_key_value() {
            None => drop(self.plans.remove(&plan)),
            Some((next, ())) => {
                let next = Key { source: key.source, id: *next };
                self.give_turn(next);
            }
        }
    }

    /// It failed and is tried again later. Where plans keep their order, what is behind it is kept as
    /// ids; else it leaves, and whoever of the group is free takes it then.
    pub(super) fn fail(&mut self, key: &Key) {
        let Some(plan) = self.slots.get(key).and_then(|slot| slot.plan) else {
            self.take(key);
            return;
        };
        self.take(key);
        self.put(*key, Slot { phase: Phase::Waiting, plan: Some(plan), bytes: 0 });
        let behind: Vec<EntryId> = self.plans.get(&plan).into_iter().flatten().map(|(id, ())| *id).collect();
        for id in behind {
            let other = Key { source: key.source, id };
            if matches!(self.slots.get(&other), Some(Slot { phase: Phase::Behind(_), .. })) {
                self.take(&other);
                self.put(other, Slot { phase: Phase::Parked, plan: Some(plan), bytes: 0 });
            }
        }
    }

    /// How many entries may be read again. Some always may: their plans wait for nothing else.
    pub(super) fn room_for_wanted(&self) -> usize {
        self.limits.entries.saturating_sub(self.held).max(WANTED_MIN)
    }

    /// Entries whose fields are to be read again.
    pub(super) fn wanted(&mut self, most: usize) -> Vec<Key> {
        let count = most.min(self.wanted.len());
        let wanted: Vec<Key> = self.wanted.drain(..count).collect();
        let is_parked = |key: &Key| matches!(self.slots.get(key), Some(Slot { phase: Phase::Parked, .. }));
        wanted.into_iter().filter(is_parked).collect()
    }

    /// Reading these again did not succeed: they are wanted still.
    pub(super) fn want_again(&mut self, keys: Vec<Key>) {
        self.wanted.extend(keys);
    }

    /// The entries of a source that others must not take meanwhile.
    pub(super) fn in_hand(&self, source: usize) -> Vec<EntryId> {
        let of_source = self.slots.iter().filter(|(key, slot)| key.source == source && slot.phase.is_held());
        of_source.map(|(key, _)| key.id).collect()
    }

    /// All entries that others must not take meanwhile.
    pub(super) fn all_in_hand(&self, mut give: impl FnMut(&Key)) {
        self.slots.iter().filter(|(_, slot)| slot.phase.is_held()).for_each(|(key, _)| give(key));
    }

    /// The entries that wait for their time.
    pub(super) fn waiting(&self) -> Vec<Key> {
        let waiting = self.slots.iter().filter(|(_, slot)| matches!(slot.phase, Phase::Waiting));
        waiting.map(|(key, _)| *key).collect()
    }

    /// An entry is another's now: it leaves unless a worker has it; whether it did.
    pub(super) fn lose(&mut self, key: &Key) -> bool {
        let is_out = matches!(self.slots.get(key), None | Some(Slot { phase: Phase::Out, .. }));
        if !is_out {
            self.leave(key);
        }
        !is_out
    }

    /// Takes back what no worker has begun: its keys.
    pub(super) fn take_unbegun(&mut self) -> Vec<Key> {
        let unbegun = |slot: &Slot| matches!(slot.phase, Phase::Ready(_) | Phase::Behind(_) | Phase::Parked);
        let keys: Vec<Key> =
            self.slots.iter().filter(|(_, slot)| unbegun(slot)).map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| self.forget(key));
        keys
    }

    /// The source is no longer ours: all of it that no worker has is forgotten. What a worker has keeps
    /// its place before all that may come of its plan, should the source be ours again.
    pub(super) fn forget_source(&mut self, source: usize) {
        let is_gone = |(key, slot): &(&Key, &Slot)| key.source == source && !matches!(slot.phase, Phase::Out);
        let keys: Vec<Key> = self.slots.iter().filter(is_gone).map(|(key, _)| *key).collect();
        keys.iter().for_each(|key| self.forget(key));
    }

    /// Forgets an entry without giving anybody its turn.
    fn forget(&mut self, key: &Key) {
        let Some(plan) = self.take(key).and_then(|slot| slot.plan) else { return };
        if let Some(line) = self.plans.get_mut(&plan) {
            line.remove(&key.id);
            if line.is_empty() {
                self.plans.remove(&plan);
            }
        }
    }

    fn give_turn(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match std::mem::replace(&mut slot.phase, Phase::Parked) {
            Phase::Behind(delivery) => {
                slot.phase = Phase::Ready(delivery);
                (self.behind, self.ready_slots) = (self.behind - 1, self.ready_slots + 1);
                self.ready.push_back(key);
            }
            Phase::Parked => self.wanted.push_back(key),
            other => slot.phase = other,
        }
    }

    fn put(&mut self, key: Key, slot: Slot) {
        self.held += usize::from(slot.phase.is_held());
        self.held_bytes += if slot.phase.is_held() { slot.bytes } else { 0 };
        self.ready_slots += usize::from(matches!(slot.phase, Phase::Ready(_)));
        self.behind += usize::from(matches!(slot.phase, Phase::Behind(_)));
        self.parked += usize::from(matches!(slot.phase, Phase::Parked));
        self.slots.insert(key, slot);
    }

    fn take(&mut self, key: &Key) -> Option<Slot> {
        let slot = self.slots.remove(key)?;
        self.suspects.remove(key);
        self.held -= usize::from(slot.phase.is_held());
        self.held_bytes -= if slot.phase.is_held() { slot.bytes } else { 0 };
        self.ready_slots -= usize::from(matches!(slot.phase, Phase::Ready(_)));
        self.behind -= usize::from(matches!(slot.phase, Phase::Behind(_)));
        self.parked -= usize::from(matches!(slot.phase, Phase::Parked));
        Some(slot)
    }
}
