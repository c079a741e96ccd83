//! Locks that others hold, files that go away, and disks without space.

use super::*;

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
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("removed or replaced"), "{error}");
    // Then a file is made anew, as for any inbox.
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
fn p2_a_full_disk_takes_neither_effect_nor_note_and_both_when_there_is_space() {
    let fixture = Fixture::new();
    let pages = |transaction: &InboxTransaction<'_>, sql: &str| {
        transaction.sqlite().query_row(sql, [], |row| row.get::<_, i64>(0))
    };
    // The limit is the connection's own: its file cannot grow.
    let limited = fixture
        .inbox
        .batch(|batch| batch.once(&key(1), |transaction| pages(transaction, "PRAGMA max_page_count = 1")));
    limited.expect("commits").expect("notes");
    let mut number = 1;
    let error = loop {
        number += 1;
        let large = fixture.inbox.batch(|batch| {
            batch.once(&key(number), |transaction| {
                act(transaction, &key(number))?;
                transaction.sqlite().execute("INSERT INTO effects VALUES (hex(zeroblob(50000)))", [])
            })
        });
        match large {
            Ok(acted) => drop(acted.expect("notes").expect("new").expect("there was room")),
            Err(error) => break error,
        }
        assert!(number < 9, "the file never filled");
    };
    assert!(matches!(error.kind(), ErrorKind::Storage | ErrorKind::DiskFull), "{error:?}");
    assert!(handle(&fixture.inbox, &key(number)), "it was not handled, and there is space now");
}
