//! A survey's report as lines of plain text.
//!
//! Every name in it was made fit for a terminal when it was taken in; nothing here prints.

use std::fmt::Write;

use super::{
    survey::Report,
    units::{bytes, counted, duration, number},
};

/// How many languages are listed.
const LANGUAGES_MAX: usize = 12;
/// How much of a long path is shown: its end, which tells more. All of it is in the log.
const PATH_MAX_CHARS: usize = 64;

impl Report {
    /// The report for people.
    pub(crate) fn to_text(&self) -> String {
        let totals = &self.totals;
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<12} {value}");
        };
        let size = format!("{} lines, {}", number(totals.lines), bytes(totals.bytes));
        line("files", format!("{} ({size})", number(totals.files)));
        line("folders", number(totals.folders));
        line("TODOs", number(totals.todos));
        line("duplicates", counted(totals.duplicates(), "file"));
        let skipped: Vec<String> = totals
            .skipped
            .iter()
            .map(|(reason, entries)| format!("{} {}", number(*entries), reason.label()))
            .collect();
        line("skipped", if skipped.is_empty() { "none".to_owned() } else { skipped.join(", ") });
        line("failed tools", number(totals.failed_tools));
        line("duration", duration(self.duration));
        self.write_languages(&mut text);
        if !totals.biggest.is_empty() {
            text.push_str("\nBiggest files\n");
        }
        for (size, path) in &totals.biggest {
            let _ = writeln!(text, "  {:>9}  {}", bytes(*size), end_of(path));
        }
        if !totals.failures.is_empty() {
            text.push_str("\nFailed tools\n");
        }
        for failure in &totals.failures {
            let _ = writeln!(text, "  {}  {}: {}", failure.tool, end_of(&failure.path), failure.error);
        }
        let more = totals.failed_tools.saturating_sub(totals.failures.len() as u64);
        if more > 0 {
            let _ = writeln!(text, "  and {} more", number(more));
        }
        text
    }

    fn write_languages(&self, text: &mut String) {
        let mut languages: Vec<_> = self.totals.languages.iter().collect();
        if languages.is_empty() {
            return;
        }
        languages.sort_by_key(|(name, share)| (std::cmp::Reverse(share.lines), **name));
        let _ = writeln!(text, "\nLanguages {:>12} {:>12} {:>12}", "files", "lines", "bytes");
        for (name, share) in languages.iter().take(LANGUAGES_MAX) {
            let (files, lines) = (number(share.files), number(share.lines));
            let _ = writeln!(text, "  {name:<10} {files:>9} {lines:>12} {:>12}", bytes(share.bytes));
        }
        let more = languages.len().saturating_sub(LANGUAGES_MAX);
        if more > 0 {
            let _ = writeln!(text, "  and {} more", number(more as u64));
        }
    }
}

fn end_of(path: &str) -> String {
    match path.char_indices().rev().nth(PATH_MAX_CHARS) {
        Some((at, c)) => format!("…{}", &path[at + c.len_utf8()..]),
        None => path.to_owned(),
    }
}
