//! [`MirrorWatch`]: a look at a mirror, for whoever wants to know how it is doing.
//!
//! Keeps no mirror running, and asks no Redis: it tells what the mirror's thread last told.

use std::{fmt, sync::Arc, time::Duration};

use super::{shared::Shared, status::MirrorStatus};
use crate::{event::Timestamp, redis::RedisEndpoint, store::EventStore};

/// A look at a mirror, also at one that was stopped.
#[derive(Clone)]
pub(crate) struct MirrorWatch {
    pub(super) store: EventStore,
    pub(super) shared: Arc<Shared>,
    pub(super) name: String,
    endpoint: RedisEndpoint,
}

impl MirrorWatch {
    pub(super) fn new(store: EventStore, shared: Arc<Shared>, name: String, endpoint: RedisEndpoint) -> Self {
        Self { store, shared, name, endpoint }
    }

    /// Where it mirrors to; shown without secrets.
    #[cfg(feature = "server")]
    pub(crate) fn endpoint(&self) -> &RedisEndpoint {
        &self.endpoint
    }

    /// How the mirror is doing.
    pub(super) fn status(&self) -> MirrorStatus {
        let mut status = self.glance();
        if status.lag_events > 0
            && let Some(since) = self.store.recorded_after(status.seq)
        {
            status.lag = Timestamp::now().duration_since(since);
        }
        status
    }

    /// How the mirror is doing, but for since when it lags, for which the log would have to be read.
    pub(crate) fn glance(&self) -> MirrorStatus {
        let news = self.shared.news();
        let head = self.store.head().unwrap_or(news.seq).max(news.seq);
        MirrorStatus {
            name: self.name.clone(),
            state: news.state,
            seq: news.seq,
            is_compared: news.is_compared,
            head,
            lag_events: head - news.seq,
            lag: Duration::ZERO,
            appended: news.appended,
            streams: news.streams,
            skipped: news.skipped,
            troubled: news.troubled,
            trim_held_by: news.trim_held_by,
            last_error: news.last_error,
            server: news.server,
        }
    }

    /// Shows the mirror under the name of what holds the look.
    pub(super) fn write(&self, holder: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(holder)
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .field("news", &self.shared.news())
            .finish()
    }
}

impl fmt::Debug for MirrorWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write("MirrorWatch", f)
    }
}
