//! P8: a kill anywhere, and each effect is there exactly once; a naive inbox is found out.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::Command,
};

use super::child::*;

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

#[test]
fn p8_an_effect_is_there_exactly_once_after_a_kill_at_each_write_and_sync_and_a_naive_one_is_not() {
    if !has_strace() {
        return;
    }
    for manner in Manner::EACH {
        let killed = |step: usize| strike(WRITES, "signal=KILL", &step.to_string(), manner);
        let found: Vec<_> = (1..).map_while(killed).collect();
        let counts: Vec<_> = found.iter().flat_map(|fate| fate.wrong.values()).copied().collect();
        println!("{manner:?}: killed at {} steps, {} effects not there once", found.len(), counts.len());
        assert!(found.len() > FEW as usize, "{manner:?} was killed");
        match manner {
            Manner::Inbox => assert_eq!(counts, []),
            Manner::EffectFirst => assert!(counts.contains(&(2, 1)), "doubled: {counts:?}"),
            Manner::NoteFirst => assert!(counts.contains(&(0, 1)), "lost: {counts:?}"),
        }
    }
}

#[test]
fn p8_effect_and_note_are_on_the_disk_before_they_are_acknowledged() {
    if !has_strace() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (path, log) = (dir.path().join("app.db"), dir.path().join("strace.log"));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-o"]).arg(&log);
    command.args(["-e", "trace=openat,pwrite64,fsync,fdatasync,unlink,write"]);
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, &path, Manner::Inbox, 1, FEW);
    assert!(command.output().expect("strace starts").status.success());
    let directory = dir.path().canonicalize().expect("is there").display().to_string();
    // What was written, made or removed, and not synced since.
    let mut unsynced = BTreeSet::new();
    let (mut acknowledged, mut synced) = (0, 0);
    for call in std::fs::read_to_string(log).expect("a log").lines() {
        let path =
            call.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
        let is_name = call.contains("unlink(") || call.contains("O_CREAT");
        if is_name && call.contains("app.db") && !call.contains("app.db-shm") {
            unsynced.insert(directory.clone());
        } else if call.contains("pwrite64(") && path.contains("app.db") && !path.ends_with("-shm") {
            unsynced.insert(path.to_owned());
        } else if call.contains("sync(") {
            assert!(call.ends_with("= 0"), "{call}");
            synced += usize::from(unsynced.remove(path));
        } else if call.contains("unlink(") || !call.contains("handled ") {
            continue;
        } else {
            // A journal that was removed need not be synced.
            unsynced.retain(|path| !path.ends_with("-journal"));
            assert!(unsynced.is_empty(), "acknowledged before {unsynced:?} was synced: {call}");
            acknowledged += 1;
        }
    }
    assert!(acknowledged == FEW - 1 && synced > acknowledged as usize, "{acknowledged}, {synced} syncs");
}
