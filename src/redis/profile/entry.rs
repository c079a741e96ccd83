//! [`Entry`]: one entry to append, and the texts that stand in it.
//!
//! Its buffers are used again from event to event; nothing here allocates for a single field.

use std::fmt::Display;

use super::text::push;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_no_field_of_the_one_before() {
        let mut entry = Entry::default();
        entry.key.push('a');
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
}
