//! Ports of the loopback for the servers of the tests.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// The first port of ours: below the range out of which the kernel gives ports to connections, so that
/// none of those takes a port while its server is being restarted.
const FIRST: u16 = 12_000;

/// How many ports are ours. A server of a cluster has a second port, so much above its first.
pub(crate) const SPAN: u16 = 10_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on which nobody listens, nor on the one that is [`SPAN`] above. This test binary is given none twice soon.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    // Test binaries that run at once begin at different places.
    let begin = (process::id() * 61 % u32::from(SPAN)) as u16;
    let mut tried = (0..SPAN).map(|_| FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % SPAN) % SPAN);
    tried.find(|port| is_free(port) && is_free(&(port + SPAN))).expect("a free port of the loopback")
}
