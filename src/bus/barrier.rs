//! A pair of memory barriers, one of which is nearly free.
//!
//! A publisher marks itself, then looks whether the bus is closed; a closer closes, then looks who
//! is marked. Each must see the other's mark, which takes a full barrier on both sides. Where Linux
//! has `membarrier`, the closer makes every thread of the process pass one, and publishers pay
//! nothing; elsewhere both use a fence.

use std::sync::{
    Once,
    atomic::{AtomicBool, Ordering, compiler_fence, fence},
};

/// Whether `heavy` makes all threads pass a barrier. Set once, before the first mark is made.
static IS_ASYMMETRIC: AtomicBool = AtomicBool::new(false);

/// Chooses the kind of barrier, once in a process.
pub(super) fn prepare() {
    static CHOICE: Once = Once::new();
    CHOICE.call_once(|| IS_ASYMMETRIC.store(register(), Ordering::Release));
}

/// The publisher's side.
#[inline]
pub(super) fn light() {
    if IS_ASYMMETRIC.load(Ordering::Relaxed) {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The closer's side.
pub(super) fn heavy() {
    fence(Ordering::SeqCst);
    if IS_ASYMMETRIC.load(Ordering::Relaxed) {
        pass_all();
    }
}

#[cfg(target_os = "linux")]
fn register() -> bool {
    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};
    membarrier_query().contains_command(MembarrierCommand::RegisterPrivateExpedited)
        && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
        && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
}

#[cfg(target_os = "linux")]
fn pass_all() {
    use rustix::thread::{MembarrierCommand, membarrier};
    // It worked when the process registered. Only a seccomp filter set since can forbid it; then
    // closing may miss a publish that began in the last few nanoseconds.
    if let Err(error) = membarrier(MembarrierCommand::PrivateExpedited) {
        tracing::error!(%error, "membarrier failed: close may not wait for every publish");
    }
}

#[cfg(not(target_os = "linux"))]
fn register() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn pass_all() {}

/// The protocol, with a fence on both sides: what `membarrier` gives, and what is used without it.
#[cfg(all(test, loom))]
mod model {
    use loom::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering, fence},
        },
        thread,
    };

    /// One publisher and one closer. Whoever publishes after all must have been seen.
    fn check(barrier: fn()) {
        loom::model(move || {
            let (mark, sealed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let publisher = {
                let (mark, sealed) = (mark.clone(), sealed.clone());
                thread::spawn(move || {
                    mark.store(1, Ordering::Relaxed);
                    barrier();
                    sealed.load(Ordering::Acquire) == 0
                })
            };
            sealed.store(1, Ordering::Release);
            barrier();
            let was_seen = mark.load(Ordering::Acquire) == 1;
            let published = publisher.join().expect("no panic");
            assert!(was_seen || !published, "a publish began that close did not wait for");
        });
    }

    #[test]
    fn close_sees_every_publish_that_does_not_see_close() {
        check(|| fence(Ordering::SeqCst));
    }

    #[test]
    #[should_panic(expected = "a publish began that close did not wait for")]
    fn without_a_barrier_the_model_finds_the_publish_that_is_missed() {
        check(|| ());
    }
}
