//! `planbus groups`: how the groups of a profile's streams stand, and who is in one.
//!
//! Works without a store, and only reads.

use std::io::{self, Write};

use clap::Args;
use planbus::redis::{GroupConsumer, GroupStatus, Streams};

use crate::{
    agent_runtime::units::{duration, number},
    cli::{Form, Global},
    failure::{Exit, Failure},
    output::Output,
    redis::{self, ProfileOptions, RedisOptions, failed},
    stream_view::{ago, lag_cell, pending_cell},
    style::Style,
    table::{Cell, Column, cell, write_table},
};

/// The options of `groups`.
#[derive(Args, Debug)]
pub(crate) struct GroupsOptions {
    #[command(flatten)]
    redis: RedisOptions,
    #[command(flatten)]
    profile: ProfileOptions,

    /// Only the group of this name, with its consumers
    #[arg(value_name = "GROUP")]
    group: Option<String>,
}

/// Runs the command.
pub(crate) fn run(options: &GroupsOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("groups")?;
    let streams = redis::streams(&options.redis, &options.profile)?;
    let mut groups = streams.groups().map_err(failed)?;
    let Some(name) = &options.group else {
        write(&groups, form, out)?;
        if groups.is_empty() && !global.quiet {
            out.flush()?;
            let profile = streams.profile().name();
            // Where nobody can read it, nobody is told.
            let _ = writeln!(io::stderr(), "no group consumes a stream of the profile {profile} yet");
        }
        return Ok(());
    };
    groups.retain(|group| group.info.name == *name);
    if groups.is_empty() {
        return Err(unknown(name, &streams));
    }
    let mut all = Vec::new();
    for group in groups {
        // Where it was destroyed meanwhile, it has none.
        all.push((streams.consumers(&group.stream, name).or_else(or_none)?, group));
    }
    if form == Form::Json {
        return all.iter().try_for_each(|(consumers, group)| {
            let mut json = serde_json::to_value(group).unwrap_or_default();
            json["members"] = serde_json::to_value(consumers).unwrap_or_default();
            out.json(&json.to_string())
        });
    }
    write(&all.iter().map(|(_, group)| group.clone()).collect::<Vec<_>>(), form, out)?;
    write_consumers(&all, out)
}

/// The failure of a group that no stream has.
pub(super) fn unknown(name: &str, streams: &Streams) -> Failure {
    let told = format!("no stream of the profile {} has a group {name}", streams.profile().name());
    Failure::new(Exit::NotFound, told).hint("`planbus groups` lists those that there are")
}

fn or_none(error: planbus::Error) -> Result<Vec<GroupConsumer>, Failure> {
    match error.kind() {
        planbus::ErrorKind::NotFound => Ok(Vec::new()),
        _ => Err(failed(error)),
    }
}

fn write(groups: &[GroupStatus], form: Form, out: &mut Output) -> Result<(), Failure> {
    if form == Form::Json {
        let line = |group: &GroupStatus| serde_json::to_string(group).unwrap_or_default();
        return groups.iter().try_for_each(|group| out.json(&line(group)));
    }
    let heads = [
        ("GROUP", Column::Left),
        ("LAG", Column::Right),
        ("PENDING", Column::Right),
        ("TO RETRY", Column::Right),
        ("REPLAYS", Column::Right),
        ("OLDEST PENDING", Column::Right),
        ("CONSUMERS", Column::Right),
        ("STREAM", Column::Whole),
    ];
    let row = |group: &GroupStatus| -> Vec<Cell> {
        let oldest = group.info.oldest_pending_id;
        vec![
            cell(&group.info.name),
            lag_cell(group.info.lag),
            pending_cell(group.info.pending),
            pending_cell(group.waiting),
            pending_cell(group.replays),
            cell(oldest.map(ago).unwrap_or_default()),
            cell(number(group.info.consumers)),
            cell(&group.stream),
        ]
    };
    write_table(&heads, &groups.iter().map(row).collect::<Vec<_>>(), out)
}

fn write_consumers(all: &[(Vec<GroupConsumer>, GroupStatus)], out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("PENDING", Column::Right),
        ("IDLE", Column::Right),
        ("CONSUMER", Column::Left),
        ("STREAM", Column::Whole),
    ];
    let each = all.iter().flat_map(|(consumers, group)| consumers.iter().map(move |one| (one, group)));
    let row = |(one, group): (&GroupConsumer, &GroupStatus)| -> Vec<Cell> {
        let has_lease = group.lease.as_ref() == Some(&one.name);
        vec![
            pending_cell(one.pending),
            cell(duration(one.idle)),
            (if has_lease { Style::Good } else { Style::Plain }, one.name.clone()),
            cell(&group.stream),
        ]
    };
    let rows: Vec<Vec<Cell>> = each.map(row).collect();
    if !rows.is_empty() {
        out.line("")?;
    }
    write_table(&heads, &rows, out)
}
