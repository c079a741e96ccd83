//! Where an index stands, and whether it can go on from there (pure).

use super::super::read::Bounds;

/// How far an index has read, of which log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) store_id: String,
    /// The index holds nothing before this seq.
    pub(super) floor: u64,
    /// The index holds all that the log held from `floor` up to this seq; 0 for nothing yet.
    pub(super) indexed: u64,
    /// The chain of the log at `indexed`, which tells a log that went another way since; empty where
    /// that cannot be told.
    pub(super) chain: Vec<u8>,
}

/// What is to be done with an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the log's: it goes on after this seq.
    GoOn { after: u64 },
    /// What it holds is not, or no longer, in the log: it begins anew, for this reason.
    StartOver(&'static str),
}

impl Place {
    /// Where an empty index stands.
    pub(super) fn start(store_id: &str) -> Self {
        Self { store_id: store_id.to_owned(), floor: 0, indexed: 0, chain: Vec::new() }
    }

    /// What is to be done with an index that stands here, beside a log with these bounds and this chain
    /// at the seq up to which the index has read.
    pub(super) fn verdict(&self, log: Bounds, chain: Option<&[u8]>) -> Verdict {
        match chain {
            _ if self.indexed == 0 => Verdict::GoOn { after: log.floor - 1 },
            _ if self.indexed > log.last => Verdict::StartOver("the log ends before it"),
            _ if self.indexed + 1 < log.floor => Verdict::StartOver("all of it was pruned"),
            Some(chain) if self.chain.is_empty() || self.chain == chain => {
                Verdict::GoOn { after: self.indexed }
            }
            _ => Verdict::StartOver("the log is another one than it has read"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Bounds = Bounds { floor: 11, last: 30, head: 30 };

    fn verdict(indexed: u64, known: &[u8], chain: Option<&[u8]>) -> Verdict {
        let place = Place { indexed, chain: known.to_vec(), ..Place::start("store") };
        place.verdict(LOG, chain)
    }

    #[test]
    fn an_index_goes_on_only_where_the_log_is_the_one_that_it_has_read() {
        assert_eq!(verdict(0, b"", None), Verdict::GoOn { after: 10 });
        assert_eq!(verdict(20, b"link", Some(b"link")), Verdict::GoOn { after: 20 });
        assert_eq!(verdict(10, b"link", Some(b"link")), Verdict::GoOn { after: 10 }, "at the anchor");
        assert_eq!(verdict(30, b"link", Some(b"link")), Verdict::GoOn { after: 30 });
        let starts_over = |verdict| matches!(verdict, Verdict::StartOver(_));
        assert!(starts_over(verdict(20, b"link", Some(b"other"))), "restored, and grown since");
        assert!(starts_over(verdict(20, b"link", None)), "its last event was cut out");
        assert!(starts_over(verdict(31, b"link", None)), "restored, and shorter");
        assert!(starts_over(verdict(9, b"link", None)), "pruned before it was read");
    }
}
