//! The outline of JSON text: brackets, keys and members. Values are passed over, never parsed.
//!
//! The time is linear in the text, whatever it holds.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::id::shown;
use crate::error::{Error, ErrorKind, Result};

/// How many levels of objects and arrays a payload may nest; the payload itself is the first.
pub const PAYLOAD_MAX_DEPTH: usize = 64;

pub(super) fn too_nested() -> Error {
    Error::new(ErrorKind::TooLarge, format!("payload: must be nested at most {PAYLOAD_MAX_DEPTH} deep"))
}

/// An object's key, to compare with others; or any string of JSON.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key<'a> {
    /// What the key spells, with or without escapes.
    Decoded(Cow<'a, str>),
    /// A key with a lone surrogate spells no text: it is the same only where it is written the
    /// same, and never the same as a decoded one.
    Undecodable(&'a str),
}

impl<'a> Key<'a> {
    /// The key that is written like this, quotes included.
    pub(crate) fn new(quoted: &'a str) -> Self {
        let raw = &quoted[1..quoted.len() - 1];
        if !raw.contains('\\') {
            return Self::Decoded(Cow::Borrowed(raw));
        }
        serde_json::from_str(quoted).map_or(Self::Undecodable(raw), |key: String| Self::Decoded(key.into()))
    }

    /// What the key spells, or how it is written where that is no text.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Decoded(key) => key,
            Self::Undecodable(raw) => raw,
        }
    }
}

/// The members of an object in their order, each key and value as it is written.
pub(crate) struct Members<'a>(pub(crate) Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Checks text that is known to be JSON: one object within the depth limit, no key twice in one
/// object.
pub(super) fn check(text: &str) -> Result<()> {
    let text = text.trim_matches([' ', '\t']);
    if !text.starts_with('{') {
        return Err(Error::invalid("payload", format!("must be a JSON object, got {}", shown(text))));
    }
    let bytes = text.as_bytes();
    let mut open = OpenBrackets::default();
    let mut at = 0;
    let mut expects_key = false;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => {
                expects_key = bytes[at] == b'{';
                open.enter(expects_key)?;
            }
            b'}' | b']' => open.leave(),
            b',' => expects_key = open.is_object(),
            b'"' => {
                let end = end_of_string(bytes, at);
                if std::mem::take(&mut expects_key) {
                    open.note(&text[at..=end])?;
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The brackets that are open: the keys seen so far, or `None` in an array.
#[derive(Default)]
struct OpenBrackets<'a>(Vec<Option<HashSet<Key<'a>, foldhash::fast::RandomState>>>);

impl<'a> OpenBrackets<'a> {
    fn enter(&mut self, is_object: bool) -> Result<()> {
        if self.0.len() == PAYLOAD_MAX_DEPTH {
            return Err(too_nested());
        }
        self.0.push(is_object.then(HashSet::default));
        Ok(())
    }

    fn leave(&mut self) {
        self.0.pop();
    }

    fn is_object(&self) -> bool {
        matches!(self.0.last(), Some(Some(_)))
    }

    /// Notes a key, quotes included.
    fn note(&mut self, quoted: &'a str) -> Result<()> {
        let Some(Some(keys)) = self.0.last_mut() else { return Ok(()) };
        if keys.insert(Key::new(quoted)) {
            return Ok(());
        }
        Err(Error::invalid("payload", format!("has the key {} twice", shown(&quoted[1..quoted.len() - 1]))))
    }
}

/// The strings of JSON text in their order, keys and values alike. Takes no more than linear time and
/// never recurses, however deep the text is nested.
#[cfg(feature = "server")]
pub(crate) fn strings(text: &str) -> impl Iterator<Item = Key<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find('"')?;
        let end = end_of_string(rest.as_bytes(), start);
        let string = rest.get(start..=end)?;
        rest = &rest[end + 1..];
        Some(Key::new(string))
    })
}

/// The place of the quote that ends the string which begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}
