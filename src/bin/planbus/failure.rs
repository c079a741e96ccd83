//! How a command fails: the exit code, and one line that says what, why, and what to do next.
//!
//! The exit codes are a promise, listed in `--help`; they never change their meaning.

use std::{error::Error as StdError, fmt::Write, io};

use planbus::ErrorKind;

use crate::{agent_runtime::executor::Halt, text};

/// The exit codes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Unavailable = 4,
    NoStore = 5,
    Unsound = 6,
    PlanFailed = 7,
    Cut = 8,
    Interrupted = 130,
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput | ErrorKind::InvalidOption => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Locked | ErrorKind::ReadOnly | ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Corrupt | ErrorKind::SchemaTooNew => Self::NoStore,
            ErrorKind::Unsound => Self::Unsound,
            _ => Self::Failed,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of stdout is gone.
    ClosedPipe,
    /// Anything that a person should be told.
    Told { exit: Exit, message: String },
}

impl Failure {
    /// A failure in words of our own.
    pub(crate) fn new(exit: Exit, message: impl AsRef<str>) -> Self {
        Self::Told { exit, message: text::escape(message.as_ref()).into_owned() }
    }

    /// A failure of something else, told as a part of what we were doing.
    pub(crate) fn of(exit: Exit, doing: &str, error: &dyn StdError) -> Self {
        Self::new(exit, format!("{doing}: {}", chain(error)))
    }

    /// Adds what to do next.
    pub(crate) fn hint(self, hint: &str) -> Self {
        match self {
            Self::Told { exit, message } => Self::Told { exit, message: format!("{message}; {hint}") },
            closed @ Self::ClosedPipe => closed,
        }
    }
}

/// An error with its causes, each told once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut told = error.to_string();
    let mut last = told.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some causes repeat their own cause, some are repeated by it.
        if !told.contains(&text) && !text.ends_with(&last) {
            // Writing to a string cannot fail.
            let _ = write!(told, ": {text}");
        }
        last = text;
        cause = error.source();
    }
    told
}

impl From<planbus::Error> for Failure {
    fn from(error: planbus::Error) -> Self {
        Self::new(error.kind().into(), chain(&error))
    }
}

impl From<Halt> for Failure {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Interrupted => {
                Self::new(Exit::Interrupted, "interrupted: every open plan was ended as failed")
            }
            Halt::Log(error) => error.into(),
            Halt::Cancelled | Halt::Thread(_) => Self::new(Exit::Failed, chain(&halt)),
        }
    }
}

impl From<io::Error> for Failure {
    /// An error of writing to stdout.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::of(Exit::Failed, "write to stdout", &error),
        }
    }
}
