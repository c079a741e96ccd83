//! [`A2AEventSubscriber`]: one client's way through the log, without a socket.
//!
//! It is a place in the log and a filter. What follows is taken from the feed's ring; where the ring
//! no longer has it, because the client was slow or came late, it is read from the log. Both are in
//! the order of seq and a seq is given once, so that replay and live need no seam. Nothing is queued
//! for a client but the one batch that it is being given.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    feed::{Feed, Reader},
    frame::Frame,
    reads::{Work, Working},
    ring::Taken,
};
use crate::{
    error::{ErrorKind, Result},
    event::Event,
    filter::{Filter, Start},
    store::EventStore,
};

/// How many events a client that is behind reads from the log at once.
const PAGE_EVENTS: usize = 128;
/// Fewer where their payloads are large: a client that reads slowly keeps them until it has them.
const PAGE_BYTES: usize = 256 << 10;
/// How many pages are looked through at once for a filter that matches little.
const PAGES_MAX: usize = 32;

/// A client's cursor over the log, as every streaming route of the server uses it: it replays, then
/// follows, in the order of the log, each event once. It has no socket: whoever has one takes what
/// comes [`next`](Self::next), at its own pace; a slow one costs a place in the log and no queue.
///
/// Its subscription ends when it is dropped.
///
/// ```no_run
/// # async fn follow(server: planbus::server::Server) -> planbus::Result<()> {
/// use planbus::{Filter, Start, server::Update};
///
/// let mut subscriber = server.subscribe(Filter::all().plan("plan-7"), Start::Beginning).await?;
/// while let Some(update) = subscriber.next().await {
///     match update? {
///         Update::Event(event) => println!("{} {}", event.seq().unwrap_or(0), event.event_type()),
///         Update::Gap(gap) => println!("missed all before {}", gap.oldest_seq),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a subscriber ends when it is dropped"]
pub struct A2AEventSubscriber {
    feed: Arc<Feed>,
    reader: Arc<Reader>,
    /// All up to here was given or left out by the filter.
    cursor: u64,
    /// What is being given.
    ready: VecDeque<Arc<Frame>>,
    /// All up to here is in `ready`, or was.
    examined: u64,
    page: Option<Working<Page>>,
    /// To be told before anything else.
    gap: Option<Gap>,
}

/// What a subscriber is given.
#[derive(Clone, Debug)]
pub enum Update {
    /// The next event.
    Event(Event),
    /// Events that it should have been given are no longer in the log.
    Gap(Gap),
}

/// A hole in what a subscriber is given: retention took what it had not read, or it began at a place
/// that the log does not know. What follows begins with the oldest event that the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The last place in the log that it had read, where it was one of this log.
    pub after_seq: Option<u64>,
    /// The oldest place that the log still holds; what is before it is lost to the subscriber.
    pub oldest_seq: u64,
}

/// An update whose event is shared with other clients.
#[derive(Debug)]
pub(super) enum Given {
    Frame(Arc<Frame>),
    Gap(Gap),
}

#[derive(Debug)]
enum Page {
    Events { frames: VecDeque<Arc<Frame>>, examined: u64 },
    Pruned { oldest_seq: u64 },
}

impl A2AEventSubscriber {
    /// Begins at `start`; reads the log, so it blocks for a moment. The feed knows the reader before
    /// the place is looked up: nothing falls in between.
    ///
    /// A place that the log does not know, or no longer, is a [`Gap`] and then all that it holds.
    pub(super) fn open(feed: &Arc<Feed>, filter: Filter, start: Start) -> Result<Self> {
        let filter = filter.compile()?;
        let reader = feed.register(filter);
        let mut subscriber = Self {
            feed: Arc::clone(feed),
            reader,
            cursor: 0,
            ready: VecDeque::new(),
            examined: 0,
            page: None,
            gap: None,
        };
        let store = feed.store();
        let place = match store.cursor_at(&subscriber.reader.filter, start) {
            Ok(place) => place,
            Err(error) => {
                let after_seq = match (error.kind(), start) {
                    (ErrorKind::Pruned, Start::After(seq)) => Some(seq),
                    (ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::Pruned, _) => None,
                    _ => return Err(error),
                };
                let oldest_seq = store.floor()?;
                subscriber.gap = Some(Gap { after_seq, oldest_seq });
                oldest_seq.saturating_sub(1)
            }
        };
        (subscriber.cursor, subscriber.examined) = (place, place);
        Ok(subscriber)
    }

    /// What comes next; `None` when the server stops, or the bus was closed and everything was given.
    /// May be dropped before it is done: nothing is lost.
    ///
    /// # Errors
    /// From the store: `Corrupt`, `Storage`, `Closed`. The next call tries again at the same place.
    pub async fn next(&mut self) -> Option<Result<Update>> {
        let given = poll_fn(|context| self.poll_given(context)).await?;
        Some(given.map(|given| match given {
            Given::Frame(frame) => Update::Event(frame.event().clone()),
            Given::Gap(gap) => Update::Gap(gap),
        }))
    }

    /// The last place in the log up to which everything was given or left out by the filter: where a
    /// subscriber begins that goes on after this one.
    #[must_use]
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Whether the next thing that is given is a gap.
    pub(super) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    pub(super) fn poll_given(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Given>>> {
        loop {
            if self.feed.is_stopping() {
                return Poll::Ready(None);
            }
            if let Some(gap) = self.gap.take() {
                return Poll::Ready(Some(Ok(Given::Gap(gap))));
            }
            if let Some(frame) = self.ready.pop_front() {
                self.cursor = frame.seq();
                return Poll::Ready(Some(Ok(Given::Frame(frame))));
            }
            self.cursor = self.examined;
            if self.page.is_some() {
                match ready!(self.poll_page(context)) {
                    Ok(page) => self.take_page(page),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
                continue;
            }
            // Told before it looks: what comes in between wakes it.
            self.feed.wake_later(&self.reader, context.waker());
            let is_over = self.feed.is_over();
            match self.feed.take(self.examined, &self.reader.filter) {
                Taken::Frames { frames, examined } => (self.ready, self.examined) = (frames, examined),
                Taken::Behind => self.page = Some(self.read_page()),
                Taken::Nothing if is_over => return Poll::Ready(None),
                Taken::Nothing => return Poll::Pending,
            }
        }
    }

    fn read_page(&self) -> Working<Page> {
        let (store, reader, after) = (self.feed.store().clone(), Arc::clone(&self.reader), self.examined);
        self.feed.reads().run(Work::Replay, move || page(&store, &reader, after))
    }

    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Result<Page>> {
        let Some(page) = &mut self.page else { return Poll::Pending };
        let read = ready!(page.as_mut().poll(context));
        self.page = None;
        Poll::Ready(read)
    }

    fn take_page(&mut self, page: Page) {
        match page {
            Page::Events { frames, examined } => (self.ready, self.examined) = (frames, examined),
            Page::Pruned { oldest_seq } => {
                self.gap = Some(Gap { after_seq: Some(self.examined), oldest_seq });
                self.examined = oldest_seq.saturating_sub(1);
            }
        }
    }
}

/// Reads what comes after a seq, until something is found that the filter matches, there is no more, or
/// others are to have their turn.
fn page(store: &EventStore, reader: &Reader, after: u64) -> Result<Page> {
    let filter = &reader.filter;
    let (mut frames, mut examined) = (VecDeque::new(), after);
    for _ in 0..PAGES_MAX {
        let (events, read) = match store.page_after(&filter.scope, examined, PAGE_EVENTS, PAGE_BYTES) {
            Ok(page) => page,
            Err(error) if error.kind() == ErrorKind::Pruned => {
                let oldest_seq = store.next_held(examined)?;
                return Ok(Page::Pruned { oldest_seq });
            }
            Err(error) => return Err(error),
        };
        if read == examined {
            break;
        }
        examined = read;
        let wanted = events.into_iter().filter(|event| filter.matches(event));
        frames.extend(wanted.map(|event| Arc::new(Frame::new(event))));
        if !frames.is_empty() {
            break;
        }
    }
    Ok(Page::Events { frames, examined })
}

impl Drop for A2AEventSubscriber {
    fn drop(&mut self) {
        self.feed.unregister(&self.reader);
    }
}

impl fmt::Debug for A2AEventSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("A2AEventSubscriber").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
