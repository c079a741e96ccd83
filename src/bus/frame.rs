//! Which event's handlers this thread is in, for whatever is published from inside them.
//!
//! The event lies in a place of its own for every depth, so that handlers borrow it while deeper
//! publishes put theirs beside it. Nothing is cloned or allocated for it.

use std::cell::{Cell, RefCell};

use crate::event::Event;

/// The most handlers that may be on one thread's stack: deeper, 2 MiB of it might not hold them.
pub(super) const DEPTH_MAX: usize = 64;

thread_local! {
    /// How many handlers are on this thread's stack, of all buses.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The events whose handlers they are, by depth.
    static EVENTS: [RefCell<Option<Event>>; DEPTH_MAX] = const { [const { RefCell::new(None) }; DEPTH_MAX] };
}

/// How many handlers are on this thread's stack.
#[inline]
pub(super) fn depth() -> usize {
    DEPTH.with(Cell::get)
}

/// Calls `f` with the event whose handler this thread is in, if it is in one.
#[cold]
pub(super) fn with_current<R>(f: impl FnOnce(Option<&Event>) -> R) -> R {
    let mut f = Some(f);
    let told = EVENTS.try_with(|events| {
        let event = events.get(depth().wrapping_sub(1)).map(RefCell::borrow);
        f.take().map(|f| f(event.as_ref().and_then(|event| event.as_ref())))
    });
    // While the thread ends there are no places; whatever is published then has no cause.
    told.ok().flatten().or_else(|| f.map(|f| f(None))).expect("f is called in one place or the other")
}

/// Calls `f` with the event in its place.
#[inline]
pub(super) fn enter<R>(event: Event, f: impl FnOnce(&Event) -> R) -> R {
    let _deeper = Deeper::new();
    let place = depth() - 1;
    let mut work = Some((event, f));
    let done = EVENTS.try_with(|events| {
        let place = events.get(place)?;
        let (event, f) = work.take()?;
        drop(place.replace(Some(event)));
        let _clear = Clear(place);
        place.borrow().as_ref().map(f)
    });
    let late = || work.map(|(event, f)| f(&event));
    done.ok().flatten().or_else(late).expect("f is called in one place or the other")
}

/// One more handler on the stack, until dropped.
struct Deeper;

impl Deeper {
    #[inline]
    fn new() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Deeper {
    #[inline]
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Clears the place, however it is left.
struct Clear<'a>(&'a RefCell<Option<Event>>);

impl Drop for Clear<'_> {
    #[inline]
    fn drop(&mut self) {
        // Dropped here, when the place is free: a payload that ends may publish.
        drop(self.0.take());
    }
}
