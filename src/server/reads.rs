//! [`Reads`]: who may read the log at a time, so that nobody's long read holds up what is short.
//!
//! Each kind of work has places of its own. Whoever waits for one holds no thread, and who is gone
//! before its turn is never worked for. Never reads by itself.

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::{runtime::Handle, sync::Semaphore};

use crate::error::{Error, ErrorKind, Result};

/// How many look something up at a time.
const LOOK_UPS_MAX: usize = 2;
/// How many clients that are behind read on at a time.
const REPLAYS_MAX: usize = 3;
/// How many requests that may take long are answered at a time. With the others this is one less than
/// the store has connections: the process that publishes reads too.
const ANSWERS_MAX: usize = 2;
/// How many calls of the executor run at a time.
const EXECUTIONS_MAX: usize = 4;
/// How many ask a Redis at a time, which may stand still.
#[cfg(feature = "redis")]
const REDIS_MAX: usize = 3;
#[cfg(not(feature = "redis"))]
const REDIS_MAX: usize = 0;
/// How many threads all of them need.
pub(super) const THREADS_MAX: usize = LOOK_UPS_MAX + REPLAYS_MAX + ANSWERS_MAX + EXECUTIONS_MAX + REDIS_MAX;

/// What blocks, by how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A few rows, found by an index.
    LookUp,
    /// The next page for a client that follows, each in its turn.
    Replay,
    /// As much as an answer needs.
    Answer,
    /// What somebody else's code does.
    Execution,
    /// A call of Redis.
    #[cfg(feature = "redis")]
    Redis,
}

/// Work that is waited for. Dropped before its turn, it is not done.
pub(super) type Working<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The places for what blocks.
#[derive(Debug)]
pub(super) struct Reads {
    runtime: Handle,
    look_ups: Arc<Semaphore>,
    replays: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    executions: Arc<Semaphore>,
    #[cfg(feature = "redis")]
    redis: Arc<Semaphore>,
}

impl Reads {
    pub(super) fn new(runtime: Handle) -> Self {
        let places = |max| Arc::new(Semaphore::new(max));
        Self {
            runtime,
            look_ups: places(LOOK_UPS_MAX),
            replays: places(REPLAYS_MAX),
            answers: places(ANSWERS_MAX),
            executions: places(EXECUTIONS_MAX),
            #[cfg(feature = "redis")]
            redis: places(REDIS_MAX),
        }
    }

    /// Does what may block, on a thread for that, once there is a place; first come, first served.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: Work,
        run: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Working<T> {
        let places = Arc::clone(match work {
            Work::LookUp => &self.look_ups,
            Work::Replay => &self.replays,
            Work::Answer => &self.answers,
            Work::Execution => &self.executions,
            #[cfg(feature = "redis")]
            Work::Redis => &self.redis,
        });
        let runtime = self.runtime.clone();
        Box::pin(async move {
            // Places are never closed.
            let place = places.acquire_owned().await.ok();
            let done = runtime.spawn_blocking(move || {
                // Kept while it runs, also where nobody waits for it any more.
                let _place = place;
                run()
            });
            done.await.unwrap_or_else(|cause| {
                let (kind, problem) = match cause.is_panic() {
                    true => (ErrorKind::Storage, "it panicked"),
                    false => (ErrorKind::Closed, "the server stops"),
                };
                Err(Error::with_source(kind, problem, cause))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
        task::{Context, Waker},
    };

    use super::*;

    #[tokio::test]
    async fn who_is_gone_before_its_turn_is_not_worked_for() {
        let reads = Reads::new(Handle::current());
        let (end, ended) = mpsc::channel::<()>();
        let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let ended = Arc::new(parking_lot::Mutex::new(ended));
        let stuck: Vec<_> = (0..ANSWERS_MAX)
            .map(|_| {
                let (ended, begin) = (Arc::clone(&ended), begin.clone());
                tokio::spawn(reads.run(Work::Answer, move || {
                    begin.send(()).expect("heard");
                    ended.lock().recv().expect("is told");
                    Ok(())
                }))
            })
            .collect();
        for _ in 0..ANSWERS_MAX {
            begun.recv().await.expect("begins");
        }
        let done = Arc::new(AtomicUsize::new(0));
        let count = |by: usize| {
            let done = Arc::clone(&done);
            move || Ok(done.fetch_add(by, Ordering::Relaxed))
        };
        let mut asking = Context::from_waker(Waker::noop());
        // Asked for, and left before there was a place.
        let mut left = reads.run(Work::Answer, count(100));
        assert!(left.as_mut().poll(&mut asking).is_pending());
        drop(left);
        let mut waiting = reads.run(Work::Answer, count(1));
        assert!(waiting.as_mut().poll(&mut asking).is_pending());
        // What is short has places of its own.
        reads.run(Work::LookUp, || Ok(())).await.expect("is looked up");
        reads.run(Work::Replay, || Ok(())).await.expect("is read");
        stuck.iter().for_each(|_| end.send(()).expect("heard"));
        waiting.await.expect("has its turn");
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
