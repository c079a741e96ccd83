//! The peer of a durable publish: an event inserted by bare rusqlite, as one writes it by hand.
//!
//! The table and its indexes are those of a store, and so are the settings that make a commit durable.

use std::path::Path;

use planbus::{Event, EventStore};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

/// A database that is written to without planbus.
pub(super) struct BareSqlite {
    connection: Connection,
    chain: [u8; 32],
    rows: u64,
}

impl BareSqlite {
    pub(super) fn create(folder: &Path) -> Self {
        let model = folder.join("model.db");
        drop(EventStore::open(&model).expect("opens"));
        let model = Connection::open(model).expect("opens");
        let connection = Connection::open(folder.join("bare.db")).expect("opens");
        connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;").expect("is set");
        let mut statement = model
            .prepare(
                "SELECT sql FROM sqlite_master \
                 WHERE sql IS NOT NULL AND tbl_name = 'plan_events' AND type IN ('table', 'index')",
            )
            .expect("prepares");
        let ddl = statement.query_map([], |row| row.get::<_, String>(0)).expect("reads");
        ddl.for_each(|ddl| connection.execute_batch(&ddl.expect("text")).expect("creates"));
        Self { connection, chain: [0; 32], rows: 0 }
    }

    /// Inserts one event as simply as can be, with a chain over the same bytes as a store's.
    pub(super) fn insert(&mut self, event: &Event) {
        let payload = event.payload_json().expect("JSON");
        let (id, at) = (event.event_id().to_string(), event.timestamp().to_string());
        let (kind, plan) = (event.event_type().as_str(), event.plan_id().as_str());
        let source = event.source().map(|source| source.as_str());
        let columns = [
            Some(&*id),
            Some(kind),
            Some(plan),
            Some(&at),
            Some(&at),
            Some(payload),
            Some("default"),
            source,
        ]
        .into_iter()
        .chain([None, Some(plan), None, None, Some("normal"), None]);
        let mut link = Sha256::new().chain_update(self.chain);
        for number in [self.rows, 1] {
            link.update(8_u64.to_be_bytes());
            link.update(number.to_be_bytes());
        }
        for column in columns {
            link.update(column.map_or([0xff; 8], |text| (text.len() as u64).to_be_bytes()));
            link.update(column.unwrap_or_default());
        }
        self.chain = link.finalize().into();
        self.rows += 1;
        self.connection
            .prepare_cached(
                "INSERT INTO plan_events(event_id, event_type, plan_id, timestamp, recorded_at, payload, \
                 tenant, source, correlation_id, priority, schema_version, chain) \
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5, 'default', ?6, ?3, 'normal', 1, ?7)",
            )
            .and_then(|mut statement| {
                statement.execute(params![id, kind, plan, at, payload, source, &self.chain[..]])
            })
            .expect("inserts");
    }

    /// Inserts events in one transaction.
    pub(super) fn insert_all(&mut self, events: impl Iterator<Item = Event>) {
        self.connection.execute_batch("BEGIN IMMEDIATE").expect("begins");
        events.for_each(|event| self.insert(&event));
        self.connection.execute_batch("COMMIT").expect("commits");
    }
}
