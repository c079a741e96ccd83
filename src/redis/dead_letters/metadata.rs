//! The facts of a dead letter inside `metadata`, where the profile's system looks for them.
//!
//! They stand in front of the object's own members, as text: the object is never written anew, so
//! that taking them out gives it back to the byte.

use std::{borrow::Cow, collections::BTreeMap};

use serde::de::IgnoredAny;

use super::trailer::Field;

const METADATA: &[u8] = b"metadata";
const NAMES: [&str; 3] = ["dlq_reason", "dlq_retry_count", "dlq_original_stream"];

/// What `metadata` says where another system moved the entry.
#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) dlq_reason: Option<String>,
    pub(super) dlq_retry_count: Option<u32>,
    pub(super) dlq_original_stream: Option<String>,
}

impl Metadata {
    /// Reads it; `None` where the field is not there once, or no such object.
    pub(super) fn read(fields: &[Field]) -> Option<Self> {
        serde_json::from_slice(&fields[place(fields)?].1).ok()
    }
}

/// Puts the facts into `metadata`, and gives the number of bytes that it grew by. Where it is
/// missing, no object, or has facts of that kind itself, it is left alone.
pub(super) fn add(fields: &mut [Field], error: &str, attempts: u32, stream: &str) -> Option<usize> {
    let text = &mut fields[place(fields)?].1;
    let members: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_slice(text).ok()?;
    if NAMES.iter().any(|name| members.contains_key(*name)) {
        return None;
    }
    let [reason, retry_count, original_stream] = NAMES;
    let (error, stream) = (serde_json::Value::from(error), serde_json::Value::from(stream));
    let comma = if members.is_empty() { "" } else { "," };
    let facts =
        format!(r#""{reason}":{error},"{retry_count}":{attempts},"{original_stream}":{stream}{comma}"#);
    let begin = behind_brace(text)?;
    text.splice(begin..begin, facts.bytes());
    Some(facts.len())
}

/// Takes so many bytes out of `metadata` that [`add`] put in; `None` where they cannot be there.
pub(super) fn remove(fields: &mut [Field], bytes: usize) -> Option<()> {
    let text = &mut fields[place(fields)?].1;
    let begin = behind_brace(text)?;
    let end = begin.checked_add(bytes).filter(|end| *end <= text.len())?;
    drop(text.drain(begin..end));
    Some(())
}

/// Where the one field of that name is.
fn place(fields: &[Field]) -> Option<usize> {
    let mut places = (0..fields.len()).filter(|at| fields[*at].0 == METADATA);
    places.next().filter(|_| places.next().is_none())
}

fn behind_brace(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| *byte == b'{').map(|at| at + 1)
}
