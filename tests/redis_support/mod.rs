//! What the tests of Redis share: private servers of several kinds, a client of our own to look into
//! them, and ways to break them.
//!
//! Never touches a server that it did not start, nor Redis's usual port, and never waits for a time:
//! only for a condition, with a limit after which the test fails.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

mod builder;
mod cluster;
mod port;
mod process;
mod programs;
mod proxy;
mod readers;
mod sentinel;
mod server;
mod tls;
mod wire;

use std::time::{Duration, Instant};

pub(crate) use self::{
    builder::{Fsync, Persistence, RedisBuilder},
    cluster::Cluster,
    programs::{ServerKind, python},
    proxy::{Ending, Fault, Proxy},
    readers::read_with,
    sentinel::Sentinels,
    server::RedisServer,
    wire::{Entry, Reply, Wire, entries},
};

/// How long a server may take to do what a test waits for.
pub(crate) const SERVER_LIMIT: Duration = Duration::from_secs(30);

/// How long to let a server work before it is asked again.
const POLL: Duration = Duration::from_millis(2);

/// Waits for a condition that another process brings about, and leaves it the processor meanwhile.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SERVER_LIMIT, "waited too long: {what}");
        std::thread::park_timeout(POLL);
    }
}
