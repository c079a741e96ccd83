//! P1: an event survives kill -9 of its process once publish returned.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    process::Stdio,
    sync::Mutex,
};

use planbus::*;
use store_support::*;

fn rounds() -> usize {
    std::env::var("PLANBUS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(50)
}
const PUBLISHERS: usize = 6;

/// The child: publishes for ever and prints what each commit returned.
#[test]
fn publisher() {
    let Some(path) = role("publisher") else { return };
    let store = EventStore::open(path).expect("the store opens after the last kill");
    let out = Mutex::new(std::io::stdout());
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let (store, out) = (&store, &out);
            scope.spawn(move || {
                for number in 0.. {
                    let event = event(&format!("plan-{publisher}"), number);
                    let saved = store.save(&event).expect("commits");
                    let line = format!("saved {} {}\n", saved.seq, event.event_id());
                    let mut out = out.lock().expect("no publisher panics");
                    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
                }
            });
        }
    });
}

#[test]
fn p1_an_event_survives_kill_9_once_publish_returned() {
    let dir = Dir::new();
    let mut acknowledged: HashMap<u64, String> = HashMap::new();
    // The seed of a simple generator: which acknowledgement the kill comes after.
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let rounds = rounds();
    for round in 0..rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let kill_after = random % 120;
        let mut child = Killed(child("publisher", &dir.db()).spawn().expect("starts"));
        let mut lines = BufReader::new(child.0.stdout.take().expect("piped"));
        let mut seen = 0;
        let mut line = String::new();
        // Everything up to the end of the pipe: what was printed before the kill counts too.
        while {
            line.clear();
            lines.read_line(&mut line).expect("a pipe") > 0
        } {
            let Some(saved) = line.strip_prefix("saved ").and_then(|rest| rest.strip_suffix('\n')) else {
                continue;
            };
            let (seq, id) = saved.split_once(' ').expect("a seq and an id");
            let before = acknowledged.insert(seq.parse().expect("a seq"), id.to_owned());
            assert_eq!(before, None, "round {round}: seq {seq} was given twice");
            if seen == kill_after {
                child.0.kill().expect("SIGKILL");
            }
            seen += 1;
        }
        assert!(seen > kill_after, "round {round}: the child ended by itself");
    }
    let store = EventStore::open(dir.db()).expect("opens");
    let events = check_dense(&store);
    assert!(events.len() >= acknowledged.len());
    for (seq, id) in &acknowledged {
        let event = &events[usize::try_from(*seq).expect("fits") - 1];
        assert_eq!(&event.event_id().to_string(), id, "seq {seq}");
    }
    println!("{rounds} kills, {} acknowledged, {} in the log", acknowledged.len(), events.len());
}

/// The child: creates a store in each directory it is told, so that a kill meets the creation.
#[test]
fn creator() {
    let Some(path) = role("creator") else { return };
    println!("creating");
    let store = EventStore::open(path).expect("creates or opens");
    store.save(&event("plan", 0)).expect("commits");
    println!("created");
    store.close().expect("closes");
}

#[test]
fn p1_a_creation_that_was_killed_leaves_no_store_or_a_whole_one() {
    if !has_program("strace", &["-V"]) {
        println!("skipped: no strace to kill the creation at every step with");
        return;
    }
    // Killed at its n-th write, rename, unlink or sync, for every n until it lives.
    for step in 1.. {
        let dir = Dir::new();
        let mut command = std::process::Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64,rename,unlink,fsync,fdatasync"]);
        command
            .arg("-e")
            .arg(format!("inject=pwrite64,rename,unlink,fsync,fdatasync:signal=KILL:when={step}"));
        command.arg(std::env::current_exe().expect("this binary"));
        as_child(&mut command, "creator", &dir.db());
        let output = command.stderr(Stdio::null()).output().expect("strace starts");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("creating"), "the child ran: {told}");
        let store = EventStore::open(dir.db()).expect("the next owner opens or creates it");
        let events = check_dense(&store);
        assert!(
            !told.contains("created") || events.len() == 1,
            "step {step}: what was acknowledged is there"
        );
        let left: Vec<_> =
            std::fs::read_dir(dir.path()).expect("lists").flatten().map(|file| file.file_name()).collect();
        assert!(
            !left.iter().any(|name| name.to_string_lossy().contains(".creating")),
            "step {step}: leftovers are removed: {left:?}"
        );
        if output.status.success() {
            println!("killed at each of {} steps", step - 1);
            return;
        }
    }
}

/// The child: one publisher, which tells each commit.
#[test]
fn teller() {
    let Some(path) = role("teller") else { return };
    let store = EventStore::open(path).expect("opens");
    for number in 0..30 {
        let saved = store.save(&event("plan", number)).expect("commits");
        println!("saved {}", saved.seq);
    }
}

#[test]
fn p1_every_commit_is_on_the_disk_before_it_is_acknowledged() {
    if !has_program("strace", &["-V"]) {
        println!("skipped: no strace to watch the writes and syncs with");
        return;
    }
    let dir = Dir::new();
    let log = dir.path().join("strace.log");
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-y", "-o"]).arg(&log);
    command.args(["-e", "trace=pwrite64,fsync,fdatasync,rename,write"]);
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, "teller", &dir.db());
    assert!(command.output().expect("strace starts").status.success());
    let traced = std::fs::read_to_string(log).expect("a log");
    // What was written to the store, or renamed, and not synced since.
    let mut unsynced = std::collections::BTreeSet::new();
    let (mut acknowledged, mut synced) = (0, 0);
    for call in traced.lines() {
        // The file's path stands in angle brackets behind its number.
        let path =
            call.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        // The owner's note is written behind the commit, and needs no sync.
        let is_data = path.contains("planbus.db") && !path.ends_with("-shm") && !path.ends_with(".lock");
        if call.contains("pwrite64(") && is_data {
            unsynced.insert(path.trim_end_matches("-journal").to_owned());
        } else if call.contains("rename(") {
            unsynced.clear();
            unsynced.insert(dir.path().canonicalize().expect("is there").display().to_string());
        } else if call.contains("fsync(") || call.contains("fdatasync(") {
            assert!(call.ends_with("= 0"), "{call}");
            synced += usize::from(unsynced.remove(path));
        } else if call.contains("saved ") {
            assert!(unsynced.is_empty(), "acknowledged before {unsynced:?} was synced: {call}");
            acknowledged += 1;
        }
    }
    assert!(acknowledged == 30 && synced > 30, "{acknowledged} acknowledged, {synced} syncs");
}
