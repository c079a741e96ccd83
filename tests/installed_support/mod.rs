//! What `./test` has installed beside what cargo builds, and how a test is left out without it.
//!
//! Installs nothing itself.

use std::{io::Write, path::PathBuf};

/// A folder that `./test` fills: `python` or `node`.
pub(crate) fn folder(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    // target/PROFILE/deps/TEST, or with the name of a platform below target.
    let beside: Vec<PathBuf> = test.ancestors().skip(3).take(2).map(|folder| folder.join(name)).collect();
    beside.iter().find(|folder| folder.exists()).unwrap_or(&beside[0]).clone()
}

/// Whether a variable leaves tests out.
pub(crate) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Past what the harness captures: a test that was left out must not look like one that passed.
pub(crate) fn tell_skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
