//! [`Process`]: a server that ends when its test does, whatever ends the test.
//!
//! Knows nothing of Redis.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        LazyLock,
        mpsc::{self, Sender},
    },
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How many of a server's last lines a failing test shows.
const SHOWN_LINES: usize = 30;

/// A running program, killed and reaped on drop.
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts a program, whose output goes to the end of a file.
    ///
    /// The kernel kills it when this test binary dies, by whatever.
    pub(crate) fn start(program: &Path, arguments: &[&str], output: &Path) -> Self {
        let file = File::options().create(true).append(true).open(output).expect("a file for the output");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.stdin(Stdio::null());
        command.stdout(file.try_clone().expect("the file again")).stderr(file);
        let (send, receive) = mpsc::channel();
        STARTER.send((command, send)).expect("the starter lives as long as the test binary");
        let child = receive.recv().expect("the starter answers").expect("setpriv of util-linux starts");
        Self { child, output: output.to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().cast_signed());
        kill(id, signal).expect("the process is ours and not yet reaped");
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process is ours")
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the process is ours")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            println!("the last lines of {}:\n{}", self.output.display(), last_lines(&self.output));
        }
    }
}

/// The last lines that a process put out.
pub(crate) fn last_lines(output: &Path) -> String {
    let text = fs::read(output).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

type Start = (Command, Sender<io::Result<Child>>);

/// The thread that starts all processes: the kernel ends a child with the *thread* that started it,
/// and a server may outlive the thread that wanted it.
static STARTER: LazyLock<Sender<Start>> = LazyLock::new(|| {
    let (send, receive) = mpsc::channel::<Start>();
    let run = move || {
        for (mut command, answer) in receive {
            // Nobody waits for the answer when its test has failed meanwhile.
            let _ = answer.send(command.spawn());
        }
    };
    thread::Builder::new().name("starter".to_owned()).spawn(run).expect("a thread starts");
    send
});
