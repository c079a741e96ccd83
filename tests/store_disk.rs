//! P2: when publish fails, the event is not in the log; where nobody knows, publishing again settles it.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    collections::HashSet,
    path::Path,
    process::{Command, Stdio},
};

use planbus::*;
use serde_json::json;
use store_support::*;

/// An event of about this many bytes.
fn large(number: usize, bytes: usize) -> Event {
    Event::new("plan", ToolCalled::new(format!("call-{number}"), "write", json!({"text": "x".repeat(bytes)})))
}

/// Publishes until the disk is full; the events that were acknowledged, and the one that was not.
fn fill(store: &EventStore, bytes: usize) -> (Vec<EventId>, Event) {
    let mut saved = Vec::new();
    for number in 0..100_000 {
        let event = large(number, bytes);
        match store.save(&event) {
            Ok(_) => saved.push(event.event_id()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
                assert!(error.is_transient());
                return (saved, event);
            }
        }
    }
    panic!("the disk is never full");
}

fn check_saved(store: &EventStore, saved: &[EventId], refused: &Event) {
    let events = check_dense(store);
    let ids: Vec<_> = events.iter().map(Event::event_id).collect();
    assert_eq!(ids, saved, "what was acknowledged, in order, and nothing else");
    assert_eq!(store.get(refused.event_id()).expect("reads"), None);
}

#[test]
fn p2_a_log_at_its_cap_refuses_events_and_goes_on_when_the_cap_is_lifted() {
    let dir = Dir::new();
    let capped = || EventStore::options().max_bytes(2 << 20).open(dir.db()).expect("opens");
    let store = capped();
    let (mut saved, refused) = fill(&store, 50_000);
    check_saved(&store, &saved, &refused);
    assert!(saved.len() > 20, "{} fit into 2 MiB", saved.len());
    // A smaller one may still find a place, in the page that is not full.
    let small = event("plan", 0);
    if store.save(&small).is_ok() {
        saved.push(small.event_id());
    }
    store.close().expect("closes");
    let store = capped();
    assert_eq!(store.save(&refused).expect_err("still full").kind(), ErrorKind::DiskFull);
    check_saved(&store, &saved, &refused);
    store.close().expect("closes");
    let store = EventStore::open(dir.db()).expect("opens");
    store.save(&refused).expect("the cap is lifted");
    saved.push(refused.event_id());
    assert_eq!(check_dense(&store).len(), saved.len());
}

/// The child: fills a small file system, then frees some of it.
#[test]
fn filler() {
    let Some(path) = role("filler") else { return };
    let ballast = path.with_file_name("ballast");
    std::fs::write(&ballast, vec![7; 1 << 20]).expect("fits");
    let store = EventStore::open(&path).expect("opens");
    let (mut saved, refused) = fill(&store, 20_000);
    check_saved(&store, &saved, &refused);
    assert_eq!(store.save(&refused).expect_err("still full").kind(), ErrorKind::DiskFull);
    std::fs::remove_file(&ballast).expect("removes");
    store.save(&refused).expect("publishing works again");
    saved.push(refused.event_id());
    assert_eq!(check_dense(&store).len(), saved.len());
    if let Err(error) = store.close() {
        // The write-ahead log does not fit into the database's file too: it stays for the next owner.
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
    }
    assert_eq!(check_dense(&EventStore::open(&path).expect("opens")).len(), saved.len());
    println!("filled with {}", saved.len());
}

#[test]
fn p2_a_full_disk_refuses_events_and_publishing_works_again_when_there_is_space() {
    if !has_program("unshare", &["-m", "true"]) {
        println!("skipped: no permission to mount a small file system");
        return;
    }
    let dir = Dir::new();
    let script = r#"mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, "filler", &dir.db());
    let output = command.stderr(Stdio::piped()).output().expect("runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("filled with"), "{told}{error}");
}

/// The child: publishes while the disk fails now and then, and tells what became of each event.
#[test]
fn unlucky() {
    let Some(path) = role("unlucky") else { return };
    let store = EventStore::open(path).expect("opens");
    for number in 0..40 {
        let event = event("plan", number);
        match store.save(&event) {
            Ok(saved) => println!("saved {} {}", saved.seq, event.event_id()),
            Err(error) => println!("{:?} {}", error.kind(), event.event_id()),
        }
        if number % 3 == 0 {
            // Publishing again settles it, once the disk is well again.
            let again = (0..20).find_map(|_| store.save(&event).ok());
            println!("settled {} {}", again.map_or(0, |saved| saved.seq), event.event_id());
        }
    }
    println!("done");
    // Not closed: the next owner's recovery must come to the same answers.
    std::process::exit(0);
}

fn run_unlucky(path: &Path, fault: &str) -> String {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,pwrite64", "-e"]);
    command.arg(format!("inject={fault}"));
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, "unlucky", path);
    let output = command.stderr(Stdio::inherit()).output().expect("strace starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("done"), "{told}");
    told
}

#[test]
fn p2_a_disk_that_fails_in_the_commit_ends_in_a_certain_answer_or_in_indeterminate() {
    if !has_program("strace", &["-V"]) {
        println!("skipped: no strace to make the disk fail with");
        return;
    }
    let mut kinds = HashSet::new();
    // A failure now and then, which settles; failures in a row, so that settling fails too; and a
    // disk that never works.
    let syncs = ["3+2", "4+3", "3..4", "5..8", "2..30", "1+1"]
        .map(|when| format!("fsync,fdatasync:error=EIO:when={when}"));
    let writes = ["20+9", "40..80", "30+1"].map(|when| format!("pwrite64:error=EIO:when={when}"));
    let full = ["20+9", "40..80"].map(|when| format!("pwrite64:error=ENOSPC:when={when}"));
    for fault in syncs.iter().chain(&writes).chain(&full) {
        let when = fault.as_str();
        let dir = Dir::new();
        EventStore::open(dir.db()).and_then(|store| store.close()).expect("creates");
        let told = run_unlucky(&dir.db(), when);
        let store = EventStore::open(dir.db()).expect("opens on a disk that works");
        let events = check_dense(&store);
        let at =
            |id: &str| events.iter().find(|event| event.event_id().to_string() == id).and_then(Event::seq);
        let mut last_word = std::collections::HashMap::new();
        for line in told.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["saved", seq, id] | ["settled", seq, id] if seq != "0" => {
                    assert_eq!(at(id), seq.parse().ok(), "{when}: acknowledged means there");
                    last_word.insert(id.to_owned(), "saved");
                }
                [kind @ ("Storage" | "Indeterminate" | "DiskFull"), id] => {
                    kinds.insert(kind.to_owned());
                    last_word
                        .insert(id.to_owned(), if kind == "Indeterminate" { "unknown" } else { "refused" });
                }
                _ => {}
            }
        }
        for (id, word) in &last_word {
            assert!(*word != "refused" || at(id).is_none(), "{when}: {id} failed for good and is there");
        }
        assert_eq!(last_word.len(), 40);
        for event in &events {
            assert!(last_word.contains_key(&event.event_id().to_string()), "{when}: nobody sent this");
        }
    }
    assert!(kinds.contains("Storage") && kinds.contains("Indeterminate"), "both were met: {kinds:?}");
}
