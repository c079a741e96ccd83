//! Counting: one scenario in a process of its own, under valgrind, which counts each instruction.
//!
//! Only what [`counted_operations`] calls is counted, so neither start nor preparation are. Never
//! looks at a clock: what else runs on the machine does not count.

use std::{
    env, fs,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
};

use crate::judge::{Conditions, total};

/// One piece of a scenario's work, which can be done again and again.
pub(crate) type Work = Box<dyn FnMut()>;

/// Takes what work came to, which no compiler may leave out.
pub(crate) fn done<T>(result: T) {
    black_box(result);
}

/// Does the work as often as is asked. Callgrind knows this function by its name.
#[inline(never)]
pub(crate) fn counted_operations(times: u64, work: &mut Work) {
    for _ in 0..times {
        black_box(&mut *work)();
    }
}

/// The instructions of this program with these arguments, inside [`counted_operations`].
pub(crate) fn count(arguments: &[&str], folder: &Path) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    let out = folder.join("callgrind.out");
    let run = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--toggle-collect=*counted_operations*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(arguments)
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind cannot be started (is it installed?): {error}"))?;
    if !run.status.success() {
        return Err(format!("it ended with {}:\n{}", run.status, String::from_utf8_lossy(&run.stderr)));
    }
    let text = fs::read_to_string(&out).map_err(|error| format!("callgrind wrote nothing: {error}"))?;
    total(&text)
}

/// What the counts of this machine depend on.
pub(crate) fn conditions() -> Result<Conditions, String> {
    Ok(Conditions {
        architecture: format!("{}-{}", env::consts::ARCH, env::consts::OS),
        compiler: first_line("rustc", &["--version"])?,
        c_compiler: first_line("cc", &["--version"])?,
        vectors: vectors().to_owned(),
        valgrind: first_line("valgrind", &["--version"])?,
    })
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String, String> {
    let run = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let run = run.map_err(|error| format!("{program} cannot be started (is it installed?): {error}"))?;
    let text = String::from_utf8_lossy(&run.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> &'static str {
    if is_x86_feature_detected!("avx2") { "avx2" } else { "sse2" }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> &'static str {
    "as the architecture has them"
}
