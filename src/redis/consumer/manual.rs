//! [`Deliveries`]: a consumer without a handler, whose deliveries are taken and settled by hand.

use std::{
    error::Error as StdError,
    fmt,
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Consumer,
    delivery::Delivery,
    outcome::{End, Outcome, told},
    shared::Shared,
    status::{ConsumerStatus, StopReport},
};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::dead_letters::DeadLetterReason,
};

/// Deliveries of a consumer, taken one by one; made by
/// [`ConsumerBuilder::deliveries`](super::ConsumerBuilder::deliveries). As an iterator it waits for
/// each, and ends when the consumer was stopped.
///
/// ```no_run
/// use planbus::redis::{Consumer, RedisEndpoint};
///
/// let endpoint = RedisEndpoint::parse("redis://127.0.0.1/")?;
/// let mut deliveries = Consumer::builder(endpoint).group("reports").deliveries()?;
/// for delivery in &mut deliveries {
///     match delivery.event().payload_json() {
///         Ok(payload) => { println!("{payload}"); delivery.ack(); }
///         Err(error) => delivery.dead_letter(error),
///     }
/// }
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Debug)]
pub struct Deliveries {
    consumer: Consumer,
}

impl Deliveries {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self { consumer }
    }

    /// The next delivery; `None` where none came in time.
    ///
    /// # Errors
    /// `Closed` when the consumer was stopped. A Redis that is away is none: see
    /// [`status`](Self::status).
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<ManualDelivery>> {
        let shared = self.consumer.shared();
        if shared.is_stopping() {
            return Err(Error::new(ErrorKind::Closed, "take a delivery: the consumer was stopped"));
        }
        let delivery = shared.next(Instant::now().checked_add(timeout));
        Ok(delivery.map(|delivery| ManualDelivery::new(delivery, Arc::clone(shared))))
    }

    /// How the consumer is doing.
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.consumer.status()
    }

    /// Stops the consumer, as [`Consumer::stop`] does; a delivery that was taken and not settled counts
    /// as one with a handler.
    ///
    /// # Errors
    /// As [`Consumer::stop`].
    pub fn stop(&self, deadline: Duration) -> Result<StopReport> {
        self.consumer.stop(deadline)
    }
}

impl Iterator for Deliveries {
    type Item = ManualDelivery;

    fn next(&mut self) -> Option<Self::Item> {
        let shared = self.consumer.shared();
        shared.next(None).map(|delivery| ManualDelivery::new(delivery, Arc::clone(shared)))
    }
}

/// A delivery that is settled by hand. One that is dropped without that failed.
#[must_use = "a delivery that is dropped failed"]
pub struct ManualDelivery {
    /// Taken when it is settled.
    delivery: Option<Box<Delivery>>,
    shared: Arc<Shared>,
}

impl ManualDelivery {
    fn new(delivery: Box<Delivery>, shared: Arc<Shared>) -> Self {
        Self { delivery: Some(delivery), shared }
    }

    /// It was handled. Redis is told at once, in the background; [`Deliveries::stop`] waits for it.
    pub fn ack(mut self) {
        self.settle(true, |delivery, _| Outcome::of(delivery, End::Done));
    }

    /// It failed: the policy decides when it is tried again, or that it is a dead letter.
    pub fn retry(mut self, error: impl Into<Box<dyn StdError + Send + Sync>>) {
        self.fail(error.into());
    }

    /// It failed for good: it is moved to the dead letters.
    pub fn dead_letter(mut self, error: impl Into<Box<dyn StdError + Send + Sync>>) {
        let error = error.into();
        self.settle(false, |delivery, _| {
            let text = told(error.as_ref());
            let end = Outcome::bury(delivery, DeadLetterReason::Refused, delivery.attempt(), text);
            Outcome::of(delivery, end)
        });
    }

    /// It is given back as it came: any consumer of the group may take it at once, this one too, and no
    /// attempt counts as failed.
    pub fn release(mut self) {
        let Some(delivery) = self.delivery.take() else { return };
        self.shared.settle(&delivery, Outcome::of(&delivery, End::Release), |_| {});
    }

    fn fail(&mut self, error: Box<dyn StdError + Send + Sync>) {
        self.settle(false, |delivery, shared| {
            Outcome::of_failure(delivery, &shared.setup.policy, error.as_ref())
        });
    }

    fn settle(&mut self, is_handled: bool, outcome: impl FnOnce(&Delivery, &Shared) -> Outcome) {
        let Some(delivery) = self.delivery.take() else { return };
        let outcome = outcome(&delivery, &self.shared);
        self.shared.settle(&delivery, outcome, |counts| match is_handled {
            true => counts.handled += 1,
            false => counts.failed += 1,
        });
    }
}

impl Deref for ManualDelivery {
    type Target = Delivery;

    fn deref(&self) -> &Delivery {
        // It is taken only by what takes the whole.
        self.delivery.as_deref().expect("a delivery is settled once, at its end")
    }
}

impl Drop for ManualDelivery {
    fn drop(&mut self) {
        self.fail("it was dropped without an ack".into());
    }
}

impl fmt::Debug for ManualDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.delivery, f)
    }
}
