//! [`SlotList`]: subscriptions in the order in which they subscribed, cheap to copy and to change.
//!
//! Chunks keep neighbours together, so that a publish reads straight through, and a change copies
//! one chunk, not the list.

use std::sync::Arc;

use super::slot::{Slot, SubscriptionId};

/// The most slots of a chunk.
const CHUNK_MAX: usize = 64;

type Chunk = Vec<Arc<Slot>>;

/// Slots in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct SlotList {
    /// Without slots there is no allocation; no chunk is ever empty.
    chunks: Option<Arc<Vec<Arc<Chunk>>>>,
}

impl SlotList {
    #[inline]
    pub(super) fn chunks(&self) -> &[Arc<Chunk>] {
        self.chunks.as_deref().map_or(&[], Vec::as_slice)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_none()
    }

    /// Adds a slot whose id is at least as large as all others'; one that is there stays once.
    pub(super) fn push(&mut self, slot: Arc<Slot>) {
        let chunks = Arc::make_mut(self.chunks.get_or_insert_default());
        if chunks.last().and_then(|chunk| chunk.last()).is_some_and(|last| last.id == slot.id) {
            return;
        }
        match chunks.last_mut() {
            Some(last) if last.len() < CHUNK_MAX => Arc::make_mut(last).push(slot),
            _ => chunks.push(Arc::new(vec![slot])),
        }
    }

    /// Takes a slot out, if it is there.
    pub(super) fn remove(&mut self, id: SubscriptionId) {
        let Some(shared) = &mut self.chunks else { return };
        let chunks = Arc::make_mut(shared);
        let at = chunks.partition_point(|chunk| chunk.last().is_some_and(|slot| slot.id < id));
        let Some(chunk) = chunks.get_mut(at) else { return };
        let Ok(place) = chunk.binary_search_by_key(&id, |slot| slot.id) else { return };
        if chunk.len() == 1 {
            chunks.remove(at);
        } else {
            Arc::make_mut(chunk).remove(place);
        }
        if chunks.is_empty() {
            self.chunks = None;
        }
    }
}

/// A place in a list, for reading several lists as one.
pub(super) struct Cursor<'a> {
    chunks: &'a [Arc<Chunk>],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(list: &'a SlotList) -> Self {
        Self { chunks: list.chunks(), at: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'a Arc<Slot>> {
        self.chunks.first()?.get(self.at)
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
        if self.chunks.first().is_some_and(|chunk| self.at == chunk.len()) {
            self.chunks = &self.chunks[1..];
            self.at = 0;
        }
    }
}
