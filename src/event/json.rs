//! JSON at the edge: limits are checked while a payload is written, and text is kept as given.
//!
//! Nothing here recurses into a value without a depth limit: one nested 200,000 deep would end the
//! process. Text is never parsed into numbers, so any number survives.

use std::{cell::Cell, fmt, io, ops::Deref, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, ser::Formatter, value::RawValue};

use super::outline::{self, PAYLOAD_MAX_DEPTH, too_nested};
use crate::error::{Error, ErrorKind, Result};

/// How many bytes a payload may have unless the bus or store says otherwise: 4 MiB.
pub const PAYLOAD_MAX_BYTES: usize = 4 << 20;

/// Any JSON value inside a typed payload. It is read like the [`Value`] that it holds.
///
/// A value nested deeper than [`PAYLOAD_MAX_DEPTH`] is cut on its way in, to the one level too many
/// that gets its event refused as `TooLarge`. So no `Json` is ever so deep that to clone, compare,
/// print or drop it would overflow the stack. To change one, take it out and put it back:
///
/// ```
/// use planbus::{Json, ToolCalled};
/// use serde_json::json;
///
/// let mut call = ToolCalled::new("call-1", "grep", json!({"q": "TODO", "token": "s3cret"}));
/// assert_eq!(call.arguments["q"], "TODO");
/// let mut arguments = std::mem::take(&mut call.arguments).into_inner();
/// arguments["token"] = json!("[redacted]");
/// call.arguments = arguments.into();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Json(Value);

/// The fields of a payload that its type does not name, kept in their order.
///
/// It is read like the [`Map`] that it holds; its values are cut as those of [`Json`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct JsonObject(Map<String, Value>);

impl Json {
    /// The value, to change or to keep.
    #[must_use]
    pub fn into_inner(self) -> Value {
        self.0
    }
}

impl JsonObject {
    /// Sets a field and gives the value that it had. A new field comes last.
    pub fn insert(&mut self, field: impl Into<String>, value: impl Into<Json>) -> Option<Value> {
        self.0.insert(field.into(), value.into().0)
    }

    /// Takes a field out; the others stay in their order.
    pub fn remove(&mut self, field: &str) -> Option<Value> {
        self.0.shift_remove(field)
    }

    /// The fields, to change or to keep.
    #[must_use]
    pub fn into_inner(self) -> Map<String, Value> {
        self.0
    }
}

/// Empties what lies below `levels` levels of containers. The level after them stays, as an empty
/// container: who writes the value meets it there, and refuses it.
fn cut(value: &mut Value, levels: usize) {
    match value {
        Value::Array(items) if levels == 0 => dismantle(std::mem::take(items)),
        Value::Object(map) if levels == 0 => {
            dismantle(std::mem::take(map).into_iter().map(|(_, item)| item).collect());
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut(item, levels - 1)),
        Value::Object(map) => map.values_mut().for_each(|item| cut(item, levels - 1)),
        _ => {}
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
        let mut value = value.into();
        cut(&mut value, PAYLOAD_MAX_DEPTH);
        Self(value)
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(mut map: Map<String, Value>) -> Self {
        map.values_mut().for_each(|value| cut(value, PAYLOAD_MAX_DEPTH));
        Self(map)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from)
    }
}

impl Deref for Json {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Deref for JsonObject {
    type Target = Map<String, Value>;
    fn deref(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
    outline::check(raw.get())?;
    Ok(raw.into())
}

fn not_json(cause: serde_json::Error) -> Error {
    Error::with_source(ErrorKind::InvalidInput, "payload: is not JSON", cause)
}
