//! `planbus dlq`: looks after the dead letters of a profile in Redis.
//!
//! Works without a store. Deletes only after it was told so twice: by the command, and by `--yes` or a
//! name typed on a terminal. A replay moves letters back to their own group, and asks nothing.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use planbus::redis::{DEAD_LETTERS_PAGE_MAX, DeadLetters, EntryId, ReplayReport};
use serde_json::json;

use super::{note_nothing, streams::confirm};
use crate::{
    agent_runtime::units::counted,
    cli::{Form, Global, whole_number},
    dead_letter_options::{Chosen, Letters, Wanted},
    dead_letter_view,
    failure::{Exit, Failure, chain},
    output::Output,
    redis::{ProfileOptions, RedisOptions, failed},
    terminal,
    text::escape,
};

/// How many letters a terminal lists unless it is told.
const LIST_DEFAULT: u64 = 50;

/// The options of `dlq`.
#[derive(Args, Debug)]
pub(crate) struct DlqOptions {
    #[command(flatten)]
    redis: RedisOptions,
    #[command(flatten)]
    profile: ProfileOptions,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, those of each queue together, the oldest first (the default)
    List(ListOptions),
    /// Show one dead letter in full: what failed, how often, why, and the event itself
    Show {
        /// The stream's key, or that of its dead letters
        name: String,
        /// The letter's id
        id: EntryId,
    },
    /// Send dead letters back to the group that gave them up, and to no other
    ///
    /// Each begins with its first attempt again, and is no dead letter from then on. Repeating a replay
    /// does nothing: what was replayed is gone from the dead letters.
    Replay(ReplayOptions),
    /// Delete dead letters for good
    Purge(PurgeOptions),
    /// Count them, with what became of the others: moved, dropped at the limit, replayed, purged
    Count,
}

#[derive(Args, Debug, Default)]
struct ListOptions {
    /// The stream's key, or that of its dead letters [default: all of the profile]
    name: Option<String>,

    #[command(flatten)]
    wanted: Wanted,

    /// How many at most [default: 50 on a terminal, in a pipe or file all]
    #[arg(long, value_name = "N", value_parser = whole_number::<1, 1_000_000>)]
    limit: Option<u64>,

    /// The newest first
    #[arg(long)]
    newest: bool,
}

#[derive(Args, Debug)]
struct ReplayOptions {
    #[command(flatten)]
    chosen: Chosen,

    /// Send them to this group in place of their own; what another system moved names none
    #[arg(long, value_name = "GROUP")]
    to: Option<String>,
}

#[derive(Args, Debug)]
struct PurgeOptions {
    #[command(flatten)]
    chosen: Chosen,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(crate) fn run(options: &DlqOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("dlq")?;
    let letters = DeadLetters::new(options.redis.endpoint()?, options.profile.profile()?);
    match &options.action {
        None => list(&letters, &ListOptions::default(), form, global, out),
        Some(Action::List(options)) => list(&letters, options, form, global, out),
        Some(Action::Show { name, id }) => show(&letters, name, *id, form, out),
        Some(Action::Replay(options)) => replay(&letters, options, form, global, out),
        Some(Action::Purge(options)) => purge(&letters, options, form, global, out),
        Some(Action::Count) => count(&letters, form, global, out),
    }
}

fn list(
    letters: &DeadLetters,
    options: &ListOptions,
    form: Form,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut query = options.wanted.query(options.name.as_deref(), global)?;
    if options.newest {
        query = query.newest_first();
    }
    let limit = options.limit.or_else(|| terminal::is_stdout().then_some(LIST_DEFAULT));
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let mut left = limit;
    let mut found = Vec::new();
    let mut is_more = false;
    while left > 0 {
        let page =
            letters.list(&query.clone().limit(left.min(DEAD_LETTERS_PAGE_MAX))).map_err(of(letters))?;
        left -= page.letters.len();
        if form == Form::Json {
            page.letters
                .iter()
                .try_for_each(|letter| out.json(&dead_letter_view::to_json(letter, false)?))?;
        } else {
            found.extend(page.letters);
        }
        is_more = page.next.is_some();
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    dead_letter_view::write_list(&found, out)?;
    out.flush()?;
    if left == limit {
        note_nothing("dead letter", global);
    } else if is_more && !global.quiet {
        // Where nobody can read it, nobody is told.
        let _ = writeln!(io::stderr(), "these are the first {limit}: --limit N lists more");
    }
    Ok(())
}

fn show(letters: &DeadLetters, name: &str, id: EntryId, form: Form, out: &mut Output) -> Result<(), Failure> {
    let letter = letters.show(name, id).map_err(of(letters))?;
    match form {
        Form::Json => out.json(&dead_letter_view::to_json(&letter, true)?),
        Form::Table | Form::Tree => dead_letter_view::write_letter(&letter, out),
    }
}

fn replay(
    letters: &DeadLetters,
    options: &ReplayOptions,
    form: Form,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    let to = options.to.as_deref();
    let report = match options.chosen.letters(global)? {
        Letters::Named(name, ids) => letters.replay(name, ids, to),
        Letters::All(query) => letters.replay_all(&query, to),
    };
    let report = report.map_err(of(letters))?;
    let told = format!("replayed {}", counted(report.replayed, "dead letter"));
    if form == Form::Json {
        out.json(&serde_json::to_string(&report).unwrap_or_default())?;
    } else if report.replayed > 0 || options.chosen.all {
        out.line(&told)?;
    }
    check_report(&report, !options.chosen.all)
}

/// Fails where a letter stays, or one that was named is not there.
fn check_report(report: &ReplayReport, are_named: bool) -> Result<(), Failure> {
    if let Some(first) = report.refused.first() {
        let kept = counted(report.refused.len() as u64, "dead letter");
        let told = format!("{kept} not replayed; {} of {}: {}", first.id, first.queue, chain(&first.error));
        let failure = Failure::new(first.error.kind().into(), told);
        return Err(match first.error.kind() {
            planbus::ErrorKind::InvalidInput => failure.hint("--to GROUP names it"),
            _ => failure,
        });
    }
    if are_named && report.gone > 0 { Err(gone(report.gone)) } else { Ok(()) }
}

fn gone(letters: u64) -> Failure {
    let told = format!("{} not there: replayed, purged or dropped before", counted(letters, "dead letter"));
    Failure::new(Exit::NotFound, told)
}

fn purge(
    letters: &DeadLetters,
    options: &PurgeOptions,
    form: Form,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    let chosen = &options.chosen;
    let what = chosen.letters(global)?;
    let of_what = chosen.name.as_deref().unwrap_or(letters.profile().name());
    match &what {
        Letters::Named(_, ids) => {
            let doing = format!("delete {} of", counted(ids.len() as u64, "dead letter"));
            confirm(&doing, of_what, options.yes)?;
        }
        Letters::All(_) => {
            confirm("delete all that `planbus dlq list` shows with these options, of", of_what, options.yes)?;
        }
    }
    let (purged, missing) = match what {
        Letters::Named(name, ids) => {
            let purged = letters.purge(name, ids).map_err(of(letters))?;
            (purged, (ids.len() as u64).saturating_sub(purged))
        }
        Letters::All(query) => (letters.purge_all(&query).map_err(of(letters))?, 0),
    };
    if form == Form::Json {
        out.json(&json!({"purged": purged, "gone": missing}).to_string())?;
    } else if purged > 0 || chosen.all {
        out.line(&format!("deleted {}", counted(purged, "dead letter")))?;
    }
    if missing > 0 { Err(gone(missing)) } else { Ok(()) }
}

fn count(letters: &DeadLetters, form: Form, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let counts = letters.count().map_err(of(letters))?;
    if form == Form::Json {
        let line = |count| out.json(&serde_json::to_string(count).unwrap_or_default());
        return counts.iter().try_for_each(line);
    }
    dead_letter_view::write_counts(&counts, out)?;
    if counts.is_empty() && !global.quiet {
        out.flush()?;
        // Where nobody can read it, nobody is told.
        let name = letters.profile().name();
        let _ = writeln!(io::stderr(), "no stream of the profile {name} ever had a dead letter");
    }
    Ok(())
}

/// Tells of a stream that is not there how to find the right one.
fn of(letters: &DeadLetters) -> impl Fn(planbus::Error) -> Failure {
    let name = letters.profile().name().to_owned();
    move |error| match error.kind() {
        planbus::ErrorKind::NotFound => {
            let hint = format!("`planbus dlq` lists the dead letters of the profile {name}");
            failed(error).hint(&escape(&hint))
        }
        _ => failed(error),
    }
}
