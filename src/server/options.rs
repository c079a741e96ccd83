//! [`Options`]: what a server was told, valid.

use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use super::{access::AccessOptions, executor::PlanExecutor, searching::SearchFile};
#[cfg(feature = "redis")]
use crate::redis::{MirrorWatch, Streams};
use crate::{
    error::{Error, ErrorKind, Result},
    event::PAYLOAD_MAX_BYTES,
};

pub(super) const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
pub(super) const THREADS: RangeInclusive<usize> = 1..=64;
pub(super) const SEND_BUFFER_BYTES: RangeInclusive<u32> = (4 << 10)..=(16 << 20);
/// Clients of A2A give a stream up that is silent for five seconds.
pub(super) const HEARTBEAT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3);
pub(super) const REQUEST_TIME: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);
pub(super) const BODY_BYTES: RangeInclusive<usize> = (1 << 10)..=(64 << 20);
pub(super) const SLOW_CLIENT: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);

/// What a server was told.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) bind: String,
    pub(super) threads: usize,
    pub(super) connections_max: usize,
    pub(super) send_buffer_bytes: u32,
    pub(super) heartbeat: Duration,
    pub(super) slow_client: Duration,
    pub(super) request_time: Duration,
    pub(super) body_bytes_max: usize,
    #[cfg(feature = "redis")]
    pub(super) redis: Option<Streams>,
    #[cfg(feature = "redis")]
    pub(super) mirrors: Vec<MirrorWatch>,
    pub(super) executor: Option<Executor>,
    pub(super) access: AccessOptions,
    pub(super) search: Option<SearchFile>,
}

/// What runs plans for clients.
#[derive(Clone)]
pub(super) struct Executor(pub(super) Arc<dyn PlanExecutor>);

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:7070".to_owned(),
            threads: 2,
            connections_max: 4_096,
            send_buffer_bytes: 128 << 10,
            heartbeat: Duration::from_secs(2),
            slow_client: Duration::from_secs(10),
            request_time: Duration::from_secs(10),
            // A payload as large as it may be, and what stands round it.
            body_bytes_max: PAYLOAD_MAX_BYTES + (1 << 20),
            #[cfg(feature = "redis")]
            redis: None,
            #[cfg(feature = "redis")]
            mirrors: Vec::new(),
            executor: None,
            access: AccessOptions::default(),
            search: None,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        check("threads", &self.threads, THREADS)?;
        check("connections_max", &self.connections_max, CONNECTIONS)?;
        check("send_buffer_bytes", &self.send_buffer_bytes, SEND_BUFFER_BYTES)?;
        check_time("heartbeat", self.heartbeat, HEARTBEAT)?;
        check_time("slow_client", self.slow_client, SLOW_CLIENT)?;
        check("body_bytes_max", &self.body_bytes_max, BODY_BYTES)?;
        check_time("request_time", self.request_time, REQUEST_TIME)
    }
}

fn check<T: PartialOrd + std::fmt::Display>(name: &str, value: &T, range: RangeInclusive<T>) -> Result<()> {
    if range.contains(value) {
        return Ok(());
    }
    let problem = format!("{name} must be {} to {}, got {value}", range.start(), range.end());
    Err(Error::new(ErrorKind::InvalidOption, problem))
}

fn check_time(name: &str, value: Duration, range: RangeInclusive<Duration>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let problem = format!("{name} must be {:?} to {:?}, got {value:?}", range.start(), range.end());
    Err(Error::new(ErrorKind::InvalidOption, problem))
}
