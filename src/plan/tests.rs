//! Failures that only the crate itself can plant.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use serde_json::json;

use crate::{
    bus::EventBus,
    error::{Error, ErrorKind},
    event::{Draft, Event, EventType, PlanFailed},
    filter::Filter,
};

type Failures = Arc<Mutex<Vec<String>>>;

/// A bus that refuses the first `PlanFailed` with this kind of error, and the errors of the others.
fn refusing(kind: ErrorKind) -> (EventBus, Failures) {
    let refused = AtomicBool::new(false);
    let refuse = move |draft: &mut Draft<'_>| match draft.event_type() {
        EventType::PlanFailed if !refused.swap(true, Ordering::SeqCst) => Err(Error::new(kind, "planted")),
        _ => Ok(()),
    };
    let bus = EventBus::builder().in_memory().redact(refuse).build().expect("an in-memory bus");
    let failures = Failures::default();
    let noted = Arc::clone(&failures);
    let note = move |_: &Event, failed: &PlanFailed| noted.lock().push(failed.error.clone());
    bus.subscribe_to::<PlanFailed>(Filter::all(), note).expect("subscribes").detach();
    (bus, failures)
}

#[test]
fn a_plan_whose_failure_is_indeterminate_gets_no_second_end() {
    let (bus, failures) = refusing(ErrorKind::Indeterminate);
    let run = bus.plan("p").start(json!({})).expect("starts");
    assert_eq!(run.fail("no bread").expect_err("planted").kind(), ErrorKind::Indeterminate);
    assert_eq!(failures.lock().len(), 0);
}

#[test]
fn a_plan_whose_failure_is_refused_is_failed_and_not_called_dropped() {
    let (bus, failures) = refusing(ErrorKind::Locked);
    let run = bus.plan("p").start(json!({})).expect("starts");
    assert_eq!(run.fail("no bread").expect_err("planted").kind(), ErrorKind::Locked);
    assert_eq!(*failures.lock(), ["its failure was refused: planted"]);
}
