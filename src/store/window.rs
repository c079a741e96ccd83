//! [`Remaining`]: which part of the log a search has still to look at, window by window; [`Budget`]:
//! when an answer ends before it.
//!
//! A window is what one read transaction searches, so that no search holds a snapshot for long.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension};

use super::{
    fault,
    read::{self, Bounds},
};
use crate::{
    error::Result,
    event::{Event, PlanId, Tenant},
};

/// How many seqs one read transaction searches where no plan narrows it down.
pub(super) const WINDOW_SEQS: u64 = 20_000;

/// How much of what remains is searched next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// So many seqs as one window has.
    Seqs,
    /// All up to this seq, without it.
    UpTo(u64),
    Rest,
}

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

    /// Takes the next window.
    pub(super) fn next_window(&mut self, part: Part, newest_first: bool) -> Option<Range<u64>> {
        if self.from >= self.end {
            return None;
        }
        if newest_first {
            let from = self.from.max(match part {
                Part::Seqs => self.end.saturating_sub(WINDOW_SEQS),
                Part::UpTo(edge) => edge.saturating_add(1),
                Part::Rest => 0,
            });
            let window = from..self.end;
            self.end = from;
            Some(window)
        } else {
            let end = self.end.min(match part {
                Part::Seqs => self.from.saturating_add(WINDOW_SEQS),
                Part::UpTo(edge) => edge,
                Part::Rest => u64::MAX,
            });
            let window = self.from..end;
            self.from = end;
            Some(window)
        }
    }

    /// How far a search through a plan goes at once: as many of its events as a window has seqs, which
    /// the plan's index counts without a look at them.
    pub(super) fn of_plan(
        &self,
        connection: &Connection,
        (tenant, plan): (&Tenant, &PlanId),
        newest_first: bool,
    ) -> Result<Part> {
        const OLDEST: &str = "SELECT id FROM plan_events WHERE tenant = ?1 AND plan_id = ?2
            AND id >= ?3 AND id < ?4 ORDER BY id LIMIT 1 OFFSET ?5";
        const NEWEST: &str = "SELECT id FROM plan_events WHERE tenant = ?1 AND plan_id = ?2
            AND id >= ?3 AND id < ?4 ORDER BY id DESC LIMIT 1 OFFSET ?5";
        let failed = |cause| fault::sqlite("search the log", cause);
        let mut statement =
            connection.prepare_cached(if newest_first { NEWEST } else { OLDEST }).map_err(failed)?;
        let [from, end, skipped] = [self.from, self.end, WINDOW_SEQS].map(u64::cast_signed);
        let found = statement
            .query_row((tenant.as_str(), plan.as_str(), from, end, skipped), |row| row.get(0))
            .optional();
        let edge: Option<i64> = found.map_err(failed)?;
        Ok(edge.map_or(Part::Rest, |seq| Part::UpTo(read::unsigned(seq))))
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
