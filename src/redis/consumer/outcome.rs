//! [`Outcome`]: what is to become of an entry in Redis.

use std::{
    error::Error as StdError,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use super::{
    delivery::{Delivery, Key},
    policy::{Failure, RetryPolicy, Verdict},
};
use crate::redis::dead_letters::DeadLetterReason;

/// The most bytes of an error that are kept.
const ERROR_MAX_BYTES: usize = 4 << 10;

/// What is to become of an entry.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) key: Key,
    /// Redis keeps more of it than its place in the pending list.
    pub(super) has_traces: bool,
    pub(super) end: End,
}

#[derive(Debug)]
pub(super) enum End {
    /// It was handled, or needs no handling.
    Done,
    /// It is tried again later.
    Retry { delay: Duration, attempts: u32, error: String },
    /// It is moved to the dead letters.
    Bury(Box<Grave>),
    /// It was not begun: others may have it.
    Release,
}

/// What a dead letter says.
#[derive(Debug)]
pub(super) struct Grave {
    pub(super) reason: DeadLetterReason,
    pub(super) attempts: u32,
    pub(super) deliveries: u64,
    pub(super) first_failed_ms: Option<u64>,
    pub(super) error: String,
}

impl Outcome {
    pub(super) fn of(delivery: &Delivery, end: End) -> Self {
        Self { key: delivery.key, has_traces: delivery.has_traces(), end }
    }

    /// Of a failed attempt, as the policy decides.
    pub(super) fn of_failure(
        delivery: &Delivery,
        policy: &RetryPolicy,
        error: &(dyn StdError + Send + Sync + 'static),
    ) -> Self {
        let attempts = delivery.attempt();
        // Both are a user's words.
        let judged =
            catch_unwind(AssertUnwindSafe(|| (policy.judge(&Failure { delivery, error }), told(error))));
        let (verdict, told) = judged.unwrap_or_else(|_| {
            (Verdict::Retry, "the verdict on the failure, or its text, panicked".to_owned())
        });
        let end = match (verdict, policy.delay_after(attempts)) {
            (Verdict::Ack, _) => End::Done,
            (Verdict::Retry, Some(delay)) => End::Retry { delay, attempts, error: told },
            (Verdict::Retry, None) => Self::bury(delivery, DeadLetterReason::Failed, attempts, told),
            (Verdict::DeadLetter, _) => Self::bury(delivery, DeadLetterReason::Refused, attempts, told),
        };
        Self::of(delivery, end)
    }

    pub(super) fn bury(delivery: &Delivery, reason: DeadLetterReason, attempts: u32, error: String) -> End {
        End::Bury(Box::new(Grave {
            reason,
            attempts,
            deliveries: delivery.deliveries,
            first_failed_ms: delivery.record.first_failed_ms,
            error,
        }))
    }
}

/// An error and its causes as one text.
pub(super) fn told(error: &(dyn StdError + Send + Sync + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text.truncate(text.floor_char_boundary(ERROR_MAX_BYTES));
    text
}
