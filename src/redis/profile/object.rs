//! [`Object`]: the members of a JSON object in an entry, each as it is written.
//!
//! Values are passed over until they are asked for. Errors name the member by its path.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::parts::{Text, json};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Key, Members},
};

/// The members of a JSON object.
pub(super) struct Object<'a> {
    /// Where the object stands in the entry.
    path: Cow<'static, str>,
    /// Its own text, the braces included.
    text: &'a str,
    members: Vec<(Key<'a>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    pub(super) fn read(path: impl Into<Cow<'static, str>>, text: &'a str) -> Result<Self> {
        let path = path.into();
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let members: Members<'_> = serde_json::from_str(text).map_err(|cause| {
            Error::with_source(ErrorKind::InvalidInput, format!("{path}: must be a JSON object"), cause)
        })?;
        let members = members.0.into_iter().map(|(key, value)| (Key::new(key.get()), value)).collect();
        Ok(Self { path, text, members })
    }

    /// The text of a member's value; one that is `null` is as good as absent.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a str>> {
        let mut found = self.members.iter().filter(|(key, _)| key.as_str() == name);
        let Some((_, value)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(Error::invalid(&self.path_of(name), "is given twice"));
        }
        Ok(Some(value.get()).filter(|text| *text != "null"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key.as_str() == name)
    }

    /// A member that is a string.
    pub(super) fn text(&self, name: &str) -> Result<Text<'a>> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        string(&self.path_of(name), text).map(Some)
    }

    /// A member that is an array of strings; none when it is absent.
    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>> {
        let Some(text) = self.get(name)? else { return Ok(Vec::new()) };
        json(&self.path_of(name), text, "a JSON array of strings")
    }

    /// A member that is an object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Object<'a>>> {
        let Some(text) = self.get(name)? else { return Ok(None) };
        Object::read(self.path_of(name), text).map(Some)
    }

    /// The first members with their names, and the object without them.
    pub(super) fn split(&self, count: usize) -> Result<(Object<'a>, String)> {
        let Some(at) = count.checked_sub(1) else { return Ok((self.part(0), self.text.to_owned())) };
        let Some((_, last)) = self.members.get(at) else {
            let problem = format!("must have {count} members before the payload's own");
            return Err(Error::invalid(&self.path, problem));
        };
        // The value is a part of the text, and so has its place in it.
        let end = last.get().as_ptr() as usize - self.text.as_ptr() as usize + last.get().len();
        let rest = &self.text[end..];
        Ok((self.part(count), format!("{{{}", rest.strip_prefix(',').unwrap_or(rest))))
    }

    fn part(&self, count: usize) -> Self {
        let members = self.members[..count].iter();
        let members = members.map(|(key, value)| (key.clone(), *value)).collect();
        Self { path: self.path.clone(), text: self.text, members }
    }

    fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }
}

/// The string that a JSON text spells, borrowed where it has no escapes.
pub(super) fn string<'a>(field: &str, text: &'a str) -> Result<Cow<'a, str>> {
    let plain = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match plain {
        Some(plain) if !plain.contains(['\\', '"']) && !plain.contains(char::is_control) => {
            Ok(Cow::Borrowed(plain))
        }
        _ => json(field, text, "a JSON string").map(Cow::Owned),
    }
}

/// Whether the text of a JSON object has a member of this name.
pub(super) fn has_member(text: &str, name: &str) -> bool {
    // A name may be written with escapes, but not without a backslash.
    (text.contains(name) || text.contains('\\'))
        && Object::read("payload", text).is_ok_and(|object| object.has(name))
}
