//! The process that consumes: a child of the test binary that handles what its group gets, and writes
//! down what it did.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    str::FromStr,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    journal::{self, Fate, Journal, What},
    naive_consumer, own_consumer,
    publisher::IMPATIENT,
};
use crate::{redis_support::wait_for, store_support::as_child};

/// What a child is to be: see [`Role`].
const ROLE: &str = "PLANBUS_TEST_CONSUMER";
const URL: &str = "PLANBUS_TEST_URL";

/// How a consumer works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its handler writes into the database of its inbox.
    Inbox,
    /// A handler.
    Plain,
    /// A handler, each plan in order.
    PerPlan,
    /// An iterator, and the program acks.
    Manual,
    /// Not ours: acks what it got, then handles it.
    AckFirst,
    /// Not ours: what failed is put into the stream again.
    Republish,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Inbox, Self::Plain, Self::PerPlan, Self::Manual, Self::AckFirst, Self::Republish];

    pub(crate) fn is_naive(self) -> bool {
        matches!(self, Self::AckFirst | Self::Republish)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|kind| format!("{kind:?}") == text);
        named.ok_or_else(|| format!("no kind of consumer: {text}"))
    }
}

/// What one child is to do.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) kind: Kind,
    pub(crate) profile: String,
    pub(crate) group: String,
    /// Its place among the cell's consumers, which whoever takes its place has too.
    pub(crate) seat: usize,
    /// No other process of the cell has it.
    pub(crate) number: usize,
}

impl Role {
    /// The consumer's name in its group.
    pub(crate) fn name(&self) -> String {
        format!("worker-{}", self.seat)
    }

    fn to_text(&self) -> String {
        format!("{:?} {} {} {} {}", self.kind, self.profile, self.group, self.seat, self.number)
    }

    fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind, profile, group, seat, number] = parts[..] else { panic!("no role: {text}") };
        Self {
            kind: kind.parse().expect("a kind"),
            profile: profile.to_owned(),
            group: group.to_owned(),
            seat: seat.parse().expect("a number"),
            number: number.parse().expect("a number"),
        }
    }
}

/// The child, as its parent sees it.
pub(crate) struct Consumer {
    pub(crate) role: Role,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Consumer {
    /// Starts a child that runs the test `test`, in a cell's folder.
    pub(crate) fn start(test: &str, folder: &Path, url: &str, role: Role) -> Self {
        let mut command = Command::new("setpriv");
        // One that is frozen would not see that its parent is gone.
        command.args(["--pdeathsig", "KILL", "--"]).arg(std::env::current_exe().expect("this binary"));
        as_child(&mut command, test, folder);
        command.env(URL, url).env(ROLE, role.to_text());
        let mut child = command.stdin(Stdio::piped()).spawn().expect("starts");
        let stdin = child.stdin.take().expect("is piped");
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let mut consumer = Self { role, child, stdin, lines };
        consumer.answer("ready");
        consumer
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("is killed");
        self.child.wait().expect("ends");
    }

    /// Stops it in its tracks (SIGSTOP).
    pub(crate) fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let state = format!("/proc/{}/stat", self.child.id());
        // The signal arrives a moment later than it is sent.
        wait_for("the consumer is frozen", || {
            std::fs::read_to_string(&state).is_ok_and(|text| text.contains(") T "))
        });
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it is ours and not yet reaped");
    }

    /// Ends it in order; gives what it says of that.
    pub(crate) fn stop(&mut self) -> String {
        writeln!(self.stdin, "stop").expect("the child listens");
        let told = self.answer("stopped ");
        self.child.wait().expect("ends");
        told
    }

    /// What it says of how it stands.
    pub(crate) fn status(&mut self) -> String {
        writeln!(self.stdin, "status").expect("the child listens");
        self.answer("status ")
    }

    /// Waits for the line that begins so, and gives the rest of it.
    fn answer(&mut self, begin: &str) -> String {
        loop {
            let line = self.lines.next().expect("the child answers").expect("text");
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the handler of a child does.
pub(crate) struct Handling {
    pub(crate) role: Role,
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
    journal: Journal,
}

impl Handling {
    fn of_child(folder: &Path) -> Self {
        let role = Role::parse(&std::env::var(ROLE).expect("a child is given a role"));
        let url = std::env::var(URL).expect("a child is given a URL") + IMPATIENT;
        let journal = Journal::open(folder, &role.group, role.number);
        Self { role, folder: folder.to_owned(), url, journal }
    }

    /// One attempt: has its effect, takes its time, and fails where the event's fate wants it, so that
    /// what the effect was must not stay.
    pub(crate) fn attempt(
        &self,
        event_id: &str,
        attempt: u32,
        effect: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        self.journal.write(What::Begun, event_id, attempt);
        let result = effect().and_then(|()| {
            std::thread::park_timeout(journal::work(event_id));
            match Fate::of(&self.role.group, event_id).fails(attempt) {
                true => Err(format!("attempt {attempt} fails")),
                false => Ok(()),
            }
        });
        let what = if result.is_ok() { What::Done } else { What::Failed };
        self.journal.write(what, event_id, attempt);
        result
    }
}

/// A consumer that runs, in the child.
pub(crate) trait Runs {
    /// How it stands.
    fn status(&self) -> String;
    /// Ends it in order and says how that went.
    fn stop(self: Box<Self>) -> String;
}

/// The child's work: until it is told to stop, or its stdin ends.
pub(crate) fn run(folder: &Path) {
    let handling = Handling::of_child(folder);
    let consumer: Box<dyn Runs> = match handling.role.kind {
        kind if kind.is_naive() => Box::new(naive_consumer::Naive::start(handling)),
        _ => own_consumer::start(handling),
    };
    say("ready");
    for line in std::io::stdin().lines() {
        match line.expect("text").as_str() {
            "status" => say(&format!("status {}", consumer.status())),
            "stop" => return say(&format!("stopped {}", consumer.stop())),
            line => panic!("no command: {line}"),
        }
    }
}

fn say(line: &str) {
    println!("{}", line.replace('\n', " "));
    // The parent waits for it, and a pipe is not flushed at the end of a line.
    std::io::stdout().flush().expect("the parent listens");
}
