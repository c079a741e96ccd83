//! [`Ring`]: the newest events of the log, for all who follow it.
//!
//! A reader holds a place, never a queue: what it did not take in time it reads from the log. Pure:
//! no threads, no clock, no log.

use std::{collections::VecDeque, sync::Arc};

use super::frame::Frame;
use crate::filter::CompiledFilter;

/// The most events that are kept.
const EVENTS_MAX: usize = 4_096;
/// The most bytes that they weigh together, payloads counted once.
const BYTES_MAX: usize = 16 << 20;
/// The most events that are given at once.
const TAKE_MAX: usize = 64;
/// Events are given up to the one that brings them to so many bytes: a slow client keeps them alive.
const TAKE_BYTES: usize = 256 << 10;
/// The most events that one call looks at, so that a filter that matches little holds up nobody.
const LOOK_MAX: usize = 1_024;

/// The newest events, without a hole between them.
#[derive(Debug)]
pub(super) struct Ring {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    /// The last seq that was put in; where the ring is empty, the place from which it follows.
    head: u64,
}

/// What a reader at some place gets.
#[derive(Debug)]
pub(super) enum Taken {
    /// What its filter matches, and the seq up to which it is all; more may be there.
    Frames { frames: VecDeque<Arc<Frame>>, examined: u64 },
    /// There is nothing behind its place yet.
    Nothing,
    /// What comes after its place is no longer here.
    Behind,
}

impl Ring {
    /// An empty ring of the events after a seq.
    pub(super) fn after(head: u64) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, head }
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Adds the next events.
    pub(super) fn push(&mut self, frames: impl IntoIterator<Item = Arc<Frame>>) {
        for frame in frames {
            self.bytes += frame.bytes();
            self.head = frame.seq();
            self.frames.push_back(frame);
            while self.frames.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
                let Some(oldest) = self.frames.pop_front() else { break };
                self.bytes -= oldest.bytes();
            }
        }
    }

    /// What comes after a seq.
    pub(super) fn take(&self, after: u64, filter: &CompiledFilter) -> Taken {
        if after >= self.head {
            return Taken::Nothing;
        }
        let begin = self.frames.partition_point(|frame| frame.seq() <= after);
        match self.frames.get(begin) {
            Some(first) if begin > 0 || first.seq() == after + 1 => {}
            _ => return Taken::Behind,
        }
        let (mut frames, mut examined, mut bytes) = (VecDeque::new(), after, 0);
        for frame in self.frames.range(begin..).take(LOOK_MAX) {
            if filter.matches(frame.event()) {
                if frames.len() == TAKE_MAX || bytes >= TAKE_BYTES {
                    break;
                }
                bytes += frame.bytes();
                frames.push_back(Arc::clone(frame));
            }
            examined = frame.seq();
        }
        Taken::Frames { frames, examined }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{event::Event, filter::Filter};

    fn frame(seq: u64, plan: &str, bytes: usize) -> Arc<Frame> {
        let event = Event::untyped(plan, "note", json!({"text": "x".repeat(bytes)}))
            .with_timestamp("2026-11-21T00:00:00Z");
        let json = event.to_json().expect("valid").replacen('{', &format!("{{\"seq\":{seq},"), 1);
        Arc::new(Frame::new(Event::from_json(&json).expect("an event")))
    }

    fn everything() -> CompiledFilter {
        Filter::all().compile().expect("valid")
    }

    fn seqs(taken: Taken) -> Vec<u64> {
        match taken {
            Taken::Frames { frames, .. } => frames.iter().map(|frame| frame.seq()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reader_takes_what_comes_after_its_place_and_what_its_filter_wants() {
        let mut ring = Ring::after(10);
        ring.push((11..=14).map(|seq| frame(seq, if seq % 2 == 0 { "even" } else { "odd" }, 1)));
        assert_eq!(seqs(ring.take(10, &everything())), [11, 12, 13, 14]);
        let even = Filter::all().plan("even").compile().expect("valid");
        assert_eq!(seqs(ring.take(12, &even)), [14]);
        assert!(matches!(ring.take(14, &even), Taken::Nothing));
        assert!(matches!(ring.take(99, &even), Taken::Nothing), "the log may be ahead of the ring");
        assert!(matches!(ring.take(9, &even), Taken::Behind));
    }

    #[test]
    fn a_ring_is_bounded_in_events_and_bytes_and_says_what_it_let_go() {
        let mut ring = Ring::after(0);
        ring.push((1..=EVENTS_MAX as u64 + 5).map(|seq| frame(seq, "plan", 1)));
        assert_eq!(ring.frames.len(), EVENTS_MAX);
        assert!(matches!(ring.take(4, &everything()), Taken::Behind));
        assert_eq!(seqs(ring.take(5, &everything())).len(), TAKE_MAX);
        let head = ring.head();
        ring.push((1..=9).map(|more| frame(head + more, "plan", 2 << 20)));
        assert!(ring.bytes <= BYTES_MAX && ring.frames.len() < 9);
        assert_eq!(seqs(ring.take(head + 8, &everything())), [head + 9]);
        assert_eq!(seqs(ring.take(head + 6, &everything())), [head + 7], "the next one brings it no further");
    }

    #[test]
    fn a_filter_that_matches_nothing_moves_its_reader_on() {
        let mut ring = Ring::after(0);
        ring.push((1..=3_000).map(|seq| frame(seq, "plan", 1)));
        let none = Filter::all().plan("another").compile().expect("valid");
        let Taken::Frames { frames, examined } = ring.take(0, &none) else { panic!("is there") };
        assert_eq!((frames.len(), examined), (0, LOOK_MAX as u64));
    }
}
