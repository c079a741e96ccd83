//! P1: an acknowledged event survives a power cut, wherever it comes.
//!
//! Kills cannot show that: what a killed process wrote is in the system's cache. So a child's writes
//! and syncs are recorded, and its files rebuilt as a disk could hold them after a cut at many points,
//! with what was not synced lost, torn or there.

#![cfg(all(feature = "sqlite", target_os = "linux"))]

mod power_support;
mod store_support;

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use planbus::*;
use power_support::{
    recording::{Recording, kind},
    trace::{self, Step},
};
use serde_json::json;
use store_support::*;

/// How many cuts a test makes, unless `PLANBUS_CUTS` says.
const CUTS: usize = 240;
const PUBLISHERS: usize = 4;
/// How many rounds each publisher makes before the store is closed and opened again.
const FIRST_ROUNDS: usize = 10;
/// How many it makes at most: it ends when the write-ahead log was begun anew so often, each time
/// after a checkpoint.
const ROUNDS_MAX: usize = 5_000;
const RESTARTS: u32 = 2;
/// Whether the child asks for `Durability::Process`.
const PROCESS_ONLY: &str = "PLANBUS_TEST_PROCESS_ONLY";

fn cuts() -> usize {
    std::env::var("PLANBUS_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS)
}

/// What a publisher publishes in a round: one event, sometimes a large one, or several in one commit.
fn events_of(publisher: usize, round: usize) -> Vec<Event> {
    let (count, bytes) = match round {
        _ if round % 97 == 50 => (1, 60_000),
        _ if round % 11 == 3 => (5, 300),
        _ => (1, 200),
    };
    let one = |part: usize| {
        let text = "x".repeat(bytes);
        let id = format!("call-{round}-{part}");
        Event::new(format!("plan-{publisher}"), ToolCalled::new(id, "write", json!({"text": text})))
    };
    (0..count).map(one).collect()
}

/// The child: publishes from several threads, closes, and does so again; tells what was acknowledged.
#[test]
fn publisher() {
    let Some(path) = role("publisher") else { return };
    let durability = match std::env::var_os(PROCESS_ONLY) {
        Some(_) => Durability::Process,
        None => Durability::Full,
    };
    for rounds in [0..FIRST_ROUNDS, FIRST_ROUNDS..ROUNDS_MAX] {
        let store = EventStore::options().durability(durability).open(&path).expect("opens");
        tell("opened\n");
        let bus = EventBus::builder().store(store.clone()).build().expect("a bus");
        let is_enough = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let (bus, path, rounds, is_enough) = (&bus, &path, rounds.clone(), &is_enough);
                scope.spawn(move || {
                    for round in rounds {
                        for published in bus.publish_all(events_of(publisher, round)).expect("commits") {
                            let seq = published.seq.expect("a seq");
                            tell(&format!("ack {seq} {}\n", published.event_id));
                        }
                        if is_enough.load(Ordering::Relaxed) || restarts(path) >= RESTARTS {
                            is_enough.store(true, Ordering::Relaxed);
                            break;
                        }
                    }
                });
            }
        });
        store.close().expect("closes");
    }
}

/// How often the write-ahead log was begun anew: its header counts that.
fn restarts(path: &Path) -> u32 {
    let mut header = [0; 16];
    let log = File::open(path.with_file_name("planbus.db-wal"));
    log.and_then(|mut log| log.read_exact(&mut header)).expect("a commit wrote the header");
    u32::from_be_bytes([header[12], header[13], header[14], header[15]])
}

/// One line, in one write.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).expect("the parent reads");
}

fn record(durability: Durability) -> Recording {
    let dir = Dir::new();
    let directory = dir.path().canonicalize().expect("is there");
    let log = Dir::new();
    let log = log.path().join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-qq", "-y", "-s"]).arg(trace::WRITE_MAX_BYTES.to_string());
    command.arg("-o").arg(&log).arg("-e").arg(format!("trace={}", trace::CALLS));
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, "publisher", &directory.join("planbus.db"));
    if durability == Durability::Process {
        command.env(PROCESS_ONLY, "1");
    }
    let output = command.stderr(Stdio::inherit()).output().expect("strace starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let steps = trace::read(&std::fs::read_to_string(&log).expect("a trace"), &directory);

    let recording = Recording::new(steps, &directory.join("planbus.db"));
    check_content(recording.events());
    recording
}

/// The log holds what the publishers published, each one's in its order, and nothing else.
fn check_content(events: &[Event]) {
    let mut count = 0;
    for publisher in 0..PUBLISHERS {
        let plan = format!("plan-{publisher}");
        let stored: Vec<_> = events.iter().filter(|event| event.plan_id().as_str() == plan).collect();
        let sent = (0..).flat_map(|round| events_of(publisher, round));
        for (stored, sent) in stored.iter().zip(sent) {
            assert_eq!(stored.payload_json().expect("JSON"), sent.payload_json().expect("JSON"), "{plan}");
        }
        count += stored.len();
    }
    assert_eq!(count, events.len());
}

/// The recording of a child that asked for full durability, made once.
fn full() -> Option<&'static Recording> {
    static RECORDING: OnceLock<Recording> = OnceLock::new();
    has_strace().then(|| RECORDING.get_or_init(|| record(Durability::Full)))
}

fn has_strace() -> bool {
    let has = has_program("strace", &["-V"]);
    if !has {
        println!("skipped: no strace to record the writes and syncs with");
    }
    has
}

#[test]
fn p1_no_acknowledged_event_is_lost_wherever_the_power_is_cut() {
    let Some(recording) = full() else { return };
    let count = |what: &str| recording.steps().iter().filter(|step| kind(step) == what).count();
    let begun_anew = recording
        .steps()
        .iter()
        .filter(|step| matches!(step, Step::Write { name, offset: 0, .. } if name == "planbus.db-wal"));
    // One of each session, and one after each checkpoint in line.
    assert!(begun_anew.count() >= 2 + RESTARTS as usize, "several write-ahead logs");
    assert!(count("sync planbus.db") >= 4 && count("unlink planbus.db-wal") == 2, "checkpoints and closes");
    let tally = recording.cut(&recording.points(cuts(), 1), 1, |_, _| true);
    println!("full: {} steps, {tally}", recording.steps().len());
    assert!(tally.cuts >= 200 && tally.is_clean(), "{tally}");
}

#[test]
fn p1_a_store_that_need_not_survive_a_power_cut_loses_its_last_events_and_is_whole() {
    if !has_strace() {
        return;
    }
    let recording = record(Durability::Process);
    let tally = recording.cut(&recording.points(cuts() / 6, 2), 2, |_, _| true);
    println!("process: {tally}");
    assert!(tally.losing_cuts > 0 && tally.broken.is_empty(), "{tally}");
}

/// What shows that the cuts can find anything: the same recording, as if syncs did nothing.
#[test]
fn the_cuts_find_a_store_that_does_not_sync() {
    let Some(recording) = full() else { return };
    let is_no_sync = |_, step: &Step| !matches!(step, Step::SyncFile { .. } | Step::SyncDirectory { .. });
    let tally = recording.cut(&recording.points(cuts() / 6, 3), 3, is_no_sync);
    println!("no syncs: {tally}");
    assert!(tally.losing_cuts > 0, "{tally}");
}

#[test]
fn the_cuts_find_a_store_that_does_not_sync_its_directory() {
    let Some(recording) = full() else { return };
    let is_no_sync = |_, step: &Step| !matches!(step, Step::SyncDirectory { .. });
    let tally = recording.cut(&recording.points(cuts() / 6, 4), 4, is_no_sync);
    println!("no directory syncs: {tally}");
    assert!(tally.losing_cuts > 0, "{tally}");
}

/// The creation, cut after each of its steps, with several losses at each.
#[test]
fn p1_a_store_that_was_opened_is_there_wherever_the_power_is_cut() {
    let Some(recording) = full() else { return };
    let position = |is_it: fn(&Step) -> bool| recording.steps().iter().position(is_it).expect("is there");
    let points = (0..position(|step| kind(step) == "ack")).collect();
    for seed in 5..9 {
        let tally = recording.cut(&points, seed, |_, _| true);
        assert!(tally.is_clean(), "{tally}");
    }
    // SQLite syncs the directory with the first commit: the creation must have done so before that.
    let sync = position(|step| matches!(step, Step::SyncDirectory { .. }));
    let vanished = (5..9).flat_map(|seed| recording.cut(&points, seed, |at, _| at != sync).broken);
    let vanished = vanished.filter(|how| how.ends_with("it vanished")).count();
    println!("creation: {} cuts; without its directory sync {vanished} lost the store", 4 * points.len());
    assert!(vanished > 0, "the cuts find a creation that does not sync its directory");
}
