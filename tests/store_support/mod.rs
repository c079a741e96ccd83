//! What the tests of the store share: directories, events, and children of the test binary.
//!
//! Never waits for a time: only for a condition, with a limit after which the test fails.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use planbus::*;
use serde_json::json;

/// How long a condition may take before its test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A directory of one test's own.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory for the test"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path().join("planbus.db")
    }
}

/// What a test needs at most in memory.
#[cfg(target_os = "linux")]
const MEMORY_BYTES: u64 = 512 << 20;

/// A directory in memory where there is room, for what syncs often and needs no disk for it.
#[cfg(target_os = "linux")]
pub(crate) fn memory_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let has_room = nix::sys::statvfs::statvfs(memory)
        .is_ok_and(|found| found.blocks_available() * found.fragment_size() >= MEMORY_BYTES);
    let in_memory = if has_room { tempfile::tempdir_in(memory).ok() } else { None };
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a directory for the test"))
}

/// A small event.
pub(crate) fn event(plan: &str, number: usize) -> Event {
    Event::new(plan, ToolCalled::new(format!("call-{number}"), "grep", json!({"number": number})))
}

/// Checks that the log is dense from 1, holds each event id once, and returns its events.
pub(crate) fn check_dense(store: &EventStore) -> Vec<Event> {
    let events = store.read_after(0, usize::MAX).expect("the log can be read");
    let mut ids = std::collections::HashSet::new();
    let mut recorded = None;
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.seq(), Some(at as u64 + 1), "the log is dense");
        assert!(ids.insert(event.event_id()), "{} is there once", event.event_id());
        assert!(event.recorded_at() >= recorded, "recorded_at never decreases");
        recorded = event.recorded_at();
    }
    assert_eq!(store.head().expect("a head"), events.len() as u64);
    events
}

/// Waits for a condition.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "waited too long: {what}");
        std::thread::yield_now();
    }
}

/// The variable that tells a child of the test binary what to do.
const ROLE: &str = "PLANBUS_TEST_ROLE";
const PATH: &str = "PLANBUS_TEST_PATH";

/// This test binary again, as a child that runs only the test `role`, which is to act on `path`.
pub(crate) fn child(role: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    as_child(&mut command, role, path);
    command
}

/// Gives a command that starts this test binary the arguments of a child.
pub(crate) fn as_child(command: &mut Command, role: &str, path: &Path) {
    command.args(["--exact", role, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(PATH, path).stdin(Stdio::null()).stdout(Stdio::piped());
}

/// The path to act on, in a child with this role; `None` where the test runs as a test.
pub(crate) fn role(role: &str) -> Option<PathBuf> {
    let is_child = std::env::var_os(ROLE).is_some_and(|given| given == role);
    is_child.then(|| {
        // The harness has begun a line of its own.
        println!();
        std::env::var_os(PATH).expect("a child is given a path").into()
    })
}

/// A child that is killed when the test ends.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a program can be run here.
pub(crate) fn has_program(name: &str, args: &[&str]) -> bool {
    let mut command = Command::new(name);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
