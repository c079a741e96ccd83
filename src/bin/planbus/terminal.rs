//! What stdout and stderr lead to: a terminal or not, and its size.
//!
//! Only asks; never changes a terminal's state.

use std::io::{self, IsTerminal};

/// What is assumed of a terminal that does not tell its size.
const SIZE_DEFAULT: (usize, usize) = (80, 24);

/// Whether stdin is a terminal.
pub(crate) fn is_stdin() -> bool {
    io::stdin().is_terminal()
}

/// Whether stdout is a terminal.
pub(crate) fn is_stdout() -> bool {
    io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub(crate) fn is_stderr() -> bool {
    io::stderr().is_terminal()
}

/// Whether lines on stderr can be drawn again in place.
pub(crate) fn can_redraw() -> bool {
    is_stderr() && moves_cursor()
}

/// Whether lines on stdout can be drawn again in place.
pub(crate) fn can_redraw_stdout() -> bool {
    is_stdout() && moves_cursor()
}

fn moves_cursor() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a line can be read from stdin now, or its end is there.
#[cfg(unix)]
pub(crate) fn has_line() -> bool {
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let stdin = io::stdin();
    let mut watched = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// Whether a line can be read from stdin now: not to be had here.
#[cfg(not(unix))]
pub(crate) fn has_line() -> bool {
    false
}

/// Whether stdout is a pipe whose reader is gone.
#[cfg(unix)]
pub(crate) fn is_stdout_closed() -> bool {
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let stdout = io::stdout();
    let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    // Asks for no event: an error is always told.
    let told = poll(&mut watched, PollTimeout::ZERO);
    told.is_ok() && watched[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
}

/// Whether stdout is a pipe whose reader is gone: not to be had here.
#[cfg(not(unix))]
pub(crate) fn is_stdout_closed() -> bool {
    false
}

/// Columns and rows of the terminal on stdout; `None` when there is none.
pub(crate) fn stdout_size() -> Option<(usize, usize)> {
    is_stdout().then(|| size(io::stdout()))
}

/// Columns and rows of the terminal on stderr.
pub(crate) fn stderr_size() -> (usize, usize) {
    size(io::stderr())
}

fn size(stream: impl std::os::fd::AsFd) -> (usize, usize) {
    let told = terminal_size::terminal_size_of(stream);
    told.map_or(SIZE_DEFAULT, |(width, height)| (width.0.into(), height.0.into()))
}
