//! A real terminal for the program: a private tmux, whose screen is read as a person would.
//!
//! Waits for what the screen shows, never for a time. `./test` installs tmux; without it the tests fail
//! and say so, unless `PLANBUS_SKIP_CLIENTS=1`.

#![allow(dead_code, reason = "each test binary uses a part")]

mod runtime;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

pub(crate) use self::runtime::Runtime;
use crate::store_support::LIMIT;

/// The variable that leaves the tests with other makers' programs out.
const SKIP: &str = "PLANBUS_SKIP_CLIENTS";

/// A terminal in which something runs; ended when dropped.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    /// Runs a line of shell in a new terminal of so many columns and rows, in `directory`. `planbus` is
    /// the program. `None` where such tests are left out.
    pub(crate) fn run(directory: &Path, (columns, rows): (usize, usize), line: &str) -> Option<Self> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        if std::env::var_os(SKIP).is_some_and(|value| value == "1") {
            println!("skipped: {SKIP} is set");
            return None;
        }
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { socket: format!("planbus-test-{}-{number}", std::process::id()) };
        let program = Path::new(env!("CARGO_BIN_EXE_planbus"));
        let folder = program.parent().expect("a folder").display();
        // What the program left is looked at while the shell still has the terminal, also after Ctrl-C.
        let line = format!("trap : INT; PATH='{folder}':$PATH; {line}; echo \"ended with $?\"; exec cat");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut tmux = terminal.tmux();
        for name in ["PLANBUS_DB", "PLANBUS_REDIS", "NO_COLOR", "RUST_LOG", "TMUX", "COLUMNS", "LINES"] {
            tmux.env_remove(name);
        }
        tmux.env("LC_ALL", "C.UTF-8").arg("-u").args(["new-session", "-d", "-x", &columns, "-y", &rows]);
        tmux.arg("-c").arg(directory).args(["sh", "-c", &line]);
        // Not `output`: the server of tmux lives on, and would keep the pipe open.
        let started = tmux.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let started =
            started.unwrap_or_else(|error| panic!("tmux: {error}; ./test installs it, {SKIP}=1 skips"));
        assert!(started.success(), "tmux: {started}");
        Some(terminal)
    }

    /// What stands on the screen, line by line, without what is empty at the end.
    pub(crate) fn screen(&self) -> String {
        self.capture(&[])
    }

    /// The same with its colours, as escape sequences; those that tmux adds for none left out.
    pub(crate) fn coloured(&self) -> String {
        self.capture(&["-e"]).replace("\u{1b}[39m", "").replace("\u{1b}[49m", "")
    }

    /// Waits until the screen shows all of this.
    pub(crate) fn shows(&self, wanted: &[&str]) -> String {
        self.wait(&format!("{wanted:?}"), |screen| wanted.iter().all(|wanted| screen.contains(wanted)))
    }

    /// Waits until the screen is as it should be. All that is asked of one picture belongs in here: what
    /// is read may be half a new picture over an old one.
    pub(crate) fn wait(&self, what: &str, is_as_wanted: impl Fn(&str) -> bool) -> String {
        Self::wait_for(what, || self.screen(), is_as_wanted)
    }

    /// Waits until the screen shows all of this, colours included.
    pub(crate) fn shows_coloured(&self, wanted: &[&str]) -> String {
        let shows = |screen: &str| wanted.iter().all(|wanted| screen.contains(wanted));
        Self::wait_for(&format!("{wanted:?}"), || self.coloured(), shows)
    }

    fn wait_for(what: &str, screen: impl Fn() -> String, is_as_wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = screen();
            if is_as_wanted(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < LIMIT, "waited for {what}, and the screen is\n{screen}");
        }
    }

    /// Presses keys, in tmux's names for them.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }

    pub(crate) fn resize(&self, columns: usize, rows: usize) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// The process that the terminal began with.
    pub(crate) fn shell(&self) -> u32 {
        let pid = self.ask(&["display-message", "-p", "#{pane_pid}"]);
        pid.trim().parse().expect("a process id")
    }

    /// The process that the shell runs.
    pub(crate) fn child(&self) -> u32 {
        let shell = self.shell();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        children.expect("/proc").split_whitespace().next().expect("a child").parse().expect("a process id")
    }

    fn capture(&self, options: &[&str]) -> String {
        let text = self.ask(&[&["capture-pane", "-p"], options].concat());
        text.trim_end().to_owned()
    }

    /// Asks tmux something.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.tmux().args(arguments).output().expect("tmux");
        assert!(status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).expect("UTF-8")
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        // Settings of whoever runs the tests do not count.
        tmux.args(["-L", &self.socket, "-f", "/dev/null"]).stdin(Stdio::null());
        tmux
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.tmux().arg("kill-server").stderr(Stdio::null()).status();
    }
}
