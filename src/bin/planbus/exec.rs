//! Runs the command of `planbus consume --exec` for one event after the other.
//!
//! The command gets the event on stdin and is judged by its exit code alone. It has a process group of
//! its own, so that Ctrl-C is ours to pass on and nothing that it started is left when it is cut off.
//! Knows nothing of acks.

use std::{
    io::{self, Read, Write},
    process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use planbus::redis::Delivery;

use crate::{agent_runtime::units::duration, failure::chain};

/// The exit code of a command for which the event is wrong, so that another attempt would fail as well:
/// `EX_DATAERR` of sysexits.h.
const REFUSED: i32 = 65;
/// How much of the end of a command's stderr becomes a part of the error.
const STDERR_KEPT_BYTES: usize = 2 << 10;
const STDERR_KEPT_LINES: usize = 10;
/// What a pipe takes without a reader, on every system.
const PIPE_BYTES: usize = 4 << 10;
/// How long it takes at most to see that a command has ended which left its stderr to another process,
/// that it takes too long, or that it is to be cut off.
const LOOK_MAX: Duration = Duration::from_millis(50);
const LOOK_FIRST: Duration = Duration::from_micros(200);
/// How long the end of stderr is waited for once its command has ended: another process may have it.
const DRAIN_MAX: Duration = Duration::from_millis(200);
/// How long commands that were cut off may take to be gone.
const GONE_MAX: Duration = Duration::from_millis(500);

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Ran {
    Done,
    /// It failed, and why.
    Failed(String),
    /// It said that the event is wrong, and why.
    Refused(String),
    /// We cut it off because we end.
    CutOff,
}

/// A command, and those of its runs that go on.
#[derive(Debug)]
pub(crate) struct Commands {
    line: String,
    timeout: Option<Duration>,
    is_cut_off: AtomicBool,
    running: AtomicUsize,
}

impl Commands {
    pub(crate) fn new(line: &str, timeout: Option<Duration>) -> Self {
        let (is_cut_off, running) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { line: line.to_owned(), timeout, is_cut_off, running }
    }

    /// Runs the command for an event, to its end.
    pub(crate) fn run(&self, delivery: &Delivery) -> Ran {
        self.running.fetch_add(1, Ordering::SeqCst);
        let ran = self.try_run(delivery).unwrap_or_else(Ran::Failed);
        self.running.fetch_sub(1, Ordering::SeqCst);
        ran
    }

    /// Kills all that run, with what they have started; none begins any more.
    pub(crate) fn cut_off(&self) {
        self.is_cut_off.store(true, Ordering::SeqCst);
    }

    /// As [`cut_off`](Self::cut_off), and waits a moment until they are gone.
    pub(crate) fn cut_off_and_wait(&self) {
        self.cut_off();
        let begun = Instant::now();
        while self.running.load(Ordering::SeqCst) > 0 && begun.elapsed() < GONE_MAX {
            thread::sleep(LOOK_FIRST);
        }
    }

    fn try_run(&self, delivery: &Delivery) -> Result<Ran, String> {
        let failed = |doing: &str, error: &io::Error| format!("{doing}: {}", chain(error));
        let mut event = delivery.event().to_json().map_err(|error| chain(&error))?;
        event.push('\n');
        if self.is_cut_off.load(Ordering::SeqCst) {
            return Ok(Ran::CutOff);
        }
        let mut child =
            self.command(delivery).spawn().map_err(|error| failed("start the command", &error))?;
        let fed = child.stdin.take().map_or(Ok(()), |stdin| feed(stdin, event));
        let told = Told::listen(child.stderr.take());
        let (mut told, end) = match fed.and(told) {
            Ok(mut told) => {
                let end = self.wait(&mut child, &mut told);
                (told, end)
            }
            Err(error) => {
                kill(&mut child);
                // It is dead: this only takes its leave.
                let _ = child.wait();
                return Err(failed("start the command", &error));
            }
        };
        let (status, cut) = end.map_err(|error| failed("wait for the command", &error))?;
        let why = match cut {
            Some(Cut::Stopped) => return Ok(Ran::CutOff),
            Some(Cut::TooLong(timeout)) => {
                format!("took longer than {} and was killed", duration(timeout))
            }
            None if status.success() => return Ok(Ran::Done),
            None => why(status),
        };
        let last = told.last_lines();
        let error = if last.is_empty() { why } else { format!("{why}: {last}") };
        Ok(if cut.is_none() && status.code() == Some(REFUSED) {
            Ran::Refused(error)
        } else {
            Ran::Failed(error)
        })
    }

    fn command(&self, delivery: &Delivery) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.line).stdin(Stdio::piped()).stderr(Stdio::piped());
        // No variable of a process can hold a NUL.
        let mut set = |name: &str, value: &str| {
            command.env(name, value.replace('\0', "\u{fffd}"));
        };
        set("PLANBUS_STREAM", delivery.stream());
        set("PLANBUS_ENTRY_ID", &delivery.id().to_string());
        set("PLANBUS_GROUP", delivery.group());
        set("PLANBUS_ATTEMPT", &delivery.attempt().to_string());
        set("PLANBUS_REPLAY", if delivery.is_replay() { "1" } else { "0" });
        set("PLANBUS_LAST_ERROR", delivery.last_error().unwrap_or_default());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }

    /// Waits for the end, and brings it about where it takes too long. A command that has ended is seen
    /// at once by the end of its stderr, unless another process has it too.
    fn wait(&self, child: &mut Child, told: &mut Told) -> io::Result<(ExitStatus, Option<Cut>)> {
        let begun = Instant::now();
        let mut cut = None;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok((status, cut));
            }
            if cut.is_none() {
                let is_stopped = self.is_cut_off.load(Ordering::SeqCst);
                let overdue = self.timeout.filter(|timeout| begun.elapsed() >= *timeout).map(Cut::TooLong);
                cut = if is_stopped { Some(Cut::Stopped) } else { overdue };
                if cut.is_some() {
                    kill(child);
                }
            }
            told.wait(LOOK_MAX);
        }
    }
}

/// Why a command was cut off.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Stopped,
    TooLong(Duration),
}

/// Kills a command that was not waited for yet, and what it started: its id is its group's still.
fn kill(child: &mut Child) {
    // What is gone already needs no signal.
    #[cfg(unix)]
    if let Ok(id) = i32::try_from(child.id()) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
    }
    let _ = child.kill();
}

/// How a command ended that did not succeed.
fn why(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("killed by signal {signal}");
    }
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// Gives an event to a command, which need not read it.
fn feed(mut stdin: ChildStdin, event: String) -> io::Result<()> {
    let fits = event.len() <= PIPE_BYTES;
    let mut give = move || drop(stdin.write_all(event.as_bytes()));
    if fits {
        give();
        return Ok(());
    }
    thread::Builder::new().name("planbus-feed".to_owned()).spawn(give).map(drop)
}

/// What a command says on stderr: passed on, and its end kept.
struct Told {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Ends with stderr.
    end: Receiver<()>,
    has_ended: bool,
    look: Duration,
}

impl Told {
    fn listen(stderr: Option<ChildStderr>) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (open, end) = mpsc::channel();
        let keep = Arc::clone(&kept);
        thread::Builder::new().name("planbus-stderr".to_owned()).spawn(move || {
            stderr.into_iter().for_each(|stderr| pass_on(stderr, &keep));
            drop::<mpsc::Sender<()>>(open);
        })?;
        Ok(Self { kept, end, has_ended: false, look: LOOK_FIRST })
    }

    /// Waits until stderr ends, at most so long; where it has ended, longer each time.
    fn wait(&mut self, most: Duration) {
        if self.has_ended {
            thread::sleep(self.look.min(most));
            self.look = (self.look * 2).min(LOOK_MAX);
        } else {
            self.has_ended = self.end.recv_timeout(most) == Err(RecvTimeoutError::Disconnected);
        }
    }

    /// The last lines of a command that has ended.
    fn last_lines(&mut self) -> String {
        if !self.has_ended {
            self.wait(DRAIN_MAX);
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        last_lines(&kept)
    }
}

fn pass_on(mut stderr: ChildStderr, kept: &Mutex<Vec<u8>>) {
    let mut part = [0; 4 << 10];
    loop {
        let read = match stderr.read(&mut part) {
            Ok(0) => return,
            Ok(read) => &part[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        // Where nobody can read it, it is kept all the same.
        let _ = io::stderr().write_all(read);
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(read);
        let more = kept.len().saturating_sub(STDERR_KEPT_BYTES);
        kept.drain(..more);
    }
}

/// The last lines of what was kept, on one line each.
fn last_lines(kept: &[u8]) -> String {
    let text = String::from_utf8_lossy(kept);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(STDERR_KEPT_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_command_said_its_last_lines_are_kept() {
        assert_eq!(last_lines(b"one\n\n  two \r\nthree"), "one\n  two\nthree");
        assert_eq!((last_lines(b""), last_lines(b"\xff\n")), (String::new(), "\u{fffd}".to_owned()));
        let many: String = (0..50).map(|line| format!("line {line}\n")).collect();
        assert_eq!(last_lines(many.as_bytes()).lines().count(), STDERR_KEPT_LINES);
        assert!(last_lines(many.as_bytes()).ends_with("line 49"));
    }
}
