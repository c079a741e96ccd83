//! [`Fields`]: the fields of an entry, looked up by name.
//!
//! An entry may come from anybody: a field that is there twice or is no UTF-8 is an error that
//! names it, and nothing is ever taken from it.

use crate::error::{Error, Result};

/// The fields of an entry as Redis gives them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) &'a [(Vec<u8>, Vec<u8>)]);

impl<'a> Fields<'a> {
    /// A field's text.
    pub(super) fn get(self, name: &str) -> Result<Option<&'a str>> {
        let mut found = self.0.iter().filter(|(own, _)| own == name.as_bytes());
        let Some((_, value)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(Error::invalid(name, "is given twice"));
        }
        text_of(name, value).map(Some)
    }

    /// All fields, each as it stands.
    pub(super) fn all(self) -> impl Iterator<Item = Result<(&'a str, &'a str)>> {
        self.0.iter().map(|(name, value)| {
            let name = std::str::from_utf8(name)
                .map_err(|cause| Error::invalid("fields", format!("a name is not UTF-8: {cause}")))?;
            Ok((name, text_of(name, value)?))
        })
    }

    /// A field's text, where an empty one is as good as none.
    pub(super) fn filled(self, name: &str) -> Result<Option<&'a str>> {
        Ok(self.get(name)?.filter(|text| !text.is_empty()))
    }

    /// The text of a field that must be there.
    pub(super) fn required(self, name: &str) -> Result<&'a str> {
        self.get(name)?.ok_or_else(|| Error::invalid(name, "is missing"))
    }
}

fn text_of<'a>(name: &str, value: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(value).map_err(|cause| Error::invalid(name, format!("is not UTF-8: {cause}")))
}
