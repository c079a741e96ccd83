//! What a failed commit means, and how the writer comes back from it.
//!
//! After a failure every publisher learns whether its events are in the log. Where the disk failed
//! in the commit itself, a settling transaction finds out: it overwrites what the failed one left
//! in the write-ahead log, so that a later recovery cannot bring it back. Until one succeeds,
//! nothing is committed.

use rusqlite::ErrorCode;

use super::{
    fault,
    writer::{Answer, Failure, Placed, Request, Tip, Writer},
};
use crate::error::{Error, ErrorKind, Result};

impl Writer {
    /// Makes sure that a commit may begin: a connection, and nothing unsettled.
    pub(super) fn make_ready(&mut self) -> Result<()> {
        if self.is_cut_off {
            return Err(self.cut_off());
        }
        self.reopen()?;
        if self.connection.as_ref().is_some_and(|connection| !connection.is_autocommit()) {
            // A leader panicked in the middle of a transaction.
            self.roll_back();
            self.reopen()?;
            self.reload_tip()?;
        }
        if self.in_doubt.is_some() {
            self.try_settle().map_err(|error| error.within("an earlier commit is unsettled"))?;
            tracing::info!("planbus.commit: the store is settled, events are committed again");
        }
        Ok(())
    }

    /// Answers the requests of a transaction that failed.
    pub(super) fn recover(&mut self, requests: &[Request], before: Tip, failure: Failure) -> Vec<Answer> {
        self.tip = before;
        self.roll_back();
        let all = |error: Error| requests.iter().map(|_| Err(error.clone())).collect();
        match failure {
            Failure::Other(error) if self.is_cut_off => {
                self.doubt(requests);
                self.refuse(requests, &error)
            }
            Failure::Other(error) => all(error),
            Failure::Commit(cause) if is_in_doubt(&cause) => self.settle(requests, before, cause),
            Failure::Before(cause) if fault::is_seq_taken(&cause) => match self.reload_tip() {
                // Somebody else wrote to the log, against the rules: go on behind what is there.
                Ok(()) if self.tip.seq > before.seq => self.commit(requests),
                Ok(()) => all(fault::sqlite("commit the event", cause)),
                Err(error) => all(error),
            },
            Failure::Before(cause) | Failure::Commit(cause) => {
                if requests.len() > 1 && may_be_one_requests(&cause) {
                    let alone = requests.iter().flat_map(|one| self.commit(std::slice::from_ref(one)));
                    return alone.collect();
                }
                all(fault::sqlite("commit the event", cause))
            }
        }
    }

    /// Ends a transaction that failed and added no event; what to tell of it.
    pub(super) fn give_up(&mut self, doing: &str, failure: Failure) -> Error {
        self.roll_back();
        let (cause, is_in_doubt) = match failure {
            Failure::Other(error) => return error,
            Failure::Before(cause) => (cause, false),
            Failure::Commit(cause) => {
                let is_in_doubt = is_in_doubt(&cause);
                (cause, is_in_doubt)
            }
        };
        let failed = fault::sqlite(doing, cause);
        if is_in_doubt {
            self.doubt(&[]);
            if let Err(settling) = self.try_settle() {
                tracing::error!(%failed, %settling, "planbus.commit: a failed commit could not be settled");
                let told = format!("{doing}: the disk failed in the commit; doing it again settles it");
                return Error::with_source(ErrorKind::Indeterminate, told, failed);
            }
        }
        failed
    }

    /// Ends whatever transaction is open; a connection that cannot is dropped, to be opened anew.
    pub(super) fn roll_back(&mut self) {
        let Some(connection) = &self.connection else { return };
        if connection.is_autocommit() {
            return;
        }
        if let Err(cause) = connection.execute_batch("ROLLBACK")
            && !connection.is_autocommit()
        {
            tracing::warn!(%cause, "planbus.commit: a rollback failed, the connection is opened anew");
            self.connection = None;
        }
    }

    /// Finds out whether a commit that failed is in the log.
    fn settle(&mut self, requests: &[Request], before: Tip, cause: rusqlite::Error) -> Vec<Answer> {
        self.doubt(requests);
        let failed = fault::sqlite("commit the event", cause);
        if let Err(settling) = self.try_settle() {
            tracing::error!(%failed, %settling, "planbus.commit: a failed commit could not be settled");
            return self.refuse(requests, &failed);
        }
        tracing::warn!(%failed, "planbus.commit: a failed commit was settled");
        requests.iter().map(|request| self.outcome(request, before, &failed)).collect()
    }

    /// Remembers that nobody knows whether these requests are in the log.
    fn doubt(&mut self, requests: &[Request]) {
        self.in_doubt = Some(requests.iter().flat_map(Request::event_ids).collect());
    }

    /// Answers requests that are not committed, because of `cause`. One that an earlier commit left
    /// in doubt may be in the log nevertheless.
    pub(super) fn refuse(&self, requests: &[Request], cause: &Error) -> Vec<Answer> {
        let answer = |request: &Request| {
            let is_in_doubt =
                self.in_doubt.as_ref().is_some_and(|ids| request.event_ids().any(|id| ids.contains(&id)));
            Err(if is_in_doubt { indeterminate(cause.clone()) } else { cause.clone() })
        };
        requests.iter().map(answer).collect()
    }

    /// Commits a transaction that changes nothing but a counter.
    fn try_settle(&mut self) -> Result<()> {
        let settled = self.reopen().and_then(|()| {
            self.execute("BEGIN IMMEDIATE")
                .and_then(|_| {
                    self.execute("UPDATE store_meta SET value = value + 1 WHERE key = 'settle_counter'")
                })
                .and_then(|_| self.execute("COMMIT"))
                .map_err(|cause| fault::sqlite("settle the store", cause))?;
            self.reload_tip()
        });
        match settled {
            Ok(()) => self.in_doubt = None,
            Err(_) => self.roll_back(),
        }
        settled
    }

    /// Whether the rows of a request are in the log, now that nothing can change that.
    fn outcome(&self, request: &Request, before: Tip, failed: &Error) -> Answer {
        let mut placed = Vec::with_capacity(request.rows.len());
        for row in &request.rows {
            // It may be there, and cannot be read.
            let stored = self.find(row).map_err(indeterminate)?;
            let Some(stored) = stored.filter(|stored| row.is_same_content(stored)) else {
                return Err(failed.clone());
            };
            let (Some(seq), Some(recorded_at)) = (stored.seq(), stored.recorded_at()) else {
                return Err(failed.clone());
            };
            placed.push(Placed { seq, recorded_at, duplicate: seq <= before.seq.cast_unsigned() });
        }
        Ok(placed)
    }
}

/// Whether a failed commit may be in the log nevertheless. A full disk and a lock come before the
/// frame that commits, so nothing is.
fn is_in_doubt(cause: &rusqlite::Error) -> bool {
    !matches!(fault::kind_of(cause), ErrorKind::DiskFull | ErrorKind::Locked | ErrorKind::ReadOnly)
}

/// Whether the failure may go away when the requests are committed one by one.
fn may_be_one_requests(cause: &rusqlite::Error) -> bool {
    !cause.sqlite_error().is_some_and(|error| {
        matches!(
            error.code,
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
        )
    })
}

fn indeterminate(cause: Error) -> Error {
    let told = "the disk failed while the event was being committed, and whether it is in the log could not \
                be settled; publishing it again with the same event id settles it";
    Error::with_source(ErrorKind::Indeterminate, told, cause)
}
