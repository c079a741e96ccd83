//! The library's diagnostics on stderr: errors as plain lines, all of it for whoever asks.
//!
//! Decides only how they look. What a command itself has to tell does not go through here.

use std::{
    env,
    fmt::{self, Write as _},
    io::{self, Write as _},
};

use parking_lot::Mutex;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::{style, terminal, text::escape};

/// How many different lines are remembered, to say each once.
const TOLD_MAX: usize = 100;

/// Sends the library's diagnostics to stderr: errors alone, each as one plain line, unless `-v` or
/// `RUST_LOG` ask for more.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 if env::var_os("RUST_LOG").is_none_or(|filter| filter.is_empty()) => {
            return tracing_subscriber::registry()
                .with(PlainErrors::default().with_filter(LevelFilter::ERROR))
                .init();
        }
        0 => LevelFilter::ERROR,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(style::allowed(terminal::is_stderr()))
        .init();
}

/// Writes errors as the program writes its own: without time and target, and each once.
#[derive(Default)]
struct PlainErrors {
    told: Mutex<Vec<String>>,
}

impl<S: Subscriber> Layer<S> for PlainErrors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let line = words.line();
        let mut told = self.told.lock();
        if told.contains(&line) || told.len() == TOLD_MAX {
            return;
        }
        // Where nobody can read it, nobody is told.
        let _ = writeln!(io::stderr(), "{line}");
        told.push(line);
    }
}

/// What of an error is told: its message, and its cause.
#[derive(Default)]
struct Words {
    message: String,
    cause: String,
}

impl Words {
    fn line(&self) -> String {
        // Some messages begin with where in the library they come from.
        let message = match self.message.split_once(": ") {
            Some((place, message)) if place.starts_with("planbus") => message,
            _ => &self.message,
        };
        escape(&format!("planbus: {message}{}", self.cause)).into_owned()
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "error" | "failed" | "refused" => write!(self.cause, ": {value:?}"),
            _ => Ok(()),
        };
    }
}
