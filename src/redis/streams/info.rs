//! [`StreamInfo`]: how a stream stands, with its groups and the mirrors that write it.
//!
//! Asks for figures alone; of the entries it keeps nothing but their ids.

use std::collections::BTreeMap;

use ::redis::{Cmd, Value};
use serde::{Serialize, Serializer};

use crate::{
    error::Result,
    redis::{entry::EntryId, group::mirror_of, reply, session::Session},
};

/// The most entries that are read to count them, for a server that cannot tell how many there are.
const UNREAD_MAX_ENTRIES: usize = 100;

/// How a stream stands.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The stream's key.
    pub name: String,
    /// How many entries it holds.
    pub length: u64,
    /// How much of the server's memory it takes, estimated by the server; `None` where the user may
    /// not ask.
    pub bytes: Option<u64>,
    /// The oldest entry that it holds.
    pub first_id: Option<EntryId>,
    /// The newest entry that it holds.
    pub last_id: Option<EntryId>,
    /// The highest id that it ever gave: the next entry has a higher one.
    pub last_generated_id: EntryId,
    /// How many entries were ever added; `None` before Redis 7.0.
    pub entries_added: Option<u64>,
    /// The groups that consume it, by name. The mirrors' own are not among them.
    pub groups: Vec<GroupInfo>,
    /// The mirrors that write it.
    pub mirrors: Vec<MirrorPosition>,
    /// What trimming stops at; `None` where every group is done with every entry.
    pub held_by: Option<Hold>,
}

/// A group of consumers of a stream.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct GroupInfo {
    /// The group's name.
    pub name: String,
    /// How many consumers it knows, alive or not.
    pub consumers: u64,
    /// How many entries were delivered and not acked.
    pub pending: u64,
    /// How many entries it has not read. Some servers cannot tell, as before Redis 7.0 and after a
    /// deletion in the middle: then up to 100 are counted, and `None` stands for more.
    pub lag: Option<u64>,
    /// The oldest entry that was delivered and not acked.
    pub oldest_pending_id: Option<EntryId>,
    /// The last entry that was delivered.
    pub last_delivered_id: EntryId,
}

/// How far a mirror has come in a stream, as the stream says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MirrorPosition {
    /// The id of the store that it copies.
    pub store: String,
    /// The mirror's name, where it was given one.
    pub name: Option<String>,
    /// The seq of the last event that it appended here.
    pub seq: u64,
    /// The first 64 bits of the log's chain there; in JSON 16 hex digits, since many programs round a
    /// number of that size.
    #[serde(serialize_with = "as_hex")]
    pub chain: u64,
}

/// What trimming stops at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hold {
    /// The group that is farthest behind.
    pub group: String,
    /// The first entry that it has not read or not acked.
    pub from_id: EntryId,
}

impl StreamInfo {
    /// Asks for one stream; `None` where it is not there.
    pub(super) fn ask(session: &mut Session, name: &str) -> Result<Option<Self>> {
        let Some(answer) = session.find(::redis::cmd("XINFO").arg("STREAM").arg(name))? else {
            return Ok(None);
        };
        let mut facts = facts(answer)?;
        let bytes = session.try_ask(::redis::cmd("MEMORY").arg("USAGE").arg(name))?;
        let mut info = Self {
            name: name.to_owned(),
            length: number(facts.remove("length"))?.unwrap_or_default(),
            bytes: number(bytes)?,
            first_id: first_part(facts.remove("first-entry"))?,
            last_id: first_part(facts.remove("last-entry"))?,
            last_generated_id: id(facts.remove("last-generated-id"))?.unwrap_or_default(),
            entries_added: number(facts.remove("entries-added"))?,
            groups: Vec::new(),
            mirrors: Vec::new(),
            held_by: None,
        };
        let groups = session.ask(::redis::cmd("XINFO").arg("GROUPS").arg(name))?;
        for group in reply::list(groups)? {
            info.add_group(session, group)?;
        }
        info.held_by = info.hold();
        Ok(Some(info))
    }

    /// Asks for several; one that is not there is left out.
    pub(in crate::redis) fn ask_all<S: AsRef<str>>(session: &mut Session, names: &[S]) -> Result<Vec<Self>> {
        let infos = names.iter().map(|name| Self::ask(session, name.as_ref()));
        infos.filter_map(Result::transpose).collect()
    }

    fn add_group(&mut self, session: &mut Session, group: Value) -> Result<()> {
        let mut facts = facts(group)?;
        let name = facts.remove("name").map(reply::bytes).transpose()?.unwrap_or_default();
        let last_delivered_id = id(facts.remove("last-delivered-id"))?.unwrap_or_default();
        if let Some((store, name)) = mirror_of(&name) {
            let (seq, chain) = last_delivered_id.halves();
            let (store, name) = (store.to_owned(), name.map(str::to_owned));
            self.mirrors.push(MirrorPosition { store, name, seq, chain });
            return Ok(());
        }
        let pending = number(facts.remove("pending"))?.unwrap_or_default();
        let oldest = (pending > 0).then(|| session.ask(&oldest_pending(&self.name, &name))).transpose()?;
        let lag = match number(facts.remove("lag"))? {
            None => count_unread(session, &self.name, last_delivered_id)?,
            lag => lag,
        };
        self.groups.push(GroupInfo {
            name: String::from_utf8_lossy(&name).into_owned(),
            consumers: number(facts.remove("consumers"))?.unwrap_or_default(),
            pending,
            lag,
            oldest_pending_id: first_part(oldest.map(first_of).transpose()?.flatten())?,
            last_delivered_id,
        });
        Ok(())
    }

    /// The group that is farthest behind, where it is behind at all.
    fn hold(&self) -> Option<Hold> {
        let (first, last) = (self.first_id?, self.last_id?);
        let needs = |group: &GroupInfo| {
            let needed = group.oldest_pending_id.into_iter().chain(group.last_delivered_id.next()).min()?;
            (needed <= last).then(|| Hold { group: group.name.clone(), from_id: needed.max(first) })
        };
        self.groups.iter().filter_map(needs).min_by_key(|hold| hold.from_id)
    }
}

fn as_hex<S: Serializer>(chain: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{chain:016x}"))
}

/// How many entries are behind this one, as far as it is worth reading them.
fn count_unread(session: &mut Session, stream: &str, read: EntryId) -> Result<Option<u64>> {
    let Some(next) = read.next() else { return Ok(Some(0)) };
    let mut command = ::redis::cmd("XRANGE");
    command.arg(stream).arg(next.to_string()).arg("+").arg("COUNT").arg(UNREAD_MAX_ENTRIES + 1);
    let unread = reply::list(session.ask(&command)?)?.len();
    Ok((unread <= UNREAD_MAX_ENTRIES).then_some(unread as u64))
}

fn oldest_pending(stream: &str, group: &[u8]) -> Cmd {
    let mut command = ::redis::cmd("XPENDING");
    command.arg(stream).arg(group).arg("-").arg("+").arg(1);
    command
}

fn facts(answer: Value) -> Result<BTreeMap<String, Value>> {
    let named = |(name, value): (Vec<u8>, Value)| (String::from_utf8_lossy(&name).into_owned(), value);
    Ok(reply::pairs(answer)?.into_iter().map(named).collect())
}

fn number(value: Option<Value>) -> Result<Option<u64>> {
    match value {
        None | Some(Value::Nil) => Ok(None),
        Some(value) => {
            let number = reply::integer(value)?;
            u64::try_from(number).map(Some).map_err(|_| reply::unexpected("a count"))
        }
    }
}

fn id(value: Option<Value>) -> Result<Option<EntryId>> {
    value.map(|value| reply::text(value)?.parse()).transpose()
}

/// The id at the beginning of an entry, or of what is pending.
fn first_part(entry: Option<Value>) -> Result<Option<EntryId>> {
    id(entry.map(first_of).transpose()?.flatten())
}

fn first_of(list: Value) -> Result<Option<Value>> {
    Ok(reply::list(list)?.into_iter().next())
}
