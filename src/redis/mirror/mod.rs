//! The mirror: Redis Streams that equal the log, whatever happens to Redis.
//!
//! [`RedisMirror`] is the handle of a thread that reads the log and appends what the streams lack.
//! Where it stands is kept in the streams themselves, as a consumer group of its own, so that it
//! lives and dies with the entries. It never holds up a publisher.

mod batch;
mod book;
mod builder;
mod checks;
mod place;
mod position;
mod script;
mod session;
mod shared;
mod status;
mod tally;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    fmt,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use self::shared::Shared;
pub use self::{
    batch::OnInexpressible,
    builder::MirrorBuilder,
    status::{MirrorState, MirrorStatus, StreamTrouble},
};
use super::RedisEndpoint;
use crate::{
    error::{Error, ErrorKind, Result},
    store::EventStore,
};

/// A mirror of the log in Redis Streams.
///
/// Once Redis is reachable, every event is in its stream exactly once and in the order of the log,
/// whatever was killed, cut, flushed or failed over in between. Redis being away neither slows nor
/// fails a publish: the mirror falls behind, says so, and catches up by itself.
///
/// Events that the profile's trimming, or retention in the log, took away are not brought back, and
/// what the profile cannot express is left out and counted. The mirror's cursor in the store holds
/// retention back, so that nothing is pruned before it was mirrored, unless the operator forces it.
///
/// It is stopped when it is dropped.
///
/// ```no_run
/// use std::time::Duration;
/// use planbus::{EventStore, redis::{Profile, RedisEndpoint, RedisMirror}};
///
/// let store = EventStore::open("planbus.db")?;
/// let endpoint = RedisEndpoint::parse("redis://127.0.0.1:6379/0")?;
/// let mirror = RedisMirror::builder(&store, endpoint).profile(Profile::native()).start()?;
/// mirror.flush(Duration::from_secs(10))?;   // Redis equals the log
/// println!("{}: {} events behind", mirror.status().state, mirror.status().lag_events);
/// # Ok::<(), planbus::Error>(())
/// ```
pub struct RedisMirror {
    store: EventStore,
    shared: Arc<Shared>,
    name: String,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RedisMirror {
    /// A mirror of this store, which this process must have opened as its owner.
    pub fn builder(store: &EventStore, endpoint: RedisEndpoint) -> MirrorBuilder {
        MirrorBuilder::new(store, endpoint)
    }

    fn new(store: EventStore, shared: Arc<Shared>, name: String, thread: JoinHandle<()>) -> Self {
        Self { store, shared, name, thread: Mutex::new(Some(thread)) }
    }

    /// How the mirror is doing.
    #[must_use]
    pub fn status(&self) -> MirrorStatus {
        let news = self.shared.news();
        let head = self.store.head().unwrap_or(news.seq).max(news.seq);
        let waits_since = if head > news.seq { self.store.recorded_after(news.seq) } else { None };
        MirrorStatus {
            name: self.name.clone(),
            state: news.state,
            seq: news.seq,
            is_compared: news.is_compared,
            head,
            lag_events: head - news.seq,
            lag: waits_since.map_or(Duration::ZERO, |since| crate::Timestamp::now().duration_since(since)),
            appended: news.appended,
            streams: news.streams,
            skipped: news.skipped,
            troubled: news.troubled,
            trim_held_by: news.trim_held_by,
            last_error: news.last_error,
            server: news.server,
        }
    }

    /// Waits until Redis equals the log as it is now: until every event is in its stream, and a look
    /// at all streams has shown that they stand where they should. A mirror that waits to try again
    /// does so at once.
    ///
    /// # Errors
    /// `Unavailable` when the time is over, with how far the mirror is and what went wrong last; at
    /// once where it waits for somebody: `Conflict` for a stream that is forked, else the kind of
    /// what blocks it; `Closed` when it was stopped.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now().checked_add(timeout);
        let request = self.shared.request(self.store.head()?);
        self.store.wake_tails();
        let (is_done, news) = self.shared.wait_for(request, deadline);
        if is_done {
            return Ok(());
        }
        let kind = match (&news.last_error, news.state) {
            (_, MirrorState::Stopped) => ErrorKind::Closed,
            (Some(error), MirrorState::Blocked | MirrorState::Forked) => error.kind(),
            _ => ErrorKind::Unavailable,
        };
        let left = request.wanted.saturating_sub(news.seq);
        let told = format!("wait until Redis equals the log: {}, {left} events to go", news.state);
        Err(match news.last_error {
            Some(cause) => Error::with_source(kind, told, cause),
            None => Error::new(kind, told),
        })
    }

    /// Stops the mirror and waits for its thread: at most as long as one round trip may take. What
    /// was not mirrored yet is by the next one. Stopping again does nothing.
    ///
    /// # Errors
    /// `Storage` when the thread had panicked.
    pub fn stop(&self) -> Result<()> {
        self.shared.stop();
        self.store.wake_tails();
        let Some(thread) = self.thread.lock().take() else { return Ok(()) };
        thread.join().map_err(|_| Error::new(ErrorKind::Storage, "the mirror's thread panicked"))
    }
}

impl Drop for RedisMirror {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(mirror = self.name.as_str(), %error, "planbus.mirror");
        }
    }
}

impl fmt::Debug for RedisMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisMirror").field("name", &self.name).field("news", &self.shared.news()).finish()
    }
}
