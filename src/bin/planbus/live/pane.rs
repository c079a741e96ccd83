//! A few lines of a terminal that are drawn again and again in place.
//!
//! The cursor rests at the start of the line below them, so that what the terminal itself writes,
//! `^C` above all, moves nothing. It never draws more lines than it is given.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// The lines that are drawn now.
#[derive(Debug, Default)]
pub(crate) struct Pane {
    lines: usize,
}

impl Pane {
    /// Draws a frame over the one before, in one piece, so that it does not flicker. Its lines must
    /// be shorter than the terminal is wide, and fewer than it is high.
    pub(crate) fn draw(&mut self, frame: &str, stream: &mut impl Write) -> io::Result<()> {
        let mut text = self.back();
        self.lines = 0;
        for line in frame.lines() {
            text.push_str(line);
            text.push_str("\x1b[K\r\n");
            self.lines += 1;
        }
        text.push_str("\x1b[J");
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }

    /// Takes the frame away.
    pub(crate) fn clear(&mut self, stream: &mut impl Write) -> io::Result<()> {
        let text = self.back() + "\x1b[J";
        self.lines = 0;
        stream.write_all(text.as_bytes())?;
        stream.flush()
    }

    /// The way to the start of the frame.
    fn back(&self) -> String {
        let mut text = String::from("\r");
        if self.lines > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "\x1b[{}A", self.lines);
        }
        text
    }
}
