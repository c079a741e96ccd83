//! [`TrimRule`]: what may leave a stream because somebody asked.
//!
//! Without force, never what a group has not read and acked.

use std::time::Duration;

use serde::Serialize;

use crate::{
    error::{Error, Result},
    redis::{
        entry::EntryId,
        reply,
        session::Session,
        trim::{self, TrimStep},
    },
};

/// What may leave a stream: always its oldest entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrimRule {
    /// All but so many of the newest entries.
    MaxLen(u64),
    /// Every entry before this id.
    MinId(EntryId),
    /// Every entry that came longer ago than this, by the server's clock.
    OlderThan(Duration),
}

/// What [`Streams::trim`](super::Streams::trim) did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TrimReport {
    /// How many entries were removed.
    pub removed: u64,
    /// The group that kept more from being removed: it has not read or not acked the oldest entry that
    /// is left.
    pub held_by: Option<String>,
}

impl TrimRule {
    fn name(self) -> &'static str {
        match self {
            Self::MaxLen(_) => "max_len",
            Self::MinId(_) => "min_id",
            Self::OlderThan(_) => "older_than",
        }
    }

    fn limit(self) -> Result<String> {
        match self {
            Self::MaxLen(entries) => Ok(entries.to_string()),
            Self::MinId(id) => Ok(id.to_string()),
            Self::OlderThan(age) => u64::try_from(age.as_millis())
                .map(|millis| millis.to_string())
                .map_err(|_| Error::invalid("older_than", "must be at most 2^64 milliseconds")),
        }
    }
}

/// Trims step by step, until nothing more may leave.
pub(super) fn trim(session: &mut Session, name: &str, rule: TrimRule, force: bool) -> Result<TrimReport> {
    let command = trim::rule_command(name, rule.name(), &rule.limit()?, force);
    session.check_stream(name)?;
    let mut report = TrimReport::default();
    loop {
        let answer = session.ask(&command)?;
        let step = TrimStep::of_reply(&answer).ok_or_else(|| reply::unexpected("one to a trim"))?;
        report.removed += step.removed;
        report.held_by = step.held_by;
        if step.removed == 0 || report.held_by.is_some() {
            return Ok(report);
        }
    }
}
