//! What the index reads of the log, and how it waits for more: through the store only, in short
//! transactions. Never writes.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};

use super::place::{Place, Verdict};
use crate::{
    error::{ErrorKind, Result},
    event::{Event, Tenant},
    store::{EventStore, fault, read, row, schema, signal::Calls},
};

/// A batch ends with the event that brings its payloads to this many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// Of what was found so many bytes of payload are read at a time.
const PAGE_BYTES: usize = 8 << 20;
/// How often a process that is not the owner looks whether the log has grown.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What comes next in the log.
pub(super) enum Next {
    GoOn(Batch),
    /// The index is to begin anew, for this reason.
    StartOver(&'static str),
}

/// The events after a place, as many as were asked for.
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// The first seq that the log holds.
    pub(super) floor: u64,
    /// The last seq that the log holds, and the last one that was given.
    pub(super) last: u64,
    pub(super) head: u64,
    /// All up to this seq has been read; the log's chain is this there.
    pub(super) examined: u64,
    pub(super) chain: Vec<u8>,
}

/// Reads up to `limit` events after the place. An event that cannot be read is left out: `verify` tells
/// of it, and the index goes on.
pub(super) fn next(store: &EventStore, place: &Place, limit: usize) -> Result<Next> {
    store.inner.read(|connection| {
        let failed = |cause| fault::sqlite("read the log", cause);
        let snapshot = connection.unchecked_transaction().map_err(failed)?;
        let bounds = read::bounds(&snapshot)?;
        let chain = chain_at(&snapshot, bounds.floor, place.indexed)?;
        let after = match place.verdict(bounds, chain.as_deref()) {
            Verdict::GoOn { after } => after,
            Verdict::StartOver(reason) => return Ok(Next::StartOver(reason)),
        };
        let batch = Batch {
            events: Vec::new(),
            floor: bounds.floor,
            last: bounds.last,
            head: bounds.head,
            examined: place.indexed,
            chain: place.chain.clone(),
        };
        let batch = read_into(batch, &snapshot, after, limit)?;
        snapshot.commit().map_err(failed)?;
        Ok(Next::GoOn(batch))
    })
}

fn read_into(mut batch: Batch, connection: &Connection, after: u64, limit: usize) -> Result<Batch> {
    const SQL: &str =
        concat!("SELECT ", row::columns!(), ", chain FROM plan_events WHERE id > ?1 ORDER BY id LIMIT ?2");
    /// The place of `chain` behind the columns of an event.
    const CHAIN: usize = 16;
    let failed = |cause| fault::sqlite("read the log", cause);
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let mut rows = statement.query((after.cast_signed(), limit as i64)).map_err(failed)?;
    let mut bytes = 0;
    while bytes < BATCH_BYTES
        && let Some(row) = rows.next().map_err(failed)?
    {
        batch.examined = row::event_seq(row.get(0).map_err(failed)?)?;
        batch.chain = row.get_ref(CHAIN).map_err(failed)?.as_blob().unwrap_or_default().to_vec();
        match row::decode(row) {
            Ok(event) => {
                bytes += event.payload_json().map_or(0, str::len);
                batch.events.push(event);
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "planbus.search: an event that cannot be read is not indexed");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(batch)
}

/// The log's chain at a seq, where it holds that or begins right after it.
fn chain_at(connection: &Connection, floor: u64, seq: u64) -> Result<Option<Vec<u8>>> {
    if seq + 1 == floor {
        return Ok(Some(schema::meta(connection)?.chain_anchor.to_vec()));
    }
    let failed = |cause| fault::sqlite("read the chain", cause);
    let mut statement =
        connection.prepare_cached("SELECT chain FROM plan_events WHERE id = ?1").map_err(failed)?;
    statement.query_row([seq.cast_signed()], |row| row.get(0)).optional().map_err(failed)
}

/// The first `limit` events that the log holds for the tenant at these seqs, and that are wanted; and
/// how many seqs were looked at, at least one.
pub(super) fn events(
    store: &EventStore,
    tenant: &Tenant,
    seqs: &[u64],
    limit: usize,
    is_wanted: impl Fn(&Event) -> bool,
) -> Result<(Vec<Event>, usize)> {
    const SQL: &str = concat!("SELECT ", row::columns!(), " FROM plan_events WHERE id = ?1 AND tenant = ?2");
    store.inner.read(|connection| {
        let failed = |cause| fault::sqlite("read what was found", cause);
        let snapshot = connection.unchecked_transaction().map_err(failed)?;
        let mut statement = snapshot.prepare_cached(SQL).map_err(failed)?;
        let (mut events, mut bytes, mut looked_at) = (Vec::new(), 0, 0);
        for seq in seqs {
            let mut rows = statement.query((seq.cast_signed(), tenant.as_str())).map_err(failed)?;
            if let Some(row) = rows.next().map_err(failed)? {
                let event = row::decode(row)?;
                bytes += event.payload_json().map_or(0, str::len);
                events.extend(Some(event).filter(&is_wanted));
            }
            looked_at += 1;
            if events.len() == limit || bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok((events, looked_at))
    })
}

/// The last seq that the log holds.
pub(super) fn last(store: &EventStore) -> Result<u64> {
    Ok(store.inner.read(read::bounds)?.last)
}

/// How often the store's waiters were woken.
pub(super) fn calls(store: &EventStore) -> Calls {
    store.inner.signal.calls()
}

/// Waits until the log reaches beyond `seq`, somebody wakes the store's waiters after `seen`, or the
/// time is over.
pub(super) fn wait_beyond(store: &EventStore, seq: u64, seen: Calls, timeout: Duration) -> Result<()> {
    let deadline = Instant::now() + timeout;
    let signal = &store.inner.signal;
    if !store.is_read_only() {
        signal.wait(seq, seen, Some(deadline));
        return Ok(());
    }
    while store.inner.head()? <= seq && signal.calls() == seen && Instant::now() < deadline {
        // Nobody advances the signal of a reader's store: only a call ends this wait.
        signal.wait(u64::MAX, seen, Some(deadline.min(Instant::now() + POLL_INTERVAL)));
    }
    Ok(())
}

/// Waits until somebody wakes the store's waiters after `seen`, or the time is over.
pub(super) fn wait_for_call(store: &EventStore, seen: Calls, timeout: Duration) {
    store.inner.signal.wait(u64::MAX, seen, Some(Instant::now() + timeout));
}
