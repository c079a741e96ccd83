//! [`Walk`]: recomputes the chain of a whole log, page by page, and finds the first row that is not
//! as planbus wrote it.
//!
//! Looks at the columns as SQLite stores them, so that a row that cannot be decoded is judged too.
//! Never holds a transaction between pages, never writes.

use std::fmt;

use rusqlite::{Connection, OptionalExtension, Row, types::ValueRef};

use super::{
    chain::{self, Fields, Link},
    fault, read, row, schema,
};
use crate::error::{Error, ErrorKind, Result};

/// The most rows that are judged in one read transaction.
const PAGE_ROWS: i64 = 5_000;
/// A page ends early with the row that brings it to this many bytes.
const PAGE_BYTES: usize = 8 << 20;

/// The first place of a log that is not as planbus wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The seq of the row, or of the first one that is missing; below 1 only where somebody gave
    /// a row such a seq.
    pub seq: i64,
    /// What is wrong there.
    pub damage: Damage,
}

/// What is wrong with a row of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// Its content does not give its chain: it was changed, swapped with another, or put in.
    Changed,
    /// It was removed, and not by retention.
    Removed,
    /// It stands where no row can be: among those that retention removed, or below 1.
    OutOfPlace,
    /// The anchor that the first row's chain begins with is not that of this store's id.
    Anchor,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.damage {
            Damage::Changed => write!(f, "row {seq} was changed, swapped with another, or put in"),
            Damage::Removed => write!(f, "row {seq} was removed"),
            Damage::OutOfPlace => write!(f, "row {seq} was put in where no row can be"),
            Damage::Anchor => {
                write!(
                    f,
                    "the chain's anchor, before row {seq}, is not that of the store's id: either was changed"
                )
            }
        }
    }
}

/// Where the chain begins: behind the last row that retention removed.
#[derive(Clone, Debug)]
struct Anchor {
    /// The last seq that was pruned, 0 for none.
    seq: i64,
    link: Link,
    store_id: String,
}

impl Anchor {
    fn read(connection: &Connection) -> Result<Self> {
        let meta = schema::meta(connection)?;
        let seq = connection
            .query_row("SELECT value FROM store_meta WHERE key = 'chain_anchor_seq'", [], |row| row.get(0))
            .optional();
        match seq.map(|seq| seq.unwrap_or(0)) {
            Ok(seq @ 0..) => Ok(Self { seq, link: meta.chain_anchor, store_id: meta.store_id }),
            Err(cause) if cause.sqlite_error().is_some() => Err(fault::sqlite("read store_meta", cause)),
            _ => {
                let problem = "store_meta: the row chain_anchor_seq is not valid";
                Err(Error::new(ErrorKind::Corrupt, problem))
            }
        }
    }
}

/// A walk along the chain, and how far it came.
#[derive(Debug)]
pub(super) struct Walk {
    anchor: Anchor,
    /// The last seq that was given when the walk began: rows that come later are not looked at.
    end: i64,
    /// What `sqlite_sequence` said then.
    given: i64,
    /// The last row that is sound, or the anchor, and its link.
    pub(super) seq: i64,
    pub(super) link: Link,
    /// How many rows are sound.
    pub(super) events: u64,
    /// A link to look for, and where it was found.
    wanted: Option<Link>,
    pub(super) found: Option<i64>,
    pub(super) broken: Option<Broken>,
    fields: Fields,
}

impl Walk {
    /// Stands before the first row.
    pub(super) fn start(connection: &Connection, wanted: Option<Link>) -> Result<Self> {
        let snapshot = connection
            .unchecked_transaction()
            .map_err(|cause| fault::sqlite("read the bounds of the log", cause))?;
        Self::at_anchor(&snapshot, wanted)
    }

    /// Has judged the first rows of the log, up to the seq `last` and within the limits, in the
    /// transaction that the caller has begun. The row that brings them to `bytes` is the last.
    pub(super) fn of_first(connection: &Connection, last: u64, rows: i64, bytes: usize) -> Result<Self> {
        let mut walk = Self::at_anchor(connection, None)?;
        walk.end = walk.end.min(i64::try_from(last).unwrap_or(i64::MAX));
        if walk.broken.is_none() {
            walk.page(connection, rows, bytes)?;
        }
        Ok(walk)
    }

    fn at_anchor(connection: &Connection, wanted: Option<Link>) -> Result<Self> {
        let failed = |cause| fault::sqlite("read the bounds of the log", cause);
        let anchor = Anchor::read(connection)?;
        let (first, last, given): (Option<i64>, Option<i64>, Option<i64>) = connection
            .query_row(read::BOUNDS, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(failed)?;
        let given = given.unwrap_or(0);
        let end = last.unwrap_or(0).max(given).max(anchor.seq);
        let damage = |seq, damage| Some(Broken { seq, damage });
        let broken = match first {
            Some(first) if first <= anchor.seq => damage(first, Damage::OutOfPlace),
            // The newest row is never pruned.
            _ if anchor.seq > 0 && end == anchor.seq => damage(end.saturating_add(1), Damage::Removed),
            _ if anchor.seq == 0 && anchor.link != chain::anchor(&anchor.store_id) => {
                damage(1, Damage::Anchor)
            }
            _ => None,
        };
        let mut walk = Self {
            end,
            given,
            seq: 0,
            link: Link::default(),
            events: 0,
            wanted,
            found: None,
            broken,
            fields: Fields::default(),
            anchor,
        };
        walk.stand_at_anchor();
        Ok(walk)
    }

    fn stand_at_anchor(&mut self) {
        self.events = 0;
        self.arrive(self.anchor.seq, self.anchor.link);
    }

    fn arrive(&mut self, seq: i64, link: Link) {
        (self.seq, self.link) = (seq, link);
        if self.wanted == Some(link) {
            self.found = Some(seq);
        }
    }

    pub(super) fn store_id(&self) -> &str {
        &self.anchor.store_id
    }

    /// The first seq that retention left.
    pub(super) fn first_seq(&self) -> u64 {
        read::unsigned(self.anchor.seq) + 1
    }

    /// What `sqlite_sequence` says of the last seq, where it is not what the log says.
    pub(super) fn wrong_sequence(&self) -> Option<String> {
        (self.given != self.end).then(|| {
            format!("sqlite_sequence: says that the last seq was {}, the log says {}", self.given, self.end)
        })
    }

    /// Judges the next page of rows; whether there are more.
    pub(super) fn step(&mut self, connection: &Connection) -> Result<bool> {
        if self.broken.is_some() || self.seq >= self.end {
            return Ok(false);
        }
        let after = self.seq;
        // One snapshot for the rows and, where one is missing, for the anchor.
        let judged = connection
            .unchecked_transaction()
            .map_err(|cause| fault::sqlite("read the log", cause))
            .and_then(|snapshot| self.page(&snapshot, PAGE_ROWS, PAGE_BYTES));
        judged.map_err(|error| error.within(format!("verify the log after seq {after}")))?;
        Ok(true)
    }

    fn page(&mut self, snapshot: &Connection, max_rows: i64, max_bytes: usize) -> Result<()> {
        const SQL: &str = concat!(
            "SELECT ",
            row::columns!(),
            ", chain FROM plan_events WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3"
        );
        let failed = |cause| fault::sqlite("read the log", cause);
        let mut statement = snapshot.prepare_cached(SQL).map_err(failed)?;
        let mut rows = statement.query((self.seq, self.end, max_rows)).map_err(failed)?;
        let (mut judged, mut bytes) = (0, 0);
        while let Some(row) = rows.next().map_err(failed)? {
            let next = self.seq + 1;
            if row.get::<_, i64>(0).map_err(failed)? != next {
                return self.hole(snapshot);
            }
            let Some(link) = self.judge(row).map_err(failed)? else {
                self.broken = Some(Broken { seq: next, damage: Damage::Changed });
                return Ok(());
            };
            self.arrive(next, link);
            self.events += 1;
            judged += 1;
            bytes += self.fields.len();
            if bytes >= max_bytes {
                return Ok(());
            }
        }
        if judged < max_rows && self.seq < self.end { self.hole(snapshot) } else { Ok(()) }
    }

    /// The next row is not there: somebody removed it, unless retention has overtaken the walk.
    fn hole(&mut self, snapshot: &Connection) -> Result<()> {
        let anchor = Anchor::read(snapshot)?;
        if anchor.seq > self.seq {
            self.anchor = anchor;
            self.stand_at_anchor();
        } else {
            self.broken = Some(Broken { seq: self.seq + 1, damage: Damage::Removed });
        }
        Ok(())
    }

    /// The link of a row, if it is the one that its content gives.
    fn judge(&mut self, row: &Row<'_>) -> rusqlite::Result<Option<Link>> {
        const SCHEMA_VERSION: usize = 15;
        const CHAIN: usize = 16;
        self.fields.clear();
        for column in 0..CHAIN {
            let is_number = column == 0 || column == SCHEMA_VERSION;
            match row.get_ref(column)? {
                ValueRef::Integer(value) if is_number => self.fields.integer(value),
                ValueRef::Text(text) if !is_number => self.fields.stored_text(text),
                ValueRef::Null => self.fields.null(),
                // Other kinds have no canonical bytes; a number as text would have another's.
                _ => return Ok(None),
            }
        }
        let link = self.fields.link(&self.link);
        Ok((row.get_ref(CHAIN)? == ValueRef::Blob(&link)).then_some(link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Event, PlanStarted},
        store::EventStore,
    };

    #[test]
    fn p12_a_walk_that_retention_overtakes_goes_on_from_the_new_anchor() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("planbus.db");
        let store = EventStore::open(&path).expect("opens");
        for _ in 0..20 {
            store.save(&Event::new("plan", PlanStarted::new("a goal"))).expect("commits");
        }
        let log = Connection::open(&path).expect("opens");
        let mut walk = Walk::start(&log, None).expect("starts");
        log.execute_batch(
            "BEGIN;
             UPDATE store_meta SET value = (SELECT chain FROM plan_events WHERE id = 7) WHERE key = 'chain_anchor';
             INSERT INTO store_meta VALUES ('chain_anchor_seq', 7);
             DELETE FROM plan_events WHERE id <= 7; COMMIT;",
        )
        .expect("prunes");
        while walk.step(&log).expect("reads") {}
        assert_eq!((walk.broken, walk.first_seq(), walk.seq, walk.events), (None, 8, 20, 13));
    }
}
