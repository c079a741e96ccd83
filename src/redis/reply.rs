//! Reads what the server answered: numbers, texts, lists and maps, in either version of the protocol.
//!
//! Order and duplicates of a map stay as the server sent them: a stream's entry may name a field
//! twice. Nothing here panics on an answer of another shape, and nothing prints one: it may hold
//! what a caller stored.

use ::redis::Value;

use crate::error::{Error, ErrorKind, Result};

/// A whole number, also where the server wrote it as text.
pub(crate) fn integer(value: Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(number),
        Value::Boolean(flag) => Ok(i64::from(flag)),
        other => {
            let text = text(other).map_err(|_| unexpected("a number"))?;
            text.parse().map_err(|_| unexpected("a number"))
        }
    }
}

/// Bytes, as a key or a field may hold any.
pub(crate) fn bytes(value: Value) -> Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(text.into_bytes()),
        Value::Okay => Ok(b"OK".to_vec()),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        _ => Err(unexpected("a string")),
    }
}

/// A text in UTF-8.
pub(crate) fn text(value: Value) -> Result<String> {
    String::from_utf8(bytes(value)?).map_err(|_| unexpected("a text in UTF-8"))
}

/// The items of a list; where there is none, no items.
pub(crate) fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        Value::Nil => Ok(Vec::new()),
        _ => Err(unexpected("a list")),
    }
}

/// The pairs of a map, which the older protocol sends as one flat list; order and duplicates stay.
pub(crate) fn pairs(value: Value) -> Result<Vec<(Vec<u8>, Value)>> {
    let named = |(name, value)| Ok((bytes(name)?, value));
    match value {
        Value::Map(pairs) => pairs.into_iter().map(named).collect(),
        flat => {
            let mut items = list(flat)?.into_iter();
            let mut pairs = Vec::with_capacity(items.len() / 2);
            while let Some(name) = items.next() {
                pairs.push(named((name, items.next().ok_or_else(|| unexpected("a map"))?))?);
            }
            Ok(pairs)
        }
    }
}

/// The part of this name in the text that `INFO` answers.
pub(crate) fn info_part<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// The fields of an entry.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// An entry of a stream: its id and its fields.
pub(crate) fn entry(value: Value) -> Result<(String, Fields)> {
    let mut parts = list(value)?.into_iter();
    let id = text(parts.next().unwrap_or_default())?;
    let fields = pairs(parts.next().unwrap_or_default())?;
    let fields = fields.into_iter().map(|(name, value)| Ok((name, bytes(value)?)));
    Ok((id, fields.collect::<Result<_>>()?))
}

/// The entries of a stream, in the order of the answer.
pub(crate) fn entries(value: Value) -> Result<Vec<(String, Fields)>> {
    list(value)?.into_iter().map(entry).collect()
}

/// Entries by stream, which the older protocol sends as a list of pairs.
pub(crate) fn by_stream(answer: Value) -> Result<Vec<(Vec<u8>, Value)>> {
    match answer {
        map @ Value::Map(_) => pairs(map),
        flat => {
            let flat = list(flat)?.into_iter().map(pairs).collect::<Result<Vec<_>>>()?;
            Ok(flat.into_iter().flatten().collect())
        }
    }
}

/// An answer that is none of the ones to this command.
pub(crate) fn unexpected(expected: &str) -> Error {
    Error::new(ErrorKind::Storage, format!("redis: the server's answer is not {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_map_keeps_its_order_and_its_duplicates_in_both_protocols() {
        let flat = Value::Array(vec![bulk("b"), bulk("1"), bulk("a"), bulk("2"), bulk("b"), bulk("3")]);
        let map = Value::Map(vec![(bulk("b"), bulk("1")), (bulk("a"), bulk("2")), (bulk("b"), bulk("3"))]);
        let expected = vec![("b".into(), bulk("1")), ("a".into(), bulk("2")), ("b".into(), bulk("3"))];
        assert_eq!(pairs(flat).ok(), Some(expected.clone()));
        assert_eq!(pairs(map).ok(), Some(expected));
    }

    #[test]
    fn p11_an_answer_of_another_shape_is_an_error_that_tells_nothing_of_it() {
        let secret = || bulk("canary");
        for error in [
            integer(secret()).err(),
            integer(Value::Nil).err(),
            text(Value::BulkString(vec![0xff, b'c'])).err(),
            list(secret()).err(),
            pairs(Value::Array(vec![secret()])).err(),
            pairs(Value::Array(vec![Value::Nil, secret()])).err(),
        ] {
            let told = format!("{error:?}");
            assert!(told.contains("the server's answer is not a") && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn numbers_and_texts_are_read_in_every_form_that_servers_use() {
        assert_eq!(integer(Value::Int(-3)).ok(), Some(-3));
        assert_eq!(integer(bulk("17")).ok(), Some(17));
        assert_eq!(text(Value::Okay).ok().as_deref(), Some("OK"));
        assert_eq!(text(Value::SimpleString("PONG".into())).ok().as_deref(), Some("PONG"));
        assert_eq!(bytes(Value::BulkString(vec![0, 255])).ok(), Some(vec![0, 255]));
        assert_eq!(list(Value::Nil).ok(), Some(Vec::new()));
        let info = "# Memory\r\nmaxmemory_policy:noeviction\r\nmaxmemory:10\r\nrole:master";
        assert_eq!(info_part(info, "maxmemory"), Some("10"));
        assert_eq!(info_part(info, "role"), Some("master"));
        assert_eq!(info_part(info, "memory"), None);
    }
}
