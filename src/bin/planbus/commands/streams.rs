//! `planbus streams`: looks after the streams of a profile in Redis.
//!
//! Works without a store. Deletes, empties, or trims past what a group has still to read only after
//! it was told so twice: by the command, and by `--yes` or the stream's name typed on a terminal.

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::{ArgGroup, Args, Subcommand};
use planbus::{
    Filter, PlanId, TypePattern,
    redis::{EntryId, READ_MAX_ENTRIES, StreamInfo, Streams, TrimRule},
};

use crate::{
    agent_runtime::units::{counted, number},
    cli::{Form, Global, whole_number},
    entry_view::EntryPrinter,
    failure::{Exit, Failure},
    output::Output,
    redis::{self, ProfileOptions, RedisOptions, failed},
    stream_view,
    style::Style,
    terminal,
    text::escape,
    when,
};

/// The options of `streams`.
#[derive(Args, Debug)]
pub(crate) struct StreamsOptions {
    #[command(flatten)]
    redis: RedisOptions,
    #[command(flatten)]
    profile: ProfileOptions,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the streams with their groups' lag (the default)
    List,
    /// Show one stream: size, groups, mirrors, and what holds trimming back
    Info {
        /// The stream's key
        name: String,
    },
    /// Show the newest entries, the newest first
    Recent(RecentOptions),
    /// Remove the oldest entries, never what a group has still to read or to ack
    Trim(TrimOptions),
    /// Delete a stream with its groups
    Delete(Named),
    /// Empty a stream for its mirror to append it anew; its groups begin again at the beginning
    ///
    /// Mends a stream that a mirror calls blocked or forked. A mirror that runs begins within about a
    /// second, else the next one does. What the log no longer holds is not appended again.
    Rebuild(RebuildOptions),
}

#[derive(Args, Debug)]
struct RebuildOptions {
    #[command(flatten)]
    named: Named,

    /// Also a stream that no mirror has written to: nobody fills it again
    #[arg(long)]
    force: bool,
}

#[derive(Args, Debug)]
struct RecentOptions {
    /// The stream's key
    name: String,

    /// How many
    #[arg(long, value_name = "N", default_value_t = 100,
        value_parser = whole_number::<1, { READ_MAX_ENTRIES as u64 }>)]
    last: u64,

    /// Only events of this plan
    #[arg(long, value_name = "PLAN")]
    plan: Option<PlanId>,

    /// Only these types, or families like `workflow.*`; may be repeated, or separated by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<TypePattern>,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("rule").required(true))]
struct TrimOptions {
    /// The stream's key
    name: String,

    /// Keep the newest N entries
    #[arg(long, value_name = "N", group = "rule", value_parser = whole_number::<0, { u64::MAX }>)]
    max_len: Option<u64>,

    /// Remove entries that came longer ago than this: `90s`, `12h`, `30d`, `8w`
    #[arg(long, value_name = "AGE", group = "rule", value_parser = when::age)]
    older_than: Option<Duration>,

    /// Remove entries before this id
    #[arg(long, value_name = "ID", group = "rule")]
    min_id: Option<EntryId>,

    /// Also what groups have not read or not acked: they never get it
    #[arg(long)]
    force: bool,

    /// Do not ask before --force
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
struct Named {
    /// The stream's key
    name: String,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(crate) fn run(options: &StreamsOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("streams")?;
    let streams = redis::streams(&options.redis, &options.profile)?;
    match options.action.as_ref().unwrap_or(&Action::List) {
        Action::List => list(&streams, form, global, out),
        Action::Info { name } => info(&streams, name, form, out),
        Action::Recent(recent) => show_recent(&streams, recent, form, global, out),
        Action::Trim(rule) => trim(&streams, rule, form, out),
        Action::Delete(named) => {
            confirm("delete", &named.name, named.yes)?;
            streams.delete(&named.name).map_err(of(&streams))?;
            tell(form, &serde_json::json!({"deleted": named.name}), &format!("deleted {}", named.name), out)
        }
        Action::Rebuild(options) => rebuild(&streams, options, form, out),
    }
}

fn list(streams: &Streams, form: Form, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let list = streams.list().map_err(failed)?;
    let alive = streams.infos(&list.streams).map_err(failed)?;
    let dead = streams.infos(&list.dead_letters).map_err(failed)?;
    if form == Form::Json {
        let with_kind = |info: &StreamInfo, is_dead: bool| {
            let mut json = serde_json::to_value(info).unwrap_or_default();
            json["is_dead_letters"] = is_dead.into();
            json.to_string()
        };
        alive.iter().try_for_each(|info| out.json(&with_kind(info, false)))?;
        return dead.iter().try_for_each(|info| out.json(&with_kind(info, true)));
    }
    stream_view::write_list(&alive, "STREAM", out)?;
    if !dead.is_empty() {
        out.line("")?;
        stream_view::write_list(&dead, "DEAD LETTERS", out)?;
    }
    if alive.is_empty() && dead.is_empty() && !global.quiet {
        out.flush()?;
        let name = streams.profile().name();
        // Where nobody can read it, nobody is told.
        let _ = writeln!(
            io::stderr(),
            "no stream of the profile {name} yet; `planbus mirror --redis URL` copies the log into some"
        );
    }
    Ok(())
}

fn info(streams: &Streams, name: &str, form: Form, out: &mut Output) -> Result<(), Failure> {
    let info = streams.info(name).map_err(of(streams))?;
    match form {
        Form::Json => out.json(&serde_json::to_string(&info).unwrap_or_default()),
        Form::Table | Form::Tree => stream_view::write_info(&info, out),
    }
}

fn show_recent(
    streams: &Streams,
    options: &RecentOptions,
    form: Form,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut filter = Filter::all();
    if let Some(plan) = &options.plan {
        filter = filter.tenant(global.tenant()).plan(plan);
    }
    if !options.types.is_empty() {
        filter = filter.types(options.types.iter().cloned());
    }
    let count = usize::try_from(options.last).unwrap_or(READ_MAX_ENTRIES);
    let entries = streams.recent(&options.name, count, filter).map_err(of(streams))?;
    let mut printer = EntryPrinter::new(form);
    printer.write_all(&entries, out)?;
    if entries.is_empty() {
        out.flush()?;
        super::note_nothing("entry", global);
    }
    Ok(())
}

fn trim(streams: &Streams, options: &TrimOptions, form: Form, out: &mut Output) -> Result<(), Failure> {
    let rule = match (options.max_len, options.older_than, options.min_id) {
        (Some(entries), ..) => TrimRule::MaxLen(entries),
        (_, Some(age), _) => TrimRule::OlderThan(age),
        (.., Some(id)) => TrimRule::MinId(id),
        (None, None, None) => {
            return Err(Failure::new(Exit::Usage, "give --max-len, --older-than or --min-id"));
        }
    };
    if options.force {
        confirm("trim, past what groups have still to read,", &options.name, options.yes)?;
    }
    let report = streams.trim(&options.name, rule, options.force).map_err(of(streams))?;
    if form == Form::Json {
        return out.json(&serde_json::to_string(&report).unwrap_or_default());
    }
    let fact = |name: &str, value: &str, out: &mut Output| {
        out.line(&format!("{}  {}", out.paint(Style::Faint, &format!("{name:<7}")), escape(value)))
    };
    let entries = if report.removed == 1 { "entry" } else { "entries" };
    fact("removed", &format!("{} {entries}", number(report.removed)), out)?;
    match &report.held_by {
        Some(group) => {
            fact("held by", &format!("the group {group}, which has not read or not acked the rest"), out)
        }
        None => Ok(()),
    }
}

fn rebuild(streams: &Streams, options: &RebuildOptions, form: Form, out: &mut Output) -> Result<(), Failure> {
    let named = &options.named;
    let info = streams.info(&named.name).map_err(of(streams))?;
    let mut logs: Vec<&str> = info.mirrors.iter().map(|mirror| mirror.store.as_str()).collect();
    logs.sort_unstable();
    logs.dedup();
    if logs.is_empty() && !options.force {
        let told = format!("rebuild {}: no mirror has written to it: nobody would fill it again", named.name);
        return Err(Failure::new(Exit::Usage, told).hint("--force empties it all the same"));
    }
    if !named.yes && terminal::is_stderr() {
        let several = "; each must be mirrored again; entries of others are lost";
        let after = if logs.len() > 1 { several } else { "" };
        // Where nobody can read it, nobody is asked either.
        let _ = writeln!(io::stderr(), "It holds the logs of the stores {}{after}.", logs.join(", "));
    }
    confirm("empty and rebuild", &named.name, named.yes)?;
    let report = streams.rebuild(&named.name).map_err(of(streams))?;
    let kept = counted(report.groups.len() as u64, "group");
    let told = format!(
        "emptied {}: {} entries removed, {kept} kept; its mirror appends it anew",
        named.name,
        number(report.removed)
    );
    let mut json = serde_json::to_value(&report).unwrap_or_default();
    json["stores"] = logs.into();
    tell(form, &json, &told, out)
}

fn tell(form: Form, json: &serde_json::Value, told: &str, out: &mut Output) -> Result<(), Failure> {
    match form {
        Form::Json => out.json(&json.to_string()),
        Form::Table | Form::Tree => out.line(&escape(told)),
    }
}

/// Goes on only where somebody said so: with `--yes`, or by the stream's name.
pub(super) fn confirm(doing: &str, name: &str, is_sure: bool) -> Result<(), Failure> {
    if is_sure {
        return Ok(());
    }
    if !terminal::is_stdin() || !terminal::is_stderr() {
        return Err(Failure::new(Exit::Usage, format!("to {doing} {name}, give --yes")));
    }
    let _ = write!(io::stderr(), "To {doing} {0}, type its name: ", escape(name));
    let mut typed = String::new();
    io::stdin()
        .read_line(&mut typed)
        .map_err(|error| Failure::of(Exit::Failed, "read the answer", &error))?;
    match typed.trim_end_matches(['\r', '\n']) == name {
        true => Ok(()),
        false => Err(Failure::new(Exit::Usage, "that is not its name: nothing was changed")),
    }
}

/// Tells of a stream that is not there how to find the right one.
fn of(streams: &Streams) -> impl Fn(planbus::Error) -> Failure {
    let name = streams.profile().name().to_owned();
    move |error| match error.kind() {
        planbus::ErrorKind::NotFound => {
            failed(error).hint(&format!("`planbus streams` lists those of the profile {name}"))
        }
        _ => failed(error),
    }
}
