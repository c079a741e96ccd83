//! [`Child`]: the process of the runtime, as the test sees it.

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{ChildStdin, ChildStdout, Stdio},
};

use super::{naive::Naive, runtime};
use crate::store_support::{Killed, child};

/// The process of the runtime.
pub(super) struct Child {
    process: Killed,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    folder: std::path::PathBuf,
}

impl Child {
    /// Starts a child that runs the test `test` in a folder; how it is.
    pub(super) fn start(
        test: &str,
        folder: &Path,
        url: Option<&str>,
        naive: Option<Naive>,
    ) -> (Self, runtime::Look) {
        let mut command = child(test, folder);
        if let Some(url) = url {
            command.env(runtime::URL, url);
        }
        if let Some(naive) = naive {
            command.env(runtime::NAIVE, format!("{naive:?}"));
        }
        let mut process = command.stdin(Stdio::piped()).spawn().expect("starts");
        let stdin = process.stdin.take().expect("is piped");
        let lines = BufReader::new(process.stdout.take().expect("is piped")).lines();
        let mut child = Self { process: Killed(process), stdin, lines, folder: folder.to_owned() };
        let look = child.answer();
        (child, look)
    }

    pub(super) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Gives it a command, and waits until it has done it.
    pub(super) fn tell(&mut self, command: &str) -> runtime::Look {
        writeln!(self.stdin, "{command}").expect("the runtime listens");
        self.answer()
    }

    /// Waits until it has ended by itself.
    pub(super) fn end(mut self) -> bool {
        writeln!(self.stdin, "end").expect("the runtime listens");
        self.process.0.wait().expect("ends").success()
    }

    fn answer(&mut self) -> runtime::Look {
        loop {
            let line = self.lines.next().expect("the runtime answers").expect("text");
            // The harness has lines of its own.
            if line.starts_with('{') {
                return serde_json::from_str(&line).expect("how it is");
            }
        }
    }

    /// How long its file of this name is; 0 where there is none.
    pub(super) fn file_bytes(&self, name: &str) -> u64 {
        fs::metadata(self.folder.join(name)).map_or(0, |metadata| metadata.len())
    }
}
