//! The locks and atomics of the parts that are model-checked.
//!
//! With `--cfg loom` the unit tests run every interleaving of the real code over loom's types.
//! Everything else in the crate uses `std` and `parking_lot` directly.

#[cfg(all(loom, test))]
pub(crate) use self::model::*;
#[cfg(not(all(loom, test)))]
pub(crate) use self::real::*;

#[cfg(not(all(loom, test)))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) use parking_lot::Mutex;
    #[cfg(feature = "sqlite")]
    pub(crate) use parking_lot::MutexGuard;

    /// A condition to wait for; spurious wake-ups are possible.
    #[cfg(feature = "sqlite")]
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    #[cfg(feature = "sqlite")]
    impl Condvar {
        pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(&mut guard);
            guard
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(all(loom, test))]
mod model {
    #[cfg(feature = "sqlite")]
    use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    /// loom's mutex with the interface of `parking_lot`.
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

    /// loom's condition.
    #[cfg(feature = "sqlite")]
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    #[cfg(feature = "sqlite")]
    impl Condvar {
        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).expect("a model does not poison its locks")
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
