//! [`Tally`]: what a mirror left out, counted by reason. Pure.
//!
//! An event is counted once, however often the log is read again.

use std::collections::BTreeMap;

use crate::store::Skipped;

/// The most reasons that are counted apart; the rest is counted together.
const REASONS_MAX: usize = 64;
const OTHER: &str = "other reasons";

/// What was left out.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, Skipped>);

impl Tally {
    pub(super) fn new(skipped: &[Skipped]) -> Self {
        Self(skipped.iter().map(|skipped| (skipped.reason.clone(), skipped.clone())).collect())
    }

    /// Counts the events from `first` to `last`; whether any of them is new.
    pub(super) fn count(&mut self, reason: &str, first: u64, last: u64) -> bool {
        let reason = if self.0.len() >= REASONS_MAX && !self.0.contains_key(reason) { OTHER } else { reason };
        let entry = self.0.entry(reason.to_owned()).or_insert_with(|| Skipped {
            reason: reason.to_owned(),
            events: 0,
            first_seq: first,
            last_seq: first - 1,
        });
        let first = first.max(entry.last_seq + 1);
        if last < first {
            return false;
        }
        entry.events += last + 1 - first;
        entry.last_seq = last;
        true
    }

    pub(super) fn to_vec(&self) -> Vec<Skipped> {
        self.0.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_read_again_is_counted_once() {
        let mut tally = Tally::default();
        assert!(tally.count("a", 3, 3) && tally.count("a", 5, 6) && tally.count("b", 4, 4));
        assert!(!tally.count("a", 3, 3) && !tally.count("a", 5, 6) && tally.count("a", 5, 7));
        let again = Tally::new(&tally.to_vec());
        let counted: Vec<_> =
            again.to_vec().into_iter().map(|s| (s.events, s.first_seq, s.last_seq)).collect();
        assert_eq!(counted, [(4, 3, 7), (1, 4, 4)]);
    }
}
