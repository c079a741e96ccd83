//! The hash chain over the log's rows.
//!
//! Every row's column `chain` is 32 bytes:
//!
//! ```text
//! chain(row) = SHA-256( previous || field(id) || field(event_id) || field(event_type)
//!     || field(plan_id) || field(timestamp) || field(recorded_at) || field(payload)
//!     || field(tenant) || field(source) || field(call_chain) || field(correlation_id)
//!     || field(causation_id) || field(trace_parent) || field(priority)
//!     || field(context_refs) || field(schema_version) )
//! ```
//!
//! The fields are the row's columns in the table's order, all but `chain` itself, as SQLite
//! stores them:
//!
//! - TEXT: its length in bytes as 8 bytes, big-endian, then its UTF-8 bytes;
//! - INTEGER (`id`, `schema_version`): the length 8 as 8 bytes, big-endian, then the value as 8
//!   bytes, big-endian, two's complement;
//! - NULL: 8 bytes of `ff`, and nothing after them.
//!
//! `previous` is the 32 bytes of the row before. For the first row it is the anchor: the value of
//! `chain_anchor` in `store_meta`, which a new store sets to
//! `SHA-256( "planbus chain v1\n" || store id )`, the store id as its 26 bytes of ASCII.
//!
//! Nothing here reads or writes the store.

use sha2::{Digest, Sha256};

/// One link: the SHA-256 that stands in a row's column `chain`.
pub(super) type Link = [u8; 32];

/// What stands in place of a length where the column is NULL.
const NULL: [u8; 8] = [0xff; 8];

/// The anchor of a new store.
pub(super) fn anchor(store_id: &str) -> Link {
    Sha256::new().chain_update(b"planbus chain v1\n").chain_update(store_id).finalize().into()
}

/// The canonical bytes of some neighbouring columns, made by the publisher before it queues.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn text(&mut self, text: &str) {
        self.0.extend_from_slice(&length(text.len()));
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.0.extend_from_slice(&NULL),
        }
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.0.extend_from_slice(&length(8));
        self.0.extend_from_slice(&value.to_be_bytes());
    }
}

/// The canonical bytes of a row but for what only the commit knows, `id` and `recorded_at`.
#[derive(Debug, Default)]
pub(super) struct Canonical {
    /// `event_id` to `timestamp`.
    pub(super) head: Fields,
    /// `tenant` to `schema_version`.
    pub(super) rest: Fields,
}

impl Canonical {
    /// The link of this row after `previous`.
    pub(super) fn link(&self, previous: &Link, seq: i64, recorded_at: &str, payload: &str) -> Link {
        Sha256::new()
            .chain_update(previous)
            .chain_update(length(8))
            .chain_update(seq.to_be_bytes())
            .chain_update(&self.head.0)
            .chain_update(length(recorded_at.len()))
            .chain_update(recorded_at)
            .chain_update(length(payload.len()))
            .chain_update(payload)
            .chain_update(&self.rest.0)
            .finalize()
            .into()
    }
}

fn length(bytes: usize) -> [u8; 8] {
    (bytes as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash below was made by these lines of Python, independently of this file:
    ///
    /// ```python
    /// import hashlib, struct
    /// t = lambda s: b"\xff" * 8 if s is None else struct.pack(">Q", len(s.encode())) + s.encode()
    /// i = lambda n: struct.pack(">Qq", 8, n)
    /// anchor = hashlib.sha256(b"planbus chain v1\n" + b"01JZ8Q4V7N5T3M2K1H0G9F8E7D").digest()
    /// row = [i(7), t("01JZ8Q4V7N5T3M2K1H0G9F8E7E"), t("ToolCalled"), t("plan-7"),
    ///   t("2026-03-01T09:30:00.000000Z"), t("2026-03-01T09:30:01.000000Z"), t('{"ü":1}'), t("default"),
    ///   t("planner"), t(None), t("plan-7"), t(None), t(None), t("normal"), t(None), i(1)]
    /// print(hashlib.sha256(anchor + b"".join(row)).hexdigest())
    /// ```
    const BY_PYTHON: &str = "2c6263f5b307289e618886ab20d433c68061bfcbf446cb406e8bf2ffa8d87cd0";

    #[test]
    fn a_link_is_what_the_written_specification_says() {
        let mut row = Canonical::default();
        for text in ["01JZ8Q4V7N5T3M2K1H0G9F8E7E", "ToolCalled", "plan-7", "2026-03-01T09:30:00.000000Z"] {
            row.head.text(text);
        }
        row.rest.text("default");
        row.rest.optional(Some("planner"));
        row.rest.optional(None);
        row.rest.optional(Some("plan-7"));
        row.rest.optional(None);
        row.rest.optional(None);
        row.rest.text("normal");
        row.rest.optional(None);
        row.rest.integer(1);
        let anchor = anchor("01JZ8Q4V7N5T3M2K1H0G9F8E7D");
        let link = row.link(&anchor, 7, "2026-03-01T09:30:01.000000Z", "{\"ü\":1}");
        let hex: String = link.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, BY_PYTHON);
    }
}
