//! What the histories of the server share: processes that publish and serve, clients that are cut off,
//! and the check that each of them got what it asked for, once and in order.
//!
//! A history is a seed: the same seed gives the same events, cuts and kills. What runs at the same time
//! as a cut is up to the machine, so that a seed is a schedule and no script.

#![allow(dead_code, reason = "not every test uses all of it")]

pub(crate) mod ask;
pub(crate) mod cell;
pub(crate) mod check;
pub(crate) mod child;
pub(crate) mod events;
pub(crate) mod follower;
pub(crate) mod naive;
#[path = "../redis_support/port.rs"]
pub(crate) mod port;
pub(crate) mod protocol;
#[path = "../redis_support/proxy.rs"]
pub(crate) mod proxy;
#[path = "../power_support/random.rs"]
pub(crate) mod random;
pub(crate) mod watch;
pub(crate) mod wire;
