//! [`StreamList`]: which streams a profile has.
//!
//! Names them and looks into none.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    error::{Error, ErrorKind, Result},
    redis::{profile::Profile, session::Session},
};

/// The most streams of one profile: more are refused, not listed in part.
pub const LIST_MAX_STREAMS: usize = 10_000;

/// The most keys of a server that are looked through only to count the streams among them.
const COUNT_MAX_KEYS: u64 = 1_000_000;

/// The keys of a profile's streams, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StreamList {
    /// Streams of events.
    pub streams: Vec<String>,
    /// The dead-letter queues that these streams have.
    pub dead_letters: Vec<String>,
}

/// All streams of a profile, for whoever only wants to know how many: not where finding them would
/// keep the server busy.
pub(super) fn list_to_count(session: &mut Session, profile: &Profile) -> Result<StreamList> {
    if profile.registry().is_none() && session.keys()? > COUNT_MAX_KEYS {
        let told = format!("count streams: the server holds more than {COUNT_MAX_KEYS} keys");
        return Err(Error::new(ErrorKind::TooLarge, told));
    }
    list(session, profile)
}

/// All streams of a profile.
pub(in crate::redis) fn list(session: &mut Session, profile: &Profile) -> Result<StreamList> {
    let names = find(session, profile, &[profile.stream_pattern()])?;
    let queues: BTreeSet<String> = names.iter().map(|name| profile.dlq_key(name)).collect();
    let queues: Vec<String> = queues.into_iter().collect();
    let dead_letters = session.streams_of(&queues)?;
    Ok(StreamList { streams: names.into_iter().collect(), dead_letters })
}

/// The keys of a profile that are streams and match one of these patterns.
pub(in crate::redis) fn find(
    session: &mut Session,
    profile: &Profile,
    patterns: &[String],
) -> Result<BTreeSet<String>> {
    let mut named = BTreeSet::new();
    for pattern in patterns {
        named.extend(match profile.registry() {
            Some(registry) => session.members(registry, pattern)?,
            None => session.scan(pattern, LIST_MAX_STREAMS)?,
        });
    }
    // A pattern matches more than its template, like the dead letters beside a stream.
    named.retain(|name| profile.is_stream(name));
    if profile.registry().is_some() {
        let named_only: Vec<String> = std::mem::take(&mut named).into_iter().collect();
        named.extend(session.streams_of(&named_only)?);
    }
    if named.len() > LIST_MAX_STREAMS {
        let told = format!("list streams: the profile has more than {LIST_MAX_STREAMS}");
        return Err(Error::new(ErrorKind::TooLarge, told));
    }
    let queues: BTreeSet<String> = named.iter().map(|name| profile.dlq_key(name)).collect();
    named.retain(|name| !queues.contains(name));
    Ok(named)
}
