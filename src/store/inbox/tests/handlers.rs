//! Handlers that do to their transaction what they must not, and what they may.

use super::*;

/// What a handler runs, statement by statement; failures are as if they had not been.
fn run(inbox: &Inbox, key: &InboxKey<'_>, statements: &[&str]) -> Result<Result<Option<Result<(), ()>>>> {
    inbox.batch(|batch| {
        batch.once(key, |transaction| {
            for sql in statements {
                let _ = transaction.sqlite().execute_batch(sql);
            }
            Ok(())
        })
    })
}

#[test]
fn p8_a_handler_cannot_end_its_transaction_and_its_neighbours_stay() {
    let effect = "INSERT INTO effects VALUES ('mine')";
    for sql in [
        "COMMIT",
        "END TRANSACTION",
        "ROLLBACK",
        "BEGIN",
        "BEGIN IMMEDIATE",
        "RELEASE planbus_inbox",
        "ROLLBACK TO planbus_inbox",
        "SAVEPOINT Planbus_Inbox",
    ] {
        let fixture = Fixture::new();
        let told = fixture.inbox.batch(|batch| {
            let before = batch.once(&key(1), |transaction| act(transaction, &key(1)));
            let meddling = batch.once(&key(2), |transaction| {
                transaction.sqlite().execute_batch(effect)?;
                let refused = transaction.sqlite().execute_batch(sql).expect_err("refused");
                assert!(refused.to_string().contains("not authorized"), "{sql}: {refused}");
                transaction.sqlite().execute_batch(effect)
            });
            let after = batch.once(&key(3), |transaction| act(transaction, &key(3)));
            assert!(matches!((before, after), (Ok(Some(Ok(1))), Ok(Some(Ok(1))))), "{sql}");
            meddling.expect_err("told")
        });
        let error = told.expect("the others are committed");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{sql}");
        assert!(error.to_string().contains("the transaction is planbus's to end"), "{sql}: {error}");
        assert_eq!(fixture.effects(), [id(1).to_string(), id(3).to_string()], "{sql}");
        assert!(handle(&fixture.inbox, &key(2)), "{sql}: it counts as not handled");
    }
}

#[test]
fn p8_what_a_handler_does_behind_a_rollback_is_not_committed() {
    let fixture = Fixture::new();
    fixture.app().execute_batch("CREATE TABLE unique_effects(event TEXT UNIQUE)").expect("a table");
    let (twice, alone) =
        ("INSERT OR ROLLBACK INTO unique_effects VALUES ('one')", "INSERT INTO effects VALUES ('alone')");
    // The second rolls back. What follows would be committed on the spot, or in a transaction that a
    // savepoint begins where there is none.
    for statements in [
        &[twice, twice, alone][..],
        &[twice, twice, "SAVEPOINT own", alone, "RELEASE own"],
        &[twice, twice, "SAVEPOINT own", alone],
    ] {
        let error = run(&fixture.inbox, &key(1), statements).expect_err("nothing is left to commit");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{statements:?}: {error:?}");
        assert!(error.to_string().contains("OR ROLLBACK"), "{error}");
        assert_eq!((fixture.effects(), fixture.rows()), (Vec::new(), 0), "{statements:?}");
    }
    assert!(handle(&fixture.inbox, &key(1)), "the next batch is as good as any");
    assert_eq!(fixture.effects().len(), 1);
}

#[test]
fn p8_a_handler_that_fails_with_the_transaction_is_told_by_its_own_error_and_the_batch_by_another() {
    let fixture = Fixture::new();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON effects WHEN new.event LIKE '%2'
                  BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END";
    fixture.app().execute_batch(refuse).expect("a trigger");
    let mut told = Vec::new();
    let done = fixture.inbox.batch(|batch| {
        for number in 1..=3 {
            let acted = batch.once(&key(number), |transaction| act(transaction, &key(number)));
            told.push(acted.map(|acted| acted.map(|acted| acted.map_err(|error| error.to_string()))));
        }
    });
    let error = done.expect_err("nothing of it is there");
    assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
    let [Ok(Some(Ok(1))), Ok(Some(Err(own))), Err(after)] = &told[..] else { panic!("{told:?}") };
    assert!(own.contains("not this one") && after.to_string() == error.to_string(), "{own}, {after}");
    assert_eq!((fixture.effects(), fixture.rows()), (Vec::new(), 0));
    assert!(handle(&fixture.inbox, &key(1)) && handle(&fixture.inbox, &key(3)));
}

#[test]
fn a_panic_of_a_handler_that_nobody_catches_leaves_nothing() {
    let fixture = Fixture::new();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fixture.inbox.batch(|batch| {
            batch.once(&key(1), |transaction| {
                act(transaction, &key(1)).expect("inserts");
                if fixture.dir.path().exists() {
                    panic!("a handler's");
                }
                Ok::<(), ()>(())
            })
        })
    }));
    assert!(unwound.is_err());
    assert_eq!((fixture.effects(), fixture.rows()), (Vec::new(), 0));
    assert!(handle(&fixture.inbox, &key(1)));
}

#[test]
fn a_handler_may_have_savepoints_triggers_temporary_tables_and_attached_databases() {
    let fixture = Fixture::new();
    let app = fixture.app();
    app.execute_batch(
        "CREATE TABLE counted(n INTEGER); INSERT INTO counted VALUES (0);
         CREATE TRIGGER count AFTER INSERT ON effects BEGIN UPDATE counted SET n = n + 1; END",
    )
    .expect("a trigger");
    let other = fixture.dir.path().join("other.db");
    let elsewhere = Connection::open(&other).expect("opens");
    elsewhere.execute_batch("CREATE TABLE elsewhere(x)").expect("a table");
    let attach = format!("ATTACH '{}' AS other", other.display());
    let statements = [
        "SAVEPOINT inner; INSERT INTO effects VALUES ('undone'); ROLLBACK TO inner; RELEASE inner",
        "SAVEPOINT left_open; INSERT INTO effects VALUES ('kept')",
        "CREATE TEMP TABLE scratch(x); INSERT INTO scratch VALUES (1)",
        &attach,
        "INSERT INTO other.elsewhere VALUES (1)",
    ];
    assert!(matches!(run(&fixture.inbox, &key(1), &statements), Ok(Ok(Some(Ok(()))))));
    assert_eq!(fixture.effects(), ["kept"]);
    assert_eq!(app.query_row("SELECT n FROM counted", [], |row| row.get::<_, i64>(0)), Ok(1));
    assert_eq!(elsewhere.query_row("SELECT x FROM elsewhere", [], |row| row.get::<_, i64>(0)), Ok(1));
    assert!(!handle(&fixture.inbox, &key(1)) && handle(&fixture.inbox, &key(2)));
}

#[test]
fn foreign_keys_are_enforced_at_once_or_with_the_commit() {
    let fixture = Fixture::new();
    fixture
        .app()
        .execute_batch(
            "CREATE TABLE parents(id INTEGER PRIMARY KEY);
             CREATE TABLE children(parent INTEGER REFERENCES parents(id));
             CREATE TABLE later(parent INTEGER REFERENCES parents(id) DEFERRABLE INITIALLY DEFERRED)",
        )
        .expect("tables");
    let orphan = |table: &str, number: u64, adopt: &str| {
        fixture.inbox.batch(|batch| {
            let sql = format!("INSERT INTO {table} VALUES (7); {adopt}");
            batch.once(&key(number), |transaction| transaction.sqlite().execute_batch(&sql))
        })
    };
    assert!(matches!(orphan("children", 1, ""), Ok(Ok(Some(Err(_))))), "the statement fails");
    let error = orphan("later", 2, "").expect_err("the commit fails");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("deferred constraint"), "{error}");
    assert_eq!(fixture.rows(), 0);
    assert!(matches!(orphan("later", 2, "INSERT INTO parents VALUES (7)"), Ok(Ok(Some(Ok(()))))));
    assert_eq!(fixture.rows(), 1);
}

#[test]
fn the_floors_can_be_asked_for_by_a_handler() {
    let fixture = Fixture::new();
    let floors = fixture.inbox.batch(|batch| batch.once(&key(1), |_| fixture.inbox.floors()));
    assert_eq!(floors.expect("commits").expect("notes").expect("new").expect("reads"), []);
}
