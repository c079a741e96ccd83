//! [`Policy`]: how handlers are called, and what is told of those that fail.
//!
//! It calls no handler itself; a hook that panics is logged and goes no further.

use std::{
    any::Any,
    error::Error as StdError,
    panic::{AssertUnwindSafe, Location, catch_unwind},
    time::Duration,
};

use super::slot::{Slot, SubscriptionId};
use crate::event::Event;

/// A handler that failed or panicked, as the `on_handler_failure` hook sees it.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerFailure<'a> {
    /// The subscription whose handler failed.
    pub subscription: SubscriptionId,
    /// The subscription's name, if it has one.
    pub name: Option<&'a str>,
    /// Where the code subscribed.
    pub location: &'static Location<'static>,
    /// The event that it was given.
    pub event: &'a Event,
    /// What the handler returned, or the message of its panic.
    pub error: &'a (dyn StdError + Send + Sync),
    /// Whether it panicked.
    pub panicked: bool,
    /// Whether the subscription was quarantined for it.
    pub quarantined: bool,
}

pub(super) type FailureHook = Box<dyn Fn(&HandlerFailure<'_>) + Send + Sync>;
pub(super) type UnhandledHook = Box<dyn Fn(&Event) + Send + Sync>;

/// How handlers are called.
#[derive(Default)]
pub(super) struct Policy {
    pub(super) on_failure: Option<FailureHook>,
    pub(super) on_unhandled: Option<UnhandledHook>,
    /// Failures in a row after which a subscription is quarantined.
    pub(super) quarantine_after: Option<u64>,
    /// The time above which a handler is reported as slow.
    pub(super) slow_handler: Option<Duration>,
    /// No handler is timed, and no success forgives a failure.
    pub(super) is_plain: bool,
}

impl Policy {
    /// The policy once all of it is said.
    pub(super) fn decided(self) -> Self {
        let is_plain = self.slow_handler.is_none() && self.quarantine_after.is_none();
        Self { is_plain, ..self }
    }
}

/// Counts a failure, logs it, and tells the hook.
#[cold]
pub(super) fn report(
    slot: &Slot,
    event: &Event,
    error: &(dyn StdError + Send + Sync + 'static),
    panicked: bool,
    cell: usize,
    policy: &Policy,
) {
    let in_a_row = slot.count_failed(cell, panicked);
    let quarantined = policy.quarantine_after.is_some_and(|limit| in_a_row >= limit) && slot.quarantine();
    tracing::error!(
        target: "planbus.dispatch",
        subscription = %slot.id,
        name = slot.name(),
        subscribed_at = %slot.location,
        tenant = event.tenant().as_str(),
        plan = event.plan_id().as_str(),
        event_type = event.event_type().as_str(),
        seq = event.seq(),
        panicked,
        quarantined,
        error = error as &(dyn StdError + 'static),
        "a handler failed"
    );
    if let Some(hook) = &policy.on_failure {
        let name = slot.name();
        let (subscription, location) = (slot.id, slot.location);
        shielded("on_handler_failure", || {
            hook(&HandlerFailure { subscription, name, location, event, error, panicked, quarantined });
        });
    }
}

/// Runs somebody else's code, and only logs it when it panics.
pub(super) fn shielded(what: &'static str, run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let error = Panicked::from(panic);
        let log = || tracing::error!(target: "planbus.dispatch", what, %error, "panicked");
        // Where even logging panics there is nobody left to tell.
        if let Err(second) = catch_unwind(AssertUnwindSafe(log)) {
            drop(Panicked::from(second));
        }
    }
}

/// The message of a panic as an error.
#[derive(Debug)]
pub(super) struct Panicked(String);

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(payload: Box<dyn Any + Send>) -> Self {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        // A payload whose own drop panics must not take the publisher with it.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Self(message)
    }
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

impl StdError for Panicked {}
