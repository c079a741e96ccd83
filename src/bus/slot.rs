//! [`Slot`]: one subscription as the registry holds it: its filter, its handler, its counters.
//!
//! A slot never calls back into the registry and takes no lock on the way of an event.

use std::{
    error::Error as StdError,
    fmt,
    panic::Location,
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::{event::Event, filter::CompiledFilter};

/// What a handler may return: nothing, or a `Result` whose error is counted as a failure.
pub trait Outcome {
    /// The failure, if it was one.
    fn failure(self) -> Option<Box<dyn StdError + Send + Sync>>;
}

impl Outcome for () {
    #[inline]
    fn failure(self) -> Option<Box<dyn StdError + Send + Sync>> {
        None
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> Outcome for Result<(), E> {
    #[inline]
    fn failure(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.err().map(Into::into)
    }
}

/// What kept an event, or an older one, from its subscriber.
pub(super) enum Missed {
    /// The handler said that it failed.
    Failed(Box<dyn StdError + Send + Sync>),
    /// A channel was full and gave this event up.
    Dropped,
    /// A channel was full and took this event in place of this many older ones.
    Displaced(u64),
}

/// A handler; the usual answer is `None`, in one register.
pub(super) type Handler = Box<dyn Fn(&Event) -> Option<Box<Missed>> + Send + Sync>;

/// Names a subscription of a bus; never used again within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub(super) u64);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a subscription receives events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionState {
    /// It receives every event that its filter matches.
    Active,
    /// It failed too often in a row and receives nothing until it is resumed.
    Quarantined,
    /// It has ended.
    Ended,
}

/// Active, and the registry finds it for no event but those that its filter matches.
const EXACT: u8 = 0;
/// Active; the filter has the last word.
const ACTIVE: u8 = 1;
const QUARANTINED: u8 = 2;
const ENDED: u8 = 3;

/// One subscription. What every call reads comes first, in one line of the cache; the filter, which
/// calls found by plan or tenant read, comes second.
#[repr(C, align(64))]
pub(super) struct Slot {
    state: AtomicU8,
    pub(super) id: SubscriptionId,
    pub(super) handler: Handler,
    /// The first two threads' cells are in the first line.
    cells: [OnceLock<Box<Cell>>; CELLS],
    pub(super) filter: CompiledFilter,
    pub(super) location: &'static Location<'static>,
    name: OnceLock<Box<str>>,
    failures_in_a_row: AtomicU64,
    /// Events that it took, as counted by [`Visits`](super::visits::Visits) that were settled.
    settled: AtomicU64,
    on_end: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

/// How many threads count in cells of their own; threads beyond share the last cell.
pub(super) const OWN_CELLS: usize = 15;
const CELLS: usize = OWN_CELLS + 1;

/// Counters that one thread writes, or, in the last cell, all the threads that have none.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell {
    delivered: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    dropped: AtomicU64,
}

/// What happened to the events of one subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryCounts {
    /// Events that the handler took, or that went into the channel.
    pub delivered: u64,
    /// Events on which the handler failed or panicked.
    pub failed: u64,
    /// Those of the failed on which it panicked.
    pub panicked: u64,
    /// Events that a full channel gave up.
    pub dropped: u64,
}

impl Slot {
    /// A slot; `is_exact` says that the registry finds it for no event but those that the filter
    /// matches.
    pub(super) fn new(
        id: SubscriptionId,
        filter: CompiledFilter,
        is_exact: bool,
        handler: Handler,
        location: &'static Location<'static>,
        on_end: Option<Box<dyn FnOnce() + Send>>,
    ) -> Self {
        let state = if is_exact { EXACT } else { ACTIVE };
        Self {
            id,
            filter,
            handler,
            location,
            name: OnceLock::new(),
            state: AtomicU8::new(state),
            failures_in_a_row: AtomicU64::new(0),
            cells: Default::default(),
            settled: AtomicU64::new(0),
            on_end: Mutex::new(on_end),
        }
    }

    pub(super) fn set_name(&self, name: &str) {
        // The first name stays: a subscription is named once, where it is made.
        let _ = self.name.set(name.into());
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.get().map(AsRef::as_ref)
    }

    pub(super) fn state(&self) -> SubscriptionState {
        match self.state.load(Ordering::Acquire) {
            EXACT | ACTIVE => SubscriptionState::Active,
            QUARANTINED => SubscriptionState::Quarantined,
            _ => SubscriptionState::Ended,
        }
    }

    /// Whether the subscription is to be called for an event for which the registry found it.
    #[inline]
    pub(super) fn takes(&self, event: &Event) -> bool {
        let state = self.state.load(Ordering::Acquire);
        state == EXACT || self.is_matched(state, event)
    }

    // Cold, so that a call without it is straight code.
    #[cold]
    #[inline(never)]
    fn is_matched(&self, state: u8, event: &Event) -> bool {
        state == ACTIVE && self.filter.matches(event)
    }

    /// Ends the subscription: no call starts after this returned.
    pub(super) fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
        let on_end = self.on_end.lock().take();
        if let Some(on_end) = on_end {
            on_end();
        }
    }

    pub(super) fn quarantine(&self) -> bool {
        let active = |state| matches!(state, EXACT | ACTIVE).then_some(QUARANTINED);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, active).is_ok()
    }

    pub(super) fn resume(&self) -> bool {
        self.failures_in_a_row.store(0, Ordering::Relaxed);
        self.state.compare_exchange(QUARANTINED, ACTIVE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    #[inline]
    pub(super) fn count_delivered(&self, cell: usize) {
        self.count(cell, |cell| &cell.delivered);
    }

    /// Counts as [`count_delivered`](Self::count_delivered) does, for a thread with a cell of its own.
    #[inline]
    pub(super) fn count_delivered_alone(&self, cell: usize) {
        let counter = &self.cells[cell % CELLS].get_or_init(Box::default).delivered;
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Adds what visits counted for all subscribers of a list.
    pub(super) fn settle_delivered(&self, events: u64) {
        self.settled.fetch_add(events, Ordering::Relaxed);
    }

    /// Ends a row of failures.
    pub(super) fn forgive(&self) {
        if self.failures_in_a_row.load(Ordering::Relaxed) != 0 {
            self.failures_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn count_dropped(&self, cell: usize, events: u64) {
        (0..events).for_each(|_| self.count(cell, |cell| &cell.dropped));
    }

    /// Counts a failure and gives how many there were in a row.
    pub(super) fn count_failed(&self, cell: usize, panicked: bool) -> u64 {
        self.count(cell, |cell| &cell.failed);
        if panicked {
            self.count(cell, |cell| &cell.panicked);
        }
        self.failures_in_a_row.fetch_add(1, Ordering::Relaxed) + 1
    }

    #[inline]
    fn count(&self, cell: usize, counter: impl Fn(&Cell) -> &AtomicU64) {
        let counter = counter(self.cells[cell].get_or_init(Box::default));
        if cell < OWN_CELLS {
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        } else {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What happened to its events, save for visits that are not settled.
    pub(super) fn counts(&self) -> DeliveryCounts {
        let delivered = self.settled.load(Ordering::Relaxed);
        let mut counts = DeliveryCounts { delivered, ..DeliveryCounts::default() };
        for cell in self.cells.iter().filter_map(OnceLock::get) {
            counts.delivered += cell.delivered.load(Ordering::Relaxed);
            counts.failed += cell.failed.load(Ordering::Relaxed);
            counts.panicked += cell.panicked.load(Ordering::Relaxed);
            counts.dropped += cell.dropped.load(Ordering::Relaxed);
        }
        counts
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("id", &self.id)
            .field("name", &self.name())
            .field("location", &self.location)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
