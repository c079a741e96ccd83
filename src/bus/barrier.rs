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
