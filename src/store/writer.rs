//! The one connection that writes: commits batches, and knows the log's end.
//!
//! Decides nothing about who commits when (`queue` does) or what a failed commit means (`recover`
//! does). It never commits while an earlier commit is unsettled.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    chain::Link,
    checkpoint::Checkpoints,
    connect, fault,
    files::Files,
    guards::WalWatch,
    options::StoreOptions,
    row::{self, NewRow},
    schema,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, EventId, Timestamp},
};

/// The rows of one request: all or none of them are committed.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) rows: Vec<NewRow>,
}

impl Request {
    pub(super) fn event_ids(&self) -> impl Iterator<Item = EventId> {
        self.rows.iter().map(|row| row.event.event_id())
    }
}

/// Where a row of a request is in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) seq: u64,
    pub(super) recorded_at: Timestamp,
    /// It was there before, with the same content.
    pub(super) duplicate: bool,
}

/// The answer to one request.
pub(super) type Answer = Result<Vec<Placed>>;

/// A request that comes back with its answer.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) request: Request,
    pub(super) answer: Answer,
}

/// The end of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tip {
    pub(super) seq: i64,
    pub(super) chain: Link,
    pub(super) recorded_at: Timestamp,
}

/// The time of a commit, and its text, which every row of it gets.
struct Moment {
    at: Timestamp,
    text: String,
}

impl Moment {
    /// Now, or the log's last time where the clock went back behind it.
    fn not_before(last: Timestamp) -> Self {
        let at = Timestamp::now().max(last);
        Self { at, text: at.to_string() }
    }
}

/// The part of a commit that failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Before the commit itself: nothing of it is in the log.
    Before(rusqlite::Error),
    /// In the commit.
    Commit(rusqlite::Error),
    /// What is there cannot be read, or somebody replaced the store's files.
    Other(Error),
}

/// Why one request's rows were not written.
enum Refused {
    /// Its own fault.
    Request(Error),
    /// The transaction's.
    Batch(Failure),
}

/// The connection that writes and what it knows.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) files: Files,
    pub(super) options: StoreOptions,
    /// `None` when it could not be reopened after a failure.
    pub(super) connection: Option<Connection>,
    pub(super) tip: Tip,
    /// The events of a commit that failed so that nobody knows whether it is in the log; nothing is
    /// committed until that is settled.
    pub(super) in_doubt: Option<HashSet<EventId>>,
    /// Somebody removed or replaced the `-wal` file: nothing that we commit would last.
    pub(super) is_cut_off: bool,
    pub(super) wal: WalWatch,
    pub(super) checkpoints: Checkpoints,
}

impl Writer {
    /// Takes a connection that has been opened and checked.
    pub(super) fn new(files: Files, options: StoreOptions, connection: Connection) -> Result<Self> {
        let tip = read_tip(&connection)?;
        Ok(Self {
            wal: WalWatch::start(&files.wal),
            files,
            options,
            connection: Some(connection),
            tip,
            in_doubt: None,
            is_cut_off: false,
            checkpoints: Checkpoints::default(),
        })
    }

    /// Commits the requests in one transaction, as far as they can be; one answer for each.
    pub(super) fn commit(&mut self, requests: &[Request]) -> Vec<Answer> {
        let rows: usize = requests.iter().map(|request| request.rows.len()).sum();
        let span = tracing::debug_span!("planbus.commit", requests = requests.len(), rows);
        let _entered = span.enter();
        if let Err(error) = self.make_ready() {
            return self.refuse(requests, &error);
        }
        let before = self.tip;
        match self.transact(requests) {
            Ok(answers) => {
                self.checkpoints
                    .note(rows, requests.iter().flat_map(|request| &request.rows).map(NewRow::bytes));
                tracing::debug!(head = self.tip.seq, rows, "planbus.commit");
                answers
            }
            Err(failure) => self.recover(requests, before, failure),
        }
    }

    /// One transaction. After an error it is not ended, and the tip may be ahead of the log.
    fn transact(&mut self, requests: &[Request]) -> Result<Vec<Answer>, Failure> {
        self.execute("BEGIN IMMEDIATE").map_err(Failure::Before)?;
        let now = Moment::not_before(self.tip.recorded_at);
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            match self.insert_request(request, &now, requests.len() == 1) {
                Ok(placed) => answers.push(Ok(placed)),
                Err(Refused::Request(error)) => answers.push(Err(error)),
                Err(Refused::Batch(failure)) => return Err(failure),
            }
        }
        self.execute("COMMIT").map_err(Failure::Commit)?;
        self.check_wal().map_err(Failure::Other)?;
        Ok(answers)
    }

    /// The rows of one request. Where several are in the transaction, those of a refused one are
    /// undone; a request of one row needs no savepoint for that, because a statement is atomic.
    fn insert_request(
        &mut self,
        request: &Request,
        now: &Moment,
        is_alone: bool,
    ) -> Result<Vec<Placed>, Refused> {
        let before = self.tip;
        let savepoint = request.rows.len() > 1 && !is_alone;
        let broken = |cause| Refused::Batch(Failure::Before(cause));
        if savepoint {
            self.execute("SAVEPOINT request").map_err(broken)?;
        }
        let placed: Result<Vec<Placed>, Refused> =
            request.rows.iter().map(|row| self.insert(row, now)).collect();
        if let Err(Refused::Request(_)) = &placed {
            self.tip = before;
            if savepoint {
                self.execute("ROLLBACK TO request").map_err(broken)?;
            } else if request.rows.len() > 1 {
                // Alone in the transaction, which has nothing else to save.
                self.execute("ROLLBACK").map_err(broken)?;
                self.execute("BEGIN IMMEDIATE").map_err(broken)?;
            }
        }
        if savepoint {
            self.execute("RELEASE request").map_err(broken)?;
        }
        placed
    }

    fn insert(&mut self, row: &NewRow, now: &Moment) -> Result<Placed, Refused> {
        let seq = next_seq(self.tip.seq).map_err(Refused::Request)?;
        let payload = row.payload.get();
        let link = row.canonical.link(&self.tip.chain, seq, &now.text, payload);
        let event = &row.event;
        let inserted = self.prepared(INSERT).and_then(|mut statement| {
            statement.execute(params![
                seq,
                row.event_id(),
                event.event_type().as_str(),
                event.plan_id().as_str(),
                row.timestamp(),
                now.text,
                payload,
                event.tenant().as_str(),
                event.source().map(|source| source.as_str()),
                row.call_chain,
                event.correlation_id().map(|id| id.as_str()),
                row.causation_id,
                event.trace_parent().map(|trace| trace.as_str()),
                event.priority().as_str(),
                row.context_refs,
                event.schema_version(),
                link,
            ])
        });
        match inserted {
            Ok(_) => {
                let recorded_at = now.at;
                self.tip = Tip { seq, chain: link, recorded_at };
                Ok(Placed { seq: seq.cast_unsigned(), recorded_at, duplicate: false })
            }
            Err(cause) if fault::is_unique_violation(&cause) => self.duplicate(row),
            Err(cause) if fault::kind_of(&cause) == ErrorKind::TooLarge => {
                Err(Refused::Request(fault::sqlite("commit the event", cause)))
            }
            Err(cause) => Err(Refused::Batch(Failure::Before(cause))),
        }
    }

    /// The event id is in the log: with the same content it is this event, else a conflict.
    fn duplicate(&self, row: &NewRow) -> Result<Placed, Refused> {
        let stored = self.find(row).map_err(|error| match error.kind() {
            // A stored row that cannot be read is no reason to refuse what others publish.
            ErrorKind::Corrupt => Refused::Request(error),
            _ => Refused::Batch(Failure::Other(error)),
        })?;
        let Some(stored) = stored else {
            let problem =
                format!("event_id {}: the index says it is there, the table does not", row.event_id());
            return Err(Refused::Request(Error::new(ErrorKind::Corrupt, problem)));
        };
        match (row.is_same_content(&stored), stored.seq(), stored.recorded_at()) {
            (true, Some(seq), Some(recorded_at)) => Ok(Placed { seq, recorded_at, duplicate: true }),
            _ => Err(Refused::Request(Error::new(
                ErrorKind::Conflict,
                format!(
                    "event_id: {} is in the log already with other content, as seq {}",
                    row.event_id(),
                    stored.seq().unwrap_or(0)
                ),
            ))),
        }
    }

    /// The stored event with the id of this row.
    pub(super) fn find(&self, row: &NewRow) -> Result<Option<Event>> {
        let failed = |cause| fault::sqlite("look up an event id", cause);
        let mut statement = self.prepared(FIND).map_err(failed)?;
        let mut rows = statement.query([row.event_id()]).map_err(failed)?;
        rows.next().map_err(failed)?.map(row::decode).transpose()
    }

    pub(super) fn execute(&self, sql: &str) -> rusqlite::Result<usize> {
        self.prepared(sql)?.execute([])
    }

    fn prepared(&self, sql: &str) -> rusqlite::Result<rusqlite::CachedStatement<'_>> {
        // `make_ready` opened it, and only `recover` takes it away.
        self.connection.as_ref().ok_or(rusqlite::Error::InvalidQuery)?.prepare_cached(sql)
    }

    /// The connection, opened anew where a failure closed it.
    pub(super) fn reopen(&mut self) -> Result<()> {
        if self.connection.is_none() {
            let connection = connect::writer(&self.files, &self.options, |_| Ok(()))?;
            self.tip = read_tip(&connection)?;
            self.wal = WalWatch::start(&self.files.wal);
            self.connection = Some(connection);
        }
        Ok(())
    }

    /// Reads the log's end again, after somebody else may have changed it.
    pub(super) fn reload_tip(&mut self) -> Result<()> {
        if let Some(connection) = &self.connection {
            self.tip = read_tip(connection)?;
        }
        Ok(())
    }

    /// Makes sure, after a commit, that it went into the write-ahead log that others see.
    pub(super) fn check_wal(&mut self) -> Result<()> {
        if self.wal.is_intact() {
            return Ok(());
        }
        self.is_cut_off = true;
        Err(self.cut_off())
    }

    pub(super) fn cut_off(&self) -> Error {
        Error::new(
            ErrorKind::Storage,
            format!(
                "the write-ahead log {} was removed or replaced by another program; close the store and \
                 open it again",
                self.files.wal.display()
            ),
        )
    }
}

const INSERT: &str = concat!(
    "INSERT INTO plan_events(",
    row::columns!(),
    ", chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
);

const FIND: &str = concat!("SELECT ", row::columns!(), " FROM plan_events WHERE event_id = ?1");

/// Reads the end of the log: the last seq that was given, and the last row, or where the rows that
/// were pruned ended.
///
/// Where somebody cut off the last rows, the log goes on behind them: no seq is given twice, and the
/// hole stays for `verify` and for every reader to see.
fn read_tip(connection: &Connection) -> Result<Tip> {
    let failed = |cause| fault::sqlite("read the end of the log", cause);
    let given = connection
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'plan_events'", [], |row| row.get(0))
        .optional()
        .map_err(failed)?
        .unwrap_or(0);
    let last = connection
        .query_row("SELECT id, chain, recorded_at FROM plan_events ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, String>(2)?))
        })
        .optional()
        .map_err(failed)?;
    next_seq(last.as_ref().map_or(given, |(seq, ..)| given.max(*seq)))?;
    let Some((seq, chain, recorded_at)) = last else {
        warn_of_cut(given, 0);
        return Ok(Tip {
            seq: given,
            chain: schema::meta(connection)?.chain_anchor,
            recorded_at: Timestamp::from(std::time::UNIX_EPOCH),
        });
    };
    warn_of_cut(given, seq);
    let chain = Link::try_from(chain).map_err(|_| fault::corrupt_row(seq, "chain", "is not 32 bytes"))?;
    let recorded_at = recorded_at
        .parse()
        .map_err(|error: Error| fault::corrupt_row(seq, "recorded_at", &error.to_string()))?;
    Ok(Tip { seq: seq.max(given), chain, recorded_at })
}

/// The seq after this one; none is left where somebody put in a row, or a number, at the very end.
fn next_seq(last: i64) -> Result<i64> {
    let next = last.checked_add(1).filter(|next| *next <= row::SEQ_MAX);
    next.ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("the log has no seq left after {last}")))
}

fn warn_of_cut(given: i64, last: i64) {
    if given > last {
        tracing::error!(last, given, "planbus: the last rows of the log were removed; `verify` says more");
    }
}
