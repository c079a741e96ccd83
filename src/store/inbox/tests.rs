//! The inbox with real files: what counts as handled, and that effect and row are one.

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::event::EventId;

/// An inbox whose user counts in a table `effects`.
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
        let app = Connection::open(&path).expect("opens");
        app.execute_batch("CREATE TABLE effects(event TEXT NOT NULL)").expect("a table");
        let inbox = Inbox::builder(&path).kept(kept).open().expect("opens");
        Self { dir, inbox }
    }

    fn app(&self) -> Connection {
        Connection::open(self.dir.path().join("app.db")).expect("opens")
    }

    fn effects(&self) -> Vec<String> {
        let app = self.app();
        let mut statement = app.prepare("SELECT event FROM effects ORDER BY rowid").expect("prepares");
        let rows = statement.query_map([], |row| row.get(0)).expect("reads");
        rows.collect::<rusqlite::Result<_>>().expect("reads")
    }
}

fn id(number: u128) -> EventId {
    EventId::from_u128(number)
}

fn key(number: u64) -> InboxKey<'static> {
    InboxKey {
        group: "db-writers",
        stream: "planbus:{default}:events",
        store: Some("01JZ8Q4V7N5T3M2K1H0G9F8E7D"),
        place: number,
        event_id: id(u128::from(number)),
        is_replay: false,
    }
}

fn act(transaction: &InboxTransaction<'_>, key: &InboxKey<'_>) -> rusqlite::Result<usize> {
    transaction.sqlite().execute("INSERT INTO effects VALUES (?1)", [key.event_id.to_string()])
}

fn handle(inbox: &Inbox, key: &InboxKey<'_>) -> Option<rusqlite::Result<usize>> {
    let once = inbox.batch(|batch| batch.once(key, |transaction| act(transaction, key)));
    once.expect("commits").expect("notes")
}

#[test]
fn an_event_acts_once_and_its_row_is_committed_with_its_effect() {
    let fixture = Fixture::new();
    assert!(matches!(handle(&fixture.inbox, &key(1)), Some(Ok(1))));
    assert!(handle(&fixture.inbox, &key(1)).is_none(), "handled before");
    assert_eq!(fixture.effects(), [id(1).to_string()]);
    let floors = fixture.inbox.floors().expect("reads");
    assert_eq!((floors.len(), floors[0].rows, floors[0].place), (1, 1, 0));
    assert_eq!(floors[0].store.as_deref(), key(1).store);
}
