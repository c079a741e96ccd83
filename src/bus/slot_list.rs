//! [`SlotList`]: subscriptions in the order in which they subscribed, cheap to copy and to change.
//!
//! A short list is one block, two loads away from a publish. A long one is made of such blocks, so
//! that a change copies one of them, not the list.

use std::{hint::cold_path, slice, sync::Arc};

use super::slot::{Slot, SubscriptionId};

/// The most slots of a block.
const BLOCK_MAX: usize = 64;

pub(super) type Block = Arc<[Arc<Slot>]>;

/// Slots in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(super) enum SlotList {
    #[default]
    Empty,
    /// The usual list of a plan, one load nearer.
    One(Arc<Slot>),
    /// Two slots or more, at most one block.
    Short(Block),
    /// Several blocks, none of them empty.
    Long(Arc<Vec<Block>>),
}

impl SlotList {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// The list as runs of slots: one, and more.
    #[inline]
    pub(super) fn runs(&self) -> (&[Arc<Slot>], &[Block]) {
        // In the order of how usual they are: a table of jumps costs more.
        if let Self::One(slot) = self {
            return (slice::from_ref(slot), &[]);
        }
        if let Self::Short(block) = self {
            return (block, &[]);
        }
        cold_path();
        match self {
            Self::Long(blocks) => (&[], blocks),
            _ => (&[], &[]),
        }
    }

    pub(super) fn each(&self, visit: impl FnMut(&Arc<Slot>)) {
        let (run, later) = self.runs();
        run.iter().chain(later.iter().flat_map(|block| block.iter())).for_each(visit);
    }

    pub(super) fn contains(&self, id: SubscriptionId) -> bool {
        let (run, later) = self.runs();
        let has = |block: &[Arc<Slot>]| block.binary_search_by_key(&id, |slot| slot.id).is_ok();
        let at = later.partition_point(|block| block.last().is_some_and(|slot| slot.id < id));
        has(run) || later.get(at).is_some_and(|block| has(block))
    }

    /// Adds a slot whose id is at least as large as all others'; one that is there stays once.
    pub(super) fn push(&mut self, slot: Arc<Slot>) {
        match self {
            Self::Empty => *self = Self::One(slot),
            Self::One(first) if first.id == slot.id => {}
            Self::One(first) => *self = Self::Short([Arc::clone(first), slot].into()),
            Self::Short(block) if fits(block, &slot) => *block = with(block, slot),
            Self::Short(block) => *self = Self::Long(Arc::new(vec![Arc::clone(block), [slot].into()])),
            Self::Long(blocks) => {
                let blocks = Arc::make_mut(blocks);
                match blocks.last_mut() {
                    Some(last) if fits(last, &slot) => *last = with(last, slot),
                    _ => blocks.push([slot].into()),
                }
            }
        }
    }

    /// Takes a slot out, if it is there.
    pub(super) fn remove(&mut self, id: SubscriptionId) {
        match self {
            Self::Empty => {}
            Self::One(slot) if slot.id == id => *self = Self::Empty,
            Self::One(_) => {}
            Self::Short(block) => *self = Self::of(without(block, id)),
            Self::Long(blocks) => {
                let at = blocks.partition_point(|block| block.last().is_some_and(|slot| slot.id < id));
                let Some(block) = blocks.get(at) else { return };
                let left = without(block, id);
                let blocks = Arc::make_mut(blocks);
                match left.is_empty() {
                    false => blocks[at] = left,
                    true => drop(blocks.remove(at)),
                }
                if let [only] = &blocks[..] {
                    *self = Self::of(Arc::clone(only));
                }
            }
        }
    }

    fn of(block: Block) -> Self {
        match &*block {
            [] => Self::Empty,
            [only] => Self::One(Arc::clone(only)),
            _ => Self::Short(block),
        }
    }
}

/// Whether a slot belongs into this block: there is room, or it is there already.
fn fits(block: &Block, slot: &Slot) -> bool {
    block.len() < BLOCK_MAX || block.last().is_some_and(|last| last.id == slot.id)
}

fn with(block: &Block, slot: Arc<Slot>) -> Block {
    if block.last().is_some_and(|last| last.id == slot.id) {
        return Arc::clone(block);
    }
    block.iter().cloned().chain([slot]).collect()
}

fn without(block: &Block, id: SubscriptionId) -> Block {
    block.iter().filter(|slot| slot.id != id).cloned().collect()
}

/// A place in a list, for reading several lists as one.
#[derive(Default)]
pub(super) struct Cursor<'a> {
    block: &'a [Arc<Slot>],
    later: &'a [Block],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(list: &'a SlotList) -> Self {
        match list.runs() {
            ([], [first, later @ ..]) => Self { block: first, later },
            (block, later) => Self { block, later },
        }
    }

    pub(super) fn peek(&self) -> Option<&'a Arc<Slot>> {
        self.block.first()
    }

    pub(super) fn advance(&mut self) {
        self.block = self.block.get(1..).unwrap_or_default();
        if let (true, Some((next, later))) = (self.block.is_empty(), self.later.split_first()) {
            (self.block, self.later) = (next, later);
        }
    }
}
