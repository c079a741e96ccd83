//! Backup and restore: whole and checked, or nothing, whatever happens meanwhile.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use planbus::*;
use serde_json::json;
use store_support::*;

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A closed store of this many events of about a kilobyte.
fn filled(dir: &Dir, events: usize) {
    let store = EventStore::open(dir.db()).expect("creates");
    for number in 0..events {
        store.save(&large(number)).expect("commits");
    }
    store.close().expect("closes");
}

fn large(number: usize) -> Event {
    Event::new("plan", ToolCalled::new(format!("call-{number}"), "write", json!({"text": "x".repeat(1_000)})))
}

/// Checks that a file is a whole store by itself, and returns how many events it holds.
fn check_whole(path: &Path) -> usize {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(path).expect("is there").permissions().mode() & 0o777, 0o600);
    }
    // Away from everything that might stand beside it.
    let alone = Dir::new();
    fs::copy(path, alone.db()).expect("copies");
    let store = EventStore::open(alone.db()).expect("opens");
    assert!(store.verify().expect("reads").is_sound());
    check_dense(&store).len()
}

/// Sets a flag when it is dropped.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_ends_while_others_publish_and_holds_all_that_was_acknowledged_before() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("creates");
    let (acknowledged, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for publisher in 0..3 {
            let (store, acknowledged, is_over) = (&store, &acknowledged, &is_over);
            scope.spawn(move || {
                for number in (0..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                    let saved = store.save(&event(&format!("plan-{publisher}"), number)).expect("commits");
                    acknowledged.fetch_max(saved.seq, Ordering::SeqCst);
                }
            });
        }
        // The publishers stop when a check fails too.
        let _stop = SetOnDrop(&is_over);
        for round in 0..5 {
            wait_until("publishing goes on", || acknowledged.load(Ordering::SeqCst) > round * 200);
            let before = acknowledged.load(Ordering::SeqCst);
            let path = dir.path().join(format!("backup-{round}.db"));
            let report = store.backup(&path).expect("backs up");
            assert!(report.verification.is_sound(), "{report:?}");
            assert!(report.verification.last_seq >= before, "{report:?} holds {before}");
            assert_eq!(report.bytes, fs::metadata(&path).expect("is there").len());
            assert_eq!(check_whole(&path) as u64, report.verification.events);
        }
    });
    store.close().expect("closes");
    let expected: Vec<_> = (0..5).map(|round| format!("backup-{round}.db")).collect();
    assert_eq!(names(dir.path())[..5], expected, "one file each, and nothing beside it");
}

#[test]
fn a_backup_replaces_no_file_and_never_one_of_the_stores_own() {
    let dir = Dir::new();
    filled(&dir, 3);
    let store = EventStore::open_read_only(dir.db()).expect("opens");
    fs::write(dir.path().join("letter"), "dear").expect("writes");
    for name in
        ["letter", "planbus.db", "planbus.db-wal", "planbus.db-shm", "planbus.db.lock", "planbus.db.creating"]
    {
        let before = fs::read(dir.path().join(name)).ok();
        let error = store.backup(dir.path().join(name)).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(fs::read(dir.path().join(name)).ok(), before, "{name}");
    }
    fs::write(dir.path().join("monday.db.partial"), "somebody's").expect("writes");
    store.backup(dir.path().join("monday.db")).expect("backs up");
    assert_eq!(check_whole(&dir.path().join("monday.db")), 3);
    assert_eq!(fs::read(dir.path().join("monday.db.partial")).expect("is there"), b"somebody's");
    assert_eq!(partials(dir.path()), ["monday.db.partial"], "nothing is left beside a backup");
}

/// The names of backups that never got theirs.
fn partials(directory: &Path) -> Vec<String> {
    names(directory).into_iter().filter(|name| name.ends_with(".partial")).collect()
}

#[test]
fn of_two_backups_to_one_file_the_first_that_is_ready_stays() {
    let dir = Dir::new();
    filled(&dir, 300);
    let store = EventStore::open(dir.db()).expect("opens");
    let path = dir.path().join("monday.db");
    for _ in 0..5 {
        let done: Vec<_> = std::thread::scope(|scope| {
            let backups: Vec<_> = (0..4).map(|_| scope.spawn(|| store.backup(&path))).collect();
            backups.into_iter().map(|backup| backup.join().expect("no panic")).collect()
        });
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1, "{done:?}");
        for error in done.into_iter().filter_map(Result::err) {
            assert!(matches!(error.kind(), ErrorKind::Locked | ErrorKind::InvalidInput), "{error}");
        }
        assert_eq!(check_whole(&path), 300);
        assert_eq!(partials(dir.path()), [""; 0]);
        fs::remove_file(&path).expect("removes");
    }
}

#[test]
fn a_restored_store_is_the_same_log_and_goes_on_where_the_backup_ended() {
    let dir = Dir::new();
    filled(&dir, 20);
    let source = EventStore::open(dir.db()).expect("opens");
    let report = source.backup(dir.path().join("backup.db")).expect("backs up");
    source.save(&event("plan", 99)).expect("commits");
    let to = dir.path().join("new/planbus.db");
    fs::create_dir(dir.path().join("new")).expect("a directory");
    let restored = EventStore::restore(&report.path, &to).expect("restores");
    assert_eq!(restored, report.verification);
    assert_eq!(names(&dir.path().join("new")), ["planbus.db", "planbus.db.lock"]);
    let store = EventStore::open(&to).expect("opens");
    assert_eq!(store.stats().expect("reads").store_id, source.stats().expect("reads").store_id);
    assert_eq!(store.save(&event("plan", 100)).expect("commits").seq, 21);
    assert_eq!(store.verify_against(restored.head).expect("reads").kept_head_seq, Some(20));
    assert_eq!(check_dense(&store).len(), 21);
}

#[test]
fn restore_refuses_what_is_not_sound_and_never_touches_a_store_that_is_there() {
    let dir = Dir::new();
    filled(&dir, 20);
    let backup = dir.path().join("backup.db");
    EventStore::open_read_only(dir.db()).and_then(|store| store.backup(&backup)).expect("backs up");

    let live = EventStore::open(dir.db()).expect("opens");
    let error = EventStore::restore(&backup, dir.db()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    live.close().expect("closes");
    let before = fs::read(dir.db()).expect("reads");
    let error = EventStore::restore(&backup, dir.db()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("move it away"), "{error}");
    assert_eq!(fs::read(dir.db()).expect("reads"), before);

    let to = dir.path().join("restored.db");
    let refused = |from: &Path, kind: ErrorKind, words: &str| {
        let error = EventStore::restore(from, &to).expect_err("refused");
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!to.exists() && !dir.path().join("restored.db.creating").exists());
    };
    refused(&dir.path().join("none.db"), ErrorKind::NotFound, "none.db");
    let tampered = dir.path().join("tampered.db");
    fs::copy(&backup, &tampered).expect("copies");
    rusqlite::Connection::open(&tampered)
        .and_then(|db| db.execute("UPDATE plan_events SET source = 'eve' WHERE id = 7", []))
        .expect("edits");
    refused(&tampered, ErrorKind::Unsound, "row 7");
    let whole = fs::read(&backup).expect("reads");
    let cut = dir.path().join("cut.db");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("writes");
    refused(&cut, ErrorKind::Corrupt, "cut.db");
    fs::write(dir.path().join("restored.db-wal"), b"of another store").expect("writes");
    refused(&backup, ErrorKind::Corrupt, "write-ahead log");
}

#[test]
fn a_log_that_is_not_sound_is_backed_up_as_evidence_and_said_to_be() {
    let dir = Dir::new();
    filled(&dir, 20);
    rusqlite::Connection::open(dir.db())
        .and_then(|db| db.execute("DELETE FROM plan_events WHERE id = 7", []))
        .expect("edits");
    let store = EventStore::open_read_only(dir.db()).expect("opens");
    let report = store.backup(dir.path().join("evidence.db")).expect("backs up");
    let broken = report.verification.broken.expect("is told");
    assert_eq!((broken.seq, broken.damage), (7, Damage::Removed));
    assert!(report.path.exists() && !report.verification.is_sound());
}

/// The child: backs a store up.
#[test]
fn backs_up() {
    let Some(path) = role("backs_up") else { return };
    let store = EventStore::open_read_only(&path).expect("opens");
    match store.backup(path.with_file_name("target").join("backup.db")) {
        Ok(report) => println!("done {}", report.verification.events),
        Err(error) => println!("failed {:?}", error.kind()),
    }
}

/// The child: restores the store of another directory.
#[test]
fn restores() {
    let Some(path) = role("restores") else { return };
    match EventStore::restore(&path, path.with_file_name("target").join("backup.db")) {
        Ok(found) => println!("done {}", found.events),
        Err(error) => println!("failed {:?}", error.kind()),
    }
}

#[test]
fn a_full_disk_leaves_no_file_under_the_final_name() {
    if !has_program("unshare", &["-m", "true"]) {
        println!("skipped: no permission to mount a small file system");
        return;
    }
    let dir = Dir::new();
    filled(&dir, 1_000);
    let target = dir.path().join("target");
    fs::create_dir(&target).expect("a directory");
    // What is left in the small file system is listed before it goes.
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$0" && "$@"; ls "$0""#;
    for name in ["backs_up", "restores"] {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script]).arg(&target);
        command.arg(std::env::current_exe().expect("this binary"));
        as_child(&mut command, name, &dir.db());
        let output = command.stderr(Stdio::inherit()).output().expect("runs");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("failed DiskFull"), "{name}: {told}");
        assert!(!told.lines().any(|line| line == "backup.db"), "{name}: {told}");
    }
}

#[test]
fn kill_9_in_the_middle_of_a_backup_or_restore_leaves_nothing_or_the_whole() {
    if !has_program("strace", &["-V"]) {
        println!("skipped: no strace to kill at a system call with");
        return;
    }
    let dir = Dir::new();
    filled(&dir, 300);
    let target = dir.path().join("target");
    let final_name = target.join("backup.db");
    let (mut killed, mut whole) = (0, 0);
    for name in ["backs_up", "restores"] {
        for call in [
            "pwrite64:1",
            "pwrite64:20",
            "pwrite64:90",
            "fsync,fdatasync:1",
            "fsync,fdatasync:2",
            "link,linkat,rename,renameat,renameat2:1",
            "pwrite64:60000",
        ] {
            let (calls, when) = call.split_once(':').expect("a number");
            fs::create_dir(&target).expect("a directory");
            let mut command = Command::new("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
            command.arg("-e").arg(format!("inject={calls}:signal=KILL:when={when}"));
            command.arg(std::env::current_exe().expect("this binary"));
            as_child(&mut command, name, &dir.db());
            let output = command.stderr(Stdio::inherit()).output().expect("strace starts");
            let is_done = String::from_utf8_lossy(&output.stdout).contains("done 300");
            killed += u32::from(!is_done);
            assert!(is_done || !output.status.success(), "{name} {call}: {output:?}");
            if final_name.exists() {
                assert_eq!(check_whole(&final_name), 300, "{name} {call}");
                whole += 1;
            } else {
                assert!(!is_done, "{name} {call}");
                let source = EventStore::open_read_only(dir.db()).expect("opens");
                match name {
                    "backs_up" => drop(source.backup(&final_name).expect("a later backup succeeds")),
                    _ => drop(EventStore::restore(dir.db(), &final_name).expect("a later restore succeeds")),
                }
                assert_eq!(check_whole(&final_name), 300);
                let left = names(&target);
                assert!(!left.iter().any(|name| name.contains("creating")), "{left:?}");
                // A killed backup's copy stays under a name that nobody else gets.
                let partials = partials(&target);
                assert!(partials.len() <= usize::from(name == "backs_up"), "{left:?}");
                assert!(partials.iter().all(|name| name.starts_with("backup.db.0")), "{left:?}");
            }
            fs::remove_dir_all(&target).expect("removes");
        }
    }
    assert!(killed >= 8 && whole >= 2, "{killed} were killed, {whole} left the whole");
}
