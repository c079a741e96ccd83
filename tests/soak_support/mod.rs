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

pub(crate) use self::{
    naive::Naive,
    runtime::run,
    scene::{Outcome, Rhythm, Scene},
};
