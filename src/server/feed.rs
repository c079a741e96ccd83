//! [`Feed`]: one thread that follows the log for all clients of a server.
//!
//! It reads each event once, puts it into the [`Ring`] and wakes those whose filter matches. It waits
//! for no client, so that a slow one holds up neither others nor a publisher. While no client waits for
//! an event, because there is none or all have more than they take, it rests: then a publish costs what
//! it costs without a server.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex, RwLock};

use super::{
    frame::Frame,
    reads::Reads,
    ring::{Ring, Taken},
};
use crate::{
    bus::EventBus,
    error::{Error, ErrorKind, Result},
    filter::{CompiledFilter, Filter, Start},
    store::{EventStore, LogTail},
};

/// The most events that are read before they are passed on.
const BATCH_MAX: usize = 256;
/// After so many events everybody is woken: who is sent little moves on in the ring all the same, and
/// does not fall out of it.
const SWEEP_EVENTS: u64 = 1_024;
/// After so many batches for which nobody waited it rests. Clients that are sent events are woken by each
/// batch, and wait again while the next ones come.
const UNHEARD_MAX: u32 = 32;
/// How long the log is left alone after it could not be read.
const PAUSE: Duration = Duration::from_millis(500);

/// What follows the log, and what its readers share.
#[derive(Debug)]
pub(super) struct Feed {
    bus: EventBus,
    store: EventStore,
    /// Where the log is read: never on the threads that serve clients.
    reads: Reads,
    ring: RwLock<Ring>,
    readers: Mutex<BTreeMap<u64, Arc<Reader>>>,
    next_reader: AtomicU64,
    /// How many readers have told whom to wake.
    eager: AtomicUsize,
    is_resting: AtomicBool,
    trouble: Mutex<Option<Error>>,
    /// Nothing more is put into the ring.
    is_over: AtomicBool,
    is_stopping: AtomicBool,
    /// For what is waited for beside the log: somebody who waits, and the end of a pause.
    waiting: Mutex<()>,
    called: Condvar,
}

/// Who is woken when there is something for it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) id: u64,
    pub(super) filter: CompiledFilter,
    waker: Mutex<Option<Waker>>,
}

/// The thread of a feed, which ends with this.
#[derive(Debug)]
pub(super) struct FeedThread {
    feed: Arc<Feed>,
    thread: Option<JoinHandle<()>>,
}

impl FeedThread {
    /// Begins to follow the log of a bus, from its present end.
    pub(super) fn start(bus: &EventBus, store: &EventStore, reads: Reads) -> Result<Self> {
        let filter = Filter::all().compile()?;
        let tail = store.tail(filter, Start::Now)?;
        let feed = Arc::new(Feed {
            bus: bus.clone(),
            store: store.clone(),
            reads,
            ring: RwLock::new(Ring::after(tail.cursor())),
            readers: Mutex::default(),
            next_reader: AtomicU64::new(0),
            eager: AtomicUsize::new(0),
            is_resting: AtomicBool::new(false),
            trouble: Mutex::default(),
            is_over: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            waiting: Mutex::default(),
            called: Condvar::new(),
        });
        let thread = {
            let feed = Arc::clone(&feed);
            thread::Builder::new().name("planbus-feed".to_owned()).spawn(move || feed.run(tail))
        };
        let thread = thread
            .map_err(|cause| Error::with_source(ErrorKind::Unavailable, "start the server's feed", cause))?;
        Ok(Self { feed, thread: Some(thread) })
    }

    pub(super) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Whether it follows the log, or rests until somebody wants it to.
    pub(super) fn is_well(&self) -> bool {
        let is_alive = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        let is_over = self.feed.is_over() || self.feed.bus.is_closed();
        is_alive && !is_over && self.feed.trouble().is_none()
    }
}

impl Drop for FeedThread {
    fn drop(&mut self) {
        self.feed.stop();
        if let Some(thread) = self.thread.take() {
            // It panics only where a filter does, which is told there.
            let _ = thread.join();
        }
    }
}

impl Feed {
    /// Adds a reader; to be done before the log is looked at, so that nothing is missed in between.
    pub(super) fn register(&self, filter: CompiledFilter) -> Arc<Reader> {
        let id = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let reader = Arc::new(Reader { id, filter, waker: Mutex::default() });
        self.readers.lock().insert(id, Arc::clone(&reader));
        self.call();
        reader
    }

    pub(super) fn unregister(&self, reader: &Reader) {
        self.readers.lock().remove(&reader.id);
        drop(self.take_waker(reader));
    }

    /// Whom to wake for a reader; to be told before it looks.
    pub(super) fn wake_later(&self, reader: &Reader, waker: &Waker) {
        let mut kept = reader.waker.lock();
        if let Some(kept) = &mut *kept {
            kept.clone_from(waker);
            return;
        }
        *kept = Some(waker.clone());
        // Counted before it looks whether the thread rests, which says so before it looks at the count:
        // one of them sees the other.
        self.eager.fetch_add(1, Ordering::SeqCst);
        drop(kept);
        if self.is_resting.load(Ordering::SeqCst) {
            self.call();
        }
    }

    fn take_waker(&self, reader: &Reader) -> Option<Waker> {
        let waker = reader.waker.lock().take();
        if waker.is_some() {
            self.eager.fetch_sub(1, Ordering::SeqCst);
        }
        waker
    }

    /// Whether there is somebody to wake.
    fn is_awaited(&self) -> bool {
        self.eager.load(Ordering::SeqCst) > 0
    }

    /// How many follow.
    pub(super) fn readers(&self) -> usize {
        self.readers.lock().len()
    }

    /// Waits until somebody follows, at most this long; says whether somebody does.
    pub(super) fn wait_for_reader(&self, time: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        self.called.wait_while_for(&mut waiting, |()| self.readers() == 0 && !self.is_stopping(), time);
        drop(waiting);
        self.readers() > 0
    }

    pub(super) fn take(&self, after: u64, filter: &CompiledFilter) -> Taken {
        self.ring.read().take(after, filter)
    }

    pub(super) fn store(&self) -> &EventStore {
        &self.store
    }

    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Whether nothing more comes behind what is there.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Why the log cannot be followed now.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().clone()
    }

    /// Ends the feed, and with it what every reader gets.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.call();
        self.store.wake_tails();
        self.wake_all();
    }

    /// Whether readers are to end where they are.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Ends a wait of the thread that is not for the log.
    fn call(&self) {
        drop(self.waiting.lock());
        self.called.notify_all();
    }

    fn run(&self, mut tail: LogTail) {
        loop {
            let followed = self.follow(&mut tail);
            // The store keeps nothing for a tail that is not read.
            drop(tail);
            match followed {
                Ok(Followed::ToTheEnd) => break,
                Ok(Followed::ForNobody) => self.rest(),
                Err(error) if error.kind() == ErrorKind::Closed => break,
                Err(error) => {
                    tracing::warn!(target: "planbus.serve", %error, "the log cannot be followed");
                    let is_overtaken = error.kind() == ErrorKind::Pruned;
                    *self.trouble.lock() = Some(error);
                    if !is_overtaken {
                        self.pause();
                    }
                }
            }
            match self.begin_again() {
                Some(again) => tail = again,
                None => break,
            }
        }
        self.is_over.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Passes events on as long as there is somebody to pass them on to.
    fn follow(&self, tail: &mut LogTail) -> Result<Followed> {
        let mut unheard = 0;
        while !self.is_stopping() {
            if unheard == UNHEARD_MAX || self.readers.lock().is_empty() {
                return Ok(Followed::ForNobody);
            }
            // Looked at first: all that was published before the end is then read below.
            let is_last = self.bus.is_drained();
            let wait = if is_last { Duration::ZERO } else { Duration::MAX };
            let Some(first) = tail.next_timeout(wait)? else {
                if is_last {
                    return Ok(Followed::ToTheEnd);
                }
                continue;
            };
            let mut batch = vec![Arc::new(Frame::new(first))];
            let rest = loop {
                match tail.next_timeout(Duration::ZERO) {
                    Ok(Some(event)) => batch.push(Arc::new(Frame::new(event))),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
                if batch.len() == BATCH_MAX {
                    break Ok(());
                }
            };
            unheard = if self.is_awaited() { 0 } else { unheard + 1 };
            self.pass_on(batch);
            rest?;
            self.trouble.lock().take();
        }
        Ok(Followed::ToTheEnd)
    }

    fn pass_on(&self, batch: Vec<Arc<Frame>>) {
        let is_sweep = {
            let mut ring = self.ring.write();
            let before = ring.head();
            ring.push(batch.iter().cloned());
            before / SWEEP_EVENTS != ring.head() / SWEEP_EVENTS
        };
        self.wake(|reader| is_sweep || batch.iter().any(|frame| reader.filter.matches(frame.event())));
    }

    fn wake_all(&self) {
        self.wake(|_| true);
    }

    /// Wakes with nothing locked: what a waker does is its own affair, and may end its reader.
    fn wake(&self, is_for: impl Fn(&Reader) -> bool) {
        let readers = self.readers.lock();
        let wanted = readers.values().filter(|reader| is_for(reader));
        let wakers: Vec<_> = wanted.filter_map(|reader| self.take_waker(reader)).collect();
        drop(readers);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until somebody waits for an event.
    fn rest(&self) {
        let mut waiting = self.waiting.lock();
        self.is_resting.store(true, Ordering::SeqCst);
        while !self.is_stopping() && !self.is_awaited() {
            self.called.wait(&mut waiting);
        }
        self.is_resting.store(false, Ordering::SeqCst);
    }

    /// Leaves the log alone for a moment.
    fn pause(&self) {
        let mut waiting = self.waiting.lock();
        if !self.is_stopping() {
            self.called.wait_for(&mut waiting, PAUSE);
        }
    }

    /// A tail that begins now, once the log can be read; `None` when there is nothing more to follow. What
    /// the ring holds is not followed by what comes, so it is emptied, and whoever is behind reads the log.
    fn begin_again(&self) -> Option<LogTail> {
        let tail = loop {
            let filter = Filter::all().compile();
            match filter.and_then(|filter| self.store.tail(filter, Start::Now)) {
                Ok(tail) => break tail,
                Err(error) if error.kind() == ErrorKind::Closed || self.is_stopping() => return None,
                Err(_) => self.pause(),
            }
        };
        *self.ring.write() = Ring::after(tail.cursor());
        self.trouble.lock().take();
        self.wake_all();
        Some(tail)
    }
}

/// How far the feed followed.
enum Followed {
    /// It is to stop, or the bus has ended.
    ToTheEnd,
    /// Nobody waits for an event.
    ForNobody,
}

#[cfg(test)]
mod tests;
