//! The lock and condition of the commit queue, which is model-checked.
//!
//! With `--cfg loom` the unit tests run every interleaving of the real queue over loom's types.
//! Everything else in the store uses `parking_lot` directly.

#[cfg(all(loom, test))]
pub(super) use self::model::{Condvar, Mutex};
#[cfg(not(all(loom, test)))]
pub(super) use self::real::{Condvar, Mutex};

#[cfg(not(all(loom, test)))]
mod real {
    pub(in crate::store) use parking_lot::{Mutex, MutexGuard};

    /// A condition to wait for; spurious wake-ups are possible.
    #[derive(Debug, Default)]
    pub(in crate::store) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(in crate::store) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(&mut guard);
            guard
        }

        pub(in crate::store) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(all(loom, test))]
mod model {
    /// loom's mutex with the interface of `parking_lot`.
    #[derive(Debug)]
    pub(in crate::store) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(in crate::store) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(in crate::store) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a model does not poison its locks")
        }
    }

    /// loom's condition.
    #[derive(Debug, Default)]
    pub(in crate::store) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(in crate::store) fn wait<'a, T>(
            &self,
            guard: loom::sync::MutexGuard<'a, T>,
        ) -> loom::sync::MutexGuard<'a, T> {
            self.0.wait(guard).expect("a model does not poison its locks")
        }

        pub(in crate::store) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
