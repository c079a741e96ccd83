//! What the histories share: a cell of real processes that are broken on purpose, and the check that
//! nothing was lost, doubled or put out of order by it.
//!
//! A history is a seed: the same seed breaks the same things in the same order. What runs at the
//! same time as a fault is up to the machine, so that a seed is a schedule and no script.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod cell;
pub(crate) mod check;
pub(crate) mod consumer;
pub(crate) mod consumer_cell;
pub(crate) mod consumer_check;
pub(crate) mod consumer_fault;
pub(crate) mod fault;
pub(crate) mod group;
pub(crate) mod journal;
pub(crate) mod naive;
pub(crate) mod naive_consumer;
pub(crate) mod own_consumer;
pub(crate) mod publisher;
#[path = "../power_support/random.rs"]
pub(crate) mod random;
