//! A small agent runtime on planbus, and a real job for it: the survey of a directory.
//!
//! Two halves. [`executor`] is generic: plans with decisions, tools and subplans in threads; copy
//! it as the start of a runtime of your own. [`survey`] and what it uses is one plan for it. Nothing
//! here prints, opens a network connection, or knows who listens to the bus.

pub(crate) mod executor;
mod names;
#[cfg(feature = "server")]
pub(crate) mod on_demand;
mod own_files;
mod report;
mod rules;
pub(crate) mod survey;
mod tools;
mod totals;
pub(crate) mod units;
