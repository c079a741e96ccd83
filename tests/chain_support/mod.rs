//! Recomputes a log's chain with SQL and SHA-256 alone, as EVENTS.md specifies it: from the anchor
//! that is stored, through every row that is left.

#![allow(dead_code, reason = "each test binary uses a part")]

use planbus::{Event, EventStore};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, types::ValueRef};
use sha2::{Digest, Sha256};

/// The canonical bytes of a column.
fn field(hash: &mut Sha256, value: ValueRef<'_>) {
    match value {
        ValueRef::Text(text) => {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        ValueRef::Integer(integer) => {
            hash.update(8_u64.to_be_bytes());
            hash.update(integer.to_be_bytes());
        }
        ValueRef::Null => hash.update([0xff; 8]),
        other => panic!("no column holds {other:?}"),
    }
}

/// The seq of the first row whose chain is not what its content gives.
pub(crate) fn first_broken(path: &std::path::Path) -> Option<i64> {
    let log = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opens");
    let meta = |key: &str| -> Vec<u8> {
        log.query_row("SELECT CAST(value AS BLOB) FROM store_meta WHERE key = ?1", [key], |row| row.get(0))
            .expect("is there")
    };
    let mut previous = meta("chain_anchor");
    let pruned: Option<i64> = log
        .query_row("SELECT value FROM store_meta WHERE key = 'chain_anchor_seq'", [], |row| row.get(0))
        .optional()
        .expect("reads");
    if pruned.is_none() {
        let anchor =
            Sha256::new().chain_update("planbus chain v1\n").chain_update(meta("store_id")).finalize();
        assert_eq!(previous[..], anchor[..], "the anchor of a new store");
    }
    let mut expected = pruned.unwrap_or(0);
    let mut statement = log.prepare("SELECT * FROM plan_events ORDER BY id").expect("prepares");
    assert_eq!(statement.column_name(statement.column_count() - 1).expect("a column"), "chain");
    let columns = statement.column_count() - 1;
    let mut rows = statement.query([]).expect("reads");
    while let Some(row) = rows.next().expect("reads") {
        expected += 1;
        let id: i64 = row.get(0).expect("an id");
        if id != expected {
            return Some(expected);
        }
        let link = link(&previous, row, columns);
        previous = row.get(columns).expect("a chain");
        if link != previous {
            return Some(id);
        }
    }
    None
}

/// The chain that the content of a row gives.
fn link(previous: &[u8], row: &Row<'_>, columns: usize) -> Vec<u8> {
    let mut hash = Sha256::new().chain_update(previous);
    (0..columns).for_each(|column| field(&mut hash, row.get_ref(column).expect("a column")));
    hash.finalize().to_vec()
}

/// Gives every row the chain that its content gives, as if planbus had written what somebody edited.
pub(crate) fn rechain(path: &std::path::Path) {
    rechain_on(&mut Connection::open(path).expect("opens"));
}

/// The same, on a connection that has the file open.
pub(crate) fn rechain_on(log: &mut Connection) {
    let edit = log.transaction().expect("begins");
    let mut previous: Vec<u8> = edit
        .query_row("SELECT value FROM store_meta WHERE key = 'chain_anchor'", [], |row| row.get(0))
        .expect("is there");
    {
        let mut next =
            edit.prepare("SELECT * FROM plan_events WHERE id > ?1 ORDER BY id LIMIT 1").expect("prepares");
        let columns = next.column_count() - 1;
        let mut change = edit.prepare("UPDATE plan_events SET chain = ?1 WHERE id = ?2").expect("prepares");
        let mut id = 0;
        while let Some(found) = next
            .query_row([id], |row| Ok((row.get::<_, i64>(0)?, link(&previous, row, columns))))
            .optional()
            .expect("reads")
        {
            (id, previous) = found;
            change.execute((&previous, id)).expect("edits");
        }
    }
    edit.commit().expect("commits");
}

/// The seqs that the log holds, which must be dense, and its chain whole from the anchor on.
pub(crate) fn held(store: &EventStore) -> (u64, u64) {
    assert_eq!(first_broken(store.path()), None, "the chain of what is left");
    let bounds = store.stats().expect("reads");
    let first = bounds.first_seq.expect("the newest event always stays");
    let events = store.read_after(first - 1, usize::MAX).expect("reads");
    let seqs: Vec<_> = events.iter().filter_map(Event::seq).collect();
    assert_eq!(seqs, (first..=bounds.last_seq).collect::<Vec<_>>(), "the log is dense");
    (first, bounds.last_seq)
}
