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
mod watch;
mod worker;

use std::{
    fmt,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

pub(crate) use self::watch::MirrorWatch;
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
    watch: MirrorWatch,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RedisMirror {
    /// A mirror of this store, which this process must have opened as its owner.
    pub fn builder(store: &EventStore, endpoint: RedisEndpoint) -> MirrorBuilder {
        MirrorBuilder::new(store, endpoint)
    }

    fn new(watch: MirrorWatch, thread: JoinHandle<()>) -> Self {
        Self { watch, thread: Mutex::new(Some(thread)) }
    }

    /// How the mirror is doing.
    #[must_use]
    pub fn status(&self) -> MirrorStatus {
        self.watch.status()
    }

    /// A look at the mirror for somebody else, which does not keep it running.
    #[cfg(feature = "server")]
    pub(crate) fn watch(&self) -> MirrorWatch {
        self.watch.clone()
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
        let request = self.watch.shared.request(self.watch.store.head()?);
        self.watch.store.wake_tails();
        let (is_done, news) = self.watch.shared.wait_for(request, deadline);
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
        self.watch.shared.stop();
        self.watch.store.wake_tails();
        let Some(thread) = self.thread.lock().take() else { return Ok(()) };
        thread.join().map_err(|_| Error::new(ErrorKind::Storage, "the mirror's thread panicked"))
    }
}

impl Drop for RedisMirror {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(mirror = self.watch.name.as_str(), %error, "planbus.mirror");
        }
    }
}

impl fmt::Debug for RedisMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.watch.write("RedisMirror", f)
    }
}
