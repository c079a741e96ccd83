//! The survey's tools: list_dir, read_file, search, count, hash.
//!
//! Plain functions that know nothing of plans. They follow no symbolic link, open nothing but
//! regular files, and read no more of one than its limit.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::names::hex;

/// How many characters of a line a match keeps.
const EXCERPT_CHARS: usize = 80;

/// One entry of a folder.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    /// Of the entry itself, not of what a symbolic link leads to; `None` when it cannot be had.
    pub(crate) metadata: Option<Metadata>,
}

/// The entries of a folder, sorted by name.
pub(crate) fn list_dir(path: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        entries.push(Entry { name: entry.file_name(), metadata: entry.metadata().ok() });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Why a file gave no text.
#[derive(Debug)]
pub(crate) enum ReadFault {
    Io(io::Error),
    Binary { at: usize },
    NotUtf8 { at: usize },
    Grown { max_bytes: u64 },
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Binary { at } => write!(f, "binary file: a NUL byte at {at}"),
            Self::NotUtf8 { at } => write!(f, "binary file: not UTF-8 at byte {at}"),
            Self::Grown { max_bytes } => write!(f, "grew beyond {max_bytes} bytes while it was read"),
        }
    }
}

/// The text of a file of at most `max_bytes`.
pub(crate) fn read_file(path: &Path, max_bytes: u64) -> Result<String, ReadFault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(ReadFault::Io)?;
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(ReadFault::Io)?;
    if bytes.len() as u64 > max_bytes {
        return Err(ReadFault::Grown { max_bytes });
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(ReadFault::Binary { at });
    }
    String::from_utf8(bytes).map_err(|error| ReadFault::NotUtf8 { at: error.utf8_error().valid_up_to() })
}

/// What `search` found: how many words, and the first line with one.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    pub(crate) count: u64,
    /// The line's number, from 1, and its beginning.
    pub(crate) first: Option<(u64, String)>,
}

/// Looks for `words`, standing alone.
pub(crate) fn search(text: &str, words: &[&str]) -> Matches {
    let mut matches = Matches::default();
    for (number, line) in (1..).zip(text.lines()) {
        let found = words.iter().map(|word| occurrences(line, word)).sum::<u64>();
        if found > 0 && matches.first.is_none() {
            matches.first = Some((number, line.trim().chars().take(EXCERPT_CHARS).collect()));
        }
        matches.count += found;
    }
    matches
}

fn occurrences(line: &str, word: &str) -> u64 {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |at: usize| {
        !line[..at].chars().next_back().is_some_and(is_part)
            && !line[at + word.len()..].chars().next().is_some_and(is_part)
    };
    line.match_indices(word).filter(|(at, _)| stands_alone(*at)).count() as u64
}

/// How many lines a text has; the last may lack its line break.
pub(crate) fn count(text: &str) -> u64 {
    text.lines().count() as u64
}

/// A text's SHA-256.
pub(crate) fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
