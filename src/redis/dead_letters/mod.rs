//! Dead letters: entries that their group gave up, with all that is needed to understand and replay
//! them.
//!
//! Those of all groups of a stream stand in one stream beside it. A replay sends one back to its own
//! group, and to no other. Nothing here handles an event, and nothing here is ever sent twice.

mod burial;
mod form;
mod metadata;
mod reason;
mod replayed;
mod trailer;

#[cfg(all(test, target_os = "linux"))]
mod tests;

pub use self::reason::DeadLetterReason;
pub(in crate::redis) use self::{
    burial::{Burial, Buried},
    replayed::{Replayed, replayed},
};
