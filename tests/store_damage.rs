//! P11: a flipped bit or a cut file is a typed error or a finding of `verify`, or did no harm: never
//! silence.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{fs, path::Path};

use planbus::*;
use serde_json::json;
use store_support::*;

/// How many bits are flipped, one at a time, in each of the files.
const FLIPS: usize = 400;
/// How often each of the files is cut.
const CUTS: usize = 60;

/// A simple generator with a fixed seed, so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// A store as it was left, and what it held.
struct Original {
    db: Vec<u8>,
    wal: Vec<u8>,
    /// The owner's note in the lock's file, which a kill leaves and a power cut may not.
    note: Vec<u8>,
    events: Vec<String>,
    /// How many events the last commit brought.
    last_commit: usize,
    head: ChainHash,
}

/// Publishes in transactions of several sizes; with a full log when it was killed.
fn original(is_killed: bool) -> Original {
    let dir = Dir::new();
    let bus = EventBus::builder().store(EventStore::open(dir.db()).expect("creates")).build().expect("a bus");
    let last_commit = 3;
    for size in [1, 7, 1, 20, 1, 1, 12, 2, 1, last_commit] {
        let events = (0..size).map(|number| {
            Event::new(
                "plan",
                ToolCalled::new(format!("call-{number}"), "grep", json!({"text": "x".repeat(200)})),
            )
            .with_source("plänner")
        });
        bus.publish_all(events).expect("publishes");
    }
    let store = bus.store().expect("has one");
    let events = store.read_after(0, usize::MAX).expect("reads");
    let head = store.verify().expect("reads").head;
    let beside = |suffix: &str| fs::read(dir.path().join(format!("planbus.db{suffix}"))).expect("reads");
    if !is_killed {
        store.close().expect("closes");
    }
    Original {
        // What a killed owner leaves is what stands there while it is alive.
        db: beside(""),
        wal: if is_killed { beside("-wal") } else { Vec::new() },
        note: if is_killed { beside(".lock") } else { Vec::new() },
        events: events.iter().map(|event| format!("{event:?}")).collect(),
        last_commit,
        head,
    }
}

/// What became of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A typed error, or a finding.
    Detected,
    /// Everything that was written is read.
    Harmless,
    /// Only the last commit is missing, and a note says that it may be.
    Noted,
    /// Only a head that was kept elsewhere tells.
    KeptHead,
    Silent,
}

impl Original {
    /// Lays the files out, and judges what planbus says of them.
    fn fate(&self, db: &[u8], wal: &[u8], note: &[u8]) -> Fate {
        let dir = Dir::new();
        for (suffix, bytes) in [("", db), ("-wal", wal), (".lock", note)] {
            if !bytes.is_empty() || suffix.is_empty() {
                fs::write(dir.path().join(format!("planbus.db{suffix}")), bytes).expect("writes");
            }
        }
        let seen = self.read(&dir.db());
        // The owner comes last: it may change the files.
        match EventStore::open(dir.db()) {
            Err(error) => assert_ne!(error.kind(), ErrorKind::Storage, "{error:?}"),
            Ok(store) => drop(store),
        }
        seen
    }

    fn read(&self, path: &Path) -> Fate {
        let found = EventStore::open_read_only(path).and_then(|store| {
            let found = store.verify_against(self.head)?;
            let events = store.read_after(0, usize::MAX)?;
            let events: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
            Ok((found, events))
        });
        let (found, events) = match found {
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Storage, "{error:?}");
                return Fate::Detected;
            }
            Ok(found) => found,
        };
        let lost = self.events.len() - events.len();
        let is_prefix = events == self.events[..events.len()];
        // What the kept head alone tells is not counted as found.
        let is_found =
            found.broken.is_some() || found.problems.iter().any(|problem| !problem.starts_with("head "));
        match () {
            () if is_found => Fate::Detected,
            () if lost == 0 && is_prefix => Fate::Harmless,
            () if is_prefix && lost == self.last_commit && !found.notes.is_empty() => Fate::Noted,
            () if !found.is_sound() => Fate::KeptHead,
            () => Fate::Silent,
        }
    }
}

fn flipped(bytes: &[u8], random: &mut Random) -> (Vec<u8>, usize) {
    let mut bytes = bytes.to_vec();
    let at = random.below(bytes.len());
    bytes[at] ^= 1 << random.below(8);
    (bytes, at)
}

/// Counts the fates, and prints them.
fn count(what: &str, fates: &[(usize, Fate)]) -> [usize; 5] {
    let all = [Fate::Detected, Fate::Harmless, Fate::Noted, Fate::KeptHead, Fate::Silent];
    let counts = all.map(|fate| fates.iter().filter(|(_, found)| *found == fate).count());
    println!("{what}: {:?}", all.iter().zip(counts).collect::<Vec<_>>());
    counts
}

#[test]
fn p11_a_flipped_bit_in_the_database_is_found_or_did_no_harm() {
    let original = original(false);
    assert_eq!(original.fate(&original.db, &[], &[]), Fate::Harmless, "as it was");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let fates: Vec<_> = (0..FLIPS)
        .map(|_| {
            let (db, at) = flipped(&original.db, &mut random);
            (at, original.fate(&db, &[], &[]))
        })
        .collect();
    let [detected, harmless, ..] = count("flips in the database", &fates);
    assert_eq!(detected + harmless, FLIPS, "{fates:?}");
    assert!(detected > FLIPS / 4 && harmless > 0);
}

#[test]
fn p11_a_flipped_bit_in_the_write_ahead_log_is_found_or_did_no_harm() {
    let original = original(true);
    assert_eq!(original.fate(&original.db, &original.wal, &[]), Fate::Harmless, "as it was");
    let flip = |note: &[u8]| -> Vec<_> {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let fate = |_| {
            let (wal, at) = flipped(&original.wal, &mut random);
            (at, original.fate(&original.db, &wal, note))
        };
        (0..FLIPS).map(fate).collect()
    };
    let fates = flip(&original.note);
    let [detected, harmless, ..] = count("flips in the write-ahead log", &fates);
    assert!(detected + harmless == FLIPS && detected > FLIPS / 2, "{fates:?}");
    // Without the owner's note, the last commit looks like one that was never acknowledged.
    let fates = flip(&[]);
    let [detected, harmless, noted, ..] = count("flips in the write-ahead log, no note", &fates);
    assert_eq!(detected + harmless + noted, FLIPS, "{fates:?}");
    assert!(detected > FLIPS / 2 && noted > 0);
}

#[test]
fn p11_a_cut_database_is_found() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let closed = original(false);
    let fates: Vec<_> = (0..CUTS)
        .map(|_| {
            let bytes = random.below(closed.db.len());
            (bytes, closed.fate(&closed.db[..bytes], &[], &[]))
        })
        .collect();
    assert_eq!(count("cuts of the database", &fates)[0], CUTS, "{fates:?}");
}

#[test]
fn p11_a_cut_write_ahead_log_is_found_after_a_kill_and_at_the_latest_by_a_kept_head() {
    let mut random = Random(0x0fed_cba9_8765_4321);
    let killed = original(true);
    assert_eq!(killed.fate(&killed.db, &killed.wal, &killed.note), Fate::Harmless, "as it was");
    let frames = (killed.wal.len() - 32) / FRAME_BYTES;
    let lengths: Vec<usize> =
        (0..CUTS).map(|_| random.below(killed.wal.len())).chain((0..frames).map(|n| frame(n + 1))).collect();
    let cut_to = |note: &[u8]| -> Vec<_> {
        lengths.iter().map(|bytes| (*bytes, killed.fate(&killed.db, &killed.wal[..*bytes], note))).collect()
    };
    let fates = cut_to(&killed.note);
    assert_eq!(count("cuts of the write-ahead log", &fates)[0], fates.len(), "{fates:?}");
    // Without the note, nothing in the files tells a cut between two commits.
    let fates = cut_to(&[]);
    assert_eq!(count("cuts of the write-ahead log, no note", &fates)[4], 0, "{fates:?}");
}

/// A frame's header and page.
const FRAME_BYTES: usize = 24 + 4_096;

/// Where a frame of the write-ahead log begins, counted from 1.
fn frame(number: usize) -> usize {
    32 + (number - 1) * FRAME_BYTES
}

#[test]
fn p1_an_owner_refuses_a_write_ahead_log_that_is_damaged_before_acknowledged_commits() {
    let original = original(true);
    let frames = (original.wal.len() - 32) / FRAME_BYTES;
    let dir = Dir::new();
    let wal = dir.path().join("planbus.db-wal");
    // In the data, the salt, the checksum, the header of the frame; and in the log's own header.
    for (number, offset) in [(2, 1_000), (3, 10), (4, 20), (5, 2), (0, 5), (0, 10), (0, 17), (0, 3)] {
        let mut damaged = original.wal.clone();
        let at = if number == 0 { offset } else { frame(number) + offset };
        damaged[at] ^= 1;
        fs::write(dir.db(), &original.db).expect("writes");
        fs::write(&wal, &damaged).expect("writes");
        let error = EventStore::open(dir.db()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        assert!(error.to_string().contains(&format!("damaged at frame {number},")), "{error}");
        assert!(fs::read(&wal).expect("reads") == damaged, "not a byte was changed");
        let way_on = rusqlite::Connection::open(dir.db()).expect("opens");
        way_on.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).expect("copies what is whole");
        drop(way_on);
        EventStore::open(dir.db()).expect("the way on that the message names");
        fs::write(dir.db(), &original.db).expect("writes");
        fs::write(&wal, &damaged).expect("writes");
        let process = EventStore::options().durability(Durability::Process);
        process.open(dir.db()).expect("a power cut may leave that, where commits are not synced");
        fs::remove_file(&wal).ok();
    }
    // What a power cut leaves of the last transaction: any of its frames may be missing.
    let frames_of_last: Vec<usize> = (1..=frames)
        .rev()
        .take_while(|number| *number == frames || original.wal[frame(*number) + 4..][..4] == [0; 4])
        .collect();
    assert!(frames_of_last.len() > 1, "{frames_of_last:?}");
    for number in frames_of_last {
        let mut torn = original.wal.clone();
        torn[frame(number)..frame(number) + 512].fill(0);
        fs::write(dir.db(), &original.db).expect("writes");
        fs::write(&wal, &torn).expect("writes");
        let store = EventStore::open(dir.db()).expect("opens");
        assert_eq!(check_dense(&store).len(), original.events.len() - original.last_commit);
        store.save(&event("plan", 1)).expect("publishes");
        assert!(store.verify().expect("reads").is_sound());
        store.close().expect("closes");
    }
}

#[test]
fn p1_after_a_kill_an_owner_refuses_a_write_ahead_log_whose_last_commit_is_damaged_or_cut_off() {
    let original = original(true);
    let dir = Dir::new();
    let lay = |wal: &[u8]| {
        for (suffix, bytes) in [("", &original.db[..]), ("-wal", wal), (".lock", &original.note)] {
            fs::write(dir.path().join(format!("planbus.db{suffix}")), bytes).expect("writes");
        }
    };
    let last = original.wal.len() - FRAME_BYTES;
    let mut damaged = original.wal.clone();
    damaged[last + 500] ^= 4;
    for wal in [&damaged[..], &original.wal[..last], &[]] {
        lay(wal);
        for _ in 0..2 {
            let error = EventStore::open(dir.db()).expect_err("refused, the second time too");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
            assert!(error.to_string().contains("had acknowledged events up to"), "{error}");
        }
        let reader = EventStore::open_read_only(dir.db()).expect("who only reads may look at what is left");
        assert!(!reader.verify().expect("reads").is_sound());
    }
    // The way out that the message names.
    lay(&original.wal[..last]);
    fs::remove_file(dir.path().join("planbus.db.lock")).expect("removes");
    let store = EventStore::open(dir.db()).expect("opens");
    assert_eq!(check_dense(&store).len(), original.events.len() - original.last_commit);
}

#[test]
fn what_an_owner_left_to_power_cuts_is_opened_by_any_owner_until_one_ends_well() {
    let dir = Dir::new();
    let beside = |suffix: &str| dir.path().join(format!("planbus.db{suffix}"));
    let note = || fs::read_to_string(beside(".lock")).expect("reads");
    let left_to_power_cuts = |note: &str| note.split_whitespace().nth(1) == Some("process");
    let owner = EventStore::options().durability(Durability::Process).open(dir.db()).expect("creates");
    let note_of_the_dead = note();
    assert!(left_to_power_cuts(&note_of_the_dead), "{note_of_the_dead}");
    owner.close().expect("closes");
    assert_eq!(note(), "", "an owner that ends well leaves nothing to know");

    let original = original(true);
    let mut damaged = original.wal.clone();
    damaged[frame(2) + 1_000] ^= 1;
    let lay = || {
        fs::write(dir.db(), &original.db).expect("writes");
        fs::write(beside("-wal"), &damaged).expect("writes");
    };
    lay();
    fs::write(beside(".lock"), &note_of_the_dead).expect("writes");
    let next = EventStore::open(dir.db()).expect("opens with what the power cut left");
    assert!(left_to_power_cuts(&note()), "were this one killed, the log could still look so");
    next.close().expect("closes");
    lay();
    assert_eq!(EventStore::open(dir.db()).expect_err("refused").kind(), ErrorKind::Corrupt);
}
