//! Helpers for the tests of programs that publish: a [`Recorder`] with `wait_for`.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::{
    bus::{EventBus, Subscription},
    error::{Error, ErrorKind, Result},
    event::Event,
    filter::Filter,
};

/// Records the events that a filter matches, in the order in which they were delivered.
///
/// ```
/// use planbus::{Event, EventBus, EventType, Filter, PlanStarted, testing::Recorder};
/// use std::time::Duration;
///
/// let bus = EventBus::builder().in_memory().build()?;
/// let recorder = Recorder::start(&bus, Filter::all())?;
/// let publisher = bus.clone();
/// std::thread::spawn(move || publisher.publish(Event::new("plan-7", PlanStarted::new("tidy up"))));
/// let event = recorder.wait_for(Duration::from_secs(5), |event| event.plan_id().as_str() == "plan-7")?;
/// assert_eq!(event.event_type(), &EventType::PlanStarted);
/// # Ok::<(), planbus::Error>(())
/// ```
#[must_use = "a recorder stops when it is dropped"]
pub struct Recorder {
    tape: Arc<Tape>,
    subscription: Subscription,
}

#[derive(Default)]
struct Tape {
    events: Mutex<Vec<Event>>,
    grew: Condvar,
}

impl Recorder {
    /// Starts recording.
    ///
    /// # Errors
    /// As [`EventBus::subscribe`].
    #[track_caller]
    pub fn start(bus: &EventBus, filter: Filter) -> Result<Self> {
        let tape = Arc::new(Tape::default());
        let writer = Arc::clone(&tape);
        let subscription = bus.subscribe(filter, move |event: &Event| {
            writer.events.lock().push(event.clone());
            writer.grew.notify_all();
        })?;
        Ok(Self { tape, subscription: subscription.named("recorder") })
    }

    /// What was recorded so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.tape.events.lock().clone()
    }

    /// Waits for the first event, recorded already or not yet, for which `wanted` holds.
    ///
    /// # Errors
    /// `NotFound`, with the types that were recorded, when none came within `timeout`.
    pub fn wait_for(&self, timeout: Duration, wanted: impl Fn(&Event) -> bool) -> Result<Event> {
        self.wait(timeout, |events| events.iter().find(|event| wanted(event)).cloned())
    }

    /// Waits until at least `count` events are recorded, and gives all of them.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_for_count(&self, timeout: Duration, count: usize) -> Result<Vec<Event>> {
        self.wait(timeout, |events| (events.len() >= count).then(|| events.to_vec()))
    }

    fn wait<T>(&self, timeout: Duration, look: impl Fn(&[Event]) -> Option<T>) -> Result<T> {
        let deadline = Instant::now().checked_add(timeout);
        let mut seen = self.events();
        loop {
            // Outside the lock: what looks may publish.
            if let Some(found) = look(&seen) {
                return Ok(found);
            }
            let mut events = self.tape.events.lock();
            while events.len() == seen.len() {
                let timed_out = match deadline {
                    Some(deadline) => self.tape.grew.wait_until(&mut events, deadline).timed_out(),
                    None => {
                        self.tape.grew.wait(&mut events);
                        false
                    }
                };
                if timed_out && events.len() == seen.len() {
                    let types: Vec<&str> = events.iter().map(|event| event.event_type().as_str()).collect();
                    let problem =
                        format!("recorder: not seen within {timeout:?}; recorded: [{}]", types.join(", "));
                    return Err(Error::new(ErrorKind::NotFound, problem));
                }
            }
            seen.clone_from(&events);
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("subscription", &self.subscription)
            .field("events", &self.tape.events.lock().len())
            .finish()
    }
}
