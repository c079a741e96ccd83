//! Threads that wait for a server: no signal of the process is theirs.
//!
//! A socket with a timeout ends its read with `Interrupted` when its thread is chosen for a signal, be it
//! for a child that ended, and the connection is lost. The signals stay the program's.

use std::{
    io,
    thread::{self, JoinHandle},
};

/// Starts a thread that is left alone by signals. No handler of a user runs on it, nor what he starts.
pub(crate) fn spawn(name: String, act: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(move || {
        #[cfg(unix)]
        if let Err(error) = nix::sys::signal::SigSet::all().thread_block() {
            // It works without, but for a connection that is made anew now and then.
            tracing::debug!(%error, "planbus.redis: signals may end reads");
        }
        act();
    })
}
