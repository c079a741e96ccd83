//! Handlers whose effect and whose note that it happened are one transaction of an inbox.
//!
//! The ack follows the commit. What cannot be committed now is tried again, and counts as no attempt.

use std::{
    cell::Cell,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    delivery::Delivery,
    outcome::{End, Outcome},
    shared::Shared,
    state::Thread,
    worker::{Attempt, Failed, called, finish, timed},
};
use crate::{
    error::{Error, ErrorKind},
    redis::back_off::BackOff,
    store::{Inbox, InboxBatch, InboxKey, InboxTransaction},
};

/// The most deliveries of one transaction, none of which is waited for.
const BATCH_MAX_DELIVERIES: usize = 64;
/// How long a transaction takes in more of them: others wait for the database meanwhile.
const BATCH_MAX: Duration = Duration::from_millis(20);
/// The first and the longest pause after a transaction that could not be committed.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
const PAUSE_JITTER: f64 = 0.5;

type Call = dyn Fn(&InboxTransaction<'_>, &Delivery) -> Option<Failed> + Send + Sync;

/// A closure that is given a transaction of an inbox.
#[derive(Clone)]
pub(super) struct InboxHandler {
    pub(super) inbox: Inbox,
    pub(super) call: Arc<Call>,
}

/// How a delivery fared in its transaction.
enum Fared {
    /// It was handled before.
    Before,
    Attempted(Attempt, Duration),
}

impl InboxHandler {
    /// Handles a delivery, and those that are ready besides.
    pub(super) fn handle(&self, shared: &Shared, first: Delivery) {
        self.handle_all(shared, vec![first], BATCH_MAX_DELIVERIES);
    }

    fn handle_all(&self, shared: &Shared, mut deliveries: Vec<Delivery>, most: usize) {
        let mut back_off = BackOff::new(PAUSE_FIRST, PAUSE_MAX, PAUSE_JITTER);
        loop {
            let was_called = Cell::new(false);
            match self.attempt(shared, &mut deliveries, most, &was_called) {
                Ok(fared) => {
                    shared.tell(Thread::Inbox, None);
                    deliveries
                        .iter()
                        .zip(fared)
                        .for_each(|(delivery, fared)| settle(shared, delivery, fared));
                    return;
                }
                // It is the fault of one of the handlers, be it a constraint that is checked at the end.
                Err(error)
                    if was_called.get()
                        && matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Storage) =>
                {
                    return self.handle_each(shared, deliveries, error);
                }
                Err(error) => {
                    shared.tell(Thread::Inbox, Some(error));
                    shared.pause(Instant::now() + back_off.next_delay());
                }
            }
            if shared.is_stopping() {
                for delivery in deliveries {
                    shared.settle(&delivery, Outcome::of(&delivery, End::Release), |_| {});
                }
                return;
            }
        }
    }

    /// Each in a transaction of its own, so that the one that breaks it is known.
    fn handle_each(&self, shared: &Shared, deliveries: Vec<Delivery>, error: Error) {
        if deliveries.len() == 1 {
            let failed = |delivery: &Delivery| {
                finish(shared, delivery, Attempt::Failed(error.clone().into()), Duration::ZERO);
            };
            return deliveries.iter().for_each(failed);
        }
        deliveries.into_iter().for_each(|delivery| self.handle_all(shared, vec![delivery], 1));
    }

    /// One transaction, in which those that are ready besides are handled too.
    fn attempt(
        &self,
        shared: &Shared,
        deliveries: &mut Vec<Delivery>,
        most: usize,
        was_called: &Cell<bool>,
    ) -> Result<Vec<Fared>, Error> {
        let start = Instant::now();
        self.inbox.batch(|batch| {
            let mut fared = Vec::new();
            loop {
                if fared.len() == deliveries.len() {
                    let has_time = fared.len() < most && start.elapsed() < BATCH_MAX;
                    match has_time.then(|| shared.next_ready()).flatten() {
                        Some(delivery) => deliveries.push(*delivery),
                        None => return fared,
                    }
                }
                match self.call_once(batch, &deliveries[fared.len()], was_called) {
                    Some(one) => fared.push(one),
                    // The whole transaction fails with what broke it.
                    None => return fared,
                }
            }
        })
    }

    /// Calls the handler unless the event was handled; `None` where the transaction is broken.
    fn call_once(
        &self,
        batch: &mut InboxBatch<'_>,
        delivery: &Delivery,
        was_called: &Cell<bool>,
    ) -> Option<Fared> {
        let (acted, took) = timed(|| {
            batch.once(&key_of(delivery), |transaction| {
                was_called.set(true);
                match called(|| (self.call)(transaction, delivery)) {
                    Attempt::Done => Ok(()),
                    failed => Err(failed),
                }
            })
        });
        match acted {
            Ok(None) => Some(Fared::Before),
            Ok(Some(Ok(()))) => Some(Fared::Attempted(Attempt::Done, took)),
            Ok(Some(Err(failed))) => Some(Fared::Attempted(failed, took)),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                Some(Fared::Attempted(Attempt::Failed(error.into()), took))
            }
            Err(_) => None,
        }
    }
}

impl fmt::Debug for InboxHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxHandler").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

fn settle(shared: &Shared, delivery: &Delivery, fared: Fared) {
    match fared {
        Fared::Attempted(attempt, took) => finish(shared, delivery, attempt, took),
        Fared::Before => {
            shared.settle(delivery, Outcome::of(delivery, End::Done), |counts| counts.duplicates += 1);
        }
    }
}

/// Which event it is, for the inbox.
fn key_of(delivery: &Delivery) -> InboxKey<'_> {
    let store = delivery.store.as_deref();
    let place = match (store, delivery.event.seq()) {
        (Some(_), Some(seq)) => seq,
        _ => delivery.id.halves().0,
    };
    InboxKey {
        group: delivery.group(),
        stream: delivery.stream(),
        store,
        place,
        event_id: delivery.event.event_id(),
        is_replay: delivery.is_replay,
        comes_again: delivery.comes_again,
    }
}
