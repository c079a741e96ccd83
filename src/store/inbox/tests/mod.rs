//! The inbox with real files: what counts as handled, and that effect and note are one.

mod child;
mod faults;
mod handlers;
mod kill;
mod opening;
mod rule;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::event::EventId;

/// A database whose user keeps effects in a table of his own, and its inbox.
struct Fixture {
    dir: TempDir,
    inbox: Inbox,
}

impl Fixture {
    fn new() -> Self {
        Self::kept(KEPT)
    }

    fn kept(kept: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the test");
        let path = dir.path().join("app.db");
        make_effects(&path);
        let inbox = Inbox::builder(&path).kept(kept).open().expect("opens");
        Self { dir, inbox }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn app(&self) -> Connection {
        Connection::open(self.path()).expect("opens")
    }

    fn effects(&self) -> Vec<String> {
        effects(&self.path())
    }

    /// How many events of all groups are noted by their ids.
    fn rows(&self) -> u64 {
        self.inbox.floors().expect("reads").iter().map(|floor| floor.rows).sum()
    }
}

fn make_effects(path: &Path) {
    let app = Connection::open(path).expect("opens");
    app.execute_batch("CREATE TABLE IF NOT EXISTS effects(event TEXT NOT NULL)").expect("a table");
}

fn effects(path: &Path) -> Vec<String> {
    let app = Connection::open(path).expect("opens");
    let mut statement = app.prepare("SELECT event FROM effects ORDER BY event").expect("prepares");
    let rows = statement.query_map([], |row| row.get(0)).expect("reads");
    rows.collect::<rusqlite::Result<_>>().expect("reads")
}

const GROUP: &str = "db-writers";
const STREAM: &str = "planbus:{default}:events";
const STORE: &str = "01JZ8Q4V7N5T3M2K1H0G9F8E7D";

fn id(number: u64) -> EventId {
    EventId::from_u128(u128::from(number))
}

/// Event `number` of our store, at the seq of the same number.
fn key(number: u64) -> InboxKey<'static> {
    InboxKey {
        group: GROUP,
        stream: STREAM,
        store: Some(STORE),
        place: number,
        event_id: id(number),
        comes_again: true,
        is_replay: false,
    }
}

fn replay(number: u64) -> InboxKey<'static> {
    InboxKey { is_replay: true, ..key(number) }
}

/// What the handler of the tests does: its effect is one row of the user's.
fn act(transaction: &InboxTransaction<'_>, key: &InboxKey<'_>) -> rusqlite::Result<usize> {
    let mut insert = transaction.sqlite().prepare_cached("INSERT INTO effects VALUES (?1)")?;
    insert.execute([key.event_id.to_string()])
}

/// Lets the handler act in a batch of its own; whether it was called.
fn handle(inbox: &Inbox, key: &InboxKey<'_>) -> bool {
    let once = inbox.batch(|batch| batch.once(key, |transaction| act(transaction, key)));
    let acted = once.expect("commits").expect("notes");
    acted.map(|acted| acted.expect("inserts")).is_some()
}

#[test]
fn an_event_acts_once_and_its_note_is_committed_with_its_effect() {
    let fixture = Fixture::new();
    assert!(handle(&fixture.inbox, &key(1)));
    assert!(!handle(&fixture.inbox, &key(1)), "handled before");
    assert_eq!(fixture.effects(), [id(1).to_string()]);
    let floors = fixture.inbox.floors().expect("reads");
    let [floor] = floors.as_slice() else { panic!("{floors:?}") };
    assert_eq!((floor.rows, floor.place), (1, 0));
    let scope = (floor.group.as_str(), floor.stream.as_str(), floor.store.as_deref());
    assert_eq!(scope, (GROUP, STREAM, Some(STORE)));
}

#[test]
fn a_handler_that_fails_leaves_nothing_and_is_called_again_and_its_neighbours_stay() {
    let fixture = Fixture::new();
    let acted = fixture.inbox.batch(|batch| {
        let mut once = |number: u64, fails: bool| {
            let key = key(number);
            let acted = batch.once(&key, |transaction| {
                act(transaction, &key).map_err(|error| error.to_string())?;
                if fails { Err("no".to_owned()) } else { Ok(()) }
            });
            acted.expect("notes").expect("not handled before")
        };
        [once(1, false), once(2, true), once(3, false)]
    });
    assert_eq!(acted.expect("commits"), [Ok(()), Err("no".to_owned()), Ok(())]);
    assert_eq!(fixture.effects(), [id(1).to_string(), id(3).to_string()]);
    assert!(handle(&fixture.inbox, &key(2)), "it was not handled");
    assert_eq!(fixture.rows(), 3);
}

#[test]
fn an_event_twice_in_a_batch_acts_once() {
    let fixture = Fixture::new();
    let acted = fixture.inbox.batch(|batch| {
        let mut once = || batch.once(&key(1), |transaction| act(transaction, &key(1))).expect("notes");
        [once().is_some(), once().is_some()]
    });
    assert_eq!(acted.expect("commits"), [true, false]);
    assert_eq!(fixture.effects().len(), 1);
}

#[test]
fn groups_streams_and_stores_are_told_apart() {
    let fixture = Fixture::new();
    let keys = [
        key(1),
        InboxKey { group: "other", ..key(1) },
        InboxKey { stream: "other", ..key(1) },
        InboxKey { store: Some("01JZ8Q4V7N5T3M2K1H0G9F8E7E"), ..key(1) },
        InboxKey { store: Some(""), ..key(1) },
        InboxKey { store: None, ..key(1) },
    ];
    for key in &keys {
        assert!(handle(&fixture.inbox, key), "{key:?}");
    }
    for key in &keys {
        assert!(!handle(&fixture.inbox, key), "{key:?}");
    }
    // A floor of one is none of another.
    fixture.inbox.raise_floor(GROUP, STREAM, Some(STORE), 50_000).expect("raises");
    assert!(!handle(&fixture.inbox, &key(2)) && handle(&fixture.inbox, &InboxKey { store: None, ..key(2) }));
    assert_eq!(fixture.inbox.floors().expect("reads").len(), keys.len());
}

#[test]
fn a_group_is_known_by_its_floor_or_by_what_it_handled() {
    let fixture = Fixture::new();
    let knows = |group| fixture.inbox.knows(group, STREAM).expect("reads");
    assert!(!knows(GROUP) && !knows("other"));
    let failed = fixture.inbox.batch(|batch| batch.once(&key(1), |_| Err::<(), _>("no")));
    assert_eq!(failed.expect("commits").expect("notes"), Some(Err("no")));
    assert!(!knows(GROUP), "it handled nothing");
    handle(&fixture.inbox, &key(1));
    assert!(knows(GROUP) && !knows("other"));
    fixture.inbox.raise_floor("other", STREAM, Some(STORE), 1).expect("raises");
    assert!(knows("other") && !fixture.inbox.knows("other", "elsewhere").expect("reads"));
}

#[test]
fn many_threads_and_two_inboxes_on_one_file_act_once_for_each_event() {
    const EVENTS: u64 = 60;
    let fixture = Fixture::new();
    let second = Inbox::open(fixture.path()).expect("opens");
    let acted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u64)
            .map(|thread| {
                let inbox = if thread % 2 == 0 { &fixture.inbox } else { &second };
                // Each begins elsewhere, so that all of them meet.
                let events = (0..EVENTS).map(move |at| key((at * 7 + thread * 11) % EVENTS));
                scope.spawn(move || events.filter(|key| handle(inbox, key)).count())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    let expected: Vec<String> = (0..EVENTS).map(|number| id(number).to_string()).collect();
    assert_eq!((fixture.effects(), acted, fixture.rows()), (expected, EVENTS as usize, EVENTS));
}
