//! [`RetryPolicy`]: what becomes of a delivery whose handler failed. Pure: it waits for nothing.

use std::{
    error::Error as StdError,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use super::delivery::Delivery;
use crate::error::{Error, ErrorKind, Result};

/// The most attempts that a policy gives.
const ATTEMPTS_MAX: usize = 1_000;
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What is to become of a delivery whose handler failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Try again after the policy's delay; where its attempts are used up, move it to the dead letters.
    Retry,
    /// Move it to the dead letters now: another attempt would fail as well.
    DeadLetter,
    /// Let it go as if it had been handled.
    Ack,
}

/// A handler's failure, for [`RetryPolicy::verdict`] to judge.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// What was delivered.
    pub delivery: &'a Delivery,
    /// What the handler returned, to be downcast; a panic is a [`planbus::Error`](crate::Error) of
    /// kind `Storage` with its message.
    pub error: &'a (dyn StdError + Send + Sync + 'static),
}

type Judge = Arc<dyn Fn(&Failure<'_>) -> Verdict + Send + Sync>;

/// When a delivery that failed is tried again, and when it is given up.
///
/// By default it is tried again after 1, 4 and 16 seconds, and moved to the dead letters when the
/// fourth attempt failed too.
///
/// ```
/// use std::time::Duration;
/// use planbus::redis::{RetryPolicy, Verdict};
///
/// let policy = RetryPolicy::exponential(Duration::from_millis(500), 2.0, Duration::from_secs(60), 8)
///     .jitter(0.2)
///     .verdict(|failure| match failure.error.downcast_ref::<std::num::ParseIntError>() {
///         Some(_) => Verdict::DeadLetter,
///         None => Verdict::Retry,
///     });
/// # let _ = policy;
/// ```
#[derive(Clone)]
pub struct RetryPolicy {
    delays: Vec<Duration>,
    jitter: f64,
    pub(super) deliveries_max: u64,
    pub(super) republishes: bool,
    judge: Option<Judge>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::delays([1, 4, 16].map(Duration::from_secs))
    }
}

impl RetryPolicy {
    /// Tries again after each of these delays in turn, counted from the failure before.
    #[must_use]
    pub fn delays(delays: impl IntoIterator<Item = Duration>) -> Self {
        Self {
            delays: delays.into_iter().collect(),
            jitter: 0.0,
            deliveries_max: 10,
            republishes: false,
            judge: None,
        }
    }

    /// Tries again `retries` times, after `first`, then `factor` times as long each time, at most
    /// `max`.
    #[must_use]
    pub fn exponential(first: Duration, factor: f64, max: Duration, retries: u32) -> Self {
        let nth = |nth: u32| {
            let seconds = first.as_secs_f64() * factor.powf(f64::from(nth));
            // What is no time is refused with the other options.
            Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(max)
        };
        // One more than there may be is enough to be refused.
        Self::delays((0..retries).take(ATTEMPTS_MAX).map(nth))
    }

    /// Never tries again: what fails is a dead letter at once.
    #[must_use]
    pub fn never() -> Self {
        Self::delays([])
    }

    /// Lengthens each delay by chance, by up to this part of it, 0 to 1, so that many failures of one
    /// moment do not come again in one moment. None unless said otherwise. A delay is never shortened.
    #[must_use]
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// After how many deliveries an entry is a dead letter even though no handler ever said that it
    /// failed, since it seems to end the processes that handle it; 10 unless said otherwise. Of such entries a
    /// consumer takes over one at a time, so that others are not taken for it.
    #[must_use]
    pub fn deliveries_max(mut self, deliveries: u64) -> Self {
        self.deliveries_max = deliveries;
        self
    }

    /// Tries again as the system of the profile `tenant` does: when its time has come, what failed is
    /// added to the end of the stream, with the count of its failures in the field `_retry_count`. So
    /// its own consumers may take their turn; but every group of the stream gets the event again, and
    /// those that had handled it know it only by its id. Refused for any other profile, and where plans
    /// keep their order.
    #[must_use]
    pub fn republish(mut self) -> Self {
        self.republishes = true;
        self
    }

    /// Decides by the error what becomes of a failure; without it each is [`Verdict::Retry`].
    #[must_use]
    pub fn verdict(mut self, judge: impl Fn(&Failure<'_>) -> Verdict + Send + Sync + 'static) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let refuse = |problem: String| Err(Error::new(ErrorKind::InvalidOption, format!("retry: {problem}")));
        if self.delays.len() >= ATTEMPTS_MAX {
            return refuse(format!("must have fewer than {ATTEMPTS_MAX} delays, got {}", self.delays.len()));
        }
        if let Some(delay) = self.delays.iter().find(|delay| **delay > DELAY_MAX) {
            return refuse(format!("a delay must be at most {} s, got {delay:?}", DELAY_MAX.as_secs()));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return refuse(format!("jitter must be 0 to 1, got {}", self.jitter));
        }
        if self.deliveries_max <= self.delays.len() as u64 {
            let attempts = self.delays.len() + 1;
            let got = self.deliveries_max;
            return refuse(format!("deliveries_max must be at least the {attempts} attempts, got {got}"));
        }
        Ok(())
    }

    /// What becomes of a failure: the judge's word, or the policy's own.
    pub(super) fn judge(&self, failure: &Failure<'_>) -> Verdict {
        self.judge.as_ref().map_or(Verdict::Retry, |judge| judge(failure))
    }

    /// How long to wait after so many failed attempts; `None` when there is no other.
    pub(super) fn delay_after(&self, attempts: u32) -> Option<Duration> {
        let nth = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let delay = *self.delays.get(nth)?;
        let chance = RandomState::new().hash_one(attempts) as f64 / u64::MAX as f64;
        Some(delay.mul_f64(1.0 + self.jitter * chance))
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("delays", &self.delays)
            .field("jitter", &self.jitter)
            .field("deliveries_max", &self.deliveries_max)
            .field("republishes", &self.republishes)
            .field("judges", &self.judge.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(policy: &RetryPolicy) -> Vec<Option<u64>> {
        (0..6).map(|attempts| policy.delay_after(attempts).map(|delay| delay.as_secs())).collect()
    }

    #[test]
    fn by_default_there_are_three_more_attempts_after_1_4_and_16_seconds() {
        let policy = RetryPolicy::default();
        assert_eq!(seconds(&policy), [None, Some(1), Some(4), Some(16), None, None]);
        policy.check().expect("in range");
    }

    #[test]
    fn delays_grow_by_their_factor_up_to_their_cap() {
        let policy = RetryPolicy::exponential(Duration::from_secs(1), 3.0, Duration::from_secs(10), 4);
        assert_eq!(seconds(&policy), [None, Some(1), Some(3), Some(9), Some(10), None]);
    }

    #[test]
    fn p11_an_option_out_of_its_range_is_named() {
        let second = Duration::from_secs(1);
        for (policy, told) in [
            (RetryPolicy::default().jitter(1.5), "retry: jitter must be 0 to 1, got 1.5"),
            (RetryPolicy::default().jitter(f64::NAN), "retry: jitter must be 0 to 1, got NaN"),
            (
                RetryPolicy::exponential(second, f64::INFINITY, Duration::MAX, 2),
                "retry: a delay must be at most",
            ),
            (
                RetryPolicy::default().deliveries_max(3),
                "retry: deliveries_max must be at least the 4 attempts, got 3",
            ),
            (RetryPolicy::exponential(second, 1.0, second, 1_000), "retry: must have fewer than 1000 delays"),
        ] {
            let error = policy.check().expect_err(told);
            assert!(error.to_string().starts_with(told), "{error}");
        }
    }

    proptest! {
        #[test]
        fn p8_jitter_never_makes_a_retry_early(millis in 0_u64..100_000, jitter in 0.0..=1.0) {
            let delay = Duration::from_millis(millis);
            let given = RetryPolicy::delays([delay]).jitter(jitter).delay_after(1).expect("has one");
            prop_assert!(given >= delay);
            prop_assert!(given <= delay.mul_f64(1.0 + jitter) + Duration::from_nanos(10));
        }
    }
}
