//! Which files become an inbox, and which are refused as they are.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

fn refused(path: &Path) -> Error {
    Inbox::open(path).expect_err("refused")
}

#[test]
fn a_new_file_is_for_its_user_only_and_an_old_one_keeps_its_mode_and_its_numbers() {
    let dir = tempfile::tempdir().expect("a directory");
    let new = dir.path().join("new.db");
    let inbox = Inbox::open(&new).expect("opens");
    assert!(handle_nothing(&inbox));
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&PathBuf::from(format!("{}{suffix}", new.display()))), 0o600, "{suffix}");
    }
    let old = dir.path().join("old.db");
    let app = Connection::open(&old).expect("opens");
    app.execute_batch("PRAGMA user_version = 7; PRAGMA application_id = 9; CREATE TABLE mine(x)")
        .expect("a table");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).expect("sets");
    let inbox = Inbox::open(&old).expect("opens");
    assert!(handle_nothing(&inbox));
    let number = |name: &str| {
        app.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).expect("a number")
    };
    assert_eq!((number("user_version"), number("application_id"), mode(&old)), (7, 9, 0o640));
    let mut names = app
        .prepare("SELECT name FROM sqlite_master WHERE name NOT LIKE 'planbus_inbox%' AND sql IS NOT NULL")
        .expect("prepares");
    let names: Vec<String> = names.query_map([], |row| row.get(0)).expect("reads").flatten().collect();
    assert_eq!(names, ["mine"], "all that is planbus's is named so");
}

fn handle_nothing(inbox: &Inbox) -> bool {
    matches!(inbox.batch(|batch| batch.once(&key(1), |_| Ok::<_, ()>(()))), Ok(Ok(Some(Ok(())))))
}

#[test]
fn a_path_that_is_no_file_of_ones_own_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    for path in ["", ":memory:", "/", "/dev/null"].map(Path::new).into_iter().chain([dir.path()]) {
        let error = refused(path);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}: {error}");
        assert!(error.to_string().starts_with("inbox: "), "{error}");
    }
    assert_eq!(refused(&dir.path().join("no/such.db")).kind(), ErrorKind::NotFound);
    let text = dir.path().join("text.db");
    fs::write(&text, "not a database, but long enough to be looked at as if it were one".repeat(20))
        .expect("writes");
    assert_eq!(refused(&text).kind(), ErrorKind::Corrupt);
}

#[test]
fn a_store_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("planbus.db");
    let store = crate::EventStore::open(&path).expect("opens");
    let event = crate::Event::new("plan", crate::PlanStarted::new("a goal"));
    store.save(&event).expect("commits");
    let error = refused(&path);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("is a planbus store"), "{error}");
    assert_eq!(store.head().expect("reads"), 1);
    // What an owner that was killed leaves: a write-ahead log that only the next one may move.
    let copy = dir.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let beside = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(beside(&path), beside(&copy)).expect("copies");
    }
    let wal = fs::read(dir.path().join("copy.db-wal")).expect("reads");
    assert!(!wal.is_empty());
    assert_eq!(refused(&copy).kind(), ErrorKind::InvalidInput);
    assert_eq!(fs::read(dir.path().join("copy.db-wal")).expect("still there"), wal);
}

#[test]
fn an_inbox_of_a_newer_planbus_or_of_another_program_is_refused_and_untouched() {
    let fixture = Fixture::new();
    let app = fixture.app();
    app.execute("UPDATE planbus_inbox_meta SET value = 2", []).expect("updates");
    let error = refused(&fixture.path());
    assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
    assert!(error.to_string().contains("version 2"), "{error}");
    app.execute("DELETE FROM planbus_inbox_meta", []).expect("deletes");
    assert_eq!(refused(&fixture.path()).kind(), ErrorKind::Corrupt);
    app.execute("DROP TABLE planbus_inbox_meta", []).expect("drops");
    let error = refused(&fixture.path());
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("that planbus did not make"), "{error}");
}

#[test]
fn options_out_of_range_are_named() {
    for (builder, told) in [
        (Inbox::builder("x").kept(0), "kept must be 1 to 100000000, got 0"),
        (
            Inbox::builder("x").busy_timeout(Duration::from_secs(3_601)),
            "busy_timeout must be at most 3600 s, got 3601s",
        ),
    ] {
        let error = builder.open().expect_err("out of range");
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidOption, told));
    }
    assert!(!Path::new("x").exists());
}

#[test]
fn whoever_comes_first_makes_the_tables_and_all_find_them() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("app.db");
        let barrier = std::sync::Barrier::new(6);
        std::thread::scope(|scope| {
            for number in 1..=6 {
                let (path, barrier) = (&path, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let inbox = Inbox::open(path).expect("opens");
                    let acted = inbox.batch(|batch| batch.once(&key(number), |_| Ok::<_, ()>(())));
                    assert!(matches!(acted, Ok(Ok(Some(Ok(()))))), "{acted:?}");
                });
            }
        });
        assert_eq!(Inbox::open(&path).expect("opens").floors().expect("reads")[0].rows, 6);
    }
}

#[test]
fn plain_sqlite3_reads_the_inbox_and_finds_the_database_whole() {
    let fixture = Fixture::new();
    (1..=3).for_each(|number| assert!(handle(&fixture.inbox, &key(number))));
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 2).expect("raises");
    let sql = "SELECT grp, stream, store, floor, event_id, place FROM planbus_inbox
               JOIN planbus_inbox_scopes ON id = scope ORDER BY place DESC LIMIT 1; PRAGMA integrity_check";
    let output = std::process::Command::new("sqlite3").arg(fixture.path()).arg(sql).output();
    let Ok(output) = output else {
        println!("skipped: no sqlite3");
        return;
    };
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(told, format!("{GROUP}|{STREAM}|{STORE}|2|{}|3\nok\n", id(3)), "{output:?}");
}
