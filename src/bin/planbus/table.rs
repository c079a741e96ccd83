//! Tables: columns that line up, and lines that fit the terminal when there is one.
//!
//! Cells are escaped here, once. In a pipe nothing is cut.

use crate::{
    failure::Failure,
    output::Output,
    style::Style,
    text::{self, cut, cut_start, escape},
};

/// The space between columns.
const GAP: &str = "  ";

/// How a column stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Left,
    Right,
    /// Cut at its start where there is a terminal, to one of so many parts of its columns: for ids
    /// whose end tells more.
    End(usize),
    /// The last one, never cut: for what a person types again.
    Whole,
}

/// One cell: what is in it, and its colour.
pub(crate) type Cell = (Style, String);

/// A plain cell.
pub(crate) fn cell(text: impl Into<String>) -> Cell {
    (Style::Plain, text.into())
}

/// Columns and their widths so far.
pub(crate) struct Table {
    heads: Vec<(&'static str, Column)>,
    widths: Vec<usize>,
}

impl Table {
    /// A table with these heads.
    pub(crate) fn new(heads: &[(&'static str, Column)]) -> Self {
        Self { heads: heads.to_vec(), widths: heads.iter().map(|(head, _)| text::width(head)).collect() }
    }

    /// Makes columns at least this wide, for tables whose rows come one by one.
    pub(crate) fn at_least(mut self, widths: &[usize]) -> Self {
        for (width, least) in self.widths.iter_mut().zip(widths) {
            *width = (*width).max(*least);
        }
        self
    }

    /// Makes the columns wide enough for these rows.
    pub(crate) fn fit(&mut self, rows: &[Vec<Cell>], out: &Output) {
        for row in rows {
            for (at, (_, text)) in row.iter().enumerate() {
                let shown = self.shown(at, text, out);
                self.widths[at] = self.widths[at].max(text::width(&shown));
            }
        }
    }

    /// Writes the heads.
    pub(crate) fn write_head(&self, out: &mut Output) -> Result<(), Failure> {
        let heads: Vec<Cell> =
            self.heads.iter().map(|(head, _)| (Style::Heading, (*head).to_owned())).collect();
        self.write(&heads, out)
    }

    /// Writes one row; the last column takes what is left of the line, and none goes beyond it.
    pub(crate) fn write(&self, row: &[Cell], out: &mut Output) -> Result<(), Failure> {
        let mut line = String::new();
        let mut room = out.columns().unwrap_or(usize::MAX);
        for (at, (style, text)) in row.iter().enumerate() {
            let is_last = at + 1 == row.len();
            let shown = self.shown(at, text, out);
            let shown = match self.heads[at].1 {
                Column::Whole => shown.as_str().into(),
                _ => cut(&shown, room),
            };
            let width = text::width(&shown);
            let space = self.widths[at].min(room).saturating_sub(width);
            let painted = out.paint(*style, &shown);
            match self.heads[at].1 {
                Column::Right => line.extend([&" ".repeat(space), painted.as_str()]),
                _ if is_last => line.push_str(&painted),
                _ => line.extend([painted.as_str(), &" ".repeat(space)]),
            }
            if !is_last {
                line.push_str(GAP);
            }
            room = room.saturating_sub(width + space + GAP.len());
        }
        out.line(line.trim_end())
    }

    fn shown(&self, at: usize, text: &str, out: &Output) -> String {
        let text = escape(text);
        match (self.heads[at].1, out.columns()) {
            (Column::End(share), Some(columns)) => cut_start(&text, columns / share).into_owned(),
            _ => text.into_owned(),
        }
    }
}

/// Writes a table as wide as its rows; nothing where there is none.
pub(crate) fn write_table(
    heads: &[(&'static str, Column)],
    rows: &[Vec<Cell>],
    out: &mut Output,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(heads);
    table.fit(rows, out);
    table.write_head(out)?;
    rows.iter().try_for_each(|row| table.write(row, out))
}

/// As [`write_table`], below what stands already.
pub(crate) fn write_below(
    heads: &[(&'static str, Column)],
    rows: &[Vec<Cell>],
    out: &mut Output,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    out.line("")?;
    write_table(heads, rows, out)
}
