//! [`Usage`]: what a process holds of its machine, as the kernel says.

use std::fs;

use serde::Serialize;

/// What a process holds at a moment.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// Memory that is not a file's: what a file has in memory may leave it at any time.
    pub(crate) memory_bytes: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
        let number = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {status}"))
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("the process is ours").count();
        Self {
            memory_bytes: number("RssAnon:") << 10,
            descriptors: descriptors as u64,
            threads: number("Threads:"),
        }
    }
}
