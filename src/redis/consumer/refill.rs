//! Whether a stream is being filled again with what its group has handled, as after a flush.
//!
//! An inbox forgets the ids of what is far below its floor. Only while a stream is filled again does the
//! floor stand for them: else an event below it is one that another mirror has brought only now.

use std::collections::BTreeMap;

use super::source::Source;
use crate::{
    error::Result,
    redis::{Profile, group::mirror_of, reply, session::Session},
    store::InboxFloor,
};

/// How many entries are looked at, which may come from several stores.
const ENTRIES: usize = 16;

/// The stores of which the group is behind its own inbox, and how far that was: all of them where the
/// group was made anew.
pub(super) fn of(
    session: &mut Session,
    profile: &Profile,
    source: &Source,
    floors: &[InboxFloor],
    is_made: bool,
) -> Result<BTreeMap<String, u64>> {
    let of_source = |floor: &&InboxFloor| {
        floor.group == *source.group && floor.stream == *source.stream && floor.place > 0
    };
    let floors = floors.iter().filter(of_source);
    let mut behind: BTreeMap<String, u64> =
        floors.filter_map(|floor| Some((floor.store.clone()?, floor.place))).collect();
    if !behind.is_empty() {
        let groups = groups(session, source)?;
        // Where several mirrors of a log write, low seqs come late without anything being filled again.
        let mirrors = |store: &str| groups.iter().filter(|(name, _)| is_mirror_of(name, store)).count();
        behind.retain(|store, _| mirrors(store) <= 1);
        if is_made {
            return Ok(behind);
        }
        let mut reached = BTreeMap::new();
        for (store, seq) in delivered(session, profile, source, groups)? {
            let last = reached.entry(store).or_insert(seq);
            *last = seq.max(*last);
        }
        // Of a store that is not among them nothing is known: its events are handled.
        behind.retain(|store, floor| reached.get(store).is_some_and(|reached| reached < floor));
    }
    Ok(behind)
}

fn is_mirror_of(group: &[u8], store: &str) -> bool {
    mirror_of(group).is_some_and(|(of, _)| of == store)
}

/// The groups of a stream, each with the id of the last entry that it was given.
fn groups(session: &mut Session, source: &Source) -> Result<Vec<(Vec<u8>, String)>> {
    let groups = session.ask(::redis::cmd("XINFO").arg("GROUPS").arg(&source.keys.stream))?;
    let read = |group| {
        let mut facts: BTreeMap<Vec<u8>, ::redis::Value> = reply::pairs(group)?.into_iter().collect();
        let mut fact = |name: &[u8]| facts.remove(name).unwrap_or_default();
        Ok((reply::bytes(fact(b"name"))?, reply::text(fact(b"last-delivered-id"))?))
    };
    reply::list(groups)?.into_iter().map(read).collect()
}

/// Store and seq of the last entries that the group was given.
fn delivered(
    session: &mut Session,
    profile: &Profile,
    source: &Source,
    groups: Vec<(Vec<u8>, String)>,
) -> Result<Vec<(String, u64)>> {
    let own = groups.into_iter().find(|(name, _)| name == source.group.as_bytes());
    let Some((_, last)) = own else { return Ok(Vec::new()) };
    let mut command = ::redis::cmd("XREVRANGE");
    command.arg(&source.keys.stream).arg(last).arg("-").arg("COUNT").arg(ENTRIES);
    let entries = reply::entries(session.ask(&command)?)?;
    let origin = |fields: &reply::Fields| {
        let (store, seq) = profile.origin(fields)?;
        Some((store.into_owned(), seq))
    };
    Ok(entries.iter().filter_map(|(_, fields)| origin(fields)).collect())
}
