//! What the tests of the in-memory bus share.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use planbus::*;

/// Longer than anything takes that works.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn bus() -> EventBus {
    EventBus::builder().in_memory().build().expect("an in-memory bus")
}

pub(crate) fn started(plan: &str) -> Event {
    Event::new(plan, PlanStarted::new("goal"))
}

/// A subscription that counts its calls.
pub(crate) fn counter(bus: &EventBus, filter: Filter) -> (Arc<AtomicUsize>, Subscription) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let sub = bus.subscribe(filter, move |_: &Event| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    (calls, sub.expect("subscribes"))
}
