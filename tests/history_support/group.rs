//! What stands in Redis of a group: what it has still to do, and its dead letters.
//!
//! Looks with a client of its own, and changes nothing.

use std::{collections::HashMap, fmt};

use super::check::{self, DLQ, Mark};
use crate::redis_support::{RedisServer, Reply};

/// How many entries that nobody has read are counted.
const COUNTED: &str = "1000";

/// What a group has still to do in one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// Entries that were never delivered; all of them where there is no group.
    pub(crate) unread: usize,
    /// Entries that were delivered and are not done.
    pub(crate) pending: usize,
    /// What waits for its time.
    pub(crate) due: usize,
    /// What is known of failures.
    pub(crate) failures: usize,
    /// Dead letters that were sent back.
    pub(crate) replays: usize,
}

impl Left {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// All together.
    pub(crate) fn count(&self) -> usize {
        self.unread + self.pending + self.due + self.failures + self.replays
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unread, pending, due, failures, replays } = self;
        write!(f, "{unread} unread, {pending} pending, {due} due, {failures} failures, {replays} sent back")
    }
}

/// What a group has still to do, by stream; only streams where that is something.
pub(crate) fn left(server: &RedisServer, group: &str) -> HashMap<String, Left> {
    let of = |stream: String| (left_in(server, &stream, group), stream);
    let all = check::streams(server).into_iter().map(of);
    all.filter(|(left, _)| !left.is_nothing()).map(|(left, stream)| (stream, left)).collect()
}

fn left_in(server: &RedisServer, stream: &str, group: &str) -> Left {
    let number = |reply: Reply| match reply {
        Reply::Integer(number) => usize::try_from(number).expect("a count"),
        _ => 0,
    };
    let beside = |part: &str| format!("{stream}{DLQ}:{group}:{part}");
    let groups = server.call(&["XINFO", "GROUPS", stream]).items();
    let own = groups.into_iter().map(fields).find(|info| info["name"].to_string() == group);
    let (behind, pending) = match own {
        Some(mut info) => {
            let pending = number(info.remove("pending").expect("XINFO GROUPS tells"));
            (format!("({}", info["last-delivered-id"]), pending)
        }
        None => ("-".to_owned(), 0),
    };
    Left {
        unread: server.call(&["XRANGE", stream, &behind, "+", "COUNT", COUNTED]).items().len(),
        pending,
        due: number(server.call(&["ZCARD", &beside("due")])),
        failures: number(server.call(&["HLEN", &beside("failures")])),
        replays: number(server.call(&["XLEN", &beside("replay")])),
    }
}

fn fields(reply: Reply) -> HashMap<String, Reply> {
    reply.items().chunks_exact(2).map(|pair| (pair[0].to_string(), pair[1].clone())).collect()
}

/// How many pending entries a consumer has, be it any of this name.
pub(crate) fn pending_of(server: &RedisServer, group: &str, name: &str) -> usize {
    let of_stream = |stream: String| {
        let consumers = server.call(&["XINFO", "CONSUMERS", &stream, group]).items();
        let own = consumers.into_iter().map(fields).filter(|info| {
            let full = info["name"].to_string();
            full.split_once('.').map_or(full.as_str(), |(name, _)| name) == name
        });
        own.map(|info| info["pending"].to_string().parse::<usize>().expect("a count")).sum::<usize>()
    };
    check::streams(server).into_iter().map(of_stream).sum()
}

/// A dead letter.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) group: String,
    /// The event in it; `None` where it is none of ours.
    pub(crate) event_id: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
}

/// The dead letters of all groups and streams.
pub(crate) fn letters(server: &RedisServer) -> Vec<Letter> {
    let keys = server.call(&["KEYS", &format!("*{DLQ}")]).items();
    let entries = keys.iter().flat_map(|key| server.entries(&key.to_string()));
    let letter = |(_, fields): (String, Vec<(String, String)>)| {
        let group = fields.iter().find(|(name, _)| name == "_dlq_group").map(|(_, value)| value.clone());
        let event_id = Mark::of(&fields).map(|mark| mark.event_id);
        Letter { group: group.unwrap_or_default(), event_id, fields }
    };
    entries.map(letter).collect()
}
