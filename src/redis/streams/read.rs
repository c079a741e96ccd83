//! Reading what stands in a stream: the newest entries, or those behind a point.
//!
//! Reads in pages and never waits for an entry to come.

use ::redis::Cmd;

use crate::{
    error::{Error, Result},
    filter::{CompiledFilter, Scope},
    redis::{
        entry::{EntryId, StreamEntry, parse_all},
        profile::Profile,
        session::Session,
    },
};

/// The most entries that one call reads.
pub const READ_MAX_ENTRIES: usize = 10_000;
/// How many entries are asked for at once: what waits in memory stays small, whatever the stream.
const PAGE_ENTRIES: usize = 500;

/// Which way a stream is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the newest entry on.
    Back,
    /// From the first entry behind an id on.
    After(EntryId),
}

/// Reads so many entries that the filter wants, or as many as there are.
pub(super) fn read(
    session: &mut Session,
    profile: &Profile,
    name: &str,
    way: Way,
    count: usize,
    filter: &CompiledFilter,
) -> Result<Vec<StreamEntry>> {
    check_count(count)?;
    session.check_stream(name)?;
    let mut found = Vec::new();
    // Where the next page begins; `None` at the end.
    let mut from = match way {
        Way::Back => Some("+".to_owned()),
        Way::After(id) => id.next().map(|id| id.to_string()),
    };
    while let Some(begin) = from.filter(|_| found.len() < count) {
        let page = parse_all(name, session.ask(&page(name, way, &begin))?, profile)?;
        from = page.last().filter(|_| page.len() == PAGE_ENTRIES).map(|last| format!("({}", last.id));
        found.extend(page.into_iter().filter(|entry| wants(filter, profile, entry)));
    }
    found.truncate(count);
    Ok(found)
}

fn check_count(count: usize) -> Result<()> {
    match count {
        1..=READ_MAX_ENTRIES => Ok(()),
        _ => Err(Error::invalid("count", format!("must be 1 to {READ_MAX_ENTRIES}, got {count}"))),
    }
}

fn page(name: &str, way: Way, begin: &str) -> Cmd {
    let (command, end) = match way {
        Way::Back => ("XREVRANGE", "-"),
        Way::After(_) => ("XRANGE", "+"),
    };
    let mut command = ::redis::cmd(command);
    command.arg(name).arg(begin).arg(end).arg("COUNT").arg(PAGE_ENTRIES);
    command
}

/// Whether a reader wants the entry. Of one that is no event nobody can say that it does not match,
/// unless its stream is another tenant's.
pub(super) fn wants(filter: &CompiledFilter, profile: &Profile, entry: &StreamEntry) -> bool {
    if let Ok(event) = &entry.event {
        return filter.matches(event);
    }
    let (Scope::Tenant(tenant) | Scope::Plan(tenant, _)) = &filter.scope else { return true };
    profile.tenant_of(&entry.stream).is_none_or(|owner| owner == tenant.as_str())
}
