//! P9, P12: a prune that is killed, or that the disk fails, leaves a dense log whose chain holds.

#![cfg(feature = "sqlite")]

mod chain_support;
mod store_support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::Stdio,
    sync::Mutex,
};

use chain_support::held;
use planbus::*;
use rusqlite::Connection;
use store_support::*;

/// How many events the log of a test has, and up to which a reader has read them.
const EVENTS: u64 = 3_000;
const READ: u64 = 2_600;

/// A store that was closed.
fn model(dir: &Dir) {
    let store = EventStore::open(dir.db()).expect("opens");
    let bus = EventBus::builder().store(store.clone()).build().expect("builds");
    bus.publish_all((0..EVENTS as usize).map(|number| event("plan", number))).expect("commits");
    store.save_cursor("reader", READ).expect("saves");
    store.close().expect("closes");
}

/// The system calls by which a store is changed.
const CALLS: &str = "pwrite64,fsync,fdatasync,ftruncate";

/// This test binary as a child under strace, which injects a fault.
fn under_strace(role: &str, path: &Path, fault: &str) -> std::process::Output {
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={CALLS}"));
    command.arg("-e").arg(format!("inject={fault}")).arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, role, path);
    command.stderr(Stdio::inherit()).output().expect("strace starts")
}

fn has_strace() -> bool {
    let has = has_program("strace", &["-V"]);
    if !has {
        println!("skipped: no strace to make faults with");
    }
    has
}

/// The child: prunes all that the reader has read.
#[test]
fn pruner() {
    let Some(path) = role("pruner") else { return };
    println!("pruning");
    let store = EventStore::open(path).expect("opens");
    let report = store.prune(Retention::keep_last(1)).expect("prunes");
    println!("pruned {}", report.removed);
    std::process::exit(0);
}

#[test]
fn p9_p12_a_prune_that_is_killed_anywhere_leaves_a_dense_log_whose_chain_holds() {
    if !has_strace() {
        return;
    }
    let origin = Dir::new();
    model(&origin);
    let (mut step, mut floors) = (1, BTreeMap::new());
    loop {
        let dir = Dir::new();
        std::fs::copy(origin.db(), dir.db()).expect("copies");
        let output = under_strace("pruner", &dir.db(), &format!("{CALLS}:signal=KILL:when={step}"));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("pruning"), "the child ran: {told}");
        let store = EventStore::open(dir.db()).expect("the next owner opens it");
        let (first, last) = held(&store);
        assert!(first <= READ + 1 && last == EVENTS, "step {step}: {first} to {last}");
        *floors.entry(first).or_insert(0) += 1;
        let report = store.prune(Retention::keep_last(1)).expect("the next owner goes on");
        assert_eq!((report.removed, report.first_seq), (READ + 1 - first, Some(READ + 1)), "step {step}");
        assert_eq!(store.stats().expect("reads").free_pages, 0, "what a kill left is given back");
        assert_eq!(held(&store), (READ + 1, EVENTS));
        if told.contains("pruned") {
            break;
        }
        // Denser at the beginning; the seed makes other places of other runs of the numbers.
        step += 1 + step / 6;
    }
    println!("log began at, kills: {floors:?}");
    assert!(floors.len() >= 4, "kills before, between and after the steps: {floors:?}");
}

/// The child: publishes, keeps a reader's cursor, and prunes, for ever.
#[test]
fn busy() {
    let Some(path) = role("busy") else { return };
    let store = EventStore::open(path).expect("the store opens after the last kill");
    let out = Mutex::new(std::io::stdout());
    let tell = |line: String| {
        let mut out = out.lock().expect("nobody panics");
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
    };
    std::thread::scope(|scope| {
        for publisher in 0..3 {
            let (store, tell) = (&store, &tell);
            scope.spawn(move || {
                for number in 0.. {
                    let event = event(&format!("plan-{publisher}"), number);
                    let saved = store.save(&event).expect("commits");
                    tell(format!("saved {} {}\n", saved.seq, event.event_id()));
                }
            });
        }
        loop {
            store.save_cursor("reader", store.head().expect("reads")).expect("saves");
            let report = store.prune(Retention::keep_last(50)).expect("prunes");
            tell(format!("pruned {}\n", report.last_removed.unwrap_or(0)));
        }
    });
}

#[test]
fn p1_what_was_acknowledged_and_not_pruned_survives_kill_9_in_a_prune() {
    let dir = Dir::new();
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    for round in 0..15 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let kill_after = 100 + random % 200;
        let mut child = Killed(child("busy", &dir.db()).spawn().expect("starts"));
        let lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
        let (mut seen, mut pruned) = (0, 0);
        for line in lines.map_while(|line| line.ok()) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["saved", seq, id] => {
                    acknowledged.insert(seq.parse().expect("a seq"), id.to_owned());
                    seen += 1;
                }
                ["pruned", seq] => pruned = seq.parse().expect("a seq"),
                _ => continue,
            }
            if seen == kill_after {
                child.0.kill().expect("SIGKILL");
            }
        }
        assert!(seen >= kill_after, "round {round}: the child ended by itself");
        let store = EventStore::open(dir.db()).expect("opens");
        let (first, last) = held(&store);
        assert!(first > pruned, "round {round}: what was told as pruned is gone for good");
        let there = store.read_after(first - 1, usize::MAX).expect("reads");
        for (seq, id) in acknowledged.range(first..) {
            assert!(*seq <= last, "round {round}: seq {seq} was acknowledged");
            assert_eq!(&there[(seq - first) as usize].event_id().to_string(), id, "round {round}: seq {seq}");
        }
        store.close().expect("closes");
    }
}

/// The child: prunes and publishes while the disk fails now and then, and tells what became of it.
#[test]
fn unlucky() {
    let Some(path) = role("unlucky") else { return };
    let store = EventStore::open(path).expect("opens");
    for keep in [2_500, 1_500, 900, 300, 1] {
        match store.prune(Retention::keep_last(keep)) {
            Ok(report) => println!("pruned {}", report.removed),
            Err(error) => println!("failed {:?}", error.kind()),
        }
        match store.save(&event("plan", 1)) {
            Ok(saved) => println!("saved {}", saved.seq),
            Err(error) => println!("unsaved {:?}", error.kind()),
        }
    }
    println!("done");
    std::process::exit(0);
}

#[test]
fn p2_p12_a_prune_on_a_disk_that_fails_is_told_and_leaves_the_log_whole() {
    if !has_strace() {
        return;
    }
    let origin = Dir::new();
    model(&origin);
    let syncs = ["2", "3", "5", "6..9", "3+2", "4+3", "1+1"]
        .map(|when| format!("fsync,fdatasync:error=EIO:when={when}"));
    let writes = ["30", "200..260", "90+40", "600+1"].map(|when| format!("pwrite64:error=EIO:when={when}"));
    let full = ["30", "200..260", "600+1"].map(|when| format!("pwrite64:error=ENOSPC:when={when}"));
    let mut kinds = BTreeMap::new();
    for fault in syncs.iter().chain(&writes).chain(&full) {
        let dir = Dir::new();
        std::fs::copy(origin.db(), dir.db()).expect("copies");
        let output = under_strace("unlucky", &dir.db(), fault);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("done"), "{fault}: {told}");
        let store = EventStore::open(dir.db()).expect("opens on a disk that works");
        let (first, last) = held(&store);
        assert!(first <= READ + 1 && last >= EVENTS, "{fault}: {first} to {last}");
        for line in told.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["saved", seq] => assert!(seq.parse::<u64>().expect("a seq") <= last, "{fault}: {line}"),
                ["failed", kind] => *kinds.entry(kind.to_owned()).or_insert(0) += 1,
                _ => {}
            }
        }
        let report = store.prune(Retention::keep_last(1)).expect("works again");
        assert_eq!((report.removed, report.first_seq), (READ + 1 - first, Some(READ + 1)), "{fault}");
        assert_eq!(held(&store), (READ + 1, last));
        store.close().expect("closes");
        let plain = Connection::open(dir.db()).expect("opens");
        let check: String = plain.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checks");
        assert_eq!(check, "ok", "{fault}");
    }
    println!("prunes that failed, by kind: {kinds:?}");
    for kind in ["Storage", "Indeterminate", "DiskFull"] {
        assert!(kinds.contains_key(kind), "no {kind} in {kinds:?}");
    }
}
