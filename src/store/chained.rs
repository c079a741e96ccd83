//! The log with its chain, page by page: what a mirror reads.
//!
//! Says where the log grows, where it begins, and what its chain is at a seq, so that a copy
//! elsewhere can be compared with it. Never writes.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension};

use super::{EventStore, fault, read, row, schema, signal::Calls};
use crate::{
    error::Result,
    event::{Event, Timestamp},
};

/// An event with the first 64 bits of its chain.
#[derive(Clone, Debug)]
pub(crate) struct Chained {
    pub(crate) event: Event,
    pub(crate) seq: u64,
    pub(crate) bits: u64,
}

/// What the log says of a seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainAt {
    /// The first 64 bits of the chain there.
    Bits(u64),
    /// The log begins later.
    Pruned,
    /// The log does not hold it, and did not prune it: it ends before, or has a hole there.
    Missing,
}

impl EventStore {
    /// The events after a seq, at most `limit` of them and about `limit_bytes` of payload; none at
    /// the end of the log.
    ///
    /// # Errors
    /// `Pruned` when events after `after` are no longer in the log.
    pub(crate) fn chained_after(&self, after: u64, limit: usize, limit_bytes: usize) -> Result<Vec<Chained>> {
        self.inner.read(|connection| {
            let failed = |cause| fault::sqlite("read the log", cause);
            let snapshot = connection.unchecked_transaction().map_err(failed)?;
            let bounds = read::bounds(&snapshot)?;
            read::check_reach(bounds, after)?;
            let page = page(&snapshot, after, limit, limit_bytes)?;
            if page.is_empty() && after < bounds.head {
                return Err(read::pruned(after, bounds.head + 1));
            }
            snapshot.commit().map_err(failed)?;
            Ok(page)
        })
    }

    /// What the chain is at a seq; at 0, and where the log has been pruned up to, that is its anchor.
    pub(crate) fn chain_at(&self, seq: u64) -> Result<ChainAt> {
        self.inner.read(|connection| {
            let failed = |cause| fault::sqlite("read the chain", cause);
            let snapshot = connection.unchecked_transaction().map_err(failed)?;
            let bounds = read::bounds(&snapshot)?;
            let at = match seq {
                seq if seq > bounds.last => ChainAt::Missing,
                seq if seq + 1 < bounds.floor => ChainAt::Pruned,
                seq if seq + 1 == bounds.floor => ChainAt::Bits(bits(&schema::meta(&snapshot)?.chain_anchor)),
                seq => link(&snapshot, seq)?.map_or(ChainAt::Missing, ChainAt::Bits),
            };
            snapshot.commit().map_err(failed)?;
            Ok(at)
        })
    }

    /// When the first event after a seq was recorded, where that can be told.
    pub(crate) fn recorded_after(&self, seq: u64) -> Option<Timestamp> {
        let page = self.chained_after(seq, 1, 1).ok()?;
        page.first()?.event.recorded_at()
    }

    /// Refuses a store that was opened for reading.
    pub(crate) fn check_owner(&self) -> Result<()> {
        self.inner.owner().map(drop)
    }

    /// Waits until the log reaches beyond `seq`, somebody calls [`wake`](Self::wake_tails) after
    /// `seen`, or the deadline passes.
    pub(crate) fn wait_beyond(&self, seq: u64, seen: Calls, deadline: Instant) {
        self.inner.signal.wait(seq, seen, Some(deadline));
    }

    /// How often this store's waiters were woken.
    pub(crate) fn calls(&self) -> Calls {
        self.inner.signal.calls()
    }
}

fn page(connection: &Connection, after: u64, limit: usize, limit_bytes: usize) -> Result<Vec<Chained>> {
    const SQL: &str =
        concat!("SELECT ", row::columns!(), ", chain FROM plan_events WHERE id > ?1 ORDER BY id LIMIT ?2");
    /// The place of `chain` behind the columns of an event.
    const CHAIN: usize = 16;
    let failed = |cause| fault::sqlite("read the log", cause);
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let mut rows = statement.query((after.cast_signed(), limit as i64)).map_err(failed)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(failed)? {
        let event = row::decode(row)?;
        let seq = event.seq().unwrap_or_default();
        // What comes after a hole is told when it is read on from here.
        if seq != after + 1 + page.len() as u64 {
            if page.is_empty() {
                return Err(read::pruned(after, seq));
            }
            break;
        }
        let chain = row.get_ref(CHAIN).map_err(failed)?;
        let chain = chain.as_blob().ok().filter(|chain| chain.len() == 32);
        let chain = chain.ok_or_else(|| fault::corrupt_row(seq.cast_signed(), "chain", "is not 32 bytes"))?;
        bytes += event.payload_json().map_or(0, str::len);
        page.push(Chained { event, seq, bits: bits(chain) });
        if bytes >= limit_bytes {
            break;
        }
    }
    Ok(page)
}

fn link(connection: &Connection, seq: u64) -> Result<Option<u64>> {
    let failed = |cause| fault::sqlite("read the chain", cause);
    let mut statement =
        connection.prepare_cached("SELECT chain FROM plan_events WHERE id = ?1").map_err(failed)?;
    let chain: Option<Vec<u8>> =
        statement.query_row([seq.cast_signed()], |row| row.get(0)).optional().map_err(failed)?;
    let Some(chain) = chain else { return Ok(None) };
    match chain.len() {
        32 => Ok(Some(bits(&chain))),
        _ => Err(fault::corrupt_row(seq.cast_signed(), "chain", "is not 32 bytes")),
    }
}

/// The first 64 bits of a chain.
fn bits(chain: &[u8]) -> u64 {
    let first = chain.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}
