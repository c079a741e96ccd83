//! Locks that others hold, files that go away, and disks without space.

use std::{collections::BTreeSet, process::Command};

use super::{child::*, *};

#[test]
fn a_lock_that_another_connection_holds_is_told_and_waited_for() {
    let fixture = Fixture::new();
    let impatient = Inbox::builder(fixture.path()).busy_timeout(Duration::from_millis(20)).open();
    let impatient = impatient.expect("opens");
    let app = fixture.app();
    app.execute_batch("BEGIN IMMEDIATE").expect("takes the lock");
    let mut called = false;
    let error = impatient.batch(|_| called = true).expect_err("locked");
    assert!(error.kind() == ErrorKind::Locked && error.is_transient() && !called, "{error}");
    let raised = impatient.raise_floor(GROUP, STREAM, Some(STORE), 1);
    assert_eq!(raised.expect_err("locked").kind(), ErrorKind::Locked);
    assert_eq!(impatient.floors().expect("readers are let in"), []);
    std::thread::scope(|scope| {
        let patient = scope.spawn(|| handle(&fixture.inbox, &key(1)));
        app.execute_batch("COMMIT").expect("commits");
        assert!(patient.join().expect("no panic"));
    });
    assert!(!handle(&impatient, &key(1)) && handle(&impatient, &key(2)));
}

#[test]
fn a_database_whose_files_were_removed_acknowledges_nothing() {
    let fixture = Fixture::new();
    assert!(handle(&fixture.inbox, &key(1)));
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", fixture.path().display())).expect("removes");
    }
    let lost = fixture.inbox.batch(|batch| batch.once(&key(2), |_| Ok::<_, ()>(())));
    let error = lost.expect_err("it went nowhere");
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert!(error.to_string().contains("removed or replaced"), "{error}");
    let error = fixture.inbox.batch(|_| ()).expect_err("it is not made anew in silence");
    assert_eq!((error.kind(), fixture.path().exists()), (ErrorKind::NotFound, false));
    // A copy that was put back is taken.
    Inbox::open(fixture.path()).expect("opens");
    make_effects(&fixture.path());
    assert!(handle(&fixture.inbox, &key(2)) && !handle(&fixture.inbox, &key(2)));
}

#[test]
fn what_a_handler_does_to_the_connection_is_over_with_the_batch_that_fails_by_it() {
    let fixture = Fixture::new();
    let only = fixture.inbox.batch(|batch| {
        batch.once(&key(1), |transaction| transaction.sqlite().execute_batch("PRAGMA query_only = ON"))
    });
    only.expect("commits").expect("notes");
    let refused = fixture.inbox.batch(|batch| batch.once(&key(2), |transaction| act(transaction, &key(2))));
    assert_eq!(refused.expect_err("cannot write").kind(), ErrorKind::ReadOnly);
    assert!(handle(&fixture.inbox, &key(2)), "on a connection of its own");
}

#[test]
fn p8_a_disk_that_fails_at_any_write_or_sync_leaves_effect_and_note_as_one() {
    if !has_strace() {
        return;
    }
    // Once, so that trying again helps, or for ever, so that only the next process can.
    for (calls, error, spell, kinds) in [
        ("fsync,fdatasync", "EIO", "", &["Indeterminate", "Storage"][..]),
        ("fsync,fdatasync", "EIO", "+", &["Indeterminate", "Storage"]),
        ("pwrite64", "EIO", "", &["Indeterminate", "Storage"]),
        ("pwrite64", "ENOSPC", "+", &["DiskFull"]),
    ] {
        let what = format!("error={error}");
        let struck = |step: usize| strike(calls, &what, &format!("{step}{spell}"), Manner::Inbox);
        let mut told = BTreeSet::new();
        let mut steps = 0;
        for fate in (1..).map_while(struck) {
            steps += 1;
            assert!(fate.wrong.is_empty(), "{error} at {calls} {steps}{spell}: {:?}", fate.wrong);
            let failures = fate.told.lines().filter_map(|line| line.strip_prefix("failed "));
            told.extend(failures.map(str::to_owned));
        }
        println!("{error} at {calls}, {steps} steps: {told:?}");
        assert!(steps >= FEW - 1 && !told.is_empty(), "the disk failed");
        assert!(told.iter().all(|kind| kinds.contains(&kind.as_str())), "{told:?}");
    }
}

/// The child, on a small file system: fills it, and goes on when there is space again.
#[test]
fn filler() {
    let Some(path) = std::env::var_os(SMALL).map(PathBuf::from) else { return };
    let inbox = Inbox::open(&path).expect("opens");
    make_effects(&path);
    let ballast = path.with_file_name("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).expect("there is room");
    let large = |number: u64| {
        inbox.batch(|batch| {
            batch.once(&key(number), |transaction| {
                transaction.sqlite().execute("CREATE TABLE IF NOT EXISTS large(x)", [])?;
                transaction.sqlite().execute("INSERT INTO large VALUES (zeroblob(200000))", [])?;
                act(transaction, &key(number))
            })
        })
    };
    let filled = (1..1_000).find_map(|number| Some((number, large(number).err()?)));
    let (number, error) = filled.expect("the disk is small");
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error:?}");
    assert!(error.is_transient());
    let agree = |end: u64| {
        let expected: Vec<_> = (1..end).map(|number| id(number).to_string()).collect();
        assert_eq!((effects(&path), inbox.floors().expect("reads")[0].rows), (expected, end - 1));
    };
    agree(number);
    std::fs::remove_file(ballast).expect("removes");
    assert!(matches!(large(number), Ok(Ok(Some(Ok(1))))), "it was not handled, and there is space");
    assert!(matches!(large(number), Ok(Ok(None))));
    agree(number + 1);
    println!("filled with {number}");
}

/// Where the small file system is.
const SMALL: &str = "PLANBUS_TEST_SMALL";

#[test]
fn p2_a_full_disk_takes_neither_effect_nor_note_and_both_when_there_is_space() {
    let may_mount = Command::new("unshare").args(["-m", "true"]).status();
    if !may_mount.is_ok_and(|status| status.success()) {
        println!("skipped: no permission to mount a small file system");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let script = r#"mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "store::inbox::tests::faults::filler", "--nocapture"]);
    let output = command.env(SMALL, dir.path().join("app.db")).output().expect("runs");
    let (told, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("filled with"), "{told}{error}");
}
