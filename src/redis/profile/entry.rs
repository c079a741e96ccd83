//! [`Entry`]: one entry to append, and the texts that stand in it.
//!
//! Its buffers are used again from event to event; nothing here allocates for a single field.

use std::fmt::{Display, Write};

/// How much of its buffer an entry keeps for the next event.
const KEPT_BYTES: usize = 64 << 10;

/// One entry to append to a stream.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(super) key: String,
    /// Each field's name, and where its value begins in `text`.
    fields: Vec<(&'static str, usize)>,
    text: String,
}

impl Entry {
    /// The key of the stream.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The fields in their order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ends = self.fields.iter().skip(1).map(|(_, begin)| *begin).chain([self.text.len()]);
        self.fields.iter().zip(ends).map(|((name, begin), end)| (*name, &self.text[*begin..end]))
    }

    /// How many bytes the names and values of all fields have.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.fields.iter().map(|(name, _)| name.len()).sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        self.key.clear();
        self.fields.clear();
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
    }

    /// Begins a field; its value is what is appended until the next one begins.
    pub(super) fn field(&mut self, name: &'static str) -> &mut String {
        self.fields.push((name, self.text.len()));
        &mut self.text
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        self.field(name).push_str(value);
    }

    pub(super) fn shown(&mut self, name: &'static str, value: impl Display) {
        push(self.field(name), value);
    }
}

/// Appends what `value` displays.
pub(super) fn push(text: &mut String, value: impl Display) {
    write!(text, "{value}").expect("a String takes all text");
}

/// Appends a JSON string.
pub(super) fn push_string(text: &mut String, value: &str) {
    text.push('"');
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        text.push_str(&value[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            control => push(text, format_args!("\\u{control:04x}")),
        }
    }
    text.push_str(&value[plain..]);
    text.push('"');
}

/// Appends a JSON array of strings.
pub(super) fn push_strings<T: AsRef<str>>(text: &mut String, values: &[T]) {
    text.push('[');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        push_string(text, value.as_ref());
    }
    text.push(']');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_keeps_no_field_of_the_one_before() {
        let mut entry = Entry::default();
        entry.key.push_str("a");
        entry.text("one", "1");
        entry.text("empty", "");
        entry.shown("two", 22);
        assert_eq!(entry.fields().collect::<Vec<_>>(), [("one", "1"), ("empty", ""), ("two", "22")]);
        assert_eq!(entry.bytes(), "one1emptytwo22".len());
        entry.text("large", &"x".repeat(1 << 20));
        entry.clear();
        assert_eq!((entry.key(), entry.fields().count(), entry.bytes()), ("", 0, 0));
        assert!(entry.text.capacity() <= KEPT_BYTES);
    }

    proptest! {
        #[test]
        fn p11_any_text_is_the_json_string_that_spells_it(texts in prop::collection::vec("\\PC|[\\x00-\\x1f\"\\\\\u{2028}]{0,8}", 0..4)) {
            let mut json = String::new();
            push_strings(&mut json, &texts);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json).expect("JSON"), texts);
            prop_assert!(!json.contains(|c: char| c.is_ascii_control()));
        }
    }
}
