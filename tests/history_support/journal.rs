//! [`Fate`]: what becomes of an event in the hands of a group; [`Journal`]: what a consumer writes down
//! of each attempt, for the check to read.
//!
//! A line is one write to the end of a file that lives as long as the cell, so that what was written
//! before a kill is there after it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The group whose handler never fails.
pub(crate) const GOOD: &str = "good";
/// The group whose handler fails as the fates of its events want it.
pub(crate) const POISONED: &str = "poisoned";

/// How long a failed event waits for its next attempt; after the last of them it is a dead letter.
pub(crate) const DELAYS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// How many attempts an event gets.
pub(crate) const ATTEMPTS: u32 = DELAYS.len() as u32 + 1;

/// How the files of attempts end.
const SUFFIX: &str = ".journal";

/// What becomes of an event; always the same of the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is handled at once.
    Fine,
    /// Its first attempts fail, so many of them.
    FailsFirst(u32),
    /// All its attempts fail.
    Poison,
}

impl Fate {
    pub(crate) fn of(group: &str, event_id: &str) -> Self {
        let hash = hash(event_id);
        match hash % 40 {
            _ if group == GOOD => Self::Fine,
            0 => Self::Poison,
            1..=5 => Self::FailsFirst(1 + (hash / 40 % u64::from(ATTEMPTS - 1)) as u32),
            _ => Self::Fine,
        }
    }

    /// Whether an attempt, 1 for the first, fails.
    pub(crate) fn fails(self, attempt: u32) -> bool {
        match self {
            Self::Fine => false,
            Self::FailsFirst(attempts) => attempt <= attempts,
            Self::Poison => true,
        }
    }
}

/// How long a handler works on an event: some milliseconds, and on a few of them for longer than what a
/// consumer has may be idle.
pub(crate) fn work(event_id: &str) -> Duration {
    let hash = hash(event_id) / 1_000;
    if hash.is_multiple_of(500) { LONG_WORK } else { Duration::from_micros(hash % 4_000) }
}

const LONG_WORK: Duration = Duration::from_millis(1_300);

/// FNV-1a: the standard library promises no hash that is the same in every process.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    // Its low bits alone are those of the last bytes.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    hash ^ hash >> 32
}

/// What happened to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Begun,
    Done,
    Failed,
}

/// A line of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) what: What,
    pub(crate) event_id: String,
    pub(crate) attempt: u32,
    /// Microseconds by the wall clock.
    pub(crate) at_us: u64,
}

/// The file of one consumer.
pub(crate) struct Journal(File);

impl Journal {
    /// The journal of a consumer in a cell's folder; a number is one consumer's.
    pub(crate) fn open(folder: &Path, group: &str, number: usize) -> Self {
        let path = folder.join(format!("{group}.{number}{SUFFIX}"));
        Self(File::options().create(true).append(true).open(path).expect("opens"))
    }

    pub(crate) fn write(&self, what: What, event_id: &str, attempt: u32) {
        let line = format!("{what:?} {event_id} {attempt} {}\n", now_us());
        (&self.0).write_all(line.as_bytes()).expect("the cell's folder has room");
    }
}

/// All that the consumers of a cell wrote down, by their groups, in no order.
pub(crate) fn read(folder: &Path) -> BTreeMap<String, Vec<Record>> {
    let mut groups: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (group, path) in files(folder) {
        let text = fs::read_to_string(path).expect("reads");
        groups.entry(group).or_default().extend(text.lines().map(record));
    }
    groups
}

/// How much a group's consumers wrote down, in bytes: it grows with every attempt.
pub(crate) fn length(folder: &Path, group: &str) -> u64 {
    let own = files(folder).into_iter().filter(|(of, _)| of == group);
    own.map(|(_, path)| fs::metadata(path).expect("is there").len()).sum()
}

/// About how long what is written down of one attempt is, in bytes.
pub(crate) const ATTEMPT_BYTES: u64 = 2 * 52;

fn files(folder: &Path) -> Vec<(String, std::path::PathBuf)> {
    let paths = fs::read_dir(folder).expect("the cell's folder").map(|entry| entry.expect("reads").path());
    let group = |path: &Path| {
        let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        Some(name.split_once('.')?.0.to_owned())
    };
    paths.filter_map(|path| Some((group(&path)?, path))).collect()
}

fn record(line: &str) -> Record {
    let parts: Vec<&str> = line.split(' ').collect();
    let [what, event_id, attempt, at_us] = parts[..] else { panic!("no line of a journal: {line}") };
    let what = match what {
        "Begun" => What::Begun,
        "Done" => What::Done,
        "Failed" => What::Failed,
        _ => panic!("no line of a journal: {line}"),
    };
    let (attempt, at_us) = (attempt.parse().expect("a number"), at_us.parse().expect("a number"));
    Record { what, event_id: event_id.to_owned(), attempt, at_us }
}

/// The wall clock, which all processes of a machine share.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_micros()).expect("fits")
}
