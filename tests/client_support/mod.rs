//! Other makers' clients: the scripts of `tests/interop` in Python and JavaScript, run as children.
//!
//! Never stands in for a client: what reads our bytes is what a user would run. Installs nothing:
//! `./test` does. Without the clients the tests fail and say so, unless `PLANBUS_SKIP_CLIENTS=1`.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;

#[path = "../installed_support/mod.rs"]
mod installed;

/// The variable that leaves the tests with clients out.
const SKIP: &str = "PLANBUS_SKIP_CLIENTS";

/// How long a client may take to its next line, and to its end.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What runs a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
}

impl Language {
    fn of(script: &str) -> Self {
        if script.ends_with(".py") { Self::Python } else { Self::JavaScript }
    }

    /// The program, and what shows that the clients themselves are there.
    fn installed(self) -> (PathBuf, PathBuf) {
        match self {
            Self::Python => {
                let folder = installed::folder("python");
                (folder.join("bin/python3"), folder.join("installed/a2a-sdk==1.3.0"))
            }
            Self::JavaScript => {
                let folder = installed::folder("node");
                (folder.join("node"), folder.join("installed-lock.json"))
            }
        }
    }
}

/// A client that runs, and the JSON lines that it prints.
///
/// Killed when it is dropped.
pub(crate) struct Client {
    script: String,
    child: Child,
    lines: Receiver<String>,
    complaints: Option<JoinHandle<String>>,
}

impl Client {
    /// Runs a script of `tests/interop` (`*.py`, or `js/*.cjs`); `None` where the test is to return,
    /// which has been told then.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Option<Self> {
        if installed::is_set(SKIP) {
            installed::tell_skipped(&format!("{SKIP} is set"));
            return None;
        }
        let language = Language::of(script);
        let (program, clients) = language.installed();
        assert!(
            program.exists() && clients.exists(),
            "no {}: run ./test, which installs the clients; {SKIP}=1 leaves their tests out",
            if program.exists() { clients.display() } else { program.display() },
        );
        let mut command = Command::new(&program);
        if language == Language::Python {
            // No compiled copies beside the source.
            command.arg("-B");
        } else {
            command.env("NODE_PATH", installed::folder("node").join("node_modules"));
        }
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A proxy of the system's has no place between a client and this machine.
        command.env("NO_PROXY", "*").env("no_proxy", "*");
        let mut child = command.spawn().expect("the client starts");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("stdout is piped");
        std::thread::spawn(move || {
            // Ends with the client, or with the test that no longer listens.
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let complaints = std::thread::spawn(move || {
            let mut told = Vec::new();
            let _ = stderr.read_to_end(&mut told);
            String::from_utf8_lossy(&told).into_owned()
        });
        Some(Self { script: script.to_owned(), child, lines, complaints: Some(complaints) })
    }

    /// The next line; `None` once the client has closed its output.
    pub(crate) fn next(&mut self) -> Option<Value> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => Some(
                serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("{} printed {line:?}: {error}", self.script)),
            ),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.give_up(&format!("printed nothing for {LIMIT:?}")),
        }
    }

    /// The next line, which must come.
    pub(crate) fn expect_next(&mut self) -> Value {
        match self.next() {
            Some(line) => line,
            None => self.give_up("ended before its next line"),
        }
    }

    /// What is left of the lines, once the client has ended well.
    pub(crate) fn finish(mut self) -> Vec<Value> {
        let lines: Vec<Value> = std::iter::from_fn(|| self.next()).collect();
        let status = self.wait();
        let complaints = self.complaints();
        assert!(status.success(), "{} ended with {status} after {lines:?}: {complaints}", self.script);
        lines
    }

    /// Kills the client in the middle of what it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the client can be killed");
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the client is our child") {
                return status;
            }
            if start.elapsed() >= LIMIT {
                self.give_up("does not end");
            }
            std::thread::yield_now();
        }
    }

    fn give_up(&mut self, why: &str) -> ! {
        // It may have ended already.
        let _ = self.child.kill();
        let complaints = self.complaints();
        panic!("{} {why}; it complained: {complaints}", self.script)
    }

    /// What the client wrote to stderr, once it has ended.
    fn complaints(&mut self) -> String {
        let thread = self.complaints.take();
        thread.map(|thread| thread.join().expect("reading does not panic")).unwrap_or_default()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
