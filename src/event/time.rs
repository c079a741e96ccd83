//! [`Timestamp`]: a moment in UTC, in microseconds, with one fixed-width text form.
//!
//! The width never varies, so that timestamps sort as text in SQLite.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::id::shown;
use crate::error::{Error, Result};

/// A moment in UTC with microseconds: `2026-03-01T09:30:00.000000Z`, from the year 0000 to
/// 9999-12-30T22:00:00.999999Z.
///
/// Parsing takes any RFC 3339 form with an offset and drops what is finer than a microsecond.
///
/// ```
/// use planbus::Timestamp;
///
/// let at: Timestamp = "2026-03-01T10:30:00.5+01:00".parse()?;
/// assert_eq!(at.to_string(), "2026-03-01T09:30:00.500000Z");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    micros: i64,
}

/// 0000-01-01T00:00:00Z and 9999-12-30T22:00:00.999999Z: outside, the text would change its width.
/// The end leaves room for every offset, so that a moment can be shown in any zone.
const MIN_MICROS: i64 = -62_167_219_200_000_000;
const MAX_MICROS: i64 = 253_402_207_200_999_999;

impl Timestamp {
    /// The earliest moment that can be told.
    #[cfg(feature = "sqlite")]
    pub(crate) const MIN: Self = Self { micros: MIN_MICROS };

    /// The present moment by the system's clock.
    #[must_use]
    #[inline]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The moment this many microseconds after 1970-01-01T00:00:00Z (before it when negative).
    ///
    /// # Errors
    /// `InvalidInput` outside the years 0000 to 9999.
    pub fn from_micros(micros: i64) -> Result<Self> {
        if (MIN_MICROS..=MAX_MICROS).contains(&micros) {
            return Ok(Self { micros });
        }
        Err(Error::invalid("timestamp", format!("must be in the years 0000 to 9999, got {micros} us")))
    }

    /// Microseconds since 1970-01-01T00:00:00Z, negative before it.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.micros
    }

    /// The time from `earlier` to this moment, zero when `earlier` is later.
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.micros.saturating_sub(earlier.micros)).unwrap_or(0))
    }

    /// Whole milliseconds since 1970, zero before it.
    #[inline]
    pub(crate) fn as_unix_millis(self) -> u64 {
        u64::try_from(self.micros).unwrap_or(0) / 1_000
    }

    /// The 27 bytes of the text form.
    fn write(self) -> [u8; 27] {
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let time = jiff::Timestamp::from_microsecond(self.micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let civil = jiff::tz::Offset::UTC.to_datetime(time);
        let mut put = |at: usize, digits: usize, mut value: u32| {
            for place in (at..at + digits).rev() {
                text[place] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0, 4, civil.year().unsigned_abs().into());
        put(5, 2, civil.month().unsigned_abs().into());
        put(8, 2, civil.day().unsigned_abs().into());
        put(11, 2, civil.hour().unsigned_abs().into());
        put(14, 2, civil.minute().unsigned_abs().into());
        put(17, 2, civil.second().unsigned_abs().into());
        put(20, 6, civil.subsec_nanosecond().unsigned_abs() / 1_000);
        text
    }
}

impl From<SystemTime> for Timestamp {
    /// Moments outside the years 0000 to 9999 become the nearest one inside.
    fn from(time: SystemTime) -> Self {
        let micros = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(MAX_MICROS),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(MIN_MICROS, |us| -us),
        };
        Self { micros: micros.clamp(MIN_MICROS, MAX_MICROS) }
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let problem = || {
            let form = "must be an RFC 3339 time with an offset, like 2026-03-01T09:30:00Z";
            Error::invalid("timestamp", format!("{form}, got {}", shown(text)))
        };
        let time: jiff::Timestamp = text.parse().map_err(|_| problem())?;
        // Floor, so that a moment before 1970 is cut in the same direction as one after.
        let micros = i64::try_from(time.as_nanosecond().div_euclid(1_000)).map_err(|_| problem())?;
        Self::from_micros(micros)
    }
}

impl TryFrom<&str> for Timestamp {
    type Error = Error;
    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.write()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
