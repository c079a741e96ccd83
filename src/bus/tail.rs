//! [`Tail`]: a cursor that replays the log, then follows it.
//!
//! With a store it reads the log itself, so it misses nothing and repeats nothing, whatever its
//! pace. Without one it is a channel, and says so when it fell too far behind.

use std::{fmt, time::Duration};
#[cfg(feature = "sqlite")]
use std::{
    sync::{Arc, Weak},
    time::Instant,
};

#[cfg(feature = "sqlite")]
use super::core::Core;
use super::{ChannelOptions, EventBus, EventReceiver, OnFull, core::closed};
#[cfg(feature = "sqlite")]
use crate::store::LogTail;
use crate::{
    error::{Error, ErrorKind, Result},
    event::Event,
    filter::{Filter, Start},
};

/// How many events a tail without a store may fall behind before it is told `Pruned`.
const LIVE_MAX_EVENTS: usize = 1 << 16;

/// A cursor over events in the order of the log. As an iterator it waits for each event and ends
/// when the bus is closed and everything was read, or after its first error;
/// [`next_timeout`](Self::next_timeout) can go on after one that passes.
pub struct Tail {
    source: Source,
    /// The iterator has given its last item.
    is_over: bool,
}

enum Source {
    #[cfg(feature = "sqlite")]
    Log(Box<FollowingTail>),
    Live(EventReceiver),
}

impl Tail {
    #[track_caller]
    pub(super) fn open(bus: &EventBus, filter: Filter, start: Start) -> Result<Self> {
        if bus.is_closed() {
            return Err(closed("open a tail"));
        }
        #[cfg(feature = "sqlite")]
        if let Some(store) = bus.store() {
            let log = store.tail(filter.compile()?, start)?;
            let log = Box::new(FollowingTail::new(log, &bus.core));
            return Ok(Self { source: Source::Log(log), is_over: false });
        }
        if start != Start::Now {
            return Err(Error::invalid("start", "must be Now: a bus without a store keeps no events"));
        }
        let options = ChannelOptions::bounded(LIVE_MAX_EVENTS).on_full(OnFull::Disconnect);
        Ok(Self { source: Source::Live(bus.channel(filter, options)?), is_over: false })
    }

    /// Takes the next event, waiting for at most `timeout`; `None` when none came.
    ///
    /// # Errors
    /// `Pruned` when the tail was overtaken by retention, or, without a store, fell too far behind;
    /// `Closed` once the bus is closed and everything was read; `Storage` and `Corrupt` from the
    /// store.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>> {
        match &mut self.source {
            Source::Live(receiver) => receiver.recv_timeout(timeout),
            #[cfg(feature = "sqlite")]
            Source::Log(tail) => tail.next_timeout(timeout),
        }
    }

    /// The place in the log up to which everything was read; `None` without a store.
    #[must_use]
    pub fn cursor(&self) -> Option<u64> {
        match &self.source {
            Source::Live(_) => None,
            #[cfg(feature = "sqlite")]
            Source::Log(tail) => Some(tail.log.cursor()),
        }
    }
}

/// A tail of the log that ends with the bus.
#[cfg(feature = "sqlite")]
struct FollowingTail {
    log: LogTail,
    core: Weak<Core>,
}

#[cfg(feature = "sqlite")]
impl FollowingTail {
    fn new(log: LogTail, core: &Arc<Core>) -> Self {
        Self { log, core: Arc::downgrade(core) }
    }

    fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            // Looked at first: all that was published before the end is then read below.
            let is_over = self.core.upgrade().is_none_or(|core| core.is_drained());
            let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()));
            let wait = if is_over { Duration::ZERO } else { left };
            match self.log.next_timeout(wait)? {
                Some(event) => return Ok(Some(event)),
                None if is_over => return Err(closed("read on")),
                None if left.is_zero() => return Ok(None),
                None => {}
            }
        }
    }
}

impl Iterator for Tail {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        while !self.is_over {
            match self.next_timeout(Duration::MAX) {
                Ok(Some(event)) => return Some(Ok(event)),
                Ok(None) => {}
                Err(error) => {
                    self.is_over = true;
                    return (error.kind() != ErrorKind::Closed).then_some(Err(error));
                }
            }
        }
        None
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
