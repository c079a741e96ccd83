//! The whole terminal, taken for a while and given back as it was on every way out.
//!
//! It has the alternate screen, so that what stood there before stands there after. Ctrl-C stays a
//! signal: it works also when nobody reads keys.

use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::fd::AsFd,
    panic,
    sync::Once,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr},
    },
    unistd::Pid,
};
use parking_lot::Mutex;

use super::keys::{self, Key};

/// The alternate screen, without a cursor and without lines that wrap.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Asks the terminal to show what stands between only as a whole; those that cannot pass over it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// How often a picture is drawn that has not changed: something else may have written over it.
const REFRESH: Duration = Duration::from_secs(1);
/// How many bytes of keys are read at once.
const KEYS_BYTES: usize = 256;

/// How the terminal is to be left; `None` while it is not taken.
static LEFT_AS: Mutex<Option<Before>> = Mutex::new(None);

struct Before {
    /// `None` where stdin is no terminal.
    settings: Option<Termios>,
}

/// The terminal, as long as this lives.
pub(super) struct Screen {
    /// Without a buffer of its own, in which keys could wait unseen; `None` where there are no keys.
    keys: Option<File>,
    unread: Vec<u8>,
    /// What is drawn, and since when.
    frame: String,
    drawn: Instant,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = panic::take_hook();
            // What a panic has to say is to be read where it stays.
            panic::set_hook(Box::new(move |panic| {
                give_back();
                told(panic);
            }));
        });
        enter()?;
        let stdin = io::stdin();
        let keys = if stdin.is_terminal() { Some(stdin.as_fd().try_clone_to_owned()?.into()) } else { None };
        Ok(Self { keys, unread: Vec::new(), frame: String::new(), drawn: Instant::now() })
    }

    /// Draws a frame, in one piece, so that it does not flicker; nothing where it was drawn just now.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        // A line is emptied before it is written: behind a full one the cursor stays on its last column.
        let frame = format!("{BEGIN}\x1b[H\x1b[K{}{END}", lines.join("\r\n\x1b[K"));
        if frame == self.frame && self.drawn.elapsed() < REFRESH {
            return Ok(());
        }
        let mut stdout = io::stdout();
        stdout.write_all(frame.as_bytes())?;
        (self.frame, self.drawn) = (frame, Instant::now());
        stdout.flush()
    }

    /// The keys that were pressed, waiting for one at most this long; `None` at once where there are none
    /// to press.
    pub(super) fn keys(&mut self, wait: Duration) -> io::Result<Option<Vec<Key>>> {
        let Some(keys) = &mut self.keys else { return Ok(None) };
        let wait = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(keys.as_fd(), PollFlags::POLLIN)], wait) {
            Ok(0) | Err(nix::Error::EINTR) => return Ok(Some(Vec::new())),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut read = [0; KEYS_BYTES];
        match keys.read(&mut read)? {
            // The terminal is gone.
            0 => self.keys = None,
            bytes => self.unread.extend(&read[..bytes]),
        }
        Ok(Some(keys::take(&mut self.unread)))
    }

    /// Stops the program as Ctrl-Z does, and takes the terminal again when it goes on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // All of the shell's job, as the terminal would.
        kill(Pid::from_raw(0), Signal::SIGTSTP)?;
        self.frame.clear();
        enter()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    let settings = if io::stdin().is_terminal() { Some(tcgetattr(io::stdin())?) } else { None };
    if let Some(before) = &settings {
        let mut settings = before.clone();
        settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // These would leave the terminal as it is now: they come as keys.
        for key in [SpecialCharacterIndices::VSUSP, SpecialCharacterIndices::VQUIT] {
            settings.control_chars[key as usize] = 0;
        }
        settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        *LEFT_AS.lock() = Some(Before { settings: Some(before.clone()) });
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &settings)?;
    } else {
        *LEFT_AS.lock() = Some(Before { settings: None });
    }
    let mut stdout = io::stdout();
    stdout.write_all(ENTER.as_bytes())?;
    stdout.flush()
}

/// Gives the terminal back, if it is taken. What fails here leaves nothing else to try.
pub(super) fn give_back() {
    let Some(before) = LEFT_AS.lock().take() else { return };
    let mut stdout = io::stdout();
    let _ = stdout.write_all(LEAVE.as_bytes());
    let _ = stdout.flush();
    if let Some(settings) = before.settings {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &settings);
    }
}
