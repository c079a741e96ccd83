//! The threads that call handlers.
//!
//! A handler that fails or panics ends nothing but its own attempt. Nobody waits here for a retry.

use std::{
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    delivery::Delivery,
    outcome::{End, Outcome},
    shared::Shared,
};
use crate::error::{Error, ErrorKind};

/// Why an attempt failed.
pub(super) type Failed = Box<dyn StdError + Send + Sync>;

type Call = dyn Fn(&Delivery) -> Option<Failed> + Send + Sync;

/// What is called with each delivery.
#[derive(Clone)]
pub(super) enum Handler {
    /// A closure.
    Plain(Arc<Call>),
    /// A closure that is given a transaction of an inbox.
    #[cfg(feature = "sqlite")]
    InInbox(super::inbox::InboxHandler),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

/// Handles deliveries until the consumer stops.
pub(super) fn run(shared: &Shared, handler: &Handler) {
    while let Some(delivery) = shared.next(None) {
        match handler {
            Handler::Plain(call) => {
                let (attempt, took) = timed(|| called(|| call(&delivery)));
                finish(shared, &delivery, attempt, took);
            }
            #[cfg(feature = "sqlite")]
            Handler::InInbox(inbox) => inbox.handle(shared, *delivery),
        }
    }
}

/// Calls a handler; what it failed with, be it a panic.
pub(super) fn called(call: impl FnOnce() -> Option<Failed>) -> Attempt {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(None) => Attempt::Done,
        Ok(Some(failed)) => Attempt::Failed(failed),
        Err(panic) => {
            let told = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let told = told.or_else(|| panic.downcast_ref::<String>().cloned());
            let told = format!("the handler panicked: {}", told.as_deref().unwrap_or("without a message"));
            Attempt::Panicked(Error::new(ErrorKind::Storage, told))
        }
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Attempt {
    Done,
    Failed(Failed),
    Panicked(Error),
}

/// How long it took.
pub(super) fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (act(), start.elapsed())
}

/// Counts an attempt, and has Redis told of it.
pub(super) fn finish(shared: &Shared, delivery: &Delivery, attempt: Attempt, took: Duration) {
    let setup = &shared.setup;
    let event = &delivery.event;
    let outcome = match &attempt {
        Attempt::Done => Outcome::of(delivery, End::Done),
        Attempt::Failed(error) => Outcome::of_failure(delivery, &setup.policy, error.as_ref()),
        Attempt::Panicked(error) => Outcome::of_failure(delivery, &setup.policy, error),
    };
    if !matches!(attempt, Attempt::Done) {
        let (tenant, plan, group) = (event.tenant().as_str(), event.plan_id().as_str(), delivery.group());
        let (number, took_ms) = (delivery.attempt(), took.as_millis() as u64);
        let event_type = event.event_type().as_str();
        tracing::warn!(
            group, tenant, plan, event_type, seq = event.seq(), attempt = number, took_ms,
            outcome = ?outcome.end, "planbus.consume"
        );
    }
    shared.settle(delivery, outcome, |counts| match attempt {
        Attempt::Done => counts.handled += 1,
        Attempt::Failed(_) => counts.failed += 1,
        Attempt::Panicked(_) => {
            counts.failed += 1;
            counts.panicked += 1;
        }
    });
}
