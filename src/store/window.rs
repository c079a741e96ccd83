//! [`Remaining`]: which part of the log a search has still to look at, window by window; [`Budget`]:
//! when an answer ends before it.
//!
//! A window is what one read transaction searches, so that no search holds a snapshot for long.

use std::ops::Range;

use rusqlite::Connection;

use super::read::{self, Bounds};
use crate::{error::Result, event::Event};

/// How many seqs one read transaction searches where no plan narrows it down.
pub(super) const WINDOW_SEQS: u64 = 20_000;

/// The seqs that are still to be searched, without the end.
pub(super) struct Remaining {
    from: u64,
    end: u64,
}

impl Remaining {
    pub(super) fn of(bounds: Bounds, after: Option<u64>, before: Option<u64>) -> Self {
        let from = after.map_or(0, |seq| seq.saturating_add(1)).max(bounds.floor);
        let end = bounds.last + 1;
        Self { from, end: before.map_or(end, |before| before.min(end)) }
    }

    /// Takes the next window; where a plan's index narrows the search, all of it at once.
    pub(super) fn next_window(&mut self, is_plan: bool, newest_first: bool) -> Option<Range<u64>> {
        if self.from >= self.end {
            return None;
        }
        let width = if is_plan { u64::MAX } else { WINDOW_SEQS };
        if newest_first {
            let from = self.from.max(self.end.saturating_sub(width));
            let window = from..self.end;
            self.end = from;
            Some(window)
        } else {
            let end = self.end.min(self.from.saturating_add(width));
            let window = self.from..end;
            self.from = end;
            Some(window)
        }
    }

    /// The search goes on behind this seq.
    pub(super) fn resume_behind(&mut self, seq: u64, newest_first: bool) {
        if newest_first { self.end = seq } else { self.from = seq + 1 }
    }

    /// Goes on with the next seq that is held: where somebody put in a row far from the others, a
    /// search would not come to the end of the windows between them.
    pub(super) fn skip_hole(&mut self, connection: &Connection, newest_first: bool) -> Result<()> {
        match (read::first_held(connection, self.from..self.end, newest_first)?, newest_first) {
            (Some(seq), true) => self.end = seq + 1,
            (Some(seq), false) => self.from = seq,
            (None, _) => self.from = self.end,
        }
        Ok(())
    }

    /// The place at which a search of what remains begins: after it, or with `newest_first` before it.
    pub(super) fn place(&self, newest_first: bool) -> Option<u64> {
        let place = if newest_first { self.end } else { self.from.saturating_sub(1) };
        (self.from < self.end).then_some(place)
    }
}

/// What one answer may take.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    /// Of payloads; the event that goes beyond is still given.
    pub(super) bytes: usize,
    /// Seqs that are searched where no plan narrows it down.
    pub(super) seqs: u64,
}

impl Budget {
    pub(super) const UNLIMITED: Self = Self { bytes: usize::MAX, seqs: u64::MAX };

    pub(super) fn is_left(self) -> bool {
        self.bytes > 0 && self.seqs > 0
    }

    /// Pays for a page of a window, and cuts off what it cannot pay for; says whether it did.
    pub(super) fn spend(&mut self, page: &mut Vec<Event>, is_searched: bool) -> bool {
        if is_searched {
            self.seqs = self.seqs.saturating_sub(WINDOW_SEQS);
        }
        let affordable = page.iter().take_while(|event| {
            let had = self.bytes > 0;
            self.bytes = self.bytes.saturating_sub(event.payload_json().map_or(0, str::len));
            had
        });
        let count = affordable.count();
        let is_cut = count < page.len();
        page.truncate(count);
        is_cut
    }
}
