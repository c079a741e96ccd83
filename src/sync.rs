//! The locks and atomics of the parts that are model-checked.
//!
//! With `--cfg loom` they are loom's, so that a model runs every interleaving of the real code.
//! Everything else in the crate uses `std`, `parking_lot` and `crossbeam-channel` directly.

#[cfg(loom)]
pub(crate) use self::model::*;
#[cfg(not(loom))]
pub(crate) use self::real::*;

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) use parking_lot::Mutex;
}

#[cfg(loom)]
mod model {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    /// loom's mutex with parking_lot's interface.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a model does not poison its locks")
        }
    }
}
