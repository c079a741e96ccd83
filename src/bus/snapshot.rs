//! [`Snapshot`]: a value that many threads read on every publish and few ever change.
//!
//! Writers lock, change and raise a version. A reader keeps the value it saw together with its
//! version, and as long as the version stands its whole cost is one shared load. It never blocks a
//! reader that is up to date, and never calls foreign code under its lock.

use std::sync::Arc;

use crate::sync::{AtomicU64, Mutex, Ordering};

/// The version of a snapshot that will never change again.
const SEALED: u64 = u64::MAX;

/// A shared value with a version.
#[derive(Debug)]
pub(super) struct Snapshot<T> {
    version: AtomicU64,
    current: Mutex<Arc<T>>,
}

/// A value as one reader saw it.
#[derive(Debug)]
pub(super) struct Seen<T> {
    version: u64,
    pub(super) value: Arc<T>,
}

/// The snapshot is sealed: there is nothing more to read.
#[derive(Debug)]
pub(super) struct Sealed;

impl<T: Clone> Snapshot<T> {
    pub(super) fn new(value: T) -> Self {
        Self { version: AtomicU64::new(0), current: Mutex::new(Arc::new(value)) }
    }

    /// Whether `seen` is still what a new reader would get.
    #[inline]
    pub(super) fn is_current(&self, seen: &Seen<T>) -> bool {
        self.version.load(Ordering::Acquire) == seen.version
    }

    #[inline]
    pub(super) fn is_sealed(&self) -> bool {
        self.version.load(Ordering::Acquire) == SEALED
    }

    /// The present value.
    pub(super) fn read(&self) -> Result<Seen<T>, Sealed> {
        let current = self.current.lock();
        // Under the lock, so that value and version belong together.
        match self.version.load(Ordering::Acquire) {
            SEALED => Err(Sealed),
            version => Ok(Seen { version, value: Arc::clone(&current) }),
        }
    }

    /// Changes the value; readers see it at their next look. A value that readers hold is copied
    /// first, so `T` must be cheap to clone. `change` must drop nothing that may run foreign code.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> Result<R, Sealed> {
        let mut current = self.current.lock();
        let version = self.version.load(Ordering::Relaxed);
        if version == SEALED {
            return Err(Sealed);
        }
        let result = change(Arc::make_mut(&mut current));
        self.version.store(version + 1, Ordering::Release);
        Ok(result)
    }

    /// Ends all reading and changing, and takes the last value out. Sealed twice, it gives `None`.
    pub(super) fn seal(&self, empty: T) -> Option<Arc<T>> {
        let mut current = self.current.lock();
        if self.version.load(Ordering::Relaxed) == SEALED {
            return None;
        }
        self.version.store(SEALED, Ordering::Release);
        Some(std::mem::replace(&mut *current, Arc::new(empty)))
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::{sync::Arc as ModelArc, thread};

    use super::*;

    /// P4: whoever reads after a change was made sees it, whatever it had cached before.
    #[test]
    fn p4_a_reader_that_checks_after_an_update_sees_it() {
        loom::model(|| {
            let snapshot = ModelArc::new(Snapshot::new(0_u32));
            let done = ModelArc::new(AtomicU64::new(0));
            let writer = {
                let (snapshot, done) = (snapshot.clone(), done.clone());
                thread::spawn(move || {
                    assert!(snapshot.update(|value| *value += 1).is_ok());
                    done.store(1, Ordering::Release);
                })
            };
            let mut seen = snapshot.read().expect("not sealed");
            for _ in 0..2 {
                let updated = done.load(Ordering::Acquire) == 1;
                if !snapshot.is_current(&seen) {
                    seen = snapshot.read().expect("not sealed");
                }
                assert!(!updated || *seen.value == 1, "an update was missed");
            }
            writer.join().expect("the writer does not panic");
        });
    }

    /// The model can fail: a writer that raises the version before it changes the value is caught.
    #[test]
    #[should_panic(expected = "an update was missed")]
    fn p4_a_version_that_is_raised_too_early_is_caught() {
        loom::model(|| {
            let naive = ModelArc::new((AtomicU64::new(0), Mutex::new(0_u32)));
            let done = ModelArc::new(AtomicU64::new(0));
            let writer = {
                let (naive, done) = (naive.clone(), done.clone());
                thread::spawn(move || {
                    naive.0.store(1, Ordering::Release);
                    *naive.1.lock() += 1;
                    done.store(1, Ordering::Release);
                })
            };
            let mut version = naive.0.load(Ordering::Acquire);
            let mut value = *naive.1.lock();
            let updated = done.load(Ordering::Acquire) == 1;
            if naive.0.load(Ordering::Acquire) != version {
                version = naive.0.load(Ordering::Acquire);
                value = *naive.1.lock();
            }
            assert!(!updated || value == 1, "an update was missed (version {version})");
            writer.join().expect("the writer does not panic");
        });
    }

    /// Two writers and a reader: no update is lost, and the reader's value never goes back.
    #[test]
    fn p4_concurrent_updates_are_all_kept() {
        loom::model(|| {
            let snapshot = ModelArc::new(Snapshot::new(0_u32));
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let snapshot = snapshot.clone();
                    thread::spawn(move || assert!(snapshot.update(|value| *value += 1).is_ok()))
                })
                .collect();
            let first = *snapshot.read().expect("not sealed").value;
            let second = *snapshot.read().expect("not sealed").value;
            assert!(first <= second);
            for writer in writers {
                writer.join().expect("a writer does not panic");
            }
            assert_eq!(*snapshot.read().expect("not sealed").value, 2);
        });
    }

    /// After `seal` returned nobody reads a value, and a reader that is current learns of it.
    #[test]
    fn a_sealed_snapshot_is_noticed() {
        loom::model(|| {
            let snapshot = ModelArc::new(Snapshot::new(7_u32));
            let seen = snapshot.read().expect("not sealed");
            let sealer = {
                let snapshot = snapshot.clone();
                thread::spawn(move || assert!(snapshot.seal(0).is_some()))
            };
            if let Ok(read) = snapshot.read() {
                assert_eq!(*read.value, 7);
            }
            sealer.join().expect("the sealer does not panic");
            assert!(!snapshot.is_current(&seen) && snapshot.read().is_err() && snapshot.seal(0).is_none());
        });
    }
}
