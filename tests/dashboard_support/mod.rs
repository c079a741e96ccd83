//! The page in a real browser: a script of `tests/dashboard`, which drives it, and its test in turns.
//!
//! Never stands in for a browser or for the server. Installs nothing: `./test` does. Without the browser
//! the tests fail and say so, unless `PLANBUS_SKIP_BROWSER=1`.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "../installed_support/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "a test that needs Redis too has it twice")]
mod installed;

/// The variable that leaves the tests of the page out.
const SKIP: &str = "PLANBUS_SKIP_BROWSER";
const BROWSER: &str = "chromium-headless-shell";

/// How long a script may take to its next line: longer than it waits itself for what must come.
const LIMIT: Duration = Duration::from_secs(120);

/// Whether the tests of the page are left out, which has been told then.
pub(crate) fn is_skipped() -> bool {
    let is_set = installed::is_set(SKIP);
    if is_set {
        installed::tell_skipped(&format!("{SKIP} is set"));
    }
    is_set
}

/// Node with the packages that `./test` installs.
pub(crate) fn node() -> Command {
    let folder = installed::folder("node");
    let modules = folder.join("node_modules");
    assert!(
        modules.join("playwright-core").exists(),
        "no {}: run ./test, which installs it; {SKIP}=1 leaves the tests of the page out",
        modules.join("playwright-core").display(),
    );
    let mut command = Command::new(folder.join("node"));
    command.env("NODE_PATH", modules).env("NO_PROXY", "*").env("no_proxy", "*");
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn browser() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(BROWSER)).find(|program| program.exists());
    found.unwrap_or_else(|| panic!("no {BROWSER}: run ./test, which installs it; {SKIP}=1 leaves it out"))
}

/// A browser that a script drives. Both end when it is dropped.
pub(crate) struct Browser {
    script: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    complaints: Option<JoinHandle<String>>,
    /// Where the script stands and waits.
    place: Option<String>,
    /// What the browser keeps; a script that is ended leaves it behind.
    _kept: TempDir,
}

impl Browser {
    /// Starts a script with the page of a server; `None` where the test is to return.
    pub(crate) fn start(script: &str, url: &str) -> Option<Self> {
        Self::start_with(script, url, &json!({}))
    }

    /// As [`start`](Self::start), with more that the script is given.
    pub(crate) fn start_with(script: &str, url: &str, given: &Value) -> Option<Self> {
        if is_skipped() {
            return None;
        }
        let mut all = json!({"url": url, "chromium": browser()});
        let fields = given.as_object().expect("an object").clone();
        all.as_object_mut().expect("an object").extend(fields);
        let mut command = node();
        command.arg(Path::new("tests/dashboard").join(script)).arg(all.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let kept = tempfile::tempdir().expect("a folder");
        command.env("TMPDIR", kept.path());
        let mut child = command.spawn().expect("node starts");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("piped");
        std::thread::spawn(move || {
            // Ends with the script, or with the test that no longer listens.
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut stderr = child.stderr.take().expect("piped");
        let complaints = std::thread::spawn(move || {
            let mut told = Vec::new();
            let _ = stderr.read_to_end(&mut told);
            String::from_utf8_lossy(&told).into_owned()
        });
        let stdin = child.stdin.take().expect("piped");
        let script = script.to_owned();
        Some(Self { script, child, stdin, lines, complaints: Some(complaints), place: None, _kept: kept })
    }

    /// Lets the script go on from where it waits, and waits until it is at the next place, this one; what
    /// it tells of it.
    pub(crate) fn reach(&mut self, place: &str) -> Value {
        self.reach_with(place, &json!({}))
    }

    /// As [`reach`](Self::reach); the script is told this before it goes on.
    pub(crate) fn reach_with(&mut self, place: &str, told: &Value) -> Value {
        self.go_on(told);
        let Some(line) = self.next() else { self.give_up(&format!("ended before it was at {place:?}")) };
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(line["at"], place, "{}: {line}", self.script);
        self.place = Some(place.to_owned());
        line
    }

    /// Lets the script go on to its end, which must be a good one.
    pub(crate) fn finish(self) {
        self.finish_with(&json!({}));
    }

    /// As [`finish`](Self::finish); the script is told this before it goes on.
    pub(crate) fn finish_with(mut self, told: &Value) {
        self.go_on(told);
        if let Some(line) = self.next() {
            self.give_up(&format!("is at {line} and not at its end"));
        }
        let status = self.child.wait().expect("the script is our child");
        let complaints = self.complaints();
        assert!(status.success(), "{} ended with {status}: {complaints}", self.script);
    }

    fn go_on(&mut self, told: &Value) {
        if self.place.take().is_some() {
            writeln!(self.stdin, "{told}").expect("the script reads on");
        }
    }

    /// The next line; `None` once the script has closed its output.
    fn next(&mut self) -> Option<String> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.give_up(&format!("said nothing for {LIMIT:?}")),
        }
    }

    fn give_up(&mut self, why: &str) -> ! {
        self.end();
        let complaints = self.complaints();
        panic!("{} {why}: {complaints}", self.script)
    }

    /// Ends the script; without it its browser ends too.
    fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn complaints(&mut self) -> String {
        let thread = self.complaints.take();
        thread.map(|thread| thread.join().expect("reading does not panic")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.end();
    }
}
