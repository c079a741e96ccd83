//! The readers of `tests/interop`, one for each profile: Python programs that share nothing with planbus.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{RedisServer, python};

/// What the reader of a profile understood of each entry, or what it complained of; `None` where the
/// test is to return.
///
/// Without keys the reader finds the streams by itself, where the profile's system does. It gets each
/// entry once: it reads as a group.
pub(crate) fn read_with(
    profile: &str,
    server: &RedisServer,
    keys: &[&str],
) -> Option<Result<Vec<Value>, String>> {
    let script = format!("tests/interop/read_{}.py", profile.replace('-', "_"));
    let mut reader = Command::new(python()?);
    // No compiled copies beside the source.
    reader.arg("-B").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
    reader.arg(format!("unix://{}", server.socket().display())).args(keys).stdin(Stdio::null());
    let output = reader.output().expect("python starts");
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()));
    }
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    Some(Ok(lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()))
}
