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
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> + Clone {
        let ends = self.fields.iter().skip(1).map(|(_, begin)| *begin).chain([self.text.len()]);
        self.fields.iter().zip(ends).map(|((name, begin), end)| (*name, &self.text[*begin..end]))
    }

    /// The fields whose values are not those of the entry before, numbered from 1; `None` where it has
    /// others.
    pub(crate) fn changes<'a>(
        &'a self,
        before: &'a Self,
    ) -> Option<impl Iterator<Item = (usize, &'a str)> + Clone> {
        let names = |entry: &'a Self| entry.fields.iter().map(|(name, _)| *name);
        let pairs = (1..).zip(self.fields().zip(before.fields()));
        let changed = |(number, ((_, value), (_, before)))| (value != before).then_some((number, value));
        names(self).eq(names(before)).then(|| pairs.filter_map(changed))
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

impl Clone for Entry {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), fields: self.fields.clone(), text: self.text.clone() }
    }

    /// Keeps the buffers.
    fn clone_from(&mut self, entry: &Self) {
        self.key.clone_from(&entry.key);
        self.fields.clone_from(&entry.fields);
        self.text.clone_from(&entry.text);
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

    #[test]
    fn an_entry_knows_what_it_has_otherwise_than_the_one_before() {
        let entry = |fields: &[(&'static str, &str)]| {
            let mut entry = Entry::default();
            fields.iter().for_each(|(name, value)| entry.text(name, value));
            entry
        };
        let changes = |now: &Entry, before: &Entry| {
            now.changes(before)
                .map(|changes| changes.map(|(number, value)| format!("{number}={value}")).collect::<Vec<_>>())
        };
        let mut before = Entry::default();
        let now = entry(&[("a", "1"), ("b", ""), ("c", "3")]);
        assert_eq!(changes(&now, &before), None, "there was none before");
        before.clone_from(&now);
        assert_eq!(changes(&now, &before), Some(vec![]));
        let next = entry(&[("a", "12"), ("b", ""), ("c", "")]);
        assert_eq!(changes(&next, &before), Some(vec!["1=12".to_owned(), "3=".to_owned()]));
        for other in [entry(&[("a", "1"), ("b", "")]), entry(&[("a", "1"), ("b", ""), ("d", "3")])] {
            assert_eq!((changes(&other, &before), changes(&before, &other)), (None, None));
        }
    }
}
