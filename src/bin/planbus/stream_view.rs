//! How streams stand, as tables: a list of them, and one in full.
//!
//! Only prints what it is given.

use planbus::{
    Timestamp,
    redis::{EntryId, GroupInfo, MirrorPosition, StreamInfo},
};

use crate::{
    agent_runtime::units::{self, bytes, number},
    failure::Failure,
    output::Output,
    style::Style,
    table::{Cell, Column, cell, write_below, write_table},
    text::escape,
};

/// The width of a fact's name.
const FACT_COLUMNS: usize = 9;

/// What stands for a figure that the server does not know.
const UNKNOWN: &str = "?";

/// Writes a line a stream, the names below `head`: with the lag of the group that is farthest behind,
/// and up to where it was mirrored. A stream without groups has no lag.
pub(crate) fn write_list(infos: &[StreamInfo], head: &'static str, out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("ENTRIES", Column::Right),
        ("SIZE", Column::Right),
        ("NEWEST", Column::Right),
        ("LAG", Column::Right),
        ("PENDING", Column::Right),
        ("TO SEQ", Column::Right),
        (head, Column::Whole),
    ];
    let row = |info: &StreamInfo| -> Vec<Cell> {
        let lag = info.groups.iter().map(|group| group.lag).max_by_key(|lag| lag.unwrap_or(u64::MAX));
        let pending: u64 = info.groups.iter().map(|group| group.pending).sum();
        let mirrored = info.mirrors.iter().map(|mirror| mirror.seq).max();
        vec![
            cell(number(info.length)),
            cell(info.bytes.map_or_else(|| UNKNOWN.to_owned(), bytes)),
            (Style::Faint, info.last_id.map(ago).unwrap_or_default()),
            lag.map_or_else(|| cell(""), lag_cell),
            if info.groups.is_empty() { cell("") } else { pending_cell(pending) },
            (Style::Faint, mirrored.map(|seq| seq.to_string()).unwrap_or_default()),
            cell(&info.name),
        ]
    };
    write_table(&heads, &infos.iter().map(row).collect::<Vec<_>>(), out)
}

/// Writes all about one stream.
pub(crate) fn write_info(info: &StreamInfo, out: &mut Output) -> Result<(), Failure> {
    let entry = |id: EntryId| match id.time() {
        Some(time) => format!("{id}  {time}  {}", ago(id)),
        None => id.to_string(),
    };
    let added = info.entries_added.map(|added| format!(", {} ever added", number(added)));
    let mut facts = vec![
        ("stream", info.name.clone()),
        ("entries", format!("{}{}", number(info.length), added.unwrap_or_default())),
        ("size", info.bytes.map_or_else(|| "unknown: the user may not ask".to_owned(), bytes)),
    ];
    facts.extend(info.first_id.map(|id| ("oldest", entry(id))));
    facts.extend(info.last_id.map(|id| ("newest", entry(id))));
    let trimming = match &info.held_by {
        Some(hold) => format!("may go up to {}, which the group {} still needs", hold.from_id, hold.group),
        None if info.groups.is_empty() => "nothing holds it back: there is no group".to_owned(),
        None => "nothing holds it back: every group is done with every entry".to_owned(),
    };
    facts.push(("trimming", trimming));
    for (name, value) in facts {
        let head = out.paint(Style::Faint, &format!("{name:<FACT_COLUMNS$}"));
        out.wrapped(&format!("{head}  "), FACT_COLUMNS + 2, &escape(&value))?;
    }
    write_groups(&info.groups, out)?;
    write_mirrors(&info.mirrors, out)
}

fn write_groups(groups: &[GroupInfo], out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("LAG", Column::Right),
        ("PENDING", Column::Right),
        ("OLDEST PENDING", Column::Right),
        ("CONSUMERS", Column::Right),
        ("READ TO", Column::Left),
        ("GROUP", Column::Left),
    ];
    let row = |group: &GroupInfo| -> Vec<Cell> {
        vec![
            lag_cell(group.lag),
            pending_cell(group.pending),
            cell(group.oldest_pending_id.map(ago).unwrap_or_default()),
            cell(number(group.consumers)),
            (Style::Faint, group.last_delivered_id.to_string()),
            cell(&group.name),
        ]
    };
    write_below(&heads, &groups.iter().map(row).collect::<Vec<_>>(), out)
}

fn write_mirrors(mirrors: &[MirrorPosition], out: &mut Output) -> Result<(), Failure> {
    let heads = [("SEQ", Column::Right), ("CHAIN", Column::Left), ("MIRROR OF STORE", Column::Left)];
    let row = |mirror: &MirrorPosition| -> Vec<Cell> {
        vec![
            cell(mirror.seq.to_string()),
            (Style::Faint, format!("{:016x}", mirror.chain)),
            cell(match &mirror.name {
                Some(name) => format!("{} as {name}", mirror.store),
                None => mirror.store.clone(),
            }),
        ]
    };
    write_below(&heads, &mirrors.iter().map(row).collect::<Vec<_>>(), out)
}

/// How many entries a group has not read.
pub(crate) fn lag_cell(lag: Option<u64>) -> Cell {
    match lag {
        Some(0) => (Style::Good, "0".to_owned()),
        Some(lag) => cell(number(lag)),
        None => cell(UNKNOWN),
    }
}

/// A number that is better none.
pub(crate) fn pending_cell(pending: u64) -> Cell {
    (if pending == 0 { Style::Faint } else { Style::Started }, number(pending))
}

/// How long ago an entry came.
pub(crate) fn ago(id: EntryId) -> String {
    id.time()
        .map(|time| format!("{} ago", units::duration(Timestamp::now().duration_since(time))))
        .unwrap_or_default()
}
