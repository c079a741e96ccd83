//! A consumer in a process of its own, so that it can be killed, and its disk can fail.

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
};

use super::*;

const PATH: &str = "PLANBUS_TEST_PATH";
const MANNER: &str = "PLANBUS_TEST_MANNER";
/// The test that is a child's whole work.
const CHILD: &str = "store::inbox::tests::child::worker";
/// How many events a child of the sweep handles.
pub(super) const FEW: u64 = 4;

/// What a commit does to the disk.
pub(super) const WRITES: &str = "pwrite64,fsync,fdatasync";
/// How often a child tries the same event.
const TRIES_MAX: usize = 8;

/// How a consumer keeps effect and note together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    Inbox,
    /// The effect in one transaction, the note in the next.
    EffectFirst,
    NoteFirst,
}

impl Manner {
    pub(super) const EACH: [Self; 3] = [Self::Inbox, Self::EffectFirst, Self::NoteFirst];

    pub(super) fn handle(self, inbox: &Inbox, app: &Connection, key: &InboxKey<'_>) {
        let effect = || app.execute("INSERT INTO effects VALUES (?1)", [key.event_id.to_string()]);
        let is_new = || {
            let sql = "SELECT count(*) = 0 FROM planbus_inbox WHERE event_id = ?1";
            app.query_row(sql, [key.event_id.to_string()], |row| row.get(0)).expect("reads")
        };
        let note = || inbox.batch(|batch| batch.once(key, |_| Ok::<_, ()>(()))).expect("commits");
        match self {
            Self::Inbox => handle_patiently(inbox, key),
            Self::EffectFirst if is_new() => {
                effect().expect("commits");
                note().expect("notes");
            }
            Self::NoteFirst if is_new() => {
                note().expect("notes");
                effect().expect("commits");
            }
            _ => {}
        }
    }
}

/// Tries again what failed, and tells that it did.
fn handle_patiently(inbox: &Inbox, key: &InboxKey<'_>) {
    for _ in 0..TRIES_MAX {
        match inbox.batch(|batch| batch.once(key, |transaction| act(transaction, key))) {
            Ok(_) => return,
            Err(error) => println!("failed {:?}", error.kind()),
        }
    }
    panic!("the fault does not end");
}

/// The child: handles the events from the first one, or from the last that was acknowledged, and tells
/// each. What it is given again it has to skip.
#[test]
fn worker() {
    let Some(path) = std::env::var_os(PATH).map(PathBuf::from) else { return };
    let told = std::env::var(MANNER).expect("a child is told");
    let manner = Manner::EACH.into_iter().find(|manner| told.starts_with(&format!("{manner:?} ")));
    let manner = manner.expect("a manner");
    let numbers = told.split(' ').skip(1).map(|number| number.parse::<u64>().expect("a number"));
    let [from, to] = numbers.collect::<Vec<_>>()[..] else { panic!("{told}") };
    println!();
    let inbox = (0..TRIES_MAX).find_map(|_| Inbox::open(&path).ok()).expect("opens after the last kill");
    make_effects(&path);
    let app = Connection::open(&path).expect("opens");
    for number in from..to {
        manner.handle(&inbox, &app, &key(number));
        println!("handled {number}");
    }
}

/// The arguments of a child.
pub(super) fn as_child(command: &mut Command, path: &Path, manner: Manner, from: u64, to: u64) {
    command.args(["--exact", CHILD, "--nocapture", "--test-threads=1"]).env(PATH, path);
    command.env(MANNER, format!("{manner:?} {from} {to}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
}

/// A child that is killed when the test ends.
pub(super) struct Killed(pub(super) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn new_database(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("app.db");
    Inbox::open(&path).expect("opens");
    make_effects(&path);
    path
}

/// What is not there exactly once of the events up to `end`, effects and notes.
pub(super) fn wrong(path: &Path, end: u64) -> BTreeMap<String, (usize, usize)> {
    let mut found: BTreeMap<String, (usize, usize)> =
        (1..end).map(|number| (id(number).to_string(), (0, 0))).collect();
    for effect in effects(path) {
        found.entry(effect).or_default().0 += 1;
    }
    let app = Connection::open(path).expect("opens");
    let mut notes = app.prepare("SELECT event_id FROM planbus_inbox").expect("prepares");
    for note in notes.query_map([], |row| row.get::<_, String>(0)).expect("reads").flatten() {
        found.entry(note).or_default().1 += 1;
    }
    found.retain(|_, counts| *counts != (1, 1));
    found
}

/// Whether there is strace, to do something to a child at one of its calls.
pub(super) fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    let has = found.is_ok_and(|status| status.success());
    if !has {
        println!("skipped: no strace");
    }
    has
}

/// What became of a child, and of its events once they were given again.
pub(super) struct Fate {
    pub(super) told: String,
    pub(super) wrong: BTreeMap<String, (usize, usize)>,
}

/// Runs a child to which `what` happens at its nth call of `calls`; `None` when it made none so late.
pub(super) fn strike(calls: &str, what: &str, when: &str, manner: Manner) -> Option<Fate> {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, log) = (new_database(&dir), dir.path().join("strace.log"));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", &format!("trace={calls}"), "-e"]);
    command.arg(format!("inject={calls}:{what}:when={when}"));
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, &path, manner, 1, FEW);
    let output = command.stderr(Stdio::null()).output().expect("strace starts");
    let log = std::fs::read_to_string(log).expect("a log");
    // Of a call that killed the child, the log may say nothing.
    let was_struck = log.contains("(INJECTED)") || !output.status.success();
    let inbox = Inbox::open(&path).expect("opens");
    let app = Connection::open(&path).expect("opens");
    for number in 1..FEW {
        manner.handle(&inbox, &app, &key(number));
    }
    let told = String::from_utf8(output.stdout).expect("text");
    was_struck.then(|| Fate { told, wrong: wrong(&path, FEW) })
}
