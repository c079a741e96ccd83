//! What a soak is made of: a runtime under a mixed load in a process of its own, its readers in this one,
//! and the judge of what was seen of both.
//!
//! A figure is never held against what another machine would show: only against the same run's earlier
//! figures, and against what planbus promises. Nobody keeps more for an event than the runtime itself.

#![cfg(target_os = "linux")]

mod agents;
mod child;
mod clients;
mod groups;
pub(crate) mod judge;
mod judge_tests;
mod naive;
mod pace;
mod process;
#[path = "../power_support/random.rs"]
#[allow(dead_code, reason = "a history needs more of it")]
mod random;
mod runtime;
mod scene;
mod table;
mod tally;
#[path = "../server_history_support/watch.rs"]
#[allow(dead_code, reason = "a history needs more of it")]
mod watch;
#[path = "../server_history_support/wire.rs"]
#[allow(dead_code, reason = "a history needs more of it")]
mod wire;

use std::{
    thread,
    time::{Duration, Instant},
};

pub(crate) use self::{
    naive::Naive,
    runtime::run,
    scene::{Outcome, Rhythm, Scene},
};

/// How long anything may take that is waited for but for a reader at the end of a slice.
const LIMIT: Duration = Duration::from_secs(120);
/// How long to let others work before they are asked again.
const POLL: Duration = Duration::from_millis(5);

/// Waits for a condition; whether it came.
fn wait(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > limit {
            return false;
        }
        thread::park_timeout(POLL);
    }
    true
}
