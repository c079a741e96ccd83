//! The library's errors reach a person as the program's own do: one plain line each.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;

use std::{
    fs,
    process::{Command, Output},
};

use cli_support::{Place, planbus, run};
use planbus::{Event, EventStore, PlanStarted};

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

#[test]
fn a_log_that_lost_what_was_acknowledged_is_told_once_and_plainly() {
    let place = Place::new();
    let store = EventStore::open(place.path().join("planbus.db")).expect("a store");
    for plan in ["one", "two"] {
        store.save(&Event::new(plan, PlanStarted::new("tidy up"))).expect("an event");
    }
    store.close().expect("closed");
    // What an owner leaves behind that acknowledged nine events before it died. With this durability
    // the next owner goes on.
    let note = "1          process 00000000000000000009\n";
    fs::write(place.path().join("planbus.db.lock"), note).expect("the note");
    let told = "planbus: the log ends with seq 2, but its last owner had acknowledged events up to 9";
    let listed = run(place.path(), &["plans"]);
    assert!(listed.status.success() && listed.stdout.starts_with(b"STARTED"), "{listed:?}");
    assert_eq!(lines(&listed), [told]);
    let verbose = run(place.path(), &["plans", "-v"]);
    let asked = planbus(place.path()).arg("plans").env("RUST_LOG", "error").output().expect("planbus");
    for output in [verbose, asked] {
        let lines = lines(&output);
        assert!(
            lines.iter().any(|line| line.contains(" ERROR planbus") && line.contains("up to 9")),
            "{lines:?}"
        );
    }
    // Opens the store twice, first to look and then to write.
    let pruned = run(place.path(), &["prune", "--keep", "1"]);
    assert!(pruned.status.success(), "{pruned:?}");
    assert_eq!(lines(&pruned), [told]);
}

#[test]
fn a_survey_on_a_full_disk_says_so_in_plain_lines() {
    let place = Place::new();
    for folder in 0..4 {
        for file in 0..40 {
            place.file(&format!("{folder}/sub/{file}.txt"), "TODO\n");
        }
    }
    fs::create_dir(place.path().join("small")).expect("a folder");
    let program = env!("CARGO_BIN_EXE_planbus");
    let script =
        format!("mount -t tmpfs -o size=300k tmpfs small && {program} --db small/log.db demo --path tree");
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-c", &script]).current_dir(place.path()).env_remove("RUST_LOG");
    let Ok(output) = unshare.output() else {
        println!("skipped: no unshare to make a small disk with");
        return;
    };
    let lines = lines(&output);
    if lines.iter().any(|line| line.contains("unshare") || line.contains("mount")) {
        println!("skipped: no right to make a small disk: {lines:?}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("planbus: ")), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.contains("no space is left")), "{lines:?}");
    let mut once = lines.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), lines.len(), "each once: {lines:?}");
}
