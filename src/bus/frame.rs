//! Which event's handlers this thread is in, for whatever is published from inside them.
//!
//! The event lies in a place of its own for every depth, so that handlers borrow it while deeper
//! publishes put theirs beside it. Nothing is cloned or allocated for it.

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
};

use crate::event::Event;

/// The most handlers that may be on one thread's stack: deeper, 2 MiB of it might not hold them.
pub(super) const DEPTH_MAX: usize = 64;

type Places = [RefCell<Option<Event>>; DEPTH_MAX];

thread_local! {
    /// How many handlers are on this thread's stack, of all buses.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The events whose handlers they are, by depth. Every place is cleared when it is left, so there
    /// is nothing to drop with the thread, and places are there also while it ends.
    static EVENTS: ManuallyDrop<Places> =
        const { ManuallyDrop::new([const { RefCell::new(None) }; DEPTH_MAX]) };
}

/// How many handlers are on this thread's stack.
#[inline]
pub(super) fn depth() -> usize {
    DEPTH.with(Cell::get)
}

/// Calls `f` with the event whose handler this thread is in, if it is in one.
#[cold]
pub(super) fn with_current<R>(f: impl FnOnce(Option<&Event>) -> R) -> R {
    EVENTS.with(|events| {
        let event = events.get(depth().wrapping_sub(1)).map(RefCell::borrow);
        f(event.as_ref().and_then(|event| event.as_ref()))
    })
}

/// Calls `f` with the event in its place. The depth is below [`DEPTH_MAX`]: no publish comes here
/// that is as deep as its bus allows.
#[inline]
pub(super) fn enter<R>(event: Event, f: impl FnOnce(&Event) -> R) -> R {
    let deeper = Deeper::new();
    EVENTS.with(|events| {
        let place = &events[deeper.place % DEPTH_MAX];
        drop(place.replace(Some(event)));
        let _clear = Clear(place);
        let event = place.borrow();
        f(event.as_ref().expect("it was put there"))
    })
}

/// One more handler on the stack, until dropped.
struct Deeper {
    /// Where its event lies.
    place: usize,
}

impl Deeper {
    #[inline]
    fn new() -> Self {
        let place = DEPTH.get();
        DEPTH.set(place + 1);
        Self { place }
    }
}

impl Drop for Deeper {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(self.place);
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
