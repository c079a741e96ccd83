//! Opening a store: one owner, readers at any time, and files that are refused untouched.

#![cfg(feature = "sqlite")]

mod store_support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
};

use planbus::*;
use store_support::*;

fn refused(path: &Path, kind: ErrorKind, told: &str) {
    let error = EventStore::open(path).expect_err("refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(told), "{error}");
    assert!(error.to_string().contains(path.file_name().expect("a name").to_str().expect("text")), "{error}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[test]
fn every_file_of_a_store_is_its_owners_only() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("creates");
    store.save(&event("plan", 1)).expect("commits");
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let path = dir.path().join(format!("planbus.db{suffix}"));
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    store.close().expect("closes");
    let left: Vec<_> =
        fs::read_dir(dir.path()).expect("lists").flatten().map(|file| file.file_name()).collect();
    assert_eq!(left.len(), 2, "closing leaves the database and the lock: {left:?}");
}

#[test]
fn a_second_owner_in_the_same_process_is_locked_out_and_told_why() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("creates");
    refused(&dir.db(), ErrorKind::Locked, &std::process::id().to_string());
    let again = store.clone();
    drop(store);
    refused(&dir.db(), ErrorKind::Locked, "only one owner");
    again.close().expect("closes");
    EventStore::open(dir.db()).expect("the next owner may come as soon as the store is closed");
}

/// The child: owns the store until it is killed.
#[test]
fn owner() {
    let Some(path) = role("owner") else { return };
    let store = EventStore::open(path).expect("opens");
    store.save(&event("plan", 1)).expect("commits");
    println!("owned");
    loop {
        std::thread::park();
    }
}

fn start_owner(path: &Path) -> Killed {
    use std::io::{BufRead, BufReader};
    let mut child = Killed(child("owner", path).stderr(Stdio::inherit()).spawn().expect("starts"));
    let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("a pipe").ends_with("owned")), "the child owns the store");
    child
}

#[test]
fn a_second_owner_in_another_process_is_locked_out_until_the_first_is_dead() {
    let dir = Dir::new();
    let mut child = start_owner(&dir.db());
    refused(&dir.db(), ErrorKind::Locked, &child.0.id().to_string());
    let reader = EventStore::open_read_only(dir.db()).expect("readers are welcome");
    assert_eq!(reader.head().expect("reads"), 1);
    child.0.kill().expect("SIGKILL");
    child.0.wait().expect("dead");
    let store = EventStore::open(dir.db()).expect("a dead owner holds nothing");
    assert_eq!(store.head().expect("reads"), 1);
    assert_eq!(reader.head().expect("the reader goes on"), 1);
}

#[test]
fn a_reader_learns_whether_there_is_an_owner_and_keeps_none_away() {
    let dir = Dir::new();
    let mut child = start_owner(&dir.db());
    let reader = EventStore::open_read_only(dir.db()).expect("opens");
    assert!(reader.has_owner().expect("asks"), "another process");
    child.0.kill().expect("SIGKILL");
    child.0.wait().expect("dead");
    assert!(!reader.has_owner().expect("asks"), "what a killed owner left counts for nothing");
    let is_over = AtomicBool::new(false);
    let (told, unanswered) = std::thread::scope(|threads| {
        let ask = || {
            while !is_over.load(Ordering::Relaxed) && reader.has_owner().is_ok() {
                std::hint::spin_loop();
            }
        };
        let asking = [threads.spawn(ask), threads.spawn(ask)];
        let own = || {
            let store = EventStore::open(dir.db())?;
            let told = (store.has_owner()?, reader.has_owner()?);
            store.close()?;
            Ok((told, reader.has_owner()?))
        };
        let told: Vec<Result<_>> = (0..100).map(|_| own()).collect();
        let unanswered = asking.iter().filter(|asking| asking.is_finished()).count();
        is_over.store(true, Ordering::Relaxed);
        (told, unanswered)
    });
    assert_eq!(unanswered, 0, "whoever asks is answered each time");
    for told in told {
        assert_eq!(told.expect("and is not in the way of an owner"), ((true, true), false));
    }
}

#[test]
fn the_owner_keeps_its_locks_when_others_open_and_close_the_files_in_its_process() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("creates");
    store.save(&event("plan", 1)).expect("commits");
    for number in 2..20 {
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::File::open(dir.path().join(format!("planbus.db{suffix}"))).expect("opens"));
        }
        let foreign = rusqlite::Connection::open(dir.db()).expect("opens");
        let count: i64 = foreign
            .query_row("SELECT count(*) FROM plan_events", [], |row| row.get(0))
            .expect("anybody may read");
        assert_eq!(count, number as i64 - 1);
        drop(foreign);
        refused(&dir.db(), ErrorKind::Locked, "only one owner");
        // Another process that believes the store unused would remove the write-ahead log now.
        if has_program("sqlite3", &["--version"]) {
            assert!(has_program(
                "sqlite3",
                &[dir.db().to_str().expect("text"), "SELECT count(*) FROM plan_events"]
            ));
        }
        assert_eq!(store.save(&event("plan", number)).expect("commits").seq, number as u64);
    }
    // Lost with the process, were the log unlinked: read by somebody else.
    let reader = EventStore::open_read_only(dir.db()).expect("opens");
    assert_eq!(reader.read_after(0, 100).expect("reads").len(), 19);
    drop(reader);
    store.close().expect("closes");
    assert_eq!(check_dense(&EventStore::open(dir.db()).expect("opens")).len(), 19);
}

#[test]
fn publishing_stops_when_the_write_ahead_log_is_taken_away() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("creates");
    store.save(&event("plan", 1)).expect("commits");
    fs::remove_file(dir.path().join("planbus.db-wal")).expect("removes");
    let lost = event("plan", 2);
    assert_eq!(store.save(&lost).expect_err("not acknowledged").kind(), ErrorKind::Indeterminate);
    let error = store.save(&event("plan", 3)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("open it again"), "{error}");
    drop(store);
    // The first event was acknowledged, and went with the log: nobody goes on without being told.
    let error = EventStore::open(dir.db()).expect_err("told");
    assert!(
        error.kind() == ErrorKind::Corrupt && error.to_string().contains("had acknowledged events up to 1"),
        "{error:?}"
    );
    fs::remove_file(dir.path().join("planbus.db.lock")).expect("removes");
    let store = EventStore::open(dir.db()).expect("opens");
    store.save(&lost).expect("publishing again settles it");
    check_dense(&store);
}

#[test]
fn a_reader_reads_and_never_writes() {
    let dir = Dir::new();
    let error = EventStore::open_read_only(dir.db()).expect_err("nothing there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("planbus.db"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 0, "nothing is created");

    let store = EventStore::open(dir.db()).expect("creates");
    let saved = event("plan", 1);
    store.save(&saved).expect("commits");
    let reader = EventStore::open_read_only(dir.db()).expect("opens beside the owner");
    assert!(reader.is_read_only() && !store.is_read_only());
    assert_eq!(reader.save(&saved).expect_err("read-only").kind(), ErrorKind::ReadOnly);
    assert_eq!(reader.get(saved.event_id()).expect("reads").expect("is there").event_id(), saved.event_id());
    store.close().expect("closes");
    assert_eq!(reader.head().expect("reads without the owner"), 1);
    reader.close().expect("closes");
    assert_eq!(reader.head().expect_err("closed").kind(), ErrorKind::Closed);
    let reader = EventStore::open_read_only(dir.db()).expect("opens without an owner");
    assert_eq!(reader.head().expect("reads"), 1);
}

/// The child: reads a store in a directory that is mounted read-only.
#[test]
fn reader_of_a_read_only_mount() {
    let Some(path) = role("reader_of_a_read_only_mount") else { return };
    let reader = EventStore::open_read_only(&path).expect("opens");
    assert_eq!(reader.head().expect("reads"), 1);
    let error = EventStore::open(&path).expect_err("an owner cannot write there");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error:?}");
}

#[test]
fn a_store_on_a_read_only_file_system_can_be_read() {
    if !has_program("unshare", &["-m", "true"]) {
        println!("skipped: no permission to mount");
        return;
    }
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("creates");
    store.save(&event("plan", 1)).expect("commits");
    store.close().expect("closes");
    let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(dir.path());
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, "reader_of_a_read_only_mount", &dir.db());
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_no_store_is_refused_by_name_and_stays_as_it_is() {
    let dir = Dir::new();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("writes");
        path
    };
    let text =
        file("text.db", "a shopping list, long enough to be a header of SQLite\n".repeat(40).as_bytes());
    refused(&text, ErrorKind::Corrupt, "no planbus store");
    assert_eq!(fs::read(&text).expect("reads").len(), 2_160);

    refused(&file("empty.db", b""), ErrorKind::Corrupt, "remove it to begin a new store");
    assert_eq!(fs::read(dir.path().join("empty.db")).expect("reads").len(), 0);

    fs::create_dir(dir.path().join("directory.db")).expect("creates");
    refused(&dir.path().join("directory.db"), ErrorKind::InvalidInput, "a directory");

    std::os::unix::fs::symlink(&text, dir.path().join("link.db")).expect("links");
    refused(&dir.path().join("link.db"), ErrorKind::InvalidInput, "a symbolic link");

    let foreign = dir.path().join("foreign.db");
    rusqlite::Connection::open(&foreign)
        .and_then(|connection| connection.execute_batch("CREATE TABLE notes(text)"))
        .expect("another program's database");
    let before = fs::read(&foreign).expect("reads");
    refused(&foreign, ErrorKind::Corrupt, "another program");
    assert_eq!(fs::read(&foreign).expect("reads"), before);

    let error = EventStore::open(dir.path().join("missing/planbus.db")).expect_err("no such directory");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

#[test]
fn a_file_that_was_cut_is_corrupt() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("creates");
    for number in 0..50 {
        store.save(&event("plan", number)).expect("commits");
    }
    store.close().expect("closes");
    let whole = fs::read(dir.db()).expect("reads");
    for bytes in [50, 100, 4_000, 4_096, whole.len() / 2, whole.len() - 4_096, whole.len() - 1] {
        fs::write(dir.db(), &whole[..bytes]).expect("writes");
        let error = EventStore::open(dir.db()).expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{bytes} bytes: {error:?}");
        let error = EventStore::open_read_only(dir.db()).expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{bytes} bytes: {error:?}");
    }
    fs::write(dir.db(), &whole).expect("writes");
    assert_eq!(check_dense(&EventStore::open(dir.db()).expect("opens")).len(), 50);
}

#[test]
fn a_store_of_a_newer_planbus_is_refused_untouched() {
    let dir = Dir::new();
    EventStore::open(dir.db()).and_then(|store| store.close()).expect("creates");
    let set = |sql: &str| {
        rusqlite::Connection::open(dir.db()).and_then(|db| db.execute_batch(sql)).expect("sets the version");
    };
    set("PRAGMA user_version = 999");
    let before = fs::read(dir.db()).expect("reads");
    refused(&dir.db(), ErrorKind::SchemaTooNew, "use a newer planbus");
    let error = EventStore::open_read_only(dir.db()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
    assert_eq!(fs::read(dir.db()).expect("reads"), before, "not a byte was changed");
}

#[test]
fn a_newer_version_that_is_only_in_the_write_ahead_log_is_refused_untouched() {
    let dir = Dir::new();
    EventStore::open(dir.db()).and_then(|store| store.close()).expect("creates");
    // Copied while another connection has it open, as a killed process leaves it.
    let live = rusqlite::Connection::open(dir.db()).expect("opens");
    live.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 999").expect("sets the version");
    let copy = Dir::new();
    for suffix in ["", "-wal"] {
        let name = format!("planbus.db{suffix}");
        fs::copy(dir.path().join(&name), copy.path().join(&name)).expect("copies");
    }
    drop(live);
    let read =
        || ["planbus.db", "planbus.db-wal"].map(|name| fs::read(copy.path().join(name)).expect("reads"));
    let before = read();
    assert!(!before[1].is_empty());
    refused(&copy.db(), ErrorKind::SchemaTooNew, "use a newer planbus");
    assert!(read() == before, "not a byte was changed");
}

#[test]
fn a_write_ahead_log_without_its_database_is_not_read_into_a_new_one() {
    let dir = Dir::new();
    fs::write(dir.path().join("planbus.db-wal"), b"something").expect("writes");
    refused(&dir.db(), ErrorKind::Corrupt, "database is missing");
    assert!(!dir.db().exists());
}

#[test]
fn a_write_lock_held_by_somebody_else_is_told_and_passes() {
    let dir = Dir::new();
    let store = EventStore::options()
        .busy_timeout(std::time::Duration::from_millis(20))
        .open(dir.db())
        .expect("opens");
    let foreign = rusqlite::Connection::open(dir.db()).expect("opens");
    foreign.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let waiting = event("plan", 1);
    let error = store.save(&waiting).expect_err("locked");
    assert!(error.kind() == ErrorKind::Locked && error.is_transient(), "{error:?}");
    foreign.execute_batch("INSERT INTO cursors VALUES ('me', 'log', 0); COMMIT").expect("unlocks");
    assert_eq!(store.save(&waiting).expect("the lock is gone").seq, 1);
}

#[test]
fn a_row_that_somebody_else_appended_costs_no_event() {
    let dir = Dir::new();
    let store = EventStore::open(dir.db()).expect("opens");
    store.save(&event("plan", 1)).expect("commits");
    let foreign = rusqlite::Connection::open(dir.db()).expect("opens");
    let row = "INSERT INTO plan_events SELECT id + 1, '01JZ8Q4V7N5T3M2K1H0G9F8E7D', event_type, plan_id, timestamp,
        recorded_at, payload, tenant, source, call_chain, correlation_id, causation_id, trace_parent, priority,
        context_refs, schema_version, chain FROM plan_events";
    foreign.execute(row, []).expect("inserts");
    assert_eq!(store.save(&event("plan", 2)).expect("commits behind it").seq, 3);
    check_dense(&store);
}

#[test]
fn an_option_out_of_range_is_named() {
    let dir = Dir::new();
    let cases = [
        (EventStore::options().payload_max_bytes(0), "payload_max_bytes"),
        (EventStore::options().max_bytes(1), "max_bytes"),
        (EventStore::options().busy_timeout(LIMIT * 1_000), "busy_timeout"),
    ];
    for (options, name) in cases {
        let error = options.open(dir.db()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidOption);
        assert!(error.to_string().starts_with(name), "{error}");
    }
}
