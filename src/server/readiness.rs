//! [`Readiness`]: whether the log can be read, looked up no more often than is worth it.
//!
//! Strangers may ask as often as they like: they wait for one look together.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, time::timeout};

use crate::error::Result;

/// For how long a look is good.
const GOOD_FOR: Duration = Duration::from_millis(500);
/// How long the log may take to be read: one that takes longer is of no use to a client either.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Whether the log can be read, as it was a moment ago.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// Whether the log can be read; `read` does, if it has to be tried again.
    pub(super) async fn is_readable(&self, read: impl Future<Output = Result<()>>) -> bool {
        let mut last = self.last.lock().await;
        if let Some((until, is_readable)) = *last
            && until > Instant::now()
        {
            return is_readable;
        }
        let read = timeout(WAIT_MAX, read).await;
        let is_readable = matches!(read, Ok(Ok(())));
        if !is_readable {
            tracing::warn!(target: "planbus.serve", ?read, "the log cannot be read");
        }
        *last = Some((Instant::now() + GOOD_FOR, is_readable));
        is_readable
    }
}
