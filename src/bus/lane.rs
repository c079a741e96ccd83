//! [`Lane`]: what one thread keeps of one bus: the registry as it last saw it, its own counters,
//! and a mark that says whether it is publishing.
//!
//! A lane is written by its thread alone, with plain stores; others only read it. Two threads that
//! publish share no cache line that either writes.

use std::{
    cell::{self, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Condvar, Mutex};

use super::{
    barrier, frame,
    registry::Registry,
    slot::{DeliveryCounts, OWN_CELLS, Slot},
    snapshot::{Sealed, Seen, Snapshot},
    visits::{Unsettled, Visits},
};

/// The counters and the mark of one thread's lane, as other threads see them.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Mark {
    /// How many publishes of this thread are running: more than one when nested.
    running: AtomicU64,
    pub(super) published: AtomicU64,
    pub(super) unhandled: AtomicU64,
    /// What became of its events, all subscriptions together, those that ended too.
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) dropped: AtomicU64,
    /// What its subscriptions took, as far as it was counted for all of a list at once.
    unsettled: Unsettled,
    /// The thread is gone; its counters stay.
    retired: AtomicBool,
}

impl Mark {
    /// Adds one to a counter that only this thread writes.
    #[inline]
    pub(super) fn count(counter: &AtomicU64) {
        Self::add(counter, 1);
    }

    /// Adds to a counter that only this thread writes.
    #[inline]
    pub(super) fn add(counter: &AtomicU64, more: u64) {
        counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
    }
}

/// All lanes of one bus.
#[derive(Default)]
pub(super) struct Lanes {
    marks: Mutex<Marks>,
    idle: Condvar,
}

#[derive(Default)]
struct Marks {
    live: Vec<Arc<Mark>>,
    /// What the threads that are gone had counted.
    past: Totals,
    /// The bus is closed, and every publish that had begun before has its mark in `live`.
    is_complete: bool,
}

impl Marks {
    fn is_busy(&self) -> bool {
        self.live.iter().any(|mark| mark.running.load(Ordering::Acquire) > 0)
    }
}

/// What all threads counted together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) published: u64,
    pub(super) unhandled: u64,
    pub(super) delivered: u64,
    pub(super) failed: u64,
    pub(super) panicked: u64,
    pub(super) dropped: u64,
}

impl Totals {
    fn and(self, mark: &Mark) -> Self {
        Self {
            published: self.published + mark.published.load(Ordering::Relaxed),
            unhandled: self.unhandled + mark.unhandled.load(Ordering::Relaxed),
            delivered: self.delivered + mark.delivered.load(Ordering::Relaxed),
            failed: self.failed + mark.failed.load(Ordering::Relaxed),
            panicked: self.panicked + mark.panicked.load(Ordering::Relaxed),
            dropped: self.dropped + mark.dropped.load(Ordering::Relaxed),
        }
    }
}

/// One thread's view of one bus.
pub(super) struct Lane {
    bus: u64,
    seen: Seen<Registry>,
    pub(super) mark: Arc<Mark>,
    pub(super) visits: Arc<Visits>,
    /// Which cell of a subscription's counters this thread writes.
    pub(super) cell: usize,
    /// The thread is ending and cannot keep the lane: it serves one publish.
    is_orphan: bool,
}

/// The lanes of one thread; retires them when the thread ends.
struct Mine {
    /// The lane of the last publish, which the next one takes and puts back: no count of references
    /// and no search.
    at_hand: cell::Cell<Option<Rc<Lane>>>,
    /// All of them.
    all: RefCell<Vec<Rc<Lane>>>,
}

/// A thread's number, given back when the thread ends.
struct Cell(usize);

static FREE_CELLS: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static NEXT_CELL: AtomicUsize = AtomicUsize::new(0);

impl Cell {
    fn take() -> Self {
        let free = FREE_CELLS.lock().pop();
        let number = free.unwrap_or_else(|| {
            let next = NEXT_CELL.fetch_add(1, Ordering::Relaxed);
            if next >= OWN_CELLS { OWN_CELLS } else { next }
        });
        Self(number)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if self.0 < OWN_CELLS {
            FREE_CELLS.lock().push(self.0);
        }
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        self.at_hand.take();
        for lane in self.all.take() {
            let mark = Arc::clone(&lane.mark);
            lane.let_go();
            mark.retired.store(true, Ordering::Release);
        }
    }
}

thread_local! {
    static MINE: Mine =
        const { Mine { at_hand: cell::Cell::new(None), all: RefCell::new(Vec::new()) } };
    static CELL: Cell = Cell::take();
}

impl Lane {
    #[inline]
    pub(super) fn registry(&self) -> &Registry {
        &self.seen.value
    }

    /// Marks the thread as publishing. The first of its publishes that run need not know how many do:
    /// reading what was just written would cost more than the rest.
    #[inline]
    fn begin(&self, is_first: bool) {
        let before = if is_first { 0 } else { self.mark.running.load(Ordering::Relaxed) };
        self.mark.running.store(before + 1, Ordering::Relaxed);
        barrier::light();
    }

    /// Takes the mark back; says whether no publish of the thread is left.
    #[inline]
    pub(super) fn end(&self, is_first: bool) -> bool {
        let left = if is_first { 0 } else { self.mark.running.load(Ordering::Relaxed) - 1 };
        self.mark.running.store(left, Ordering::Release);
        barrier::light();
        if self.is_orphan {
            self.mark.retired.store(true, Ordering::Release);
        }
        left == 0
    }

    /// Whether the registry is still as the lane has it, and not sealed.
    #[inline]
    pub(super) fn is_current(&self, registry: &Snapshot<Registry>) -> bool {
        registry.is_current(&self.seen)
    }

    /// Drops a lane that is no longer current, and settles what it had counted.
    pub(super) fn let_go(self: Rc<Self>) {
        let mark = Arc::clone(&self.mark);
        drop(self);
        mark.unsettled.settle_unused();
    }

    /// Has the lane at hand for the thread's next publish, which is then the first that runs. What changed
    /// since it was opened would be kept alive by it, so it must be current.
    #[inline]
    pub(super) fn keep(self: Rc<Self>) {
        let other = MINE.try_with(|mine| mine.at_hand.replace(Some(self)));
        // Dropped here: a closure that ends may publish or subscribe.
        drop(other);
    }
}

impl Lanes {
    /// Marks this thread as publishing and gives it the present registry, and whether this is the first
    /// of its publishes that run; to be ended by [`Lane::end`].
    #[inline]
    pub(super) fn enter(&self, bus: u64, registry: &Snapshot<Registry>) -> Result<(Rc<Lane>, bool), Sealed> {
        let at_hand = at_hand(bus);
        let is_first = at_hand.is_some();
        let lane = match at_hand {
            Some(lane) => lane,
            None => self.find_or_open(bus, registry)?,
        };
        lane.begin(is_first);
        // The mark comes first: a closer that does not see it is seen here.
        if registry.is_current(&lane.seen) {
            return Ok((lane, is_first));
        }
        self.renew(lane, registry, is_first).map(|lane| (lane, is_first))
    }

    #[cold]
    fn find_or_open(&self, bus: u64, registry: &Snapshot<Registry>) -> Result<Rc<Lane>, Sealed> {
        find(bus).map_or_else(|| self.open(bus, registry, None), Ok)
    }

    #[cold]
    fn renew(
        &self,
        lane: Rc<Lane>,
        registry: &Snapshot<Registry>,
        is_first: bool,
    ) -> Result<Rc<Lane>, Sealed> {
        match self.open(lane.bus, registry, Some(&lane)) {
            Ok(renewed) => {
                lane.let_go();
                Ok(renewed)
            }
            Err(sealed) => {
                lane.end(is_first);
                self.notify();
                Err(sealed)
            }
        }
    }

    /// The lane of a publish that is running with the present registry, where that has changed since;
    /// the mark is the same.
    #[cfg(feature = "sqlite")]
    pub(super) fn look_again(&self, lane: &Lane, registry: &Snapshot<Registry>) -> Option<Rc<Lane>> {
        if registry.is_current(&lane.seen) {
            return None;
        }
        // Sealed: what began before the close is still delivered as it was.
        self.open(lane.bus, registry, Some(lane)).ok()
    }

    /// Reads the registry and keeps it for this thread.
    #[cold]
    fn open(&self, bus: u64, registry: &Snapshot<Registry>, old: Option<&Lane>) -> Result<Rc<Lane>, Sealed> {
        let seen = registry.read()?;
        let mark = match old {
            Some(old) => Arc::clone(&old.mark),
            None => self.add_mark(),
        };
        // While the thread ends its lanes are gone, but its last publishes still count.
        let is_orphan = MINE.try_with(|_| ()).is_err();
        let cell = CELL.try_with(|cell| cell.0).ok().filter(|_| !is_orphan).unwrap_or(OWN_CELLS);
        let visits = Visits::of(&seen.value);
        if cell < OWN_CELLS {
            mark.unsettled.add(&visits);
        }
        let lane = Rc::new(Lane { bus, seen, mark, visits, cell, is_orphan });
        replace(bus, Some(Rc::clone(&lane)));
        Ok(lane)
    }

    fn add_mark(&self) -> Arc<Mark> {
        let mark = Arc::new(Mark::default());
        let mut marks = self.marks.lock();
        let Marks { live, past, .. } = &mut *marks;
        live.retain(|mark| {
            let retired = mark.retired.load(Ordering::Acquire);
            if retired {
                *past = past.and(mark);
            }
            !retired
        });
        live.push(Arc::clone(&mark));
        mark
    }

    pub(super) fn totals(&self) -> Totals {
        let marks = self.marks.lock();
        marks.live.iter().fold(marks.past, |totals, mark| totals.and(mark))
    }

    /// What happened to the events of a subscription.
    pub(super) fn counts(&self, slot: &Slot) -> DeliveryCounts {
        let marks = self.marks.lock();
        let unsettled: Vec<_> = marks.live.iter().map(|mark| &mark.unsettled).collect();
        Unsettled::with(&unsettled, slot, |visits| {
            let counts = slot.counts();
            DeliveryCounts { delivered: counts.delivered + visits, ..counts }
        })
    }

    pub(super) fn notify(&self) {
        let _marks = self.marks.lock();
        self.idle.notify_all();
    }

    /// Waits until no thread is publishing. The registry is sealed before, so none begins.
    ///
    /// A thread that is inside a handler does not wait: its own publish could never end, and what
    /// it waits for might wait for it.
    pub(super) fn wait_idle(&self) {
        barrier::heavy();
        let mut marks = self.marks.lock();
        marks.is_complete = true;
        while frame::depth() == 0 && marks.is_busy() {
            self.idle.wait(&mut marks);
        }
        if !marks.is_busy() {
            // Handles of subscriptions outlive the bus, and these counters do not.
            marks.live.iter().for_each(|mark| mark.unsettled.settle_all());
        }
    }

    /// Whether the bus is closed and all that was being published then is done.
    #[cfg(feature = "sqlite")]
    pub(super) fn is_drained(&self) -> bool {
        let marks = self.marks.lock();
        marks.is_complete && !marks.is_busy()
    }

    /// Renews what this thread keeps of the registry, so that it holds no subscription that ended.
    pub(super) fn refresh(&self, bus: u64, registry: &Snapshot<Registry>) {
        let Some(lane) = find(bus) else { return };
        if self.open(bus, registry, Some(&lane)).is_err() {
            replace(bus, None);
        }
        lane.let_go();
    }
}

/// Puts a lane in the place of the one that this thread has for the bus.
fn replace(bus: u64, lane: Option<Rc<Lane>>) {
    let gone = MINE.try_with(|mine| {
        drop(mine.at_hand.take());
        let mut lanes = mine.all.borrow_mut();
        // Lanes of other buses that are gone, too: nobody but this thread holds their marks.
        let (kept, gone): (Vec<_>, Vec<_>) =
            lanes.drain(..).partition(|lane| lane.bus != bus && Arc::strong_count(&lane.mark) > 1);
        lanes.extend(lane.into_iter().chain(kept));
        gone
    });
    // Dropped here, outside the borrow: a closure that ends may publish or subscribe.
    drop(gone);
}

/// The lane of the bus, if it is at hand; to be put back by [`Lane::keep`].
#[inline]
fn at_hand(bus: u64) -> Option<Rc<Lane>> {
    let at_hand = MINE.try_with(|mine| mine.at_hand.take()).ok()?;
    at_hand.filter(|lane| lane.bus == bus)
}

/// The lane that this thread has for the bus, also where it is not at hand: another bus's is, or this
/// publish is nested in one.
fn find(bus: u64) -> Option<Rc<Lane>> {
    MINE.try_with(|mine| mine.all.borrow().iter().find(|lane| lane.bus == bus).map(Rc::clone)).ok().flatten()
}
