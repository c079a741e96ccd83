//! [`EventBusBuilder`]: the options of a bus, validated once.

use std::{fmt, time::Duration};

use super::{
    EventBus,
    core::{Core, Options, RedactHook},
    frame::DEPTH_MAX,
    policy::{HandlerFailure, Policy},
};
#[cfg(feature = "sqlite")]
use crate::store::EventStore;
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Draft, Event},
};

/// How deep handlers may publish from handlers unless the bus says otherwise.
const DEPTH_DEFAULT: usize = 32;
/// A handler slower than this is reported, on a bus with a store.
#[cfg(feature = "sqlite")]
const SLOW_HANDLER_DEFAULT: Duration = Duration::from_millis(100);

/// The options of an [`EventBus`].
#[must_use = "a builder does nothing until build() is called"]
pub struct EventBusBuilder {
    home: Home,
    policy: Policy,
    redact: Option<RedactHook>,
    depth_max: usize,
    slow_handler: Option<Duration>,
}

/// Where events go.
#[derive(Default)]
enum Home {
    #[default]
    Unsaid,
    Memory,
    #[cfg(feature = "sqlite")]
    Store(EventStore),
}

impl Default for EventBusBuilder {
    fn default() -> Self {
        Self {
            home: Home::default(),
            policy: Policy::default(),
            redact: None,
            depth_max: DEPTH_DEFAULT,
            slow_handler: None,
        }
    }
}

impl EventBusBuilder {
    /// Stores every event before it is delivered.
    #[cfg(feature = "sqlite")]
    pub fn store(mut self, store: EventStore) -> Self {
        self.home = Home::Store(store);
        self
    }

    /// Stores nothing: events have no `seq`, and a tail begins now.
    pub fn in_memory(mut self) -> Self {
        self.home = Home::Memory;
        self
    }

    /// Runs `redact` on every event before anything else sees it: validation, the log, handlers.
    /// An event on which it fails or panics is refused.
    pub fn redact(mut self, redact: impl Fn(&mut Draft<'_>) -> Result<()> + Send + Sync + 'static) -> Self {
        self.redact = Some(Box::new(redact));
        self
    }

    /// Calls `hook` whenever a handler fails or panics, on the publisher's thread.
    pub fn on_handler_failure(mut self, hook: impl Fn(&HandlerFailure<'_>) + Send + Sync + 'static) -> Self {
        self.policy.on_failure = Some(Box::new(hook));
        self
    }

    /// Calls `hook` with every event that no handler and no channel received.
    pub fn on_unhandled(mut self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.policy.on_unhandled = Some(Box::new(hook));
        self
    }

    /// Quarantines a subscription after this many failures in a row, at least 1: it receives
    /// nothing more until it is resumed. By default none is.
    pub fn quarantine_after(mut self, failures: u64) -> Self {
        self.policy.quarantine_after = Some(failures);
        self
    }

    /// Warns of handlers that take longer than this, with the place that subscribed.
    /// `Duration::MAX` switches the warning off. By default 100 ms with a store; without one,
    /// where two reads of the clock would cost more than the call, it is off.
    pub fn slow_handler(mut self, limit: Duration) -> Self {
        self.slow_handler = Some(limit);
        self
    }

    /// How many levels deep handlers may publish from handlers, 1 to 64; by default 32.
    pub fn depth_max(mut self, levels: usize) -> Self {
        self.depth_max = levels;
        self
    }

    /// Builds the bus.
    ///
    /// # Errors
    /// `InvalidOption` that names the option, also when neither a store nor `in_memory` was chosen.
    pub fn build(self) -> Result<EventBus> {
        let invalid = |problem: String| Err(Error::new(ErrorKind::InvalidOption, problem));
        if !(1..=DEPTH_MAX).contains(&self.depth_max) {
            return invalid(format!("depth_max must be 1 to {DEPTH_MAX}, got {}", self.depth_max));
        }
        if self.policy.quarantine_after == Some(0) {
            return invalid("quarantine_after must be at least 1, got 0".to_owned());
        }
        #[cfg(feature = "sqlite")]
        let store = match self.home {
            Home::Unsaid => return invalid("store: choose store(..) or in_memory()".to_owned()),
            Home::Memory => None,
            Home::Store(store) => Some(store),
        };
        #[cfg(feature = "sqlite")]
        let slow_default = store.is_some().then_some(SLOW_HANDLER_DEFAULT);
        #[cfg(not(feature = "sqlite"))]
        let slow_default = match self.home {
            Home::Unsaid => return invalid("store: choose in_memory()".to_owned()),
            Home::Memory => None,
        };
        let mut policy = self.policy;
        policy.slow_handler = self.slow_handler.or(slow_default).filter(|limit| *limit != Duration::MAX);
        let core = Core::new(Options {
            policy: policy.decided(),
            redact: self.redact,
            depth_max: self.depth_max,
            #[cfg(feature = "sqlite")]
            store,
        });
        Ok(EventBus { core: core.into() })
    }
}

impl fmt::Debug for EventBusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBusBuilder").field("depth_max", &self.depth_max).finish_non_exhaustive()
    }
}
