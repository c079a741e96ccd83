//! What the index survives: kills, damage, full disks, and a log that is not the one that it has read.

use std::{fs, process::Command};

use super::*;
use crate::store::Retention;

/// A child of this test binary that indexes what is at this path until it is killed.
const CHILD: &str = "PLANBUS_SEARCH_CHILD";
const CHILD_TEST: &str =
    "store::search::tests::damage::killed_while_it_indexes_an_index_misses_and_doubles_nothing";

#[test]
fn killed_while_it_indexes_an_index_misses_and_doubles_nothing() {
    if let Some(path) = std::env::var_os(CHILD) {
        let store = EventStore::open_read_only(PathBuf::from(path)).expect("opens");
        let index = SearchIndex::open(&store, &SearchIndex::default_path(&store)).expect("opens");
        // Small transactions, so that a kill comes in the middle of one; then it is killed.
        loop {
            index.catch_up(3).expect("indexes");
        }
    }
    let fixture = Fixture::new();
    fixture.fill(900);
    let (mut kills, mut indexed) = (0, 0);
    while kills < 5 {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["--exact", CHILD_TEST, "--test-threads=1"]).env(CHILD, fixture.store.path());
        command.stdout(std::process::Stdio::null());
        let mut child = command.spawn().expect("a child");
        let goal = indexed + 100;
        wait_until("the child indexes", || far(&fixture.path()) >= goal);
        child.kill().expect("is killed");
        child.wait().expect("ends");
        kills += 1;
        indexed = far(&fixture.path());
    }
    let index = SearchIndex::open(&fixture.store, &fixture.path()).expect("opens");
    let before = index.catch_up(0).expect("says").indexed_seq;
    assert!(before >= indexed, "it was not made anew: {before} of {indexed}");
    complete(&index);
    check_exact(&fixture, &index);
}

/// How far an index is, as its file tells; 0 where there is none yet.
fn far(path: &Path) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    rusqlite::Connection::open_with_flags(path, flags)
        .and_then(|file| file.query_row("SELECT indexed FROM place", [], |row| row.get::<_, i64>(0)))
        .map_or(0, i64::cast_unsigned)
}

pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited too long: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_damaged_index_is_made_anew() {
    let fixture = Fixture::new();
    fixture.fill(400);
    drop(fixture.index());
    let whole = fs::read(fixture.path()).expect("reads");
    let mut broken: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("not a database", b"a text, and a long one\n".repeat(500)),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("a part of a page", whole[..whole.len() - 100].to_vec()),
        ("less than a header", whole[..50].to_vec()),
    ];
    let mut zeros = whole.clone();
    zeros[100..].fill(0);
    broken.push(("nothing behind its header", zeros));
    for page in 1..whole.len() / 4_096 {
        let mut torn = whole.clone();
        torn[page * 4_096..(page + 1) * 4_096].fill(0xa5);
        broken.push(("a torn page", torn));
    }
    for (what, bytes) in broken {
        fs::write(fixture.path(), &bytes).expect("writes");
        let index = SearchIndex::open(&fixture.store, &fixture.path())
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        complete(&index);
        // Whoever meets the damage first has the index made anew.
        (1..=400).for_each(|seq| drop(found(&index, &format!("word{seq}"))));
        found(&index, "common");
        complete(&index);
        check_exact(&fixture, &index);
    }
}

#[test]
fn p11_no_flipped_bit_of_an_index_is_an_error_or_shows_what_was_not_asked_for() {
    let fixture = Fixture::new();
    fixture.fill(200);
    let theirs = event("plan", "grep", "common").with_tenant("theirs");
    fixture.store.save(&theirs).expect("commits");
    drop(fixture.index());
    let whole = fs::read(fixture.path()).expect("reads");
    // Not each bit: a few hundred, on all pages.
    for at in (0..whole.len()).step_by(97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(fixture.path(), &flipped).expect("writes");
        let index = SearchIndex::open(&fixture.store, &fixture.path())
            .unwrap_or_else(|error| panic!("byte {at}: {error:?}"));
        for text in ["common", "word7", "wor*", "\"common grep\""] {
            let page = index.search(&Tenant::default(), &SearchQuery::new(text).limit(1_000));
            let page = page.unwrap_or_else(|error| panic!("byte {at}: {error:?}"));
            assert!(page.events.iter().all(|event| event.tenant().as_str() == "default"), "byte {at}");
            let mut seen = seqs(&page);
            seen.dedup();
            assert_eq!(seen.len(), page.events.len(), "byte {at}");
        }
        fixture.store.head().expect("the store is untouched");
        index.catch_up(SEARCH_BATCH_MAX).unwrap_or_else(|error| panic!("byte {at}: {error:?}"));
    }
}

#[test]
fn an_index_of_another_store_or_version_is_made_anew() {
    let (one, other) = (Fixture::new(), Fixture::new());
    one.fill(20);
    other.fill(30);
    drop((one.index(), other.index()));
    fs::copy(one.path(), other.path()).expect("copies");
    check_exact(&other, &other.index());
    for sql in ["PRAGMA user_version = 99", "CREATE TABLE more (a)", "DELETE FROM place", "DROP TABLE words"]
    {
        let file = rusqlite::Connection::open(one.path()).expect("opens");
        file.execute_batch(sql).expect("changes");
        drop(file);
        check_exact(&one, &one.index());
    }
}

#[test]
fn an_index_of_a_log_that_was_restored_is_made_anew() {
    for (lost, written_since) in [(10, 5), (5, 10), (5, 5), (5, 0)] {
        let fixture = Fixture::new();
        fixture.fill(10);
        let backup = fixture.dir.path().join("backup.db");
        fixture.store.backup(&backup).expect("copies");
        let events = (0..lost).map(|_| event("plan", "lost", "lost"));
        fixture.store.commit(events.collect()).expect("commits");
        assert_eq!(found(&fixture.index(), "lost").len(), lost);
        let path = fixture.store.path().to_owned();
        fixture.store.close().expect("closes");
        fs::copy(&backup, &path).expect("restores");
        let fixture = Fixture { store: open_store(&path), dir: fixture.dir };
        fixture.fill(written_since);
        let index = SearchIndex::open(&fixture.store, &fixture.path()).expect("opens");
        assert_eq!(found(&index, "lost").len(), 0, "settled before anybody asks");
        complete(&index);
        assert_eq!(found(&index, "lost"), [0; 0]);
        check_exact(&fixture, &index);
    }
}

#[test]
fn an_index_that_the_log_was_pruned_past_begins_with_what_is_left() {
    let fixture = Fixture::new();
    fixture.fill(10);
    let index = fixture.index();
    fixture.fill(2_990);
    fixture.store.prune(Retention::keep_last(100)).expect("prunes");
    complete(&index);
    check_exact(&fixture, &index);
    // One that stands just before the floor has the log's anchor there.
    fixture.fill(50);
    fixture.store.prune(Retention::keep_last(50)).expect("prunes");
    assert_eq!(index.catch_up(0).expect("goes on").indexed_seq, 3_000, "it did not begin anew");
    complete(&index);
    check_exact(&fixture, &index);
}

#[test]
fn a_full_disk_is_told_and_indexing_goes_on_when_there_is_room() {
    let fixture = Fixture::new();
    fixture.fill(2_000);
    let index = SearchIndex::open(&fixture.store, &fixture.path()).expect("opens");
    let execute = |sql: &str| index.file.read().as_ref().expect("open").execute(sql);
    execute("PRAGMA max_page_count = 30");
    let error = loop {
        match index.catch_up(100) {
            Ok(progress) => assert!(!progress.is_complete(), "it never was full"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::DiskFull);
    assert_eq!(error.to_string(), "update the search index: no space is left for it");
    let page = search(&index, &SearchQuery::new("common").limit(1_000));
    assert!(page.indexed_seq < 2_000 && page.events.len() as u64 == page.indexed_seq.min(1_000));
    execute("PRAGMA max_page_count = 1000000");
    complete(&index);
    let words = (1..=2_000).filter(|seq| found(&index, &format!("word{seq}")) == [*seq]);
    assert_eq!(words.count(), 2_000);
}

#[test]
fn a_file_of_somebody_else_is_refused_and_stays() {
    let fixture = Fixture::new();
    let open = |path: &Path| SearchIndex::open(&fixture.store, path).expect_err("refused");
    let notes = fixture.dir.path().join("notes.txt");
    fs::write(&notes, "what I must not forget").expect("writes");
    let theirs = fixture.dir.path().join("theirs.db");
    let database = rusqlite::Connection::open(&theirs).expect("opens");
    database.execute_batch("CREATE TABLE dear (a)").expect("makes");
    drop(database);
    // A store that nobody has open, with a lock beside it that has the name of ours.
    let other = fixture.dir.path().join("other.db");
    open_store(&other).close().expect("closes");
    assert!(fixture.dir.path().join("other.db.lock").exists());
    for path in [&notes, &theirs, &other] {
        let before = fs::read(path).expect("reads");
        for _ in 0..2 {
            assert_eq!(open(path).kind(), ErrorKind::InvalidInput, "not the second time either");
        }
        assert_eq!(fs::read(path).expect("reads"), before);
    }
    let mut wal = OsString::from(fixture.store.path());
    wal.push("-wal");
    for path in [fixture.store.path(), Path::new(&wal), fixture.dir.path(), Path::new("/nowhere/x.search")] {
        assert!(matches!(open(path).kind(), ErrorKind::InvalidInput | ErrorKind::NotFound), "{path:?}");
    }
}

#[test]
fn an_index_that_was_removed_is_made_anew() {
    let fixture = Fixture::new();
    fixture.fill(20);
    let index = fixture.index();
    fs::remove_file(fixture.path()).expect("removes");
    // No connection has read it yet, so the first one meets nothing.
    assert_eq!(search(&index, &SearchQuery::new("common")).indexed_seq, 0);
    complete(&index);
    check_exact(&fixture, &index);
    fs::remove_file(fixture.path()).expect("removes");
    assert_eq!(found(&index, "common").len(), 20, "whoever has it open reads on");
    drop(index);
    check_exact(&fixture, &fixture.index());
}

#[test]
fn an_event_that_cannot_be_read_is_left_out_and_the_others_are_found() {
    let fixture = Fixture::new();
    fixture.fill(10);
    let path = fixture.store.path().to_owned();
    fixture.store.close().expect("closes");
    let file = rusqlite::Connection::open(&path).expect("opens");
    file.execute("UPDATE plan_events SET event_type = 'not a type' WHERE id = 4", []).expect("changes");
    file.execute("DELETE FROM plan_events WHERE id = 6", []).expect("removes");
    drop(file);
    let fixture = Fixture { store: open_store(&path), dir: fixture.dir };
    let index = fixture.index();
    assert_eq!(found(&index, "common"), [10, 9, 8, 7, 5, 3, 2, 1]);
}
