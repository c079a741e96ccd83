//! Recorded agent runs in the form of EVENTS.md, chapter "Recorded runs": one JSON object a line.
//!
//! From bytes to events that can be published; it never publishes one, and knows no terminal.

mod census;
mod clock;
mod event;
mod line;
mod pace;
mod reader;
mod source;

use planbus::Error;

pub(crate) use self::{
    census::{Census, FileCount},
    pace::{Pace, Speed},
    source::{Chunk, Input, Item, Parsed, read},
};

/// What the bus says of an event, in the words of the line that it was made of.
pub(crate) fn problem_of_line(error: &Error) -> String {
    let told = error.to_string();
    match told.strip_prefix("payload: ") {
        Some(problem) => format!("data: {problem}"),
        None => told,
    }
}
