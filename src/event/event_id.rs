//! [`EventId`]: the ULID that names an event everywhere, and the generator that makes them.
//!
//! Ids made by one thread increase strictly, even within a millisecond; ids of different threads
//! are ordered by their millisecond only. The order of the log is `seq`, never the id.

use std::{
    cell::Cell,
    fmt,
    hash::{BuildHasher, RandomState},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use ulid::Ulid;

use super::{id::shown, time::Timestamp};
use crate::error::{Error, Result};

/// The id of an event, unique in the log: a [ULID](https://github.com/ulid/spec), 26 characters.
///
/// ```
/// use planbus::EventId;
///
/// let id: EventId = "01JZ8Q4V7N5T3M2K1H0G9F8E7D".parse()?;
/// assert_eq!(id.to_string(), "01JZ8Q4V7N5T3M2K1H0G9F8E7D");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Ulid);

thread_local! {
    /// The last id that this thread made.
    static LAST: Cell<Ulid> = const { Cell::new(Ulid::nil()) };
}

/// Random bits, also while the thread ends: the keys of a new hasher come from the system's
/// randomness, once in a thread, and differ at every call.
#[cold]
fn random_bits() -> u128 {
    let state = RandomState::new();
    u128::from(state.hash_one(0_u8)) << 64 | u128::from(state.hash_one(1_u8))
}

impl EventId {
    /// Makes a new id from the clock and random bits.
    #[must_use]
    pub fn generate() -> Self {
        Self::at(Timestamp::now())
    }

    /// Makes a new id of the given time, so that an event's id and timestamp share a clock read.
    #[inline]
    pub(crate) fn at(time: Timestamp) -> Self {
        let last = LAST.get();
        // Within a millisecond, and when the clock went back, the last id plus one; with each new
        // millisecond fresh random bits.
        let next = if time.as_unix_millis() <= last.timestamp_ms() { last.increment().ok() } else { None };
        let id = next.unwrap_or_else(|| Ulid::from_parts(time.as_unix_millis(), random_bits()));
        LAST.set(id);
        Self(id)
    }

    /// The id of these 128 bits, for ids that come from UUIDs.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(Ulid(bits))
    }

    /// The 128 bits of the id.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0.0
    }
}

impl FromStr for EventId {
    type Err = Error;

    /// Reads the 26 characters of a ULID, in either case.
    fn from_str(text: &str) -> Result<Self> {
        // 26 characters hold two bits more than a ULID: the first one is 7 at most.
        match Ulid::from_string(text) {
            Ok(id) if text.as_bytes()[0] <= b'7' => Ok(Self(id)),
            Ok(_) => {
                let problem = format!("must be at most {}, got {}", Ulid::max(), shown(text));
                Err(Error::invalid("event_id", problem))
            }
            Err(_) => {
                let problem = format!("must be a ULID of 26 characters, got {}", shown(text));
                Err(Error::invalid("event_id", problem))
            }
        }
    }
}

impl TryFrom<&str> for EventId {
    type Error = Error;
    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; ulid::ULID_LEN];
        f.pad(self.0.array_to_str(&mut buffer))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; ulid::ULID_LEN];
        serializer.serialize_str(self.0.array_to_str(&mut buffer))
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
