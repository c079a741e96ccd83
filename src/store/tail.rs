//! [`LogTail`]: a cursor over the log that replays, then follows.
//!
//! It returns the events that its filter matches in the order of seq, with no gap and no
//! duplicate, and is told when it was overtaken by pruning. It never holds a transaction between
//! calls, and never blocks a publisher.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Inner,
    connect::{self, Reader},
    fault,
    read::{self, Page, PageMax},
    schema,
    signal::Calls,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::Event,
    filter::{CompiledFilter, Scope, Start},
};

/// How often a process that is not the owner asks whether the log has grown.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How often a tail of a store without an owner looks whether one has come.
const REOPEN_INTERVAL: Duration = Duration::from_millis(200);
/// How many events are read ahead.
const READ_AHEAD: usize = 256;

/// A cursor over the log.
#[derive(Debug)]
pub(crate) struct LogTail {
    // Before `store`: its connection must be closed before the store's guards are.
    follow: Follow,
    filter: CompiledFilter,
    /// The last seq that was returned or left out.
    cursor: u64,
    /// The last seq that was read.
    examined: u64,
    ahead: VecDeque<Event>,
    /// The calls to wake up that were heard.
    heard: Calls,
    store: Arc<Inner>,
}

/// How a tail learns that the log has grown.
#[derive(Debug)]
enum Follow {
    /// The commits of this process tell.
    Owner,
    /// By asking SQLite, on a connection of its own: `data_version` counts for a connection.
    Poll { reader: Option<Reader>, version: Option<i64>, opened: Instant },
}

impl LogTail {
    pub(super) fn new(store: Arc<Inner>, filter: CompiledFilter, start: Start) -> Result<Self> {
        let cursor = store.read(|connection| first_cursor(connection, &filter, start))?;
        store.recent.tail_opened();
        let follow = match store.owner {
            Some(_) => Follow::Owner,
            None => Follow::Poll { reader: None, version: None, opened: Instant::now() },
        };
        let heard = store.signal.calls();
        Ok(Self { follow, filter, cursor, examined: cursor, ahead: VecDeque::new(), heard, store })
    }

    /// The next event, waiting for it at most this long; `None` when the time is over, or when the
    /// store's tails were woken. With a timeout of zero, `None` means that everything was read.
    ///
    /// # Errors
    /// `Pruned` when events after the cursor are no longer in the log; `Closed` when the store is.
    pub(crate) fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Event>> {
        // A timeout too long for the clock means for ever. Zero is not a time to keep, but asks
        // for what is there: a filter that matches little must not end the reading early.
        let deadline = Instant::now().checked_add(timeout);
        let is_over = || !timeout.is_zero() && deadline.is_some_and(|deadline| Instant::now() >= deadline);
        loop {
            if let Some(event) = self.ahead.pop_front() {
                self.cursor = event.seq().unwrap_or(self.cursor);
                return Ok(Some(event));
            }
            self.cursor = self.examined;
            self.store.check_open()?;
            if self.read_ahead()? {
                if self.ahead.is_empty() && is_over() {
                    return Ok(None);
                }
                continue;
            }
            let calls = self.store.signal.calls();
            if timeout.is_zero() || is_over() || calls != self.heard {
                self.heard = calls;
                return Ok(None);
            }
            self.wait(deadline);
        }
    }

    /// The last seq that was examined: all events up to it were returned, or left out by the filter.
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Reads the next page, if there is one.
    fn read_ahead(&mut self) -> Result<bool> {
        let (scope, after) = (&self.filter.scope, self.examined);
        let page = match &mut self.follow {
            Follow::Owner if self.store.signal.head() <= after => return Ok(false),
            Follow::Owner => match self.store.recent.after(after) {
                Some(events) => Page { examined: after + events.len() as u64, events },
                None => self.store.read(|connection| page_after(connection, scope, after))?,
            },
            Follow::Poll { reader, version, opened } => {
                let reader = match reader {
                    Some(reader) => reader,
                    None => {
                        *opened = Instant::now();
                        *version = None;
                        reader.insert(connect::reader(&self.store.files, &self.store.options)?)
                    }
                };
                // Asked before the page is read: what comes in between is seen the next time.
                let now = schema::pragma(&reader.connection, "data_version")
                    .map_err(|cause| fault::sqlite("follow the log", cause))?;
                if *version == Some(now) {
                    return Ok(false);
                }
                let page = page_after(&reader.connection, scope, after)?;
                if page.examined == after {
                    *version = Some(now);
                }
                page
            }
        };
        let has_read = page.examined > after;
        self.examined = page.examined;
        self.ahead.extend(page.events.into_iter().filter(|event| self.filter.matches(event)));
        Ok(has_read)
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        match &mut self.follow {
            Follow::Owner => self.store.signal.wait(self.examined, self.heard, deadline),
            Follow::Poll { reader, opened, .. } => {
                let poll = Instant::now() + POLL_INTERVAL;
                let until = deadline.map_or(poll, |deadline| deadline.min(poll));
                // Nobody advances the signal of a reader's store: only a call ends this wait.
                self.store.signal.wait(u64::MAX, self.heard, Some(until));
                let is_snapshot = reader.as_ref().is_some_and(|reader| reader.is_snapshot);
                if is_snapshot && opened.elapsed() >= REOPEN_INTERVAL {
                    *reader = None;
                }
            }
        }
    }
}

impl Drop for LogTail {
    fn drop(&mut self) {
        self.store.recent.tail_closed();
    }
}

fn page_after(connection: &rusqlite::Connection, scope: &Scope, after: u64) -> Result<Page> {
    read::page_after(connection, scope, after, PageMax::rows(READ_AHEAD))
}

/// The cursor that a tail begins with.
pub(super) fn first_cursor(
    connection: &rusqlite::Connection,
    filter: &CompiledFilter,
    start: Start,
) -> Result<u64> {
    let bounds = read::bounds(connection)?;
    match start {
        Start::Now => Ok(bounds.head),
        Start::Beginning => Ok(bounds.floor - 1),
        Start::After(seq) if seq > bounds.head => {
            let head = bounds.head;
            Err(Error::invalid("start", format!("must be at most the log's last seq, {head}, got {seq}")))
        }
        Start::After(seq) if seq + 1 < bounds.floor => Err(read::pruned(seq, bounds.floor)),
        Start::After(seq) => Ok(seq),
        Start::AfterEvent(id) => {
            let tenant = match &filter.scope {
                Scope::Everything => None,
                Scope::Tenant(tenant) | Scope::Plan(tenant, _) => Some(tenant.as_str()),
            };
            // Another tenant's event gets the answer of an unknown one.
            let found = read::locate(connection, id)?;
            found.filter(|(_, owner)| tenant.is_none_or(|tenant| tenant == owner)).map_or_else(
                || Err(Error::new(ErrorKind::NotFound, format!("start: the log has no event {id}"))),
                |(seq, _)| Ok(seq),
            )
        }
    }
}
