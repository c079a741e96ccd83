//! What a survey adds up: of one file, of one folder with all below it, of the whole.
//!
//! Only sums and bounded lists: a tree of any size makes a report of the same size, but for the
//! hashes that duplicates are found by.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::rules::Reason;

/// How many of the biggest files are kept.
const BIGGEST_MAX: usize = 5;
/// How many failures are kept; all are counted, and all are in the log.
const FAILURES_MAX: usize = 5;

/// Files, lines and bytes of one language.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    pub(crate) files: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// A tool that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) path: String,
    pub(crate) tool: &'static str,
    pub(crate) error: String,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct FileFacts {
    pub(crate) path: String,
    pub(crate) language: &'static str,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    pub(crate) todos: u64,
    pub(crate) sha256: String,
}

/// Everything that a survey counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Text files that were read.
    pub(crate) files: u64,
    /// Folders that were entered, the root among them.
    pub(crate) folders: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// TODO and FIXME in all files.
    pub(crate) todos: u64,
    pub(crate) languages: BTreeMap<&'static str, Share>,
    /// The biggest files that were read, the biggest first.
    pub(crate) biggest: Vec<(u64, String)>,
    pub(crate) skipped: BTreeMap<Reason, u64>,
    pub(crate) failed_tools: u64,
    /// The first failures.
    pub(crate) failures: Vec<Failure>,
    /// How many files have each content.
    contents: HashMap<String, u64>,
}

impl Totals {
    /// A folder that was entered, and nothing of it yet.
    pub(crate) fn of_folder() -> Self {
        Self { folders: 1, ..Self::default() }
    }

    /// Adds a file that was read.
    pub(crate) fn add_file(&mut self, file: FileFacts) {
        let share = Share { files: 1, lines: file.lines, bytes: file.bytes };
        self.add_share(file.language, share);
        self.todos += file.todos;
        self.add_big(file.bytes, file.path);
        if file.bytes > 0 {
            *self.contents.entry(file.sha256).or_default() += 1;
        }
    }

    /// Adds a tool that failed.
    pub(crate) fn add_failure(&mut self, failure: Failure) {
        self.failed_tools += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(failure);
        }
    }

    /// Adds entries that were skipped.
    pub(crate) fn add_skipped(&mut self, reason: Reason, entries: u64) {
        *self.skipped.entry(reason).or_default() += entries;
    }

    /// Adds what another part of the survey counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.folders += other.folders;
        self.todos += other.todos;
        for (language, share) in other.languages {
            self.add_share(language, share);
        }
        for (bytes, path) in other.biggest {
            self.add_big(bytes, path);
        }
        for (reason, entries) in other.skipped {
            self.add_skipped(reason, entries);
        }
        self.failed_tools += other.failed_tools;
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_MAX);
        for (sha256, files) in other.contents {
            *self.contents.entry(sha256).or_default() += files;
        }
    }

    /// How many files have the content of another one that was counted before.
    pub(crate) fn duplicates(&self) -> u64 {
        self.contents.values().map(|files| files - 1).sum()
    }

    /// The totals as `PlanCompleted` keeps them.
    pub(crate) fn to_json(&self) -> Value {
        let languages: serde_json::Map<String, Value> = self
            .languages
            .iter()
            .map(|(name, share)| {
                let share = json!({"files": share.files, "lines": share.lines, "bytes": share.bytes});
                ((*name).to_owned(), share)
            })
            .collect();
        let skipped: serde_json::Map<String, Value> = self
            .skipped
            .iter()
            .map(|(reason, entries)| (reason.label().to_owned(), json!(entries)))
            .collect();
        let biggest: Vec<Value> =
            self.biggest.iter().map(|(bytes, path)| json!({"path": path, "bytes": bytes})).collect();
        json!({
            "files": self.files, "folders": self.folders, "lines": self.lines, "bytes": self.bytes,
            "todos": self.todos, "duplicates": self.duplicates(), "failed_tools": self.failed_tools,
            "languages": languages, "biggest": biggest, "skipped": skipped,
        })
    }

    fn add_share(&mut self, language: &'static str, share: Share) {
        self.files += share.files;
        self.lines += share.lines;
        self.bytes += share.bytes;
        let sum = self.languages.entry(language).or_default();
        sum.files += share.files;
        sum.lines += share.lines;
        sum.bytes += share.bytes;
    }

    fn add_big(&mut self, bytes: u64, path: String) {
        let at = self.biggest.partition_point(|(other, name)| (*other, &path) > (bytes, name));
        if at < BIGGEST_MAX {
            self.biggest.insert(at, (bytes, path));
            self.biggest.truncate(BIGGEST_MAX);
        }
    }
}
