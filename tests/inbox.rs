//! The inbox as its user sees it: a database of his own, beside his tables.

#![cfg(all(feature = "redis", feature = "sqlite", target_os = "linux"))]

mod store_support;

use std::process::Command;

use planbus::{
    ErrorKind,
    redis::{Inbox, InboxFloor, InboxTransaction},
    rusqlite::{self, Connection},
};
use store_support::*;

/// What a user writes: it compiles with the crate that planbus hands out.
fn _handler(transaction: &InboxTransaction<'_>) -> rusqlite::Result<usize> {
    let sqlite: &Connection = transaction.sqlite();
    sqlite.execute("INSERT INTO mine VALUES (?1)", rusqlite::params![1])
}

fn is_shared_by_threads<T: Clone + Send + Sync + 'static>(_: &T) {}

#[test]
fn an_inbox_is_opened_beside_the_tables_and_connections_of_its_user() {
    let dir = Dir::new();
    let path = dir.path().join("app.db");
    let app = Connection::open(&path).expect("opens");
    app.execute_batch("CREATE TABLE mine(x); INSERT INTO mine VALUES (1)").expect("a table");
    let inbox = Inbox::open(&path).expect("opens");
    is_shared_by_threads(&inbox);
    assert_eq!(inbox.path(), path);
    assert_eq!(inbox.floors().expect("reads"), Vec::<InboxFloor>::new());
    // It holds no lock of its own, and nobody's but for a moment.
    app.execute_batch("BEGIN EXCLUSIVE; INSERT INTO mine VALUES (2); COMMIT").expect("commits");
    let again = Inbox::open(&path).expect("a second one is fine");
    drop((inbox, again));
    assert_eq!(app.query_row("SELECT count(*) FROM mine", [], |row| row.get::<_, i64>(0)), Ok(2));
}

#[test]
fn a_lock_that_is_held_while_the_inbox_is_made_is_told() {
    let dir = Dir::new();
    let path = dir.path().join("app.db");
    let app = Connection::open(&path).expect("opens");
    app.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; CREATE TABLE mine(x)").expect("a lock");
    let open = || Inbox::builder(&path).busy_timeout(std::time::Duration::from_millis(20)).open();
    let error = open().expect_err("locked");
    assert!(error.kind() == ErrorKind::Locked && error.is_transient(), "{error}");
    assert!(error.to_string().contains("another connection holds the database's write lock"), "{error}");
    app.execute_batch("COMMIT").expect("commits");
    let inbox = open().expect("opens");
    // Once it is there, whoever writes keeps nobody from opening it.
    app.execute_batch("BEGIN IMMEDIATE").expect("takes the lock");
    open().expect("opens");
    assert_eq!(inbox.floors().expect("reads"), []);
}

/// The child: sees the directory of the database as one that cannot be written.
#[test]
fn opener() {
    let Some(path) = role("opener") else { return };
    let error = Inbox::open(&path).expect_err("cannot be written");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error:?}");
    let error = Inbox::open(path.with_file_name("new.db")).expect_err("cannot be made");
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error:?}");
    println!("refused");
}

#[test]
fn a_database_that_cannot_be_written_is_refused() {
    if !has_program("unshare", &["-m", "true"]) {
        println!("skipped: no permission to mount");
        return;
    }
    let dir = Dir::new();
    let app = Connection::open(dir.db()).expect("opens");
    app.execute_batch("CREATE TABLE mine(x)").expect("a table");
    drop(app);
    let script = r#"mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(dir.path());
    command.arg(std::env::current_exe().expect("this binary"));
    as_child(&mut command, "opener", &dir.db());
    let output = command.output().expect("runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("refused"), "{told}");
}

#[test]
fn a_log_of_planbus_is_no_inbox_and_an_inbox_no_log() {
    let dir = Dir::new();
    planbus::EventStore::open(dir.db()).expect("creates").close().expect("closes");
    let before = std::fs::read(dir.db()).expect("reads");
    let error = Inbox::open(dir.db()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("inbox: ") && error.to_string().contains("is a planbus store"));
    assert_eq!(std::fs::read(dir.db()).expect("reads"), before, "untouched");
    let app = dir.path().join("app.db");
    drop(Inbox::open(&app).expect("opens"));
    let error = planbus::EventStore::open(&app).expect_err("refused");
    assert!(error.to_string().contains("another program's database"), "{error}");
}
