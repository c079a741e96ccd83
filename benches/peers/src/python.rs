//! The peer in Python: what agent systems run today, as a child process that works in our rounds.
//!
//! `python/stack.py` says what it can do. Where there is no Python, rows go without this peer.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Once,
    time::Duration,
};

use crate::measure::Contender;

/// The variable that names a Python which has pyee and redis; `./bench` sets it.
const PYTHON: &str = "PLANBUS_BENCH_PYTHON";
/// What it runs.
const STACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python/stack.py");

/// The child. It ends when this is dropped.
pub(crate) struct Python {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// Starts the peer; `None`, and once a line that says so, where there is no Python for it.
    pub(crate) fn start() -> Option<Self> {
        static TOLD: Once = Once::new();
        let Some(python) = env::var_os(PYTHON) else {
            TOLD.call_once(|| eprintln!("{PYTHON} is not set: the rows go without Python's figures"));
            return None;
        };
        let mut command = Command::new(python);
        command.arg(STACK).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the Python that was named starts");
        let stdin = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("is piped"));
        Some(Self { child, stdin, answers })
    }

    /// Does a work of the peer so many times, and says how long that took by its own clock.
    pub(crate) fn round(&mut self, work: &str, times: u64) -> Duration {
        let mut stdin = self.stdin.as_ref().expect("is open until dropped");
        writeln!(stdin, "{times} {work}").expect("it listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        Duration::from_nanos(answer.trim().parse().expect("it says nanoseconds, or on stderr what is wrong"))
    }

    /// The peer as a contender that does one part in `parts` of each round: it takes that much longer.
    pub(crate) fn contender(mut self, work: String, parts: u32) -> Contender<'static> {
        Contender::timed(move |times| self.round(&work, times / u64::from(parts)) * parts)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends where its orders end.
        self.stdin = None;
        self.child.wait().expect("a child can be waited for");
    }
}
