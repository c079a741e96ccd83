//! [`EntryId`] and [`StreamEntry`]: what stands in a stream.
//!
//! Keeps an entry as it is: every field, in its order, duplicates too. Never drops one that it
//! cannot read as an event.

use std::{fmt, str::FromStr};

use ::redis::Value;
use serde::{Serialize, Serializer};

use crate::{
    error::{Error, Result},
    event::{Event, Timestamp},
    redis::{profile::Profile, reply},
};

/// How much of a text that is no id is told: one more than the longest id has.
const SHOWN_CHARS: usize = 42;

/// The id of an entry in a stream: the server's time in milliseconds, and a number within it.
///
/// ```
/// use planbus::redis::EntryId;
///
/// let id: EntryId = "1526919030474-55".parse()?;
/// assert!(id < "1526919030475".parse()?);
/// assert_eq!(id.to_string(), "1526919030474-55");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    millis: u64,
    number: u64,
}

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self { millis: 0, number: 0 };
    /// The last id that there is: behind an entry with it, a stream takes no other.
    pub const MAX: Self = Self { millis: u64::MAX, number: u64::MAX };

    /// The time in the id: when the entry came, by the server's clock. `None` for an id that somebody
    /// made up, and that is no time.
    #[must_use]
    pub fn time(self) -> Option<Timestamp> {
        let micros = i64::try_from(self.millis).ok()?.checked_mul(1_000)?;
        Timestamp::from_micros(micros).ok()
    }

    /// The two numbers of the id.
    pub(super) fn halves(self) -> (u64, u64) {
        (self.millis, self.number)
    }

    /// The id right behind this one.
    pub(super) fn next(self) -> Option<Self> {
        match self.number.checked_add(1) {
            Some(number) => Some(Self { number, ..self }),
            None => Some(Self { millis: self.millis.checked_add(1)?, number: 0 }),
        }
    }
}

impl FromStr for EntryId {
    type Err = Error;

    /// Reads `milliseconds-number`, or milliseconds alone for the first id of them.
    fn from_str(text: &str) -> Result<Self> {
        let (millis, number) = text.split_once('-').unwrap_or((text, "0"));
        let half = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
        match (half(millis).flatten(), half(number).flatten()) {
            (Some(millis), Some(number)) => Ok(Self { millis, number }),
            _ => {
                let shown: String = text.chars().take(SHOWN_CHARS).collect();
                Err(Error::invalid("entry id", format!("must be like 1526919030474-0, got {shown:?}")))
            }
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One entry of a stream, as it is and as the event that it holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamEntry {
    /// The stream's key.
    pub stream: String,
    /// The entry's id.
    pub id: EntryId,
    /// All fields, in their order; a name may be there twice, and nothing need be UTF-8.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The event that the profile reads in the fields, or why it reads none.
    pub event: Result<Event>,
}

impl StreamEntry {
    /// Reads `[id, [name, value, ...]]`, as every command that lists entries answers.
    pub(super) fn parse(stream: &str, entry: Value, profile: &Profile) -> Result<Self> {
        let (id, fields) = reply::entry(entry)?;
        let id: EntryId = id.parse()?;
        let event = profile.decode(stream, &id.to_string(), &fields);
        Ok(Self { stream: stream.to_owned(), id, fields, event })
    }
}

/// Reads a list of entries.
pub(super) fn parse_all(stream: &str, entries: Value, profile: &Profile) -> Result<Vec<StreamEntry>> {
    reply::list(entries)?.into_iter().map(|entry| StreamEntry::parse(stream, entry, profile)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_as_numbers_and_read_back() {
        let id = |text: &str| text.parse::<EntryId>().expect("an id");
        assert!(id("9-9") < id("10-0") && id("10-9") < id("10-10"));
        assert_eq!(id("7"), id("7-0"));
        assert_eq!(id("18446744073709551615-18446744073709551615"), EntryId::MAX);
        assert_eq!(id("7-18446744073709551615").next(), Some(id("8-0")));
        assert_eq!((id("7-1").next(), EntryId::MAX.next()), (Some(id("7-2")), None));
        assert_eq!(id("1526919030474-5").time().map(|time| time.as_micros()), Some(1_526_919_030_474_000));
        assert_eq!(EntryId::MAX.time(), None);
    }

    #[test]
    fn p11_what_is_no_id_is_refused_by_name() {
        for text in ["", "-", "-1", "1-", "+1-0", "1-0-0", "$", "99999999999999999999-0", "١-0"] {
            let error = text.parse::<EntryId>().expect_err(text);
            assert!(error.to_string().starts_with("entry id: must be like"), "{error}");
        }
    }
}
