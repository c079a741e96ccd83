//! Consumers: groups that handle every event of their streams, whatever is killed in between.
//!
//! [`Consumer`] is the handle of a few threads: one reads, one tells Redis what became of deliveries
//! and looks after those that wait, and as many as wanted call the handler. What Redis must know over
//! a crash stands in Redis. Nothing is acked before its handler has succeeded, and nothing waits for a
//! retry but the delivery that needs it.

mod board;
mod builder;
mod delivery;
#[cfg(feature = "sqlite")]
mod floors;
#[cfg(feature = "sqlite")]
mod inbox;
mod keeper;
mod leased;
mod leases;
mod manual;
mod outcome;
mod policy;
mod reader;
#[cfg(feature = "sqlite")]
mod refill;
mod refused;
mod scripts;
mod seen;
mod settle;
mod setup;
mod shared;
mod source;
mod state;
mod status;
mod upkeep;
mod worker;

use std::{
    fmt, io,
    sync::Arc,
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::shared::Shared;
pub use self::{
    builder::ConsumerBuilder,
    delivery::Delivery,
    manual::{Deliveries, ManualDelivery},
    policy::{Failure, RetryPolicy, Verdict},
    setup::{GroupStart, Ordering},
    status::{ConsumerCounts, ConsumerState, ConsumerStatus, StopReport},
};
use super::{RedisEndpoint, thread};
use crate::error::{Error, ErrorKind, Result};

/// How long a consumer that is dropped waits for its handlers.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// A consumer of streams, one of a group.
///
/// The group handles every event at least once, whatever is killed, cut, flushed or failed over; with
/// an [`Inbox`](crate::redis::Inbox) its effects happen exactly once. An event whose handler fails is
/// tried again by its own group, when the [`RetryPolicy`] says so, and holds up no other; when it has
/// failed for good it is a [dead letter](crate::redis::DeadLetters). Entries that hold no event are
/// dead letters at once.
///
/// It is stopped when it is dropped.
///
/// ```no_run
/// use std::time::Duration;
/// use planbus::{Filter, redis::{Consumer, Delivery, RedisEndpoint}};
///
/// let consumer = Consumer::builder(RedisEndpoint::parse("redis://127.0.0.1/")?)
///     .group("notifiers")
///     .filter(Filter::all().tenant("acme"))
///     .workers(4)
///     .handler(|delivery: &Delivery| -> Result<(), std::io::Error> {
///         println!("{} (attempt {})", delivery.event().event_type(), delivery.attempt());
///         Ok(())
///     })?;
/// // ..
/// let report = consumer.stop(Duration::from_secs(10))?;
/// println!("{} were given back", report.released);
/// # Ok::<(), planbus::Error>(())
/// ```
pub struct Consumer {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Consumer {
    /// A consumer of the streams on this Redis.
    pub fn builder(endpoint: RedisEndpoint) -> ConsumerBuilder {
        ConsumerBuilder::new(endpoint)
    }

    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, threads: Mutex::new(Vec::new()) }
    }

    /// One thread more, which waits for the server.
    fn spawn(&self, role: &str, act: impl FnOnce() + Send + 'static) -> Result<()> {
        self.keep(thread::spawn(format!("planbus-{role}"), act))
    }

    /// One thread more, which calls handlers.
    fn spawn_worker(&self, act: impl FnOnce() + Send + 'static) -> Result<()> {
        self.keep(Builder::new().name("planbus-work".to_owned()).spawn(act))
    }

    fn keep(&self, thread: io::Result<JoinHandle<()>>) -> Result<()> {
        let failed = |cause| Error::with_source(ErrorKind::Storage, "start a thread of the consumer", cause);
        self.threads.lock().push(thread.map_err(failed)?);
        Ok(())
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How the consumer is doing.
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.shared.status()
    }

    /// Stops the consumer: nothing new is read, what no handler has begun is given back to the group
    /// at once, and handlers that run may end until the deadline. What has not ended by then stays
    /// pending; its thread goes on, and whatever it returns is lost. Stopping again does nothing.
    ///
    /// # Errors
    /// `Storage` when a thread of the consumer had panicked.
    pub fn stop(&self, deadline: Duration) -> Result<StopReport> {
        let mut threads = self.threads.lock();
        if threads.is_empty() {
            return Ok(StopReport::default());
        }
        let deadline = Instant::now().checked_add(deadline).unwrap_or_else(far);
        self.shared.stop();
        let left = self.shared.wait_until_settled(deadline);
        self.shared.give_up();
        self.shared.note_stopped();
        // One that is with a handler still, or waits for a Redis that does not answer, ends by itself.
        let ended = std::mem::take(&mut *threads)
            .into_iter()
            .filter(|thread| left.is_nothing() || thread.is_finished());
        let ended: Vec<_> = ended.map(JoinHandle::join).collect();
        if ended.iter().any(Result::is_err) {
            return Err(Error::new(ErrorKind::Storage, "a thread of the consumer panicked"));
        }
        let (abandoned, unsettled) = (left.running, left.unsettled);
        Ok(StopReport { released: self.shared.released(), abandoned, unsettled })
    }
}

/// A deadline that is not reached.
fn far() -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
    Instant::now() + YEAR
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Err(error) = self.stop(DROP_DEADLINE) {
            tracing::error!(consumer = self.shared.setup.caller.consumer.as_str(), %error, "planbus.consume");
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("status", &self.status()).finish_non_exhaustive()
    }
}
