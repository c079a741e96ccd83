//! The fields of ours that stand behind those of an entry, and how they are told from them.
//!
//! All of ours have one prefix, and the last of them says how many there are. So an entry keeps what
//! it has under names that are like ours, and every field in its place. Pure: nothing here talks to
//! Redis.

use std::borrow::Cow;

use crate::redis::reply::Fields;

/// One field, as Redis holds it.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// The most fields of an entry that a script adds as they are: Lua passes no more than about 8,000
/// words to one command. What has more stands in one field, packed.
pub(super) const FIELDS_MAX: usize = 3_500;

/// How a text stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Bare,
    /// As a JSON string, where every field is a JSON value.
    Json,
}

impl Form {
    /// What stands round a text that needs no escapes.
    pub(super) fn quote(self) -> &'static str {
        match self {
            Self::Bare => "",
            Self::Json => "\"",
        }
    }

    /// A text in this form.
    pub(super) fn write(self, text: &str) -> String {
        match self {
            Self::Bare => text.to_owned(),
            Self::Json => serde_json::Value::from(text).to_string(),
        }
    }

    /// A text that was written in this form.
    pub(super) fn read(self, field: &[u8]) -> Option<String> {
        match self {
            Self::Bare => String::from_utf8(field.to_vec()).ok(),
            Self::Json => serde_json::from_slice(field).ok(),
        }
    }

    /// Bytes in this form: in JSON each is the character of its number.
    fn pack(self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Bare => bytes,
            Self::Json => self.write(&bytes.into_iter().map(char::from).collect::<String>()).into_bytes(),
        }
    }

    fn unpack(self, field: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Bare => Some(field.into()),
            Self::Json => self.read(field)?.chars().map(|c| u8::try_from(c).ok()).collect(),
        }
    }
}

/// Our fields behind an entry's own, each in its form already, by the names without the prefix.
pub(super) fn append(own: Fields, prefix: &str, ours: Vec<(&str, String)>, form: Form) -> Fields {
    let is_packed = own.len() > FIELDS_MAX;
    let count = ours.len() + usize::from(is_packed) + 1;
    let mut fields = match is_packed {
        true => vec![(name(prefix, "packed"), form.pack(pack(&own)))],
        false => own,
    };
    let count = [("fields", count.to_string())];
    fields.extend(ours.into_iter().chain(count).map(|(part, value)| (name(prefix, part), value.into())));
    fields
}

/// Our fields, and how to read them.
#[derive(Debug)]
pub(super) struct Ours<'f> {
    prefix: &'static str,
    form: Form,
    fields: &'f [Field],
}

impl<'f> Ours<'f> {
    /// An entry's own fields, and ours behind them; `None` where there are none of ours.
    pub(super) fn split(
        fields: &'f [Field],
        prefix: &'static str,
        form: Form,
    ) -> Option<(Cow<'f, [Field]>, Self)> {
        let (last, count) = fields.last()?;
        let count: usize = str::from_utf8(count).ok()?.parse().ok()?;
        let (own, ours) = fields.split_at_checked(fields.len().checked_sub(count)?)?;
        let is_ours = ours.iter().all(|(name, _)| name.starts_with(prefix.as_bytes()));
        if !is_ours || ours.is_empty() || *last != name(prefix, "fields") {
            return None;
        }
        let ours = Self { prefix, form, fields: ours };
        let own = match ours.get("packed") {
            Some(packed) => unpack(&form.unpack(packed)?)?.into(),
            None => own.into(),
        };
        Some((own, ours))
    }

    /// Fields that are all taken for ours.
    pub(super) fn all(fields: &'f [Field], prefix: &'static str, form: Form) -> Self {
        Self { prefix, form, fields }
    }

    /// What stands in a field of ours.
    pub(super) fn get(&self, part: &str) -> Option<&'f [u8]> {
        let name = name(self.prefix, part);
        self.fields.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_slice())
    }

    /// A text of ours.
    pub(super) fn text(&self, part: &str) -> Option<String> {
        self.form.read(self.get(part)?)
    }

    /// A number of ours, or anything else that is written in one way alone.
    pub(super) fn parse<T: std::str::FromStr>(&self, part: &str) -> Option<T> {
        let field = self.get(part)?;
        let text = str::from_utf8(field).ok()?;
        text.trim_matches('"').parse().ok()
    }
}

fn name(prefix: &str, part: &str) -> Vec<u8> {
    [prefix, part].concat().into_bytes()
}

/// Each name and each value behind the number of its bytes and `:`.
fn pack(fields: &[Field]) -> Vec<u8> {
    let mut packed = Vec::new();
    for part in fields.iter().flat_map(|(name, value)| [name, value]) {
        packed.extend(part.len().to_string().bytes().chain([b':']));
        packed.extend_from_slice(part);
    }
    packed
}

fn unpack(mut packed: &[u8]) -> Option<Fields> {
    let mut part = || -> Option<Vec<u8>> {
        let colon = packed.iter().position(|byte| *byte == b':')?;
        let length: usize = str::from_utf8(&packed[..colon]).ok()?.parse().ok()?;
        let (part, rest) = packed[colon + 1..].split_at_checked(length)?;
        packed = rest;
        Some(part.to_vec())
    };
    let mut fields = Fields::new();
    while let Some(name) = part() {
        fields.push((name, part()?));
    }
    packed.is_empty().then_some(fields)
}
