//! The arguments of the program, as clap parses them.
//!
//! Values are checked here once: what the commands get is valid. No command's work stands here.

use std::{env, path::PathBuf};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint, builder::Resettable,
};
use planbus::{AgentId, CorrelationId, PlanId, PlanStatus, Tenant, Timestamp, TypePattern};

use crate::{
    commands::{
        backup::BackupOptions, completions::CompletionsOptions, consume::ConsumeOptions, dlq::DlqOptions,
        export::ExportOptions, groups::GroupsOptions, health::HealthOptions, import::ImportOptions,
        man::ManOptions, mirror::MirrorOptions, pending::PendingOptions, prune::PruneOptions,
        restore::RestoreOptions, serve::ServeOptions, stats::StatsOptions, streams::StreamsOptions,
        verify::VerifyOptions, watch::WatchOptions,
    },
    failure::{Exit, Failure},
    redis::RedisBeside,
    serving::{self, ServeBeside},
    text::escape,
    when,
};

/// Names the store where `--db` does not.
const DB_VARIABLE: &str = "PLANBUS_DB";

const EXIT_CODES: &str = "\
Exit codes:
  0    done; also when the reader of a pipe closed it, and when Ctrl-C ended what goes on until then
  1    failed while running
  2    wrong usage
  3    not found: no such plan, file or directory
  4    the store is locked by its owner, or cannot be reached, read or written; or Redis cannot be reached
  5    the file is damaged or is no planbus store, or a newer planbus wrote it
  6    the log or the input is not as it should be: verify found a row that was changed, or import met bad lines
  7    the plan that was waited for failed
  8    cut off from the log while following it: it was moved, removed, pruned or became unreadable
  130  interrupted by Ctrl-C, or by q, before what was waited for had ended";

/// Plan events of agents: watch a survey run through the bus, and look into its log.
#[derive(Debug, Parser)]
#[command(name = "planbus", version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The arguments of this process; ends it where they are wrong.
    pub(crate) fn of_process() -> Self {
        let mut command = Self::command();
        // An empty variable counts as unset; clap takes it for a store without a name.
        if env::var_os(DB_VARIABLE).is_some_and(|value| value.is_empty()) {
            command = command.mut_arg("db", |db| db.env(Resettable::Reset));
        }
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// Refuses a tenant where it would be ignored.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        const ITSELF: &str = "tells of planbus itself, and opens no store";
        const LOG: &str = "works on the whole log, all tenants together";
        const SERVER: &str = "serves all tenants; a client names one with ?tenant=NAME";
        const STREAMS: &str = "looks at all streams of the profile; name one instead";
        let (command, what) = match self.command {
            Command::Backup(_) => ("backup", LOG),
            Command::Completions(_) => ("completions", ITSELF),
            Command::Groups(_) => ("groups", STREAMS),
            Command::Health(_) => ("health", LOG),
            Command::Man(_) => ("man", ITSELF),
            Command::Mirror(_) => ("mirror", LOG),
            Command::Pending(_) => ("pending", STREAMS),
            Command::Prune(_) => ("prune", LOG),
            Command::Restore(_) => ("restore", LOG),
            Command::Serve(_) => ("serve", SERVER),
            Command::Stats(_) => ("stats", LOG),
            Command::Verify(_) => ("verify", LOG),
            Command::Consume(_)
            | Command::Demo(_)
            | Command::Dlq(_)
            | Command::Events(_)
            | Command::Export(_)
            | Command::Import(_)
            | Command::Plans(_)
            | Command::Show(_)
            | Command::Streams(_)
            | Command::Watch(_) => return Ok(()),
        };
        if self.global.tenant.is_none() {
            return Ok(());
        }
        Err(Failure::new(Exit::Usage, format!("--tenant: {command} {what}")))
    }
}

/// What every command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The store
    #[arg(long, value_name = "FILE", global = true, env = DB_VARIABLE, default_value = "planbus.db",
        value_hint = ValueHint::FilePath)]
    pub(crate) db: PathBuf,

    /// How to print: a table, JSON (one object a line), or a tree [default: table; tree for show]
    #[arg(short, long, value_name = "FORM", global = true, value_enum, hide_default_value = true)]
    pub(crate) output: Option<Form>,

    /// Whose plans; not for commands that work on the whole log [default: default]
    #[arg(long, value_name = "NAME", global = true)]
    tenant: Option<Tenant>,

    /// No progress and no notes on stderr, only errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Diagnostics on stderr; -vv and -vvv for more (RUST_LOG works too)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Global {
    /// Whose plans, for a command that works for one tenant.
    pub(crate) fn tenant(&self) -> Tenant {
        self.tenant.clone().unwrap_or_default()
    }

    /// Whether something may be drawn and drawn again: nobody asked for quiet, nor for diagnostics, since
    /// two writers on one terminal would spoil each other's lines.
    pub(crate) fn wants_pictures(&self) -> bool {
        !self.quiet && self.verbose == 0 && env::var_os("RUST_LOG").is_none()
    }

    /// Whose events alone, where somebody said so.
    pub(crate) fn given_tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Columns, for people
    Table,
    /// One JSON object a line, for programs
    Json,
    /// Indented by plan
    Tree,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a whole, checked copy of the store to one file, also while the runtime publishes
    ///
    /// The copy is as the log was at one moment, and is verified before it gets its name. An existing
    /// file is never replaced. `planbus restore` brings it back; reading commands read it as it is.
    Backup(BackupOptions),
    /// Print what makes a shell complete planbus's commands and options
    ///
    /// For bash, once and for all:
    /// `planbus completions bash > ~/.local/share/bash-completion/completions/planbus`;
    /// for this shell alone: `source <(planbus completions bash)`.
    Completions(CompletionsOptions),
    /// Handle the events of streams in Redis as one of a group: print them, or run a command for each
    ///
    /// Each event goes to one consumer of the group, and is acked only when it was written, or when the
    /// command ended with exit code 0; whatever is killed, none is lost. What fails is tried again after
    /// the delays of --retry, by its own group only, then moved to the dead letters. Goes on until
    /// Ctrl-C, also while Redis is away; a second Ctrl-C ends it at once.
    Consume(ConsumeOptions),
    /// Run a survey of a directory as a real agent, publishing every step
    ///
    /// One plan a folder, tools on every text file, decisions on what to skip. Creates the store when
    /// it is missing. Every step is in the store before the next one begins.
    Demo(DemoOptions),
    /// Look after dead letters in Redis: list, show, replay, purge, count
    ///
    /// Dead letters are entries that a group gave up. Works without a store. Lists them unless it is told
    /// to do something else: on a terminal 50, in a pipe or file all.
    Dlq(DlqOptions),
    /// List events, or follow them
    ///
    /// Events come in the order of the log: on a terminal the last 50, unless --last, --after, --since
    /// or --until says otherwise; in a pipe or file all of them. With --redis they come from the streams
    /// of a profile instead, all streams together, in the order in which they were appended there.
    Events(EventsOptions),
    /// Export the log, or a part of it, for other programs
    ///
    /// Events come in the order of the log, up to the end that it has now. Fails with exit code 1 where
    /// retention removed events before they were read.
    Export(ExportOptions),
    /// List the groups of consumers: what they have not read, not done, and to try again
    ///
    /// Works without a store. With the name of a group, its consumers too.
    Groups(GroupsOptions),
    /// Show how a Redis is: latency, clients, memory, persistence, and what is to be warned of
    ///
    /// Works without a store. Exit code 0 when it answers, 4 when it cannot be reached.
    Health(HealthOptions),
    /// Import recorded agent runs
    ///
    /// One JSON object a line, in the form of EVENTS.md, chapter "Recorded runs"; every line becomes an
    /// event, published through the bus. Creates the store when it is missing. Importing a file again
    /// adds nothing; importing one that has grown adds its new lines.
    Import(ImportOptions),
    /// Print the manual page of planbus, or write one for each command
    ///
    /// To read it: `planbus man | man -l -`. To install all of them:
    /// `planbus man --to ~/.local/share/man/man1`.
    Man(ManOptions),
    /// Copy the log into streams of Redis, and go on until Ctrl-C
    ///
    /// Owns the store meanwhile: for a log that no runtime has open. A runtime mirrors its own with
    /// `RedisMirror`. What is in Redis already is not appended again; while Redis is away, it waits.
    Mirror(MirrorOptions),
    /// List the entries that a group was given and has not done, and why they failed
    ///
    /// Works without a store. The oldest first; on a terminal the first 50 of each stream, unless --first
    /// says otherwise, in a pipe or file all.
    Pending(PendingOptions),
    /// List plans, the newest first
    ///
    /// On a terminal 50 of them, unless --last says otherwise; in a pipe or file all.
    Plans(PlansOptions),
    /// Remove old events from the beginning of the log
    ///
    /// Never what a reader with a cursor has still to read, unless --force names it; with --older-than
    /// and --keep together, what both let go. The newest event always stays. For a store that nobody
    /// has open for writing: a runtime prunes its own with `EventStore::prune`.
    Prune(PruneOptions),
    /// Bring a backup back as the store that --db names
    ///
    /// Checks every event and page of it first. Never over a store: one that is there must be moved away
    /// before, and one that is in use is left alone. What is restored keeps the store's id and its chain.
    Restore(RestoreOptions),
    /// Serve the log over HTTP, to browsers, agents and programs, until Ctrl-C
    ///
    /// Server-sent events, WebSocket, A2A, AG-UI, a JSON API and metrics, for reading: beside the process
    /// that owns the store, or where nobody does. Clients miss nothing while owners come and go. A second
    /// Ctrl-C ends it at once.
    Serve(ServeOptions),
    /// Show one plan with its subplans, decisions and failures
    ///
    /// A tree with the status, duration, tool calls and decisions of each. `-o json` gives one object
    /// with the subplans inside it, `-o table` a line a plan. With --timeline, what was when.
    Show(ShowOptions),
    /// Show figures about the store: size, rate, cursors, write-ahead log
    Stats(StatsOptions),
    /// Look after the streams in Redis: list, info, recent, trim, delete, rebuild
    ///
    /// Works without a store. Lists the streams unless it is told to do something else.
    Streams(StreamsOptions),
    /// Check that nobody changed the log
    ///
    /// Recomputes the hash chain over every event, and names the first one that was changed, removed or
    /// put in. Also checks tables and pages. Prints the head: keep it elsewhere, and give it to a later
    /// run with --head, to find even a log that was cut or rewritten as a whole.
    Verify(VerifyOptions),
    /// Watch the plans that run, or one until it ends
    ///
    /// On a terminal a tree that is drawn again in place: what runs, how long, its tool calls and their
    /// outcomes, decisions and failures; ? shows the keys. Elsewhere, with -q and with `-o table`, a line
    /// for each start and end of a plan, decision and failed tool; `-o json` gives the events. With PLAN
    /// it ends with the plan: exit code 0 where it completed, 7 where it failed, 8 where the watcher was
    /// cut off from the log; one that is begun again goes on.
    Watch(WatchOptions),
}

/// The options of `demo`.
#[derive(Args, Debug)]
#[command(mut_arg("addr", serving::may_be_left_out))]
pub(crate) struct DemoOptions {
    /// The directory to survey
    #[arg(long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) path: PathBuf,

    #[command(flatten)]
    pub(crate) redis: RedisBeside,

    #[command(flatten)]
    pub(crate) serve: ServeBeside,

    /// With --serve on a terminal, begin at once, not when the page is open
    #[arg(long, requires = "addr")]
    pub(crate) no_wait: bool,
}

/// The options of `events`.
#[derive(Args, Debug)]
pub(crate) struct EventsOptions {
    /// Only events of this plan
    #[arg(long, value_name = "PLAN")]
    pub(crate) plan: Option<PlanId>,

    /// Only these types, or families like `workflow.*`; may be repeated, or separated by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<TypePattern>,

    /// Only events from this time on: `90s`, `1h`, `2d` ago, `2026-03-01`, `2026-03-01T09:30` (UTC)
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub(crate) since: Option<Timestamp>,

    /// Only events before this time, given as for --since
    #[arg(long, value_name = "TIME", value_parser = when::parse, conflicts_with = "follow")]
    pub(crate) until: Option<Timestamp>,

    /// Only the last N that match; 0 with --follow: only new ones
    #[arg(long, value_name = "N", value_parser = whole_number::<0, 1_000_000>)]
    pub(crate) last: Option<u64>,

    /// Only events with this text in payload, type or source, taken literally
    #[arg(long, value_name = "TEXT", value_parser = search_text)]
    pub(crate) grep: Option<String>,

    /// Only events from this agent
    #[arg(long, value_name = "AGENT")]
    pub(crate) source: Option<AgentId>,

    /// Only events with this correlation id: by default a root plan's id, for all of its subplans
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<CorrelationId>,

    /// Only events after this place in the log; to read on where another run ended
    #[arg(long, value_name = "SEQ", value_parser = whole_number::<0, { u64::MAX }>)]
    pub(crate) after: Option<u64>,

    /// Go on with new events as they are committed, also by other processes; Ctrl-C ends it
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// With --follow and --plan: end when the plan has ended, with exit code 0 where it completed and 7
    /// where it failed; one that is begun again goes on
    #[arg(long, requires = "follow", requires = "plan", conflicts_with = "redis")]
    pub(crate) until_end: bool,

    #[command(flatten)]
    pub(crate) redis: RedisBeside,
}

/// The options of `plans`.
#[derive(Args, Debug)]
pub(crate) struct PlansOptions {
    /// Only plans that stand so: running, completed or failed
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<PlanStatus>,

    /// Only the N newest
    #[arg(long, value_name = "N", value_parser = whole_number::<1, { u64::MAX }>)]
    pub(crate) last: Option<u64>,

    /// Only plans that no other plan spawned
    #[arg(long)]
    pub(crate) roots: bool,
}

/// The options of `show`.
#[derive(Args, Debug)]
pub(crate) struct ShowOptions {
    /// The plan's id
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PlanId,

    /// Show when each subplan, tool call and decision was, on one axis of time
    ///
    /// Under each plan what happened in it, in the order of time, with the offset from the plan's
    /// start. On a terminal at most 200 rows, those that tell most; in a pipe or file all, and
    /// `-o json` gives one object a span.
    #[arg(long)]
    pub(crate) timeline: bool,
}

/// Reads a whole number from `MIN` to `MAX`.
pub(crate) fn whole_number<const MIN: u64, const MAX: u64>(text: &str) -> Result<u64, String> {
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_whole && (MIN..=MAX).contains(&number) => Ok(number),
        _ if !is_whole => Err(format!("must be a whole number, got {}", escape(text))),
        Ok(number) if number < MIN => Err(format!("must be at least {MIN}")),
        _ => Err(format!("must be at most {MAX}")),
    }
}

fn search_text(text: &str) -> Result<String, &'static str> {
    const MAX_BYTES: usize = 1_024;
    match text.len() {
        1..=MAX_BYTES => Ok(text.to_owned()),
        _ => Err("must be 1 to 1024 bytes"),
    }
}
