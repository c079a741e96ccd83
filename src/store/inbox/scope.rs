//! A group in a stream: how far it is, and which events it has handled.
//!
//! Decides nothing of transactions: every function runs in its caller's.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};

use super::{InboxFloor, fault};
use crate::{error::Result, event::Timestamp, store::read::unsigned};

/// The most rows that one step removes, so that no handler waits long.
const STEP_MAX_ROWS: u32 = 1_000;

/// How long a replay that was handled is known by its id, 7 days. The floor does not wait for replays:
/// any number of other events may be handled before one whose ack was lost is delivered again.
const REPLAYS_KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// What a group has handled in one stream of one store; no store: what no planbus wrote.
#[derive(Debug)]
pub(super) struct Scope {
    id: i64,
    floor: i64,
    forgotten: i64,
}

/// The place as SQLite holds it. Times that no clock will show are all one.
pub(super) fn signed(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn now_ms() -> i64 {
    signed(Timestamp::now().as_unix_millis())
}

fn failed(cause: rusqlite::Error) -> crate::Error {
    fault::sqlite("look into the inbox", cause)
}

fn cached<'a>(connection: &'a Connection, sql: &str) -> Result<CachedStatement<'a>> {
    connection.prepare_cached(sql).map_err(failed)
}

impl Scope {
    pub(super) fn find(
        connection: &Connection,
        group: &str,
        stream: &str,
        store: Option<&str>,
    ) -> Result<Option<Self>> {
        let sql = "SELECT id, floor, forgotten FROM planbus_inbox_scopes
                   WHERE grp = ?1 AND stream = ?2 AND store IS ?3";
        let read = |row: &Row<'_>| Ok(Self { id: row.get(0)?, floor: row.get(1)?, forgotten: row.get(2)? });
        cached(connection, sql)?.query_row(params![group, stream, store], read).optional().map_err(failed)
    }

    pub(super) fn find_or_add(
        connection: &Connection,
        group: &str,
        stream: &str,
        store: Option<&str>,
    ) -> Result<Self> {
        if let Some(found) = Self::find(connection, group, stream, store)? {
            return Ok(found);
        }
        cached(connection, "INSERT INTO planbus_inbox_scopes(grp, stream, store) VALUES (?1, ?2, ?3)")?
            .execute(params![group, stream, store])
            .map_err(failed)?;
        Ok(Self { id: connection.last_insert_rowid(), floor: 0, forgotten: -1 })
    }

    /// Whether the place alone says that the event was handled; never so without a store.
    pub(super) fn has_forgotten(&self, place: u64) -> bool {
        signed(place) <= self.forgotten
    }

    /// Notes an event as handled; `false` when it is there already.
    pub(super) fn note(&self, connection: &Connection, event_id: &str, place: u64) -> Result<bool> {
        let sql = "INSERT INTO planbus_inbox(scope, event_id, place) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO NOTHING";
        let rows = cached(connection, sql)?.execute(params![self.id, event_id, signed(place)]);
        Ok(rows.map_err(failed)? > 0)
    }

    /// Notes a replay as handled, for longer than it can be pending; `false` when it is there already.
    pub(super) fn note_replay(&self, connection: &Connection, event_id: &str) -> Result<bool> {
        let sql = "INSERT INTO planbus_inbox_replays(scope, event_id, handled_at) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO NOTHING";
        let rows = cached(connection, sql)?.execute(params![self.id, event_id, now_ms()]);
        Ok(rows.map_err(failed)? > 0)
    }

    pub(super) fn floor(&self) -> u64 {
        unsigned(self.floor)
    }

    /// The highest place whose rows may leave. Where no store numbers the events, what is before the
    /// floor comes again as a replay only.
    fn removable(&self, store: Option<&str>) -> i64 {
        if store.is_some() { self.forgotten } else { self.floor - 1 }
    }

    /// The same, with everything up to `place` handled, and events forgotten that are `kept` below it.
    pub(super) fn raised(&self, store: Option<&str>, place: u64, kept: u64) -> Self {
        let floor = self.floor.max(signed(place));
        let forgotten = if store.is_some() { floor.saturating_sub(signed(kept)) } else { self.forgotten };
        Self { id: self.id, floor, forgotten: self.forgotten.max(forgotten) }
    }

    /// Whether nothing would change by writing `raised`, and no row waits to leave.
    pub(super) fn is_settled(
        &self,
        connection: &Connection,
        store: Option<&str>,
        raised: &Self,
    ) -> Result<bool> {
        if (self.floor, self.forgotten) != (raised.floor, raised.forgotten) {
            return Ok(false);
        }
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM planbus_inbox WHERE scope = ?1 AND place <= ?2)";
        let mut statement = cached(connection, sql)?;
        statement.query_row([self.id, self.removable(store)], |row| row.get(0)).map_err(failed)
    }

    /// Writes the floor and removes one step of rows; whether more are left.
    pub(super) fn settle(&self, connection: &Connection, store: Option<&str>) -> Result<bool> {
        cached(connection, "UPDATE planbus_inbox_scopes SET floor = ?2, forgotten = ?3 WHERE id = ?1")?
            .execute([self.id, self.floor, self.forgotten])
            .map_err(failed)?;
        let sql = "DELETE FROM planbus_inbox_replays WHERE (scope, event_id) IN (
                     SELECT scope, event_id FROM planbus_inbox_replays WHERE handled_at < ?1 LIMIT ?2)";
        cached(connection, sql)?
            .execute(params![now_ms() - REPLAYS_KEPT_MS, STEP_MAX_ROWS])
            .map_err(failed)?;
        let sql = "DELETE FROM planbus_inbox WHERE scope = ?1 AND event_id IN (
                     SELECT event_id FROM planbus_inbox WHERE scope = ?1 AND place <= ?2
                     ORDER BY place LIMIT ?3)";
        let step = params![self.id, self.removable(store), STEP_MAX_ROWS];
        Ok(cached(connection, sql)?.execute(step).map_err(failed)? == STEP_MAX_ROWS as usize)
    }
}

/// Whether the group has a floor or rows in the stream.
pub(super) fn knows(connection: &Connection, group: &str, stream: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM planbus_inbox_scopes AS scope
               WHERE grp = ?1 AND stream = ?2
                 AND (floor > 0 OR EXISTS (SELECT 1 FROM planbus_inbox WHERE scope = scope.id)))";
    cached(connection, sql)?.query_row([group, stream], |row| row.get(0)).map_err(failed)
}

/// Every scope, for people.
pub(super) fn floors(connection: &Connection) -> Result<Vec<InboxFloor>> {
    let sql = "SELECT grp, stream, store, floor,
                      (SELECT count(*) FROM planbus_inbox WHERE scope = scopes.id)
               FROM planbus_inbox_scopes AS scopes ORDER BY grp, stream, store";
    let read = |row: &Row<'_>| {
        Ok(InboxFloor {
            group: row.get(0)?,
            stream: row.get(1)?,
            store: row.get(2)?,
            place: unsigned(row.get(3)?),
            rows: unsigned(row.get(4)?),
        })
    };
    let mut statement = cached(connection, sql)?;
    let rows = statement.query_map([], read).map_err(failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failed)
}
