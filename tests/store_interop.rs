//! P1: another copy of SQLite in the process, as every Python program has one, costs no event.
//!
//! When it closes the database, all of SQLite's locks on the file are gone; unguarded, it would remove
//! the write-ahead log under the owner, and what was acknowledged with it.

#![cfg(all(feature = "sqlite", target_os = "linux"))]

mod store_support;

use std::{
    collections::HashMap,
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use planbus::*;
use store_support::*;

/// How often the other SQLite opens, reads and closes the database.
const OPENS: usize = 1_000;

/// Builds planbus as a library that C can call; its own package, in the folder of this test.
fn build_library() -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/cdylib/Cargo.toml");
    if !manifest.exists() {
        println!("skipped: this copy of the source comes without {}", manifest.display());
        return None;
    }
    // Beside this test: target/PROFILE/deps/TEST.
    let test = std::env::current_exe().expect("this binary");
    let profile = test.ancestors().nth(2).expect("a folder of the profile");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(&manifest);
    cargo.arg("--target-dir").arg(profile.parent().expect("a target folder"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo starts").success(), "the library is built");
    let library = profile.join(format!("{DLL_PREFIX}planbus_interop{DLL_SUFFIX}"));
    assert!(library.exists(), "{} is there", library.display());
    Some(library)
}

#[test]
fn p1_no_event_is_lost_to_another_sqlite_in_the_process() {
    if !has_program("python3", &["-c", "import ctypes, sqlite3"]) {
        println!("skipped: no python3 to load the library into");
        return;
    }
    let Some(library) = build_library() else { return };
    let dir = Dir::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/other_sqlite.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(library).arg(dir.db()).arg(OPENS.to_string());
    let mut python = Killed(python.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("starts"));
    let mut acknowledged = HashMap::new();
    let mut opens = 0;
    // Everything up to the end of the pipe: what was printed before the kill counts too.
    for line in BufReader::new(python.0.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["ack", seq, plan, call] => {
                let before = acknowledged
                    .insert(seq.parse::<usize>().expect("a seq"), (plan.to_owned(), call.to_owned()));
                assert_eq!(before, None, "seq {seq} was given twice");
            }
            ["opened", count] => {
                opens = count.parse().expect("a number");
                python.0.kill().expect("SIGKILL");
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(opens, OPENS);
    let events = check_dense(&EventStore::open(dir.db()).expect("opens"));
    let is_there = |(seq, (plan, call)): &(&usize, &(String, String))| {
        events.get(**seq - 1).is_some_and(|event| {
            let payload = event.payload_json().expect("JSON");
            event.plan_id().as_str() == plan && payload.contains(&format!("{call:?}"))
        })
    };
    let lost = acknowledged.iter().filter(|ack| !is_there(ack)).count();
    println!("{opens} foreign opens, {} acknowledged, {lost} lost", acknowledged.len());
    assert_eq!(lost, 0, "of {} acknowledged events", acknowledged.len());
    assert!(acknowledged.len() > OPENS, "published meanwhile: {}", acknowledged.len());
}
