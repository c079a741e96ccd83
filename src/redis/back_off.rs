//! [`BackOff`]: how long to wait before the next attempt.
//!
//! Pure: it never sleeps and reads no clock.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Delays that double up to a cap, each shortened by chance, so that many who lost the same server
/// do not all come back at once.
#[derive(Debug)]
pub(crate) struct BackOff {
    first: Duration,
    max: Duration,
    jitter: f64,
    /// How many delays were given since the last success.
    attempts: u32,
    /// Random bits: its keys come from the system's randomness.
    random: RandomState,
}

impl BackOff {
    /// `jitter` is the part of a delay that is left to chance, 0 to 1.
    pub(crate) fn new(first: Duration, max: Duration, jitter: f64) -> Self {
        Self { first, max, jitter, attempts: 0, random: RandomState::new() }
    }

    /// How long to wait now.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let doubled = 2_u32.checked_pow(self.attempts).and_then(|factor| self.first.checked_mul(factor));
        let delay = doubled.map_or(self.max, |delay| delay.min(self.max));
        let chance = self.random.hash_one(self.attempts) as f64 / u64::MAX as f64;
        self.attempts = self.attempts.saturating_add(1);
        delay.mul_f64(1.0 - self.jitter * chance)
    }

    /// An attempt succeeded: the next delay is the first one again.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
        self.random = RandomState::new();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delays(first: Duration, max: Duration, jitter: f64, count: usize) -> Vec<Duration> {
        let mut back_off = BackOff::new(first, max, jitter);
        (0..count).map(|_| back_off.next_delay()).collect()
    }

    proptest! {
        #[test]
        fn a_delay_stays_between_its_jitter_and_its_cap(first in 1_u64..3_600_000, times in 1_u64..1_000, jitter in 0.0..=1.0) {
            let (first, max) = (Duration::from_millis(first), Duration::from_millis(first * times));
            let mut full = first;
            for delay in delays(first, max, jitter, 100) {
                let least = full.mul_f64(1.0 - jitter).saturating_sub(Duration::from_nanos(10));
                prop_assert!((least..=full).contains(&delay), "{delay:?} of {full:?} with jitter {jitter}");
                full = (full * 2).min(max);
            }
        }

        #[test]
        fn without_jitter_the_delays_double_up_to_the_cap_and_stay_there(first in 1_u64..1_000, times in 1_u64..1_000) {
            let (first, max) = (Duration::from_millis(first), Duration::from_millis(first * times));
            let delays = delays(first, max, 0.0, 64);
            prop_assert_eq!(delays[0], first);
            prop_assert!(delays.windows(2).all(|pair| pair[1] == (pair[0] * 2).min(max)));
            prop_assert_eq!(delays[63], max);
        }
    }

    #[test]
    fn those_who_lost_the_same_server_do_not_come_back_at_once() {
        let tenth = |_| {
            let delay = BackOff::new(Duration::from_secs(1), Duration::from_secs(1), 0.5).next_delay();
            (delay.as_millis() - 500) / 50
        };
        let mut seen = [0; 11];
        (0..1_000).map(tenth).for_each(|tenth| seen[tenth as usize] += 1);
        // 100 are expected in each tenth; fewer than 40 in one come once in 10^11 runs.
        assert!(seen[..10].iter().all(|count| *count > 40), "{seen:?}");
    }

    #[test]
    fn after_a_success_the_delays_begin_anew() {
        let mut back_off = BackOff::new(Duration::from_millis(1), Duration::from_secs(1), 0.0);
        for _ in 0..5 {
            back_off.next_delay();
        }
        back_off.reset();
        assert_eq!(back_off.next_delay(), Duration::from_millis(1));
    }
}
