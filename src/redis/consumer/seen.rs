//! [`Seen`]: which events were handled lately, so that one that comes again is known.
//!
//! Known by source: what stands in two streams is handled for both. It lives in one process and ends
//! with it. It is asked before a handler is called, never instead of an ack.

use std::collections::{HashSet, VecDeque};

use crate::event::EventId;

/// The ids of the events that were handled last.
#[derive(Debug)]
pub(super) struct Seen {
    most: usize,
    order: VecDeque<(usize, EventId)>,
    ids: HashSet<(usize, EventId), foldhash::fast::RandomState>,
}

impl Seen {
    /// Remembers so many events.
    pub(super) fn new(most: usize) -> Self {
        Self { most, order: VecDeque::new(), ids: HashSet::default() }
    }

    pub(super) fn has(&self, source: usize, id: EventId) -> bool {
        self.ids.contains(&(source, id))
    }

    pub(super) fn note(&mut self, source: usize, id: EventId) {
        if self.most == 0 || !self.ids.insert((source, id)) {
            return;
        }
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.order.push_back((source, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_and_no_more() {
        let id = EventId::from_u128;
        let mut seen = Seen::new(2);
        [1, 2, 2, 3].iter().for_each(|number| seen.note(0, id(*number)));
        assert_eq!([1, 2, 3].map(|number| seen.has(0, id(number))), [false, true, true]);
        assert!(!seen.has(1, id(3)), "another stream's");
        let mut none = Seen::new(0);
        none.note(0, id(1));
        assert!(!none.has(0, id(1)) && none.order.is_empty());
    }
}
