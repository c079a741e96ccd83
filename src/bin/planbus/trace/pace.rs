//! How fast recorded runs are played: at once, or as their own times say.
//!
//! Pure: says how long to wait, and never waits.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use planbus::Timestamp;

/// The slowest and the fastest that can be asked for, as multiples of real time.
const FACTORS: (f64, f64) = (0.001, 1_000_000.0);

/// How fast to import.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// As fast as the log takes it.
    Max,
    /// As the times say, so many times as fast.
    Times(f64),
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (least, most) = FACTORS;
        let number = || text.strip_suffix('x')?.parse().ok().filter(|number| (least..=most).contains(number));
        match text {
            "max" => Ok(Self::Max),
            "realtime" => Ok(Self::Times(1.0)),
            _ => number().map(Self::Times).ok_or_else(|| {
                format!(
                    "must be max, realtime, or a number from {least} to {most} with an x, like 10x or 0.5x"
                )
            }),
        }
    }
}

/// The time to wait before each line.
pub(crate) struct Pace {
    speed: Speed,
    /// When the line before was due, and what its time was.
    before: Option<(Instant, Timestamp)>,
}

impl Pace {
    pub(crate) fn new(speed: Speed) -> Self {
        Self { speed, before: None }
    }

    /// Another file begins: its first line is due at once.
    pub(crate) fn next_file(&mut self) {
        self.before = None;
    }

    /// How long from `now` until a line of this time is due. Lines without a time and lines whose
    /// time goes back are due at once; what is late is not made later.
    pub(crate) fn wait(&mut self, at: Option<Timestamp>, now: Instant) -> Duration {
        let (Speed::Times(factor), Some(at)) = (self.speed, at) else { return Duration::ZERO };
        let due = match self.before {
            None => now,
            Some((due, before)) => {
                let gap = at.duration_since(before).div_f64(factor);
                due.checked_add(gap).unwrap_or(due)
            }
        };
        self.before = Some((due, at));
        due.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_max_realtime_or_a_number_of_times() {
        for (text, speed) in [
            ("max", Speed::Max),
            ("realtime", Speed::Times(1.0)),
            ("10x", Speed::Times(10.0)),
            ("0.5x", Speed::Times(0.5)),
        ] {
            assert_eq!(text.parse(), Ok(speed));
        }
        for text in ["", "x", "10", "0x", "-1x", "NaNx", "infx", "1e9x", "fast", "10 x"] {
            let told = text.parse::<Speed>().expect_err(text);
            assert!(told.starts_with("must be max, realtime, or a number from 0.001 to 1000000"), "{told}");
        }
    }

    #[test]
    fn the_wait_is_what_the_times_say_and_none_for_missing_and_backward_ones() {
        let begun = Instant::now();
        let at = |seconds: i64| Some(Timestamp::from_micros(seconds * 1_000_000).expect("in range"));
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut pace = Pace::new(Speed::Times(10.0));
        assert_eq!(pace.wait(at(1_000), begun), Duration::ZERO);
        assert_eq!(pace.wait(at(1_050), begun), Duration::from_secs(5));
        assert_eq!(pace.wait(None, after(5)), Duration::ZERO);
        assert_eq!(pace.wait(at(1_010), after(5)), Duration::ZERO, "back");
        assert_eq!(pace.wait(at(1_020), after(5)), Duration::from_secs(1));
        assert_eq!(pace.wait(at(1_040), after(7)), Duration::from_secs(1), "late by one, not later");
        pace.next_file();
        assert_eq!(pace.wait(at(9_000), after(7)), Duration::ZERO);
        assert_eq!(Pace::new(Speed::Max).wait(at(1), begun), Duration::ZERO);
        let mut slow = Pace::new(Speed::Times(0.5));
        slow.wait(at(0), begun);
        assert_eq!(slow.wait(at(3), begun), Duration::from_secs(6));
    }
}
