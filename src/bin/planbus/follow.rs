//! The log as it grows, beside its owner: events one by one, until we are cut off from them.
//!
//! Never ends in silence: a store that is moved away or cannot be read any more, and events that
//! retention took before they were read, end it with [`Exit::Cut`].

use std::time::{Duration, Instant};

use planbus::{Error, ErrorKind, Event, EventBus, EventStore, Filter, Start, Tail};

use crate::{
    cli::Global,
    failure::{Exit, Failure, chain},
    store_file::StoreFile,
};

/// How often it is looked whether the store is still there, and has an owner.
const LOOK: Duration = Duration::from_secs(1);
/// How long an error that may pass is borne.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cursor over the log that knows when it is cut off.
pub(crate) struct Follow<'a> {
    global: &'a Global,
    tail: Tail,
    store: EventStore,
    file: StoreFile,
    looked: Instant,
    has_owner: bool,
    /// Since when the log cannot be read.
    trouble: Option<Instant>,
    /// A tail ends with its bus.
    _bus: EventBus,
}

impl<'a> Follow<'a> {
    /// Follows the log from the events after `seq` on; `file` is what stood there when it was opened.
    pub(crate) fn after(
        seq: u64,
        filter: Filter,
        store: &EventStore,
        file: StoreFile,
        global: &'a Global,
    ) -> Result<Self, Failure> {
        let bus = EventBus::builder().store(store.clone()).build()?;
        let tail = bus.tail(filter, Start::After(seq)).map_err(|error| cut(&error))?;
        let (looked, store) = (Instant::now(), store.clone());
        Ok(Self { global, tail, store, file, looked, has_owner: true, trouble: None, _bus: bus })
    }

    /// The next event, waiting for it at most this long.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Option<Event>, Failure> {
        let looked = self.look();
        // What was committed before we were cut off still counts.
        let wait = if looked.is_ok() { wait } else { Duration::ZERO };
        match self.tail.next_timeout(wait) {
            Ok(None) => looked.map(|()| None),
            Ok(event) => {
                // Somebody published it.
                (self.trouble, self.has_owner) = (None, true);
                Ok(event)
            }
            Err(error) if error.is_transient() && self.is_borne() => looked.map(|()| None),
            // Of both reasons the one that a person can do something about.
            Err(error) => Err(self.check().err().unwrap_or_else(|| cut(&error))),
        }
    }

    /// The place in the log up to which everything was read.
    pub(crate) fn seq(&self) -> u64 {
        self.tail.cursor().unwrap_or_default()
    }

    /// Whether somebody had the store open for writing lately; for the first moments it is believed.
    pub(crate) fn has_owner(&self) -> bool {
        self.has_owner
    }

    fn look(&mut self) -> Result<(), Failure> {
        if self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.check()?;
        // Where it cannot be told, nothing is said of it.
        self.has_owner = self.store.has_owner().unwrap_or(true);
        self.looked = Instant::now();
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        self.file.check(&self.global.db, Exit::Cut)
    }

    fn is_borne(&mut self) -> bool {
        self.trouble.get_or_insert_with(Instant::now).elapsed() < PATIENCE
    }
}

/// The end of whoever cannot read on.
pub(crate) fn cut(error: &Error) -> Failure {
    let failure = Failure::new(Exit::Cut, format!("cut off from the log: {}", chain(error)));
    match error.kind() {
        ErrorKind::Pruned => failure.hint("retention was faster than this reader"),
        _ => failure,
    }
}
