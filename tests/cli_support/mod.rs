//! What the tests of the program share: the program itself, trees to survey, logs to read.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use planbus::{Event, EventStore, EventType};
use tempfile::TempDir;

/// The program with a clean environment, in `directory`, on `directory/planbus.db`.
pub(crate) fn planbus(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planbus"));
    for name in ["PLANBUS_DB", "PLANBUS_REDIS", "PLANBUS_TOKEN_FILE", "NO_COLOR", "RUST_LOG", "COLUMNS"] {
        command.env_remove(name);
    }
    command.current_dir(directory).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    planbus(directory).args(arguments).output().expect("planbus starts")
}

/// Runs the program, which must succeed, and gives its stdout.
pub(crate) fn stdout(directory: &Path, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "planbus {arguments:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The objects of JSON Lines.
pub(crate) fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

/// What a program put out on stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs the program, which must fail with `code` and one line that holds all of `words`.
pub(crate) fn fails(directory: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let output = run(directory, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "planbus {arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "planbus {arguments:?} printed data");
    for word in words {
        assert!(stderr.contains(word), "planbus {arguments:?}: no {word:?} in {stderr}");
    }
    // What clap refuses comes with its usage; what we refuse is one line.
    if stderr.starts_with("planbus: ") {
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

/// What a terminal of so many columns gets, stderr too, without colours; `None` where there is no
/// `script`. The program must succeed.
#[cfg(unix)]
pub(crate) fn on_terminal(directory: &Path, columns: usize, arguments: &[&str]) -> Option<String> {
    on_terminal_with(directory, columns, arguments, true)
}

/// As [`on_terminal`], which has no colours.
#[cfg(unix)]
pub(crate) fn on_terminal_with(
    directory: &Path,
    columns: usize,
    arguments: &[&str],
    no_color: bool,
) -> Option<String> {
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let program = env!("CARGO_BIN_EXE_planbus");
    let inner = format!("stty rows 30 cols {columns} && exec '{program}' {}", words.join(" "));
    let mut script = Command::new("script");
    script.args(["-qec", &inner, "/dev/null"]).current_dir(directory).stdin(Stdio::null());
    script.env_remove("PLANBUS_DB").env_remove("RUST_LOG").env_remove("NO_COLOR").env("TERM", "xterm");
    if no_color {
        script.env("NO_COLOR", "1");
    }
    let Ok(output) = script.output() else {
        println!("skipped: there is no `script` here");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("UTF-8").replace("\r\n", "\n");
    assert!(output.status.success(), "{text}");
    Some(text)
}

/// Sends a signal to one process.
pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("sh");
    assert!(status.success(), "kill -{name} {pid}");
}

/// A directory for a store, and beside it a tree to survey.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) tree: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let tree = directory.path().join("tree");
        fs::create_dir(&tree).expect("the tree");
        Self { directory, tree }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file of the tree, and the folders that lead to it.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.tree.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, content).expect("a file");
    }

    /// A directory with a small tree.
    pub(crate) fn with_tree() -> Self {
        let place = Self::new();
        place.file("a.txt", "one TODO\n");
        place.file("b/c.rs", "fn main() {}\n");
        place
    }

    /// A small tree that was surveyed, and whose events are in this Redis.
    pub(crate) fn mirrored(url: &str) -> Self {
        let place = Self::with_tree();
        stdout(place.path(), &["demo", "--path", "tree", "--redis", url, "-q"]);
        place
    }

    /// Surveys the tree.
    pub(crate) fn demo(&self) -> serde_json::Value {
        let text = stdout(self.path(), &["demo", "--path", "tree", "-o", "json"]);
        serde_json::from_str(&text).expect("one JSON object")
    }

    /// All events of the log.
    pub(crate) fn events(&self) -> Vec<Event> {
        events_of(&self.path().join("planbus.db"))
    }
}

/// All events of a log.
pub(crate) fn events_of(database: &Path) -> Vec<Event> {
    let store = EventStore::open_read_only(database).expect("the store");
    store.read_after(0, usize::MAX).expect("its events")
}

/// The payload as JSON.
pub(crate) fn payload(event: &Event) -> serde_json::Value {
    serde_json::from_str(event.payload_json().expect("a payload")).expect("JSON")
}

/// A field of the payload that is text.
pub(crate) fn text(event: &Event, field: &str) -> String {
    payload(event)[field].as_str().unwrap_or_else(|| panic!("{field} of {event:?}")).to_owned()
}

/// The events of a type.
pub(crate) fn of_type<'a>(events: &'a [Event], event_type: &EventType) -> Vec<&'a Event> {
    events.iter().filter(|event| event.event_type() == event_type).collect()
}

/// How each plan ended: `true` for completed; `None` where it has not. Panics where a plan ended
/// twice, or before its start.
pub(crate) fn ends(events: &[Event]) -> HashMap<String, Option<bool>> {
    let mut ends = HashMap::new();
    for event in events {
        let plan = event.plan_id().to_string();
        match event.event_type() {
            EventType::PlanStarted => {
                assert_eq!(ends.insert(plan.clone(), None), None, "{plan} started twice");
            }
            EventType::PlanCompleted | EventType::PlanFailed => {
                let completed = event.event_type() == &EventType::PlanCompleted;
                assert_eq!(ends.insert(plan.clone(), Some(completed)), Some(None), "the end of {plan}");
            }
            _ => {}
        }
    }
    ends
}
