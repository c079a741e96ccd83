//! Calling the subscribers of one event, each shielded from the others.
//!
//! Runs on the publisher's thread, after the event is durable. It holds no lock while a handler
//! runs, and copies no event for one.

use std::{
    any::Any,
    cell::Cell,
    error::Error as StdError,
    hint::cold_path,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    frame,
    lane::{Lane, Mark},
    policy::{Panicked, Policy, report, shielded},
    registry::{Found, Lists},
    slot::{Missed, OWN_CELLS, Slot},
    slot_list::{Block, SlotList},
};
use crate::event::Event;

/// How many subscribers took an event, and how many failed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) delivered: usize,
    pub(super) failed: usize,
}

/// Calls every subscriber that wants the event.
#[inline]
pub(super) fn dispatch(lane: &Lane, event: Event, policy: &Policy) -> Tally {
    match lane.registry().find(&event) {
        Found::Nobody => unhandled(event, lane, policy),
        Found::In(list) => frame::enter(event, |event| call_list(lane, event, policy, list)),
        Found::ByKey => dispatch_by_key(lane, event, policy),
    }
}

#[inline(never)]
fn dispatch_by_key(lane: &Lane, event: Event, policy: &Policy) -> Tally {
    let lists = lane.registry().find_by_key(&event);
    if lists.is_empty() {
        return unhandled(event, lane, policy);
    }
    frame::enter(event, |event| match lists.only() {
        Some(list) => call_found(lane, event, policy, list),
        None => call_merged(lane, event, policy, &lists),
    })
}

#[inline(never)]
fn call_merged(lane: &Lane, event: &Event, policy: &Policy, lists: &Lists<'_>) -> Tally {
    let round = Round::new(lane, event, policy, 0);
    lists.each(|slot| round.call_all(slice::from_ref(slot)));
    round.done(lane)
}

/// Calls the subscribers of one of the registry's own lists. As long as each takes the event there is
/// nothing to note but that, once for all of them; whatever else happens is dealt with apart, and so are
/// those after it.
#[inline]
fn call_list(lane: &Lane, event: &Event, policy: &Policy, list: usize) -> Tally {
    let slots = lane.registry().list(list);
    match call_runs(lane, event, policy, slots, |_| {}) {
        Ok(delivered) => {
            lane.visits.count(list);
            told(lane, delivered)
        }
        Err(stopped) => {
            cold_path();
            let mut left = stopped.taken;
            slots.each(|slot| {
                if left > 0 {
                    left -= 1;
                    slot.count_delivered(lane.cell);
                }
            });
            stopped.go_on(lane, event, policy)
        }
    }
}

/// Calls the subscribers of a list that was found by a key, and counts each by itself.
#[inline]
fn call_found(lane: &Lane, event: &Event, policy: &Policy, list: &SlotList) -> Tally {
    match call_runs(lane, event, policy, list, |slot| slot.count_delivered_alone(lane.cell)) {
        Ok(delivered) => told(lane, delivered),
        Err(stopped) => {
            cold_path();
            stopped.go_on(lane, event, policy)
        }
    }
}

#[inline]
fn told(lane: &Lane, delivered: usize) -> Tally {
    Mark::add(&lane.mark.delivered, delivered as u64);
    Tally { delivered, failed: 0 }
}

/// Calls the subscribers of a list until one does not just take the event; how many they are.
#[inline]
fn call_runs<'a>(
    lane: &Lane,
    event: &Event,
    policy: &Policy,
    list: &'a SlotList,
    taken: impl Fn(&Slot),
) -> Result<usize, Stopped<'a>> {
    let (mut run, mut later) = list.runs();
    let mut delivered = 0;
    if !policy.is_plain || lane.cell >= OWN_CELLS {
        cold_path();
        return Err(Stopped { taken: 0, stop: None, run, later });
    }
    loop {
        if let Some(stop) = call_plainly(event, run, &taken) {
            cold_path();
            return Err(Stopped { taken: delivered + stop.begun - 1, stop: Some(stop), run, later });
        }
        delivered += run.len();
        let Some((next, rest)) = later.split_first() else { break };
        (run, later) = (next, rest);
    }
    Ok(delivered)
}

/// Where calling plainly came to an end.
struct Stopped<'a> {
    /// How many subscribers had taken the event.
    taken: usize,
    /// `None` where calling plainly would not do.
    stop: Option<Stop>,
    run: &'a [Arc<Slot>],
    later: &'a [Block],
}

impl Stopped<'_> {
    /// Notes what stopped it, and calls the rest.
    #[inline(never)]
    fn go_on(self, lane: &Lane, event: &Event, policy: &Policy) -> Tally {
        let begun = self.stop.as_ref().map_or(0, |stop| stop.begun);
        let round = Round::new(lane, event, policy, self.taken + usize::from(begun > 0));
        if let Some(Stop { begun, why }) = self.stop {
            round.stopped(&self.run[begun - 1], why);
        }
        round.call_all(&self.run[begun..]);
        self.later.iter().for_each(|run| round.call_all(run));
        round.done(lane)
    }
}

/// Where a subscriber did not just take the event.
struct Stop {
    /// How many of the run were begun, this one included.
    begun: usize,
    why: Why,
}

enum Why {
    PassedOver,
    Missed(Box<Missed>),
    Panicked(Box<dyn Any + Send>),
}

/// Calls these subscribers in turn, until one does not just take the event. A panic is caught once for
/// all of them, so that the shield costs nothing where nobody panics.
#[inline]
fn call_plainly(event: &Event, slots: &[Arc<Slot>], taken: impl Fn(&Slot)) -> Option<Stop> {
    let begun = Cell::new(0);
    let call_until_stopped = || {
        for (at, slot) in (1..).zip(slots) {
            begun.set(at);
            if !slot.takes(event) {
                cold_path();
                return Some(Why::PassedOver);
            }
            if let Some(missed) = (slot.handler)(event) {
                cold_path();
                return Some(Why::Missed(missed));
            }
            taken(slot);
        }
        None
    };
    let stopped = catch_unwind(AssertUnwindSafe(call_until_stopped));
    let why = stopped.unwrap_or_else(|panic| Some(Why::Panicked(panic)))?;
    Some(Stop { begun: begun.get(), why })
}

/// One event on its way to its subscribers, where not all of them just take it. Who took it is
/// counted by the run, everything else one by one.
struct Round<'a> {
    event: &'a Event,
    policy: &'a Policy,
    /// Which of a slot's counters belong to this thread.
    cell: usize,
    /// This thread's totals.
    mark: &'a Mark,
    visited: Cell<usize>,
    /// Visited, but neither delivered nor failed.
    passed_over: Cell<usize>,
    failed: Cell<usize>,
}

impl<'a> Round<'a> {
    fn new(lane: &'a Lane, event: &'a Event, policy: &'a Policy, visited: usize) -> Self {
        Self {
            event,
            policy,
            cell: lane.cell,
            mark: &lane.mark,
            visited: Cell::new(visited),
            passed_over: Cell::new(0),
            failed: Cell::new(0),
        }
    }

    /// Adds to the thread's totals what became of the event.
    fn done(&self, lane: &Lane) -> Tally {
        let failed = self.failed.get();
        let tally = Tally { delivered: self.visited.get() - self.passed_over.get() - failed, failed };
        Mark::add(&lane.mark.delivered, tally.delivered as u64);
        if tally.delivered + tally.failed == 0 {
            tell_unhandled(self.event, lane, self.policy);
        }
        tally
    }

    /// Calls these subscribers in turn; the rest is called, too, after one that panics.
    fn call_all(&self, slots: &[Arc<Slot>]) {
        let next = Cell::new(0);
        let call_until_missed = || {
            let begun = next.get();
            for (at, slot) in (begun + 1..).zip(slots.get(begun..)?) {
                next.set(at);
                if let Some(missed) = self.call(slot) {
                    return Some(Why::Missed(missed));
                }
            }
            None
        };
        loop {
            // What was missed is dealt with outside the shield, so that it counts once.
            let stopped = catch_unwind(AssertUnwindSafe(call_until_missed));
            let Some(why) = stopped.unwrap_or_else(|panic| Some(Why::Panicked(panic))) else { break };
            self.stopped(&slots[next.get() - 1], why);
        }
        self.visited.set(self.visited.get() + slots.len());
    }

    #[cold]
    fn stopped(&self, slot: &Slot, why: Why) {
        match why {
            Why::PassedOver => self.passed_over.set(self.passed_over.get() + 1),
            Why::Missed(missed) => self.missed(slot, *missed),
            Why::Panicked(panic) => self.fail(slot, &Panicked::from(panic), true),
        }
    }

    fn call(&self, slot: &Slot) -> Option<Box<Missed>> {
        if !slot.takes(self.event) {
            self.passed_over.set(self.passed_over.get() + 1);
            return None;
        }
        let missed = match self.policy.slow_handler {
            None => (slot.handler)(self.event),
            Some(limit) => call_timed(slot, self.event, limit),
        };
        if missed.is_none() {
            self.delivered(slot);
        }
        missed
    }

    fn delivered(&self, slot: &Slot) {
        slot.count_delivered(self.cell);
        if self.policy.quarantine_after.is_some() {
            slot.forgive();
        }
    }

    fn missed(&self, slot: &Slot, missed: Missed) {
        match missed {
            Missed::Dropped => {
                self.dropped(slot, 1);
                self.passed_over.set(self.passed_over.get() + 1);
            }
            Missed::Displaced(older) => {
                self.dropped(slot, older);
                self.delivered(slot);
            }
            Missed::Failed(error) => {
                self.fail(slot, &*error, false);
                shielded("an error's drop", || drop(error));
            }
        }
    }

    fn dropped(&self, slot: &Slot, events: u64) {
        slot.count_dropped(self.cell, events);
        Mark::add(&self.mark.dropped, events);
    }

    fn fail(&self, slot: &Slot, error: &(dyn StdError + Send + Sync + 'static), panicked: bool) {
        self.failed.set(self.failed.get() + 1);
        Mark::count(&self.mark.failed);
        Mark::add(&self.mark.panicked, panicked.into());
        shielded("the report of a failure", || {
            report(slot, self.event, error, panicked, self.cell, self.policy);
        });
    }
}

#[inline(never)]
fn call_timed(slot: &Slot, event: &Event, limit: Duration) -> Option<Box<Missed>> {
    let begun = Instant::now();
    let missed = (slot.handler)(event);
    let took = begun.elapsed();
    if took > limit {
        tracing::warn!(
            target: "planbus.dispatch",
            subscription = %slot.id,
            name = slot.name(),
            subscribed_at = %slot.location,
            tenant = event.tenant().as_str(),
            plan = event.plan_id().as_str(),
            event_type = event.event_type().as_str(),
            seq = event.seq(),
            took_ms = took.as_secs_f64() * 1e3,
            "a handler was slow"
        );
    }
    missed
}

/// An event for which the registry has nobody.
#[inline]
fn unhandled(event: Event, lane: &Lane, policy: &Policy) -> Tally {
    if policy.on_unhandled.is_none() {
        Mark::count(&lane.mark.unhandled);
    } else {
        frame::enter(event, |event| tell_unhandled(event, lane, policy));
    }
    Tally::default()
}

#[cold]
fn tell_unhandled(event: &Event, lane: &Lane, policy: &Policy) {
    Mark::count(&lane.mark.unhandled);
    if let Some(hook) = &policy.on_unhandled {
        shielded("on_unhandled", || hook(event));
    }
}
