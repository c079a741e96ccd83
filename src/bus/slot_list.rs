//! [`SlotList`]: subscriptions in the order in which they subscribed, cheap to copy and to change.
//!
//! A short list is one block, two loads away from a publish. A long one is made of such blocks, so
//! that a change copies one of them, not the list.

use std::sync::Arc;

use super::slot::{Slot, SubscriptionId};

/// The most slots of a block.
const BLOCK_MAX: usize = 64;

type Block = Arc<[Arc<Slot>]>;

/// Slots in the order of their ids.
#[derive(Clone, Debug)]
pub(super) enum SlotList {
    /// At most one block.
    Short(Option<Block>),
    /// Several blocks, none of them empty.
    Long(Arc<Vec<Block>>),
}

impl Default for SlotList {
    fn default() -> Self {
        Self::Short(None)
    }
}

impl SlotList {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Short(None))
    }

    /// Calls `visit` with all slots, block by block.
    #[inline]
    pub(super) fn each_block(&self, visit: impl Fn(&[Arc<Slot>])) {
        match self {
            Self::Short(None) => {}
            Self::Short(Some(block)) => visit(block),
            Self::Long(blocks) => blocks.iter().for_each(|block| visit(block)),
        }
    }

    /// Adds a slot whose id is at least as large as all others'; one that is there stays once.
    pub(super) fn push(&mut self, slot: Arc<Slot>) {
        match self {
            Self::Short(None) => *self = Self::Short(Some([slot].into())),
            Self::Short(Some(block)) if fits(block, &slot) => *block = with(block, slot),
            Self::Short(Some(block)) => *self = Self::Long(Arc::new(vec![Arc::clone(block), [slot].into()])),
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
            Self::Short(None) => {}
            Self::Short(Some(block)) => *self = Self::Short(without(block, id)),
            Self::Long(blocks) => {
                let at = blocks.partition_point(|block| block.last().is_some_and(|slot| slot.id < id));
                let Some(block) = blocks.get(at) else { return };
                let left = without(block, id);
                let blocks = Arc::make_mut(blocks);
                match left {
                    Some(left) => blocks[at] = left,
                    None => drop(blocks.remove(at)),
                }
                if let [only] = &blocks[..] {
                    *self = Self::Short(Some(Arc::clone(only)));
                }
            }
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

fn without(block: &Block, id: SubscriptionId) -> Option<Block> {
    let left: Block = block.iter().filter(|slot| slot.id != id).cloned().collect();
    (!left.is_empty()).then_some(left)
}

/// A place in a list, for reading several lists as one.
pub(super) struct Cursor<'a> {
    block: &'a [Arc<Slot>],
    later: &'a [Block],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(list: &'a SlotList) -> Self {
        match list {
            SlotList::Short(block) => Self { block: block.as_deref().unwrap_or_default(), later: &[] },
            SlotList::Long(blocks) => {
                Self { block: blocks.first().map(|block| &**block).unwrap_or_default(), later: &blocks[1..] }
            }
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
