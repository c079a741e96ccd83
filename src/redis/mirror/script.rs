//! The commands that a mirror sends, and what their answers mean.
//!
//! Two scripts write: one makes the mirror's group in a stream, one appends and moves it. Each
//! compares before it writes, so that sending one twice does no harm. They are always sent whole:
//! a batch is larger than they are, and a server that forgot them is no case of its own.

use std::fmt::Write as _;

use ::redis::{Cmd, cmd};

use super::position::Position;
use crate::redis::{
    client::Reply,
    fault::Refusal,
    profile::Entry,
    reply::{integer, list, pairs, text},
};

const APPEND: &str = concat!(include_str!("position.lua"), include_str!("append.lua"));
const PLACE: &str = concat!(include_str!("position.lua"), include_str!("place.lua"));

/// Entries for one stream, on their way into one script call.
#[derive(Debug)]
pub(super) struct Append {
    command: Cmd,
    /// The last entry: what the next one has in common with it is not sent again.
    last: Entry,
    /// Where what an entry changes is written before it is sent.
    layout: String,
    ids: Vec<Position>,
}

impl Append {
    pub(super) fn new(stream: &str, group: &str) -> Self {
        let mut command = cmd("EVAL");
        command.arg(APPEND).arg(1).arg(stream).arg(group);
        Self { command, last: Entry::default(), layout: String::new(), ids: Vec::new() }
    }

    /// Adds an entry behind the others.
    pub(super) fn push(&mut self, id: Position, entry: &Entry) {
        self.command.arg(id.to_string());
        match entry.changes(&self.last) {
            Some(changes) => {
                self.layout.clear();
                self.layout.push('=');
                // A String takes all text.
                changes.clone().for_each(|(number, _)| _ = write!(self.layout, "{number},"));
                self.command.arg(&self.layout);
                changes.for_each(|(_, value)| _ = self.command.arg(value));
            }
            None => {
                self.command.arg(entry.fields().count());
                entry.fields().for_each(|(name, _)| _ = self.command.arg(name));
                entry.fields().for_each(|(_, value)| _ = self.command.arg(value));
            }
        }
        self.last.clone_from(entry);
        self.ids.push(id);
    }

    /// The seqs, in their order.
    pub(super) fn ids(&self) -> &[Position] {
        &self.ids
    }

    /// The position that the stream has when all was appended.
    pub(super) fn last(&self) -> Position {
        self.ids.last().copied().unwrap_or_default()
    }

    /// The command, for a stream that is believed to stand at this position.
    pub(super) fn into_command(mut self, believed: Position) -> (Cmd, Vec<Position>) {
        let known = self.ids.iter().take_while(|id| id.seq <= believed.seq).count();
        self.command.arg(believed.to_string()).arg(known);
        (self.command, self.ids)
    }
}

/// The highest id that there is: a stream that has it takes no more entries.
pub(super) const LAST_ID: &str = "18446744073709551615-18446744073709551615";

/// What a script did.
#[derive(Debug, PartialEq)]
pub(super) struct Appended {
    /// Where the stream stands now; `None` where the mirror has no group in it.
    pub(super) at: Option<Position>,
    /// How many entries are new.
    pub(super) added: u64,
    /// Why not all was appended, where the server said so.
    pub(super) refused: Option<Refusal>,
}

impl Appended {
    pub(super) fn of_reply(reply: Reply) -> Result<Self, Refusal> {
        let mut parts = list(reply?).map_err(|_| strange())?.into_iter();
        let at = parts.next().and_then(|at| text(at).ok()).ok_or_else(strange)?;
        let added = parts.next().and_then(|added| integer(added).ok()).ok_or_else(strange)?;
        let refused = parts.next().and_then(|error| text(error).ok());
        let refused = refused.as_deref().map(caught);
        Ok(Self { at: position(&at)?, added: added.unsigned_abs(), refused })
    }
}

/// Makes the mirror's group at a position, where it has none; `found_by` are the stream's last id and
/// the entry (empty for none) that the position was found by.
pub(super) fn place(stream: &str, group: &str, at: Position, found_by: Option<(&str, &str)>) -> Cmd {
    let mut command = cmd("EVAL");
    let (seen, entry) = found_by.unwrap_or(("*", ""));
    command.arg(PLACE).arg(1).arg(stream).arg(group).arg(at.to_string()).arg(seen).arg(entry);
    command
}

/// Asks for one entry.
pub(super) fn entry(stream: &str, id: &str) -> Cmd {
    let mut command = cmd("XRANGE");
    command.arg(stream).arg(id).arg(id);
    command
}

/// Asks for the groups of a stream.
pub(super) fn groups(stream: &str) -> Cmd {
    let mut command = cmd("XINFO");
    command.arg("GROUPS").arg(stream);
    command
}

/// Asks what a stream is like.
pub(super) fn info(stream: &str) -> Cmd {
    let mut command = cmd("XINFO");
    command.arg("STREAM").arg(stream);
    command
}

/// Whether a stream may be appended to: an entry whose id no stream takes, so that only what stands
/// in the way before that is told.
pub(super) fn probe(stream: &str) -> Cmd {
    let mut command = cmd("XADD");
    command.arg(stream).arg("0-0").arg("probe").arg("");
    command
}

/// What a [`probe`] was refused for, where it is more than its id.
pub(super) fn probed(reply: Reply) -> Option<Refusal> {
    reply.err().filter(|refusal| !refusal.message.contains("must be greater than 0-0"))
}

/// Asks for the newest entries of a stream between two bounds, the newest first.
pub(super) fn newest(stream: &str, (before, after): (&str, &str), count: usize) -> Cmd {
    let mut command = cmd("XREVRANGE");
    command.arg(stream).arg(before).arg(after).arg("COUNT").arg(count);
    command
}

/// The position of `group` in what [`groups`] was answered; `None` where there is none.
pub(super) fn position_of(reply: Reply, group: &str) -> Result<Option<Position>, Refusal> {
    let groups = match reply {
        Err(refusal) if is_missing(&refusal) => return Ok(None),
        reply => list(reply?).map_err(|_| strange())?,
    };
    for fields in groups {
        let fields = pairs(fields).map_err(|_| strange())?;
        let field = |name: &str| {
            let value = fields.iter().find(|(field, _)| field == name.as_bytes()).map(|(_, value)| value);
            value.and_then(|value| text(value.clone()).ok())
        };
        if field("name").as_deref() == Some(group) {
            return position(&field("last-delivered-id").ok_or_else(strange)?);
        }
    }
    Ok(None)
}

/// The last id that a stream gave, in what [`info`] was answered; empty where there is no stream.
pub(super) fn last_id(reply: Reply) -> Result<String, Refusal> {
    let info = match reply {
        Err(refusal) if is_missing(&refusal) => return Ok(String::new()),
        reply => pairs(reply?).map_err(|_| strange())?,
    };
    let last = info.into_iter().find(|(field, _)| field == b"last-generated-id");
    last.and_then(|(_, value)| text(value).ok()).ok_or_else(strange)
}

fn position(id: &str) -> Result<Option<Position>, Refusal> {
    match id {
        "" => Ok(None),
        id => Position::parse(id).map(Some).ok_or_else(strange),
    }
}

/// An error that a script caught. Redis 6.2 puts the place in the script before it.
fn caught(error: &str) -> Refusal {
    let error = match error.split_once(": -") {
        Some((place, error)) if place.starts_with("@user_script") => error,
        _ => error,
    };
    let (code, message) = error.trim_end().split_once(' ').unwrap_or((error, ""));
    Refusal::new(code, message)
}

fn is_missing(refusal: &Refusal) -> bool {
    refusal.message.contains("no such key")
}

/// An answer that no such command gives.
fn strange() -> Refusal {
    Refusal::new("ERR", "the answer has another form than that of such a command")
}
