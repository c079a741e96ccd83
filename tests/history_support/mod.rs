//! What the histories share: a cell of real processes that are broken on purpose, and the check that
//! nothing was lost, doubled or put out of order by it.
//!
//! A history is a seed: the same seed breaks the same things in the same order. What runs at the
//! same time as a fault is up to the machine, so that a seed is a schedule and no script.

pub(crate) mod cell;
pub(crate) mod check;
pub(crate) mod fault;
pub(crate) mod naive;
pub(crate) mod publisher;
#[path = "../power_support/random.rs"]
pub(crate) mod random;
