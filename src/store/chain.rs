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

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// One link: the SHA-256 that stands in a row's column `chain`.
pub(super) type Link = [u8; 32];

/// The chain of a row: it stands for the row and for every row before it.
///
/// Written as 64 hexadecimal digits, so that it can be kept outside of the store.
///
/// ```
/// let text = "2c6263f5b307289e618886ab20d433c68061bfcbf446cb406e8bf2ffa8d87cd0";
/// let head: planbus::ChainHash = text.parse()?;
/// assert_eq!(head.to_string(), text);
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub(super) Link);

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

impl FromStr for ChainHash {
    type Err = Error;

    /// Reads 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("head", format!("must be 64 hexadecimal digits, got {text:?}"));
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(wrong);
        let digits = text.as_bytes();
        let mut link = Link::default();
        if digits.len() != 2 * link.len() {
            return Err(wrong());
        }
        for (byte, pair) in link.iter_mut().zip(digits.chunks_exact(2)) {
            // Two digits of four bits each.
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Self(link))
    }
}

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
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(super) fn text(&mut self, text: &str) {
        self.stored_text(text.as_bytes());
    }

    /// TEXT as it stands in the file, which need not be UTF-8 once somebody changed it.
    pub(super) fn stored_text(&mut self, text: &[u8]) {
        self.0.extend_from_slice(&length(text.len()));
        self.0.extend_from_slice(text);
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.0.extend_from_slice(&length(8));
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn null(&mut self) {
        self.0.extend_from_slice(&NULL);
    }

    /// The link of a row whose fields these are, all of them.
    pub(super) fn link(&self, previous: &Link) -> Link {
        Sha256::new().chain_update(previous).chain_update(&self.0).finalize().into()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The canonical bytes of a row but for the payload, and for what only the commit knows: `id` and
/// `recorded_at`.
#[derive(Debug)]
pub(super) struct Canonical {
    /// `event_id` to `timestamp`, then `tenant` to `schema_version`.
    fields: Fields,
    /// How many bytes `event_id` to `timestamp` are.
    head_bytes: usize,
}

impl Canonical {
    /// Joins what stands before `recorded_at` and the payload, and then what stands behind them.
    pub(super) fn new(mut head: Fields, rest: impl FnOnce(&mut Fields)) -> Self {
        let head_bytes = head.len();
        rest(&mut head);
        Self { fields: head, head_bytes }
    }

    /// The link of this row after `previous`.
    pub(super) fn link(&self, previous: &Link, seq: i64, recorded_at: &str, payload: &str) -> Link {
        let (head, rest) = self.fields.0.split_at(self.head_bytes);
        Sha256::new()
            .chain_update(previous)
            .chain_update(length(8))
            .chain_update(seq.to_be_bytes())
            .chain_update(head)
            .chain_update(length(recorded_at.len()))
            .chain_update(recorded_at)
            .chain_update(length(payload.len()))
            .chain_update(payload)
            .chain_update(rest)
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
        let mut head = Fields::default();
        for text in ["01JZ8Q4V7N5T3M2K1H0G9F8E7E", "ToolCalled", "plan-7", "2026-03-01T09:30:00.000000Z"] {
            head.text(text);
        }
        let row = Canonical::new(head, |rest| {
            rest.text("default");
            rest.optional(Some("planner"));
            rest.optional(None);
            rest.optional(Some("plan-7"));
            rest.optional(None);
            rest.optional(None);
            rest.text("normal");
            rest.optional(None);
            rest.integer(1);
        });
        let anchor = anchor("01JZ8Q4V7N5T3M2K1H0G9F8E7D");
        let link = row.link(&anchor, 7, "2026-03-01T09:30:01.000000Z", "{\"ü\":1}");
        assert_eq!(ChainHash(link).to_string(), BY_PYTHON);
        assert_eq!(BY_PYTHON.to_uppercase().parse::<ChainHash>().expect("is one"), ChainHash(link));
    }

    #[test]
    fn what_is_no_hash_is_refused_by_name() {
        for text in ["", "2c", &BY_PYTHON[1..], &"g".repeat(64), &"\u{e9}".repeat(32)] {
            let error = text.parse::<ChainHash>().expect_err("refused");
            assert!(error.to_string().starts_with("head: must be 64 hexadecimal digits"), "{error}");
        }
    }
}
