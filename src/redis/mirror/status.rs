//! [`MirrorStatus`]: how a mirror is doing, for programs and people.
//!
//! A snapshot; it never changes and holds nothing open.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{error::Error, redis::ServerInfo, store::Skipped};

/// What a mirror is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MirrorState {
    /// It appends what Redis does not have yet.
    CatchingUp,
    /// Redis has everything, or all but the events of the last moment.
    Live,
    /// Redis cannot be reached, or refuses for now: the mirror tries again by itself.
    Retrying,
    /// A stream, or Redis as a whole, refuses in a way that somebody has to mend; see
    /// [`troubled`](MirrorStatus::troubled) and [`last_error`](MirrorStatus::last_error). What is
    /// not concerned goes on, and the mirror goes on by itself once it is mended.
    Blocked,
    /// A stream holds events that the log does not: the database was restored or copied. Nothing is
    /// appended to it until it is rebuilt.
    Forked,
    /// The mirror was stopped, or its store was closed.
    Stopped,
}

impl MirrorState {
    /// The state's name, as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CatchingUp => "catching_up",
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Blocked => "blocked",
            Self::Forked => "forked",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for MirrorState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stream that the mirror does not append to, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamTrouble {
    /// The stream's key.
    pub stream: String,
    /// [`Blocked`](MirrorState::Blocked) or [`Forked`](MirrorState::Forked).
    pub state: MirrorState,
    /// What is wrong, and what to do.
    pub error: Error,
}

/// How a mirror is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MirrorStatus {
    /// The mirror's name.
    pub name: String,
    /// What it is doing.
    pub state: MirrorState,
    /// All events up to this seq are in their streams, or were left out.
    pub seq: u64,
    /// Whether the mirror has looked into Redis yet: before that, `seq` is what it remembers.
    pub is_compared: bool,
    /// The last seq of the log.
    pub head: u64,
    /// How many events of the log the mirror has not handled yet.
    pub lag_events: u64,
    /// How long ago the first of these was recorded; zero where there is none.
    pub lag: Duration,
    /// How many entries it has appended since it was started.
    pub appended: u64,
    /// How many streams it knows.
    pub streams: usize,
    /// What it left out, ever, by reason.
    pub skipped: Vec<Skipped>,
    /// Streams that wait for somebody.
    pub troubled: Vec<StreamTrouble>,
    /// The last streams whose trimming a consumer group holds back, with the group.
    pub trim_held_by: Vec<(String, String)>,
    /// What went wrong last; `None` once all is well again.
    pub last_error: Option<Error>,
    /// The server, once it was reached.
    pub server: Option<ServerInfo>,
}
