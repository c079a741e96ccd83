//! JSON at the edge: limits are checked while a payload is written, and text is kept as given.
//!
//! Nothing here recurses into a value without a depth limit, neither to write nor to drop it:
//! a value nested 200,000 deep would end the process. Numbers are never parsed, so any survives.

use std::{
    cell::Cell,
    collections::HashSet,
    fmt, io,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, ser::Formatter, value::RawValue};

use super::id::shown;
use crate::error::{Error, ErrorKind, Result};

/// How many levels of objects and arrays a payload may nest; the payload itself is the first.
pub const PAYLOAD_MAX_DEPTH: usize = 64;

/// How many bytes a payload may have unless the bus or store says otherwise: 4 MiB.
pub const PAYLOAD_MAX_BYTES: usize = 4 << 20;

/// Any JSON value inside a typed payload.
///
/// It is a [`serde_json::Value`] that is safe to drop however deep it is nested; too deep a value
/// is refused with a clear error when it is published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Value);

/// The fields of a payload that its type does not name, kept in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonObject(Map<String, Value>);

impl Drop for Json {
    fn drop(&mut self) {
        if is_deep(&self.0, PAYLOAD_MAX_DEPTH) {
            dismantle(vec![std::mem::take(&mut self.0)]);
        }
    }
}

impl Drop for JsonObject {
    fn drop(&mut self) {
        if self.0.values().any(|value| is_deep(value, PAYLOAD_MAX_DEPTH)) {
            dismantle(std::mem::take(&mut self.0).into_iter().map(|(_, value)| value).collect());
        }
    }
}

/// Whether `value` nests more than `levels` deep; looks no deeper than that.
fn is_deep(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deep(item, levels - 1)),
        Value::Object(map) => levels == 0 || map.values().any(|item| is_deep(item, levels - 1)),
        _ => false,
    }
}

/// Drops values level by level.
fn dismantle(mut values: Vec<Value>) {
    while let Some(value) = values.pop() {
        match value {
            Value::Array(items) => values.extend(items),
            Value::Object(map) => values.extend(map.into_iter().map(|(_, item)| item)),
            _ => {}
        }
    }
}

impl<T: Into<Value>> From<T> for Json {
    fn from(value: T) -> Self {
        Self(value.into())
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

impl Deref for Json {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

impl DerefMut for Json {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

impl Deref for JsonObject {
    type Target = Map<String, Value>;
    fn deref(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl DerefMut for JsonObject {
    fn deref_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }
}

/// The first limit that was passed while a payload was written.
#[derive(Clone, Copy)]
enum Passed {
    Bytes,
    Depth,
}

impl Passed {
    fn error(self, max_bytes: usize) -> Error {
        match self {
            Self::Bytes => too_large(max_bytes),
            Self::Depth => too_nested(),
        }
    }
}

fn too_large(max_bytes: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("payload: must be at most {max_bytes} bytes"))
}

fn too_nested() -> Error {
    Error::new(ErrorKind::TooLarge, format!("payload: must be nested at most {PAYLOAD_MAX_DEPTH} deep"))
}

/// A buffer that ends the writing where the bytes pass the limit.
struct LimitedBuffer<'a> {
    text: Vec<u8>,
    max_bytes: usize,
    passed: &'a Cell<Option<Passed>>,
}

impl io::Write for LimitedBuffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.max_bytes - self.text.len() {
            self.passed.set(Some(Passed::Bytes));
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compact JSON that ends the writing where the nesting passes the limit.
struct LimitedDepth<'a> {
    depth: usize,
    passed: &'a Cell<Option<Passed>>,
}

impl LimitedDepth<'_> {
    fn enter(&mut self) -> io::Result<()> {
        if self.depth == PAYLOAD_MAX_DEPTH {
            self.passed.set(Some(Passed::Depth));
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.depth += 1;
        Ok(())
    }
}

impl Formatter for LimitedDepth<'_> {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }
}

/// Writes a payload as JSON text, within the limits.
pub(crate) fn write(payload: &(impl Serialize + ?Sized), max_bytes: usize) -> Result<Arc<RawValue>> {
    let passed = Cell::new(None);
    let buffer = LimitedBuffer { text: Vec::with_capacity(256), max_bytes, passed: &passed };
    let depth = LimitedDepth { depth: 0, passed: &passed };
    let mut serializer = serde_json::Serializer::with_formatter(buffer, depth);
    match payload.serialize(&mut serializer) {
        Ok(()) => {}
        Err(cause) => {
            return Err(passed.get().map_or_else(
                || Error::with_source(ErrorKind::InvalidInput, "payload: cannot be written as JSON", cause),
                |passed| passed.error(max_bytes),
            ));
        }
    }
    let text = String::from_utf8(serializer.into_inner().text)
        .map_err(|cause| Error::with_source(ErrorKind::InvalidInput, "payload: is not UTF-8", cause))?;
    parse(text, max_bytes)
}

/// Checks a payload's text: one JSON object within the limits, no key twice in one object.
///
/// The text is kept as it is but for line breaks between tokens, which become spaces, so that an
/// event stays one line of JSON Lines and one frame of SSE.
pub(crate) fn parse(mut text: String, max_bytes: usize) -> Result<Arc<RawValue>> {
    if text.len() > max_bytes {
        return Err(too_large(max_bytes));
    }
    if text.bytes().any(|byte| byte == b'\n' || byte == b'\r') {
        // Inside a string a bare line break is no JSON, so nothing but white space changes; the
        // text is refused first where that is not so.
        serde_json::from_str::<&RawValue>(&text).map_err(not_json)?;
        text = text.replace(['\n', '\r'], " ");
    }
    let raw = RawValue::from_string(text).map_err(not_json)?;
    Outline::new(raw.get()).check()?;
    Ok(raw.into())
}

fn not_json(cause: serde_json::Error) -> Error {
    Error::with_source(ErrorKind::InvalidInput, "payload: is not JSON", cause)
}

/// A walk over text that is known to be JSON, which sees only brackets and keys.
struct Outline<'a> {
    text: &'a str,
    /// One entry an open bracket: the keys seen, or `None` in an array.
    open: Vec<Option<HashSet<&'a str, foldhash::fast::RandomState>>>,
    /// Keys that are escaped, decoded; few, so a list serves.
    decoded: Vec<(usize, String)>,
}

impl<'a> Outline<'a> {
    fn new(text: &'a str) -> Self {
        Self { text: text.trim_matches([' ', '\t']), open: Vec::new(), decoded: Vec::new() }
    }

    fn check(mut self) -> Result<()> {
        if !self.text.starts_with('{') {
            return Err(Error::invalid(
                "payload",
                format!("must be a JSON object, got {}", shown(self.text)),
            ));
        }
        let bytes = self.text.as_bytes();
        let mut at = 0;
        let mut expects_key = false;
        while at < bytes.len() {
            match bytes[at] {
                b'{' | b'[' => {
                    let is_object = bytes[at] == b'{';
                    self.enter(is_object)?;
                    expects_key = is_object;
                }
                b'}' | b']' => {
                    self.open.pop();
                    self.decoded.retain(|(level, _)| *level <= self.open.len());
                }
                b',' => expects_key = matches!(self.open.last(), Some(Some(_))),
                b'"' => {
                    let end = end_of_string(bytes, at);
                    if expects_key {
                        self.key(&self.text[at + 1..end])?;
                        expects_key = false;
                    }
                    at = end;
                }
                _ => {}
            }
            at += 1;
        }
        Ok(())
    }

    fn enter(&mut self, is_object: bool) -> Result<()> {
        if self.open.len() == PAYLOAD_MAX_DEPTH {
            return Err(too_nested());
        }
        self.open.push(is_object.then(HashSet::default));
        Ok(())
    }

    /// Notes a key, as it stands between its quotes.
    fn key(&mut self, raw: &'a str) -> Result<()> {
        let level = self.open.len();
        let Some(Some(keys)) = self.open.last_mut() else { return Ok(()) };
        // An escaped key may spell one that stands there plainly. A lone surrogate has no
        // decoded form: such keys are compared as they are written.
        let is_new = match raw.contains('\\').then(|| serde_json::from_str::<String>(&format!("\"{raw}\""))) {
            Some(Ok(key)) => {
                let known = keys.contains(key.as_str())
                    || self.decoded.iter().any(|(at, other)| *at == level && *other == key);
                self.decoded.push((level, key));
                !known
            }
            _ => keys.insert(raw) && !self.decoded.iter().any(|(at, other)| *at == level && other == raw),
        };
        if is_new {
            Ok(())
        } else {
            Err(Error::invalid("payload", format!("has the key {} twice", shown(raw))))
        }
    }
}

/// The place of the quote that ends the string which begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_deep(&self.0, PAYLOAD_MAX_DEPTH) { f.write_str("(nested too deep)") } else { self.0.fmt(f) }
    }
}
