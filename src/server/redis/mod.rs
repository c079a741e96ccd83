//! [`Redis`]: the Redis that a server was given to look at, and how it is asked.
//!
//! Whoever asks waits for seconds at most, and holds up nobody but others who ask Redis. What Redis
//! answers is told as it is, also its refusals: those who may ask look after it.

mod look;

use std::{error::Error as StdError, sync::Arc, time::Duration};

use axum::http::StatusCode;
use tokio::time::timeout;

use self::look::Looks;
pub(super) use self::look::{Found, Look, MirroredStream, Queue};
use super::{
    problem::Problem,
    reads::{Reads, Work},
};
use crate::{
    error::{Error, ErrorKind, Result},
    redis::Streams,
    store::EventStore,
};

/// How long a caller waits for an answer, its turn included. The call itself takes as long as the
/// endpoint's timeouts let it.
const ASK_MAX: Duration = Duration::from_secs(4);

/// The Redis of a server.
#[derive(Debug)]
pub(super) struct Redis {
    streams: Streams,
    looks: Arc<Looks>,
}

impl Redis {
    pub(super) fn new(streams: Streams, store: EventStore) -> Self {
        Self { looks: Looks::new(streams.clone(), store), streams }
    }

    /// How Redis stands now, or stood a moment ago.
    pub(super) async fn look(&self) -> Arc<Look> {
        self.looks.look().await
    }

    /// Lets the next look be a new one, after something was changed.
    pub(super) fn forget(&self) {
        self.looks.forget();
    }

    /// Asks what nobody asked a moment ago.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        reads: &Reads,
        ask: impl FnOnce(&Streams) -> Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let streams = self.streams.clone();
        match timeout(ASK_MAX, reads.run(Work::Redis, move || Ok(ask(&streams)))).await {
            Ok(Ok(answer)) => answer.map_err(|error| refused(&error)),
            Ok(Err(failed)) => Err(failed.into()),
            Err(_) => {
                let message = format!("redis: no answer within {ASK_MAX:?}; try again later");
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message))
            }
        }
    }
}

/// What Redis refused, or why it could not be asked.
fn refused(error: &Error) -> Problem {
    let told = |status, kind| Problem::new(status, kind, told(error));
    match error.kind() {
        // Not the caller's token: that of the server.
        ErrorKind::Unauthorized => told(StatusCode::BAD_GATEWAY, "Unauthorized"),
        ErrorKind::Unavailable => told(StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        ErrorKind::Storage => told(StatusCode::BAD_GATEWAY, "Storage"),
        _ => error.clone().into(),
    }
}

/// An error with its causes, which tell no secret.
pub(super) fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some causes repeat their own cause.
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}
