//! Points in time as people give them: `1h` ago, a day, a time of day, RFC 3339.
//!
//! What names no offset is UTC, as everything that planbus prints.

use std::time::{Duration, SystemTime};

use jiff::{Span, SpanRelativeTo, civil::DateTime, tz::TimeZone};
use planbus::Timestamp;

/// Reads a point in time.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    ago(text).or_else(|| civil(text)).or_else(|| text.parse().ok()).ok_or_else(|| {
        "must be an age like 90s, 1h or 2d, a day like 2026-03-01, or a time like 2026-03-01T09:30:00Z"
            .to_owned()
    })
}

/// Reads an age: `90s`, `1h30m`, `2d`, `1w`.
pub(crate) fn age(text: &str) -> Result<Duration, &'static str> {
    span(text).ok_or("must be an age like 90s, 12h, 30d or 8w")
}

/// Reads how long something may take: `500ms`, `30s`, `2m`.
pub(crate) fn length(text: &str) -> Result<Duration, &'static str> {
    span(text).ok_or("must be a time like 500ms, 30s or 2m")
}

/// As [`length`], and not nothing.
pub(crate) fn some_length(text: &str) -> Result<Duration, &'static str> {
    match length(text)? {
        Duration::ZERO => Err("must be more than 0s"),
        length => Ok(length),
    }
}

fn span(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(age).ok()
}

fn ago(text: &str) -> Option<Timestamp> {
    SystemTime::now().checked_sub(span(text)?).map(Timestamp::from)
}

/// A day or a time of day, in UTC. What names an offset is left to the stricter form.
fn civil(text: &str) -> Option<Timestamp> {
    let names_offset =
        text.split_once(['T', ' ']).is_some_and(|(_, time)| time.contains(['Z', 'z', '+', '-']));
    let time: DateTime = (!names_offset).then(|| text.parse().ok()).flatten()?;
    let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Timestamp::from_micros(time.as_microsecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_without_an_offset_are_utc() {
        for (text, expected) in [
            ("2026-03-01", "2026-03-01T00:00:00.000000Z"),
            ("2026-03-01T09:30", "2026-03-01T09:30:00.000000Z"),
            ("2026-03-01 09:30:05", "2026-03-01T09:30:05.000000Z"),
            ("2026-03-01T09:30:00+02:00", "2026-03-01T07:30:00.000000Z"),
            ("2026-03-01T09:30:00.5Z", "2026-03-01T09:30:00.500000Z"),
        ] {
            assert_eq!(parse(text).map(|time| time.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_age_counts_back_from_now() {
        for (text, seconds) in
            [("90s", 90), ("1h", 3_600), ("1h30m", 5_400), ("2d", 172_800), ("1w", 604_800)]
        {
            let time = parse(text).expect("an age");
            let age = Timestamp::now().duration_since(time).as_secs();
            assert!((seconds..seconds + 60).contains(&age), "{text} was {age} s");
        }
    }

    #[test]
    fn a_length_is_as_long_as_it_says() {
        assert_eq!(length("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(length("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!((length("0s"), some_length("0s").is_err()), (Ok(Duration::ZERO), true));
        for text in ["", "5", "-5s", "soon"] {
            assert!(length(text).is_err() && some_length(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "yesterday", "1", "2026-13-01", "2026-03-01T09:30:00-99:00", "1y", "\u{1b}[2J"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
