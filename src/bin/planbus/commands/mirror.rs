//! `planbus mirror`: copies a log into streams of Redis, until it is stopped or Redis has all of it.
//!
//! Never creates a store. Says on stderr what its mirrors do, and leaves Redis as it is when it ends:
//! the next mirror goes on where the streams stand.

use clap::{Args, ValueEnum};
use planbus::{
    EventStore,
    redis::{MirrorState, MirrorStatus, OnInexpressible, Profile, RedisEndpoint, RedisMirror},
};

use super::{open, open_as_owner};
use crate::{
    agent_runtime::units::number,
    cli::{Form, Global},
    failure::{Exit, Failure},
    interrupt::CtrlC,
    mirror_watch::Watch,
    mirroring::to_json,
    output::Output,
    redis::{RedisOptions, failed, profile},
    style::Style,
    table::{Cell, Column, Table, cell},
};

/// The options of `mirror`.
#[derive(Args, Debug)]
pub(crate) struct MirrorOptions {
    #[command(flatten)]
    redis: RedisOptions,

    /// How events stand in Redis: native, tenant, per-type, orchestration, attune or attune-registry;
    /// may be repeated, for a mirror each [default: native]
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,

    /// The keys of the streams, with placeholders like <tenant> and <type>, instead of the profile's own
    #[arg(long, value_name = "TEMPLATE")]
    key: Option<String>,

    /// What <stream> stands for in the keys
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,

    /// End when Redis has all of the log, instead of at Ctrl-C
    #[arg(long)]
    once: bool,

    /// What to do with an event that the profile cannot express
    #[arg(long, value_name = "RULE", value_enum, default_value_t = Rule::Skip)]
    on_inexpressible: Rule,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rule {
    /// Leave it out, count it, go on
    Skip,
    /// Wait before it until somebody decides
    Stop,
}

/// Runs the command.
pub(crate) fn run(options: &MirrorOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("mirror")?;
    let endpoint = options.redis.endpoint()?;
    let profiles = profiles(options)?;
    // For reading first: a store that is missing must not be created.
    drop(open(global)?);
    if options.once {
        // Whoever asks for one run is told at once that there is nobody to run it with.
        endpoint.health().map_err(failed)?;
    }
    let ctrl_c = CtrlC::listen()?;
    let store = open_as_owner(EventStore::options(), global)?;
    let mirrors = profiles
        .into_iter()
        .map(|profile| start(options, &store, endpoint.clone(), profile))
        .collect::<Result<Vec<_>, _>>()?;
    let mut watch = Watch::new(&endpoint, mirrors.len(), global);
    let done = watch.run(&mirrors, options.once, &ctrl_c);
    watch.clear();
    let ends: Vec<MirrorStatus> = mirrors.iter().map(RedisMirror::status).collect();
    drop(mirrors);
    match form {
        Form::Json => ends.iter().try_for_each(|end| out.json(&to_json(end).to_string()))?,
        Form::Table | Form::Tree => write_summary(&ends, out)?,
    }
    store.close()?;
    done
}

fn profiles(options: &MirrorOptions) -> Result<Vec<Profile>, Failure> {
    let (key, stream) = (options.key.as_deref(), options.stream.as_deref());
    match &options.profiles[..] {
        [] => Ok(vec![profile(None, key, stream)?]),
        [one] => Ok(vec![profile(Some(one), key, stream)?]),
        several => {
            if key.or(stream).is_some() {
                let told = "--key and --stream go with one profile; run a mirror for each";
                return Err(Failure::new(Exit::Usage, told));
            }
            several.iter().map(|name| profile(Some(name), None, None)).collect()
        }
    }
}

fn start(
    options: &MirrorOptions,
    store: &EventStore,
    endpoint: RedisEndpoint,
    profile: Profile,
) -> Result<RedisMirror, Failure> {
    let rule = match options.on_inexpressible {
        Rule::Skip => OnInexpressible::Skip,
        Rule::Stop => OnInexpressible::Stop,
    };
    Ok(RedisMirror::builder(store, endpoint).profile(profile).on_inexpressible(rule).start()?)
}

fn write_summary(ends: &[MirrorStatus], out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("MIRROR", Column::Left),
        ("STATE", Column::Left),
        ("SEQ", Column::Right),
        ("LAG", Column::Right),
        ("APPENDED", Column::Right),
        ("STREAMS", Column::Right),
        ("LEFT OUT", Column::Right),
    ];
    let row = |end: &MirrorStatus| -> Vec<Cell> {
        let style = match end.state {
            MirrorState::Live => Style::Good,
            MirrorState::Blocked | MirrorState::Forked => Style::Bad,
            _ => Style::Plain,
        };
        let skipped: u64 = end.skipped.iter().map(|skipped| skipped.events).sum();
        vec![
            cell(&end.name),
            (style, end.state.to_string()),
            cell(number(end.seq)),
            cell(if end.is_compared { number(end.lag_events) } else { "?".to_owned() }),
            cell(number(end.appended)),
            cell(number(end.streams as u64)),
            cell(number(skipped)),
        ]
    };
    let rows: Vec<Vec<Cell>> = ends.iter().map(row).collect();
    let mut table = Table::new(&heads);
    table.fit(&rows, out);
    table.write_head(out)?;
    rows.iter().try_for_each(|row| table.write(row, out))?;
    write_skipped(ends, out)
}

/// What was left out, and why.
fn write_skipped(ends: &[MirrorStatus], out: &mut Output) -> Result<(), Failure> {
    let heads = [
        ("LEFT OUT", Column::Right),
        ("FIRST SEQ", Column::Right),
        ("LAST SEQ", Column::Right),
        ("MIRROR", Column::Left),
        ("WHY", Column::Left),
    ];
    let rows: Vec<Vec<Cell>> = ends
        .iter()
        .flat_map(|end| end.skipped.iter().map(move |skipped| (end, skipped)))
        .map(|(end, skipped)| {
            vec![
                cell(number(skipped.events)),
                cell(skipped.first_seq.to_string()),
                cell(skipped.last_seq.to_string()),
                cell(&end.name),
                cell(&skipped.reason),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&heads);
    table.fit(&rows, out);
    out.line("")?;
    table.write_head(out)?;
    rows.iter().try_for_each(|row| table.write(row, out))
}
