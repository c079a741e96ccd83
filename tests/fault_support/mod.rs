//! Sweeps a fault over a run: the Nth call of a kind fails, for every N.
//!
//! Knows what a child tells, and what a fault may look like to it; what must be in the log is the
//! test's own business.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::store_support::{as_child, memory_dir};

/// The variable that tells the child in which manner to publish.
const MANNER: &str = "PLANBUS_TEST_MANNER";

/// How the child publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What failed it tries again, and it closes the store.
    Patient,
    /// What failed it leaves, and ends without closing: the next owner's recovery has the last word.
    Careless,
    /// As the patient one, from several threads, of which each has its own Nth call.
    Crowd,
}

impl Manner {
    /// The manner of this child.
    pub(crate) fn of_child() -> Self {
        let told = std::env::var(MANNER).expect("a child is told");
        let all = [Self::Patient, Self::Careless, Self::Crowd];
        all.into_iter().find(|manner| format!("{manner:?}") == told).expect("a manner")
    }
}

/// A fault that is tried at every place: what fails, and how the child publishes meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    call: &'static str,
    error: &'static str,
    pub(crate) manner: Manner,
}

impl Fault {
    pub(crate) fn new(call: &'static str, error: &'static str) -> Self {
        Self { call, error, manner: Manner::Patient }
    }

    pub(crate) fn with_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    fn may_show_as(self, failure: &str) -> bool {
        match (self.error, failure) {
            // SQLite does not say why it could not make the index of the write-ahead log longer.
            ("ENOSPC", failure) => failure.ends_with("DiskFull") || failure == "open Storage",
            (_, "publish Indeterminate") => true,
            (_, failure) => failure.ends_with("Storage"),
        }
    }
}

/// For how long it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spell {
    Once,
    /// Three calls in a row, so that what tries to mend the first failure fails as well.
    Thrice,
    Ever,
}

impl Spell {
    pub(crate) const EACH: [Self; 3] = [Self::Once, Self::Thrice, Self::Ever];

    fn from(self, nth: usize) -> String {
        match self {
            Self::Once => format!("{nth}"),
            Self::Thrice => format!("{nth}..{}", nth + 2),
            Self::Ever => format!("{nth}+"),
        }
    }
}

/// What the child told, or nothing when the fault came to none of its calls.
fn run(path: &Path, fault: Fault, when: &str) -> Option<String> {
    let log = path.with_file_name("strace.log");
    let Fault { call, error, manner } = fault;
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-qq", "-o"]).arg(&log).args(["-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:error={error}:when={when}")]);
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, "publisher", path);
    command.env(MANNER, format!("{manner:?}"));
    let output = command.stderr(Stdio::inherit()).output().expect("strace starts");
    let told = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && told.contains("\ndone"), "{told}");
    std::fs::read_to_string(log).expect("a log").contains("INJECTED").then_some(told)
}

/// The last word of a request, and where its first event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Saved(u64),
    Refused,
    Unknown,
}

/// What a child told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The last word of each request.
    pub(crate) words: BTreeMap<usize, Word>,
    /// What failed, and as what.
    pub(crate) failures: BTreeSet<String>,
}

impl Told {
    fn read(text: &str) -> Self {
        let mut told = Self::default();
        for line in text.lines() {
            let word = match line.split(' ').collect::<Vec<_>>()[..] {
                ["publish", request, "ok", seq] => (request, Word::Saved(seq.parse().expect("a seq"))),
                ["publish", request, "Indeterminate"] => (request, Word::Unknown),
                ["publish", request, _] => (request, Word::Refused),
                _ => continue,
            };
            told.words.insert(word.0.parse().expect("a number"), word.1);
        }
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["open" | "close", "ok"] | ["publish", _, "ok", _] => {}
                [stage @ ("open" | "close"), kind] | [stage @ "publish", _, kind] => {
                    told.failures.insert(format!("{stage} {kind}"));
                }
                _ => {}
            }
        }
        told
    }
}

/// What a sweep met.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    pub(crate) runs: usize,
    /// What failed, and as what.
    pub(crate) failures: BTreeSet<String>,
    /// In how many runs the fault failed nothing.
    pub(crate) unnoticed: usize,
    /// The last runs ended before the call that was to fail.
    pub(crate) is_whole: bool,
}

/// Lets the Nth call of a child fail, for each of these N until one is beyond its end. The child finds
/// the directory as `prepare` leaves it; what that returns, and what the child told, `check` is given.
pub(crate) fn sweep<P>(
    fault: Fault,
    spell: Spell,
    places: impl Iterator<Item = usize> + Send,
    prepare: impl Fn(&Path) -> P + Sync,
    check: impl Fn(&Path, &Told, P) + Sync,
) -> Swept {
    let (places, is_over) = (Mutex::new(places), AtomicBool::new(false));
    let swept = Mutex::new(Swept::default());
    let next = || places.lock().expect("no sweep panics").next().filter(|_| !is_over.load(Ordering::Relaxed));
    let work = || {
        while let Some(nth) = next() {
            let dir = memory_dir();
            let path = dir.path().join("planbus.db");
            let prepared = prepare(dir.path());
            let Some(text) = run(&path, fault, &spell.from(nth)) else {
                is_over.store(true, Ordering::Relaxed);
                return;
            };
            let told = Told::read(&text);
            let _shown = ShownOnPanic(format!("{fault:?}, {spell:?}, call {nth}:\n{text}"));
            check(&path, &told, prepared);
            let failures = told.failures;
            assert!(failures.iter().all(|failure| fault.may_show_as(failure)), "{failures:?}");
            let mut swept = swept.lock().expect("no sweep panics");
            swept.runs += 1;
            swept.unnoticed += usize::from(failures.is_empty());
            swept.failures.extend(failures);
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
    let swept = Swept { is_whole: is_over.into_inner(), ..swept.into_inner().expect("no sweep panics") };
    println!("{fault:?}, {spell:?}: {swept:?}");
    assert!(swept.runs > 0, "the call was never made");
    swept
}

/// A text that is printed when a check fails.
struct ShownOnPanic(String);

impl Drop for ShownOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.0);
        }
    }
}
