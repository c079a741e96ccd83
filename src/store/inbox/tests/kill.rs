//! P8: a kill anywhere, and each effect is there exactly once; a naive inbox is found out.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::*;

const PATH: &str = "PLANBUS_TEST_PATH";
const MANNER: &str = "PLANBUS_TEST_MANNER";
/// The test that is a child's whole work.
const CHILD: &str = "store::inbox::tests::kill::worker";
/// How many events a child of the sweep handles.
const FEW: u64 = 4;

/// How a consumer keeps effect and note together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Inbox,
    /// The effect in one transaction, the note in the next.
    EffectFirst,
    NoteFirst,
}

impl Manner {
    const EACH: [Self; 3] = [Self::Inbox, Self::EffectFirst, Self::NoteFirst];

    fn handle(self, inbox: &Inbox, app: &Connection, key: &InboxKey<'_>) {
        let effect = || app.execute("INSERT INTO effects VALUES (?1)", [key.event_id.to_string()]);
        let is_new = || {
            let sql = "SELECT count(*) = 0 FROM planbus_inbox WHERE event_id = ?1";
            app.query_row(sql, [key.event_id.to_string()], |row| row.get(0)).expect("reads")
        };
        let note = || inbox.batch(|batch| batch.once(key, |_| Ok::<_, ()>(()))).expect("commits");
        match self {
            Self::Inbox => drop(handle(inbox, key)),
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
    let inbox = Inbox::open(&path).expect("opens after the last kill");
    let app = Connection::open(&path).expect("opens");
    println!();
    for number in from..to {
        manner.handle(&inbox, &app, &key(number));
        println!("handled {number}");
    }
}

/// The arguments of a child.
fn as_child(command: &mut Command, path: &Path, manner: Manner, from: u64, to: u64) {
    command.args(["--exact", CHILD, "--nocapture", "--test-threads=1"]).env(PATH, path);
    command.env(MANNER, format!("{manner:?} {from} {to}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
}

/// A child that is killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn new_database(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("app.db");
    Inbox::open(&path).expect("opens");
    make_effects(&path);
    path
}

/// What is not there exactly once of the events up to `end`, effects and notes.
fn wrong(path: &Path, end: u64) -> BTreeMap<String, (usize, usize)> {
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

#[test]
fn p8_an_effect_is_there_exactly_once_after_kill_9_at_any_moment() {
    const ROUNDS: u64 = 25;
    let dir = tempfile::tempdir().expect("a directory");
    let path = new_database(&dir);
    // The seed of a simple generator: which acknowledgement the kill comes after.
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let kill_at = acknowledged + 1 + random % 60;
        // Some are given again although they were acknowledged, as after a failover of Redis.
        let from = acknowledged.saturating_sub(random % 9).max(1);
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        as_child(&mut command, &path, Manner::Inbox, from, u64::MAX);
        let mut child = Killed(command.spawn().expect("starts"));
        let lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        for line in lines.map(|line| line.expect("a pipe")) {
            let Some(number) = line.strip_prefix("handled ") else { continue };
            acknowledged = acknowledged.max(number.parse().expect("a number"));
            if acknowledged == kill_at {
                child.0.kill().expect("SIGKILL");
            }
        }
        assert!(acknowledged >= kill_at, "round {round}: the child ended by itself");
        let found = wrong(&path, acknowledged + 1);
        // One more may be committed than was acknowledged: that with its note as well.
        assert!(found.is_empty(), "round {round}: {found:?}");
    }
    println!("{ROUNDS} kills, {acknowledged} acknowledged");
}

/// Kills a child at its nth write or sync, gives it everything again, and says what is wrong then;
/// `None` when the child came to its end.
fn killed_at(step: usize, manner: Manner) -> Option<BTreeMap<String, (usize, usize)>> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = new_database(&dir);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64,fsync,fdatasync", "-e"]);
    command.arg(format!("inject=pwrite64,fsync,fdatasync:signal=KILL:when={step}"));
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, &path, manner, 1, FEW);
    let output = command.output().expect("strace starts");
    let inbox = Inbox::open(&path).expect("opens");
    let app = Connection::open(&path).expect("opens");
    for number in 1..FEW {
        manner.handle(&inbox, &app, &key(number));
    }
    (!output.status.success()).then(|| wrong(&path, FEW))
}

#[test]
fn p8_an_effect_is_there_exactly_once_after_a_kill_at_each_write_and_sync_and_a_naive_one_is_not() {
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        println!("skipped: no strace to kill at every step with");
        return;
    }
    for manner in Manner::EACH {
        let found: Vec<_> = (1..).map_while(|step| killed_at(step, manner)).collect();
        let bad: Vec<_> = found.iter().filter(|wrong| !wrong.is_empty()).collect();
        println!("{manner:?}: {} steps, {} with something wrong: {bad:?}", found.len(), bad.len());
        assert!(found.len() > FEW as usize, "{manner:?} was killed");
        let counts: Vec<_> = bad.iter().flat_map(|wrong| wrong.values()).copied().collect();
        match manner {
            Manner::Inbox => assert_eq!(counts, []),
            Manner::EffectFirst => assert!(counts.contains(&(2, 1)), "doubled: {counts:?}"),
            Manner::NoteFirst => assert!(counts.contains(&(0, 1)), "lost: {counts:?}"),
        }
    }
}
