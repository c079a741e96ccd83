//! [`Lane`]: what one thread keeps of one bus: the registry as it last saw it, its own counters,
//! and a mark that says whether it is publishing.
//!
//! A lane is written by its thread alone, with plain stores; others only read it. Two threads that
//! publish share no cache line that either writes.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Condvar, Mutex};

use super::{
    barrier,
    registry::Registry,
    snapshot::{Sealed, Seen, Snapshot},
};

/// How many lanes count in cells of their own; threads beyond share the last cell.
pub(super) const OWN_CELLS: usize = 15;

/// The counters and the mark of one thread's lane, as other threads see them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Mark {
    /// How many publishes of this thread are running: more than one when nested.
    running: AtomicU64,
    pub(super) published: AtomicU64,
    pub(super) unhandled: AtomicU64,
    /// The thread is gone; its counters stay.
    retired: AtomicBool,
}

impl Mark {
    /// Adds one to a counter that only this thread writes.
    #[inline]
    pub(super) fn count(counter: &AtomicU64) {
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// All lanes of one bus.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    marks: Mutex<Marks>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct Marks {
    live: Vec<Arc<Mark>>,
    /// What the threads that are gone had counted.
    past: Totals,
}

/// What all threads counted together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) published: u64,
    pub(super) unhandled: u64,
}

impl Totals {
    fn and(self, mark: &Mark) -> Self {
        Self {
            published: self.published + mark.published.load(Ordering::Relaxed),
            unhandled: self.unhandled + mark.unhandled.load(Ordering::Relaxed),
        }
    }
}

/// One thread's view of one bus.
pub(super) struct Lane {
    bus: u64,
    seen: Seen<Registry>,
    pub(super) mark: Arc<Mark>,
    /// Which cell of a subscription's counters this thread writes.
    pub(super) cell: usize,
}

/// The lanes of one thread; retires them when the thread ends.
struct Mine(RefCell<Vec<Rc<Lane>>>);

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
        for lane in self.0.get_mut() {
            lane.mark.retired.store(true, Ordering::Release);
        }
    }
}

thread_local! {
    static MINE: Mine = const { Mine(RefCell::new(Vec::new())) };
    static CELL: Cell = Cell::take();
}

/// A publish that is running; ends when dropped.
pub(super) struct Running<'a> {
    pub(super) lane: Rc<Lane>,
    lanes: &'a Lanes,
    registry: &'a Snapshot<Registry>,
}

impl Running<'_> {
    #[inline]
    pub(super) fn registry(&self) -> &Registry {
        &self.lane.seen.value
    }
}

impl Drop for Running<'_> {
    #[inline]
    fn drop(&mut self) {
        let running = &self.lane.mark.running;
        running.store(running.load(Ordering::Relaxed) - 1, Ordering::Release);
        barrier::light();
        if self.registry.is_sealed() {
            self.lanes.notify();
        }
    }
}

impl Lanes {
    /// Marks this thread as publishing and gives it the present registry.
    #[inline]
    pub(super) fn enter<'a>(
        &'a self,
        bus: u64,
        registry: &'a Snapshot<Registry>,
    ) -> Result<Running<'a>, Sealed> {
        let lane = match mine(bus) {
            Some(lane) => lane,
            None => self.open(bus, registry, None)?,
        };
        let mut running = self.mark(lane, registry);
        // The mark comes first: a closer that does not see it is seen here.
        if !registry.is_current(&running.lane.seen) {
            let fresh = self.open(bus, registry, Some(&running.lane))?;
            running.lane = fresh;
        }
        Ok(running)
    }

    #[inline]
    fn mark<'a>(&'a self, lane: Rc<Lane>, registry: &'a Snapshot<Registry>) -> Running<'a> {
        Mark::count(&lane.mark.running);
        barrier::light();
        Running { lane, lanes: self, registry }
    }

    /// Reads the registry and keeps it for this thread.
    #[cold]
    fn open(
        &self,
        bus: u64,
        registry: &Snapshot<Registry>,
        old: Option<&Rc<Lane>>,
    ) -> Result<Rc<Lane>, Sealed> {
        let seen = registry.read()?;
        let mark = match old {
            Some(old) => Arc::clone(&old.mark),
            None => self.add_mark(),
        };
        // While the thread ends its lanes are gone, but its last publishes still count.
        let cell = CELL.try_with(|cell| cell.0).unwrap_or(OWN_CELLS);
        let lane = Rc::new(Lane { bus, seen, mark, cell });
        let replaced = MINE.try_with(|mine| {
            let mut lanes = mine.0.borrow_mut();
            // Lanes of buses that are gone: nobody but this thread holds their marks.
            let (kept, gone): (Vec<_>, Vec<_>) =
                lanes.drain(..).partition(|lane| lane.bus != bus && Arc::strong_count(&lane.mark) > 1);
            *lanes = kept;
            lanes.insert(0, Rc::clone(&lane));
            gone
        });
        // Dropped here, outside the borrow: a closure that ends may publish or subscribe.
        drop(replaced);
        Ok(lane)
    }

    fn add_mark(&self) -> Arc<Mark> {
        let mark = Arc::new(Mark::default());
        let mut marks = self.marks.lock();
        let Marks { live, past } = &mut *marks;
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

    fn notify(&self) {
        let _marks = self.marks.lock();
        self.idle.notify_all();
    }

    /// Waits until no thread is publishing. The registry is sealed before, so none begins.
    ///
    /// A thread that is itself inside a handler does not wait: its own publish could never end.
    pub(super) fn wait_idle(&self, bus: u64) {
        barrier::heavy();
        if mine(bus).is_some_and(|lane| lane.mark.running.load(Ordering::Relaxed) > 0) {
            return;
        }
        let mut marks = self.marks.lock();
        while marks.live.iter().any(|mark| mark.running.load(Ordering::Acquire) > 0) {
            self.idle.wait(&mut marks);
        }
    }

    /// Renews what this thread keeps of the registry, so that it holds no subscription that ended.
    pub(super) fn refresh(&self, bus: u64, registry: &Snapshot<Registry>) {
        if let Some(lane) = mine(bus) {
            // A sealed registry is empty: what the lane keeps goes with the next sweep.
            let _ = self.open(bus, registry, Some(&lane));
        }
    }
}

#[inline]
fn mine(bus: u64) -> Option<Rc<Lane>> {
    MINE.try_with(|mine| mine.0.borrow().iter().find(|lane| lane.bus == bus).map(Rc::clone)).ok().flatten()
}
