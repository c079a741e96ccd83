//! The fields that a caller gives to a plan's events, checked before anything is published.
//!
//! Never shows a whole value: it may be megabytes of somebody's data.

use serde_json::Value;

use crate::{
    error::{Error, Result},
    event::{Json, JsonObject},
};

/// The members of a JSON object, none of which has a name in `reserved`; `null` is an empty object.
pub(super) fn object(fields: Json, reserved: &[&str]) -> Result<JsonObject> {
    let fields = match fields.into_inner() {
        Value::Object(map) => JsonObject::from(map),
        Value::Null => JsonObject::default(),
        other => {
            let got = shown(&other);
            return Err(Error::invalid("payload", format!("must be a JSON object, got {got}")));
        }
    };
    match reserved.iter().find(|name| fields.contains_key(**name)) {
        Some(name) => Err(Error::invalid(name, "is a field that the plan itself writes, use another name")),
        None => Ok(fields),
    }
}

/// Takes a text field that the payload's type names out of the others.
pub(super) fn take_text(fields: &mut JsonObject, name: &str) -> Result<Option<String>> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let got = shown(&other);
            Err(Error::invalid(name, format!("must be a string, got {got}")))
        }
    }
}

/// Bad input as an error shows it: text cut short, and of what holds other values only the kind.
fn shown(value: &Value) -> String {
    const SHOWN_CHARS: usize = 60;
    match value {
        Value::String(text) => match text.char_indices().nth(SHOWN_CHARS) {
            None => format!("{text:?}"),
            Some((cut, _)) => format!("{:?}... ({} bytes)", &text[..cut], text.len()),
        },
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        scalar => scalar.to_string(),
    }
}
