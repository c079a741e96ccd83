//! Stdout: lines of a table, a tree or JSON, and whether they may be coloured or must be cut.
//!
//! The only writer of data. A closed pipe comes back as [`Failure::ClosedPipe`], never as a panic.

use std::io::{self, BufWriter, Stdout, Write};

use crate::{
    cli::{Form, Global},
    failure::{Exit, Failure},
    style::{Painter, Style},
    terminal, text,
};

/// Where a command writes its data.
pub(crate) struct Output {
    form: Option<Form>,
    painter: Painter,
    columns: Option<usize>,
    writer: BufWriter<Stdout>,
}

impl Output {
    /// The output that the arguments ask for.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            form: global.output,
            painter: Painter::new(terminal::is_stdout()),
            columns: terminal::stdout_size().map(|(columns, _)| columns),
            writer: BufWriter::with_capacity(64 << 10, io::stdout()),
        }
    }

    /// How to print, where a command has every form.
    pub(crate) fn form(&self, default: Form) -> Form {
        self.form.unwrap_or(default)
    }

    /// How to print, for a command that has nothing to show as a tree.
    pub(crate) fn form_without_tree(&self, command: &str) -> Result<Form, Failure> {
        match self.form(Form::Table) {
            Form::Tree => {
                Err(Failure::new(Exit::Usage, format!("{command} has no tree; use -o table or -o json")))
            }
            form => Ok(form),
        }
    }

    /// The columns of the terminal, when stdout is one.
    pub(crate) fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Text in its colour, where there are colours.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        self.painter.paint(style, text)
    }

    /// Texts, each fit for a terminal, in one line; cut where there is a terminal.
    pub(crate) fn line_of(&self, parts: &[(Style, String)]) -> String {
        self.painter.line(parts, self.columns.unwrap_or(usize::MAX))
    }

    /// Writes one line, which is fit for a terminal already.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.writer.write_all(line.as_bytes())?;
        self.writer.write_all(b"\n")?;
        Ok(())
    }

    /// Writes a text that stands behind `head`, on so many lines as the terminal needs. The head has
    /// this width without its colours.
    pub(crate) fn wrapped(&mut self, head: &str, width: usize, text: &str) -> Result<(), Failure> {
        let room = self.columns.map_or(usize::MAX, |columns| columns.saturating_sub(width));
        for (at, line) in text::wrap(text, room).iter().enumerate() {
            if at == 0 {
                self.line(&format!("{head}{line}"))?;
            } else {
                self.line(&format!("{:width$}{line}", ""))?;
            }
        }
        Ok(())
    }

    /// Writes text as it is, for programs alone.
    pub(crate) fn text(&mut self, parts: &[&str]) -> Result<(), Failure> {
        parts.iter().try_for_each(|part| self.writer.write_all(part.as_bytes()))?;
        Ok(())
    }

    /// Writes one line of JSON: as it is for programs, made harmless for a terminal.
    pub(crate) fn json(&mut self, json: &str) -> Result<(), Failure> {
        match self.columns {
            Some(_) => self.line(&text::escape_json(json)),
            None => self.line(json),
        }
    }

    /// Hands on all that was written.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.writer.flush()?)
    }
}
