//! AG-UI: a plan as the run of an agent, for frontends that speak its protocol.
//!
//! Runs nothing: whoever posts here attaches to a plan that somebody else runs.

mod input;
mod message;
mod run;
#[cfg(test)]
mod tests;
