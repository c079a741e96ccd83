//! `planbus mirror`: copies a log into streams of Redis, until it is stopped or Redis has all of it.
//!
//! Never creates a store. Says on stderr what its mirrors do, and leaves Redis as it is when it ends:
//! the next mirror goes on where the streams stand.

use std::{
    env,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use planbus::{
    ErrorKind, EventStore,
    redis::{MirrorState, MirrorStatus, OnInexpressible, Profile, RedisEndpoint, RedisMirror},
};

use super::{open, open_as_owner};
use crate::{
    agent_runtime::units::{counted, duration, number},
    cli::{Form, Global},
    failure::{Exit, Failure},
    interrupt,
    live::pane::Pane,
    mirroring::to_json,
    output::Output,
    progress::rate,
    redis::{RedisOptions, failed, profile},
    style::Style,
    table::{Cell, Column, Table, cell},
    terminal,
    text::{cut, escape},
};

/// How often the mirrors are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long `--once` waits for a Redis that went away.
const AWAY_MAX: Duration = Duration::from_secs(10);
/// How long a look at the end may take, once a mirror has said that it is there.
const LAST_LOOK: Duration = Duration::from_secs(30);

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
    let stop = interrupt::flag()?;
    let store = open_as_owner(EventStore::options(), global)?;
    let mirrors = profiles
        .into_iter()
        .map(|profile| start(options, &store, endpoint.clone(), profile))
        .collect::<Result<Vec<_>, _>>()?;
    let mut watch = Watch::new(&endpoint, mirrors.len(), global);
    let done = watch.run(&mirrors, options.once, &stop);
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

/// What a person is told while mirrors run.
struct Watch {
    /// `None` where no lines can be redrawn.
    pane: Option<Pane>,
    is_quiet: bool,
    place: String,
    begun: Instant,
    /// What was told last of each mirror.
    told: Vec<Option<MirrorState>>,
    has_warned: bool,
    away_since: Option<Instant>,
}

impl Watch {
    fn new(endpoint: &RedisEndpoint, mirrors: usize, global: &Global) -> Self {
        // Two writers on one terminal would spoil each other's lines.
        let is_watched = terminal::can_redraw()
            && !global.quiet
            && global.verbose == 0
            && env::var_os("RUST_LOG").is_none();
        Self {
            pane: is_watched.then(Pane::default),
            is_quiet: global.quiet,
            place: endpoint.to_string(),
            begun: Instant::now(),
            told: vec![None; mirrors],
            has_warned: false,
            away_since: None,
        }
    }

    /// Looks at the mirrors until it is time to end.
    fn run(&mut self, mirrors: &[RedisMirror], once: bool, stop: &AtomicBool) -> Result<(), Failure> {
        loop {
            if stop.load(Ordering::Relaxed) {
                return if once { Err(interrupted()) } else { Ok(()) };
            }
            let all: Vec<MirrorStatus> = mirrors.iter().map(RedisMirror::status).collect();
            self.tell(&all);
            if once && self.is_done(&all, mirrors)? {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
    }

    /// Whether every mirror has brought everything; an error where one cannot.
    fn is_done(&mut self, all: &[MirrorStatus], mirrors: &[RedisMirror]) -> Result<bool, Failure> {
        let stuck =
            |status: &&MirrorStatus| matches!(status.state, MirrorState::Blocked | MirrorState::Forked);
        if let Some(status) = all.iter().find(stuck) {
            return Err(stuck_failure(status));
        }
        if !all.iter().any(|status| status.state == MirrorState::Retrying) {
            self.away_since = None;
        } else if self.away_since.get_or_insert_with(Instant::now).elapsed() >= AWAY_MAX {
            let told = format!("redis: {} cannot be reached, or refuses for now", self.place);
            let failure = Failure::new(Exit::Unavailable, told);
            return Err(failure.hint("the log keeps what is missing: run it again"));
        }
        if !all.iter().all(|status| status.state == MirrorState::Live && status.lag_events == 0) {
            return Ok(false);
        }
        for mirror in mirrors {
            match mirror.flush(LAST_LOOK) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => return Ok(false),
                Err(_) => return Err(stuck_failure(&mirror.status())),
            }
        }
        Ok(true)
    }

    fn tell(&mut self, all: &[MirrorStatus]) {
        if self.is_quiet {
            return;
        }
        let warnings = all.iter().find_map(|status| status.server.as_ref()).map(|server| &server.warnings);
        if let Some(warnings) = warnings.filter(|_| !self.has_warned) {
            self.has_warned = true;
            for warning in warnings {
                self.line(&format!("warning: {warning}"));
            }
        }
        let elapsed = self.begun.elapsed();
        for (at, status) in all.iter().enumerate() {
            if self.told[at] != Some(status.state) {
                self.told[at] = Some(status.state);
                self.line(&change(status, &self.place));
            }
        }
        if let Some(pane) = &mut self.pane {
            let columns = terminal::stderr_size().0.saturating_sub(1);
            let lines: Vec<String> =
                all.iter().map(|status| cut(&escape(&line(status, elapsed)), columns).into_owned()).collect();
            // A terminal that is gone needs no picture.
            let _ = pane.draw(&lines.join("\n"), &mut io::stderr());
        }
    }

    /// Writes a line that stays.
    fn line(&mut self, text: &str) {
        self.clear();
        // Where nobody can read it, nobody is told.
        let _ = writeln!(io::stderr(), "planbus: {}", escape(text));
    }

    fn clear(&mut self) {
        if let Some(pane) = &mut self.pane {
            let _ = pane.clear(&mut io::stderr());
        }
    }
}

fn interrupted() -> Failure {
    Failure::new(
        Exit::Interrupted,
        "interrupted: what is missing in Redis is in the log; run it again to go on",
    )
}

/// Why a mirror goes no further, and what to do.
fn stuck_failure(status: &MirrorStatus) -> Failure {
    let (why, stream) = match status.troubled.first() {
        Some(trouble) => (Some(&trouble.error), Some(trouble.stream.as_str())),
        None => (status.last_error.as_ref(), None),
    };
    let doing = format!("mirror {}: {}", status.name, status.state);
    let failure = match why {
        Some(error) => Failure::of(Exit::Failed, &doing, error),
        None => Failure::new(Exit::Failed, doing),
    };
    match stream {
        Some(stream) => failure.hint(&format!("`planbus streams rebuild {stream}` empties it for the log")),
        None => failure,
    }
}

/// What a mirror does now, for a line that stays.
fn change(status: &MirrorStatus, place: &str) -> String {
    let name = &status.name;
    let behind = counted(status.lag_events, "event");
    match (status.state, &status.last_error) {
        (MirrorState::CatchingUp, _) if status.lag_events == 0 => {
            format!("{name}: comparing {place} with the log")
        }
        (MirrorState::CatchingUp, _) => format!("{name}: catching up with the log, {behind} to go"),
        (MirrorState::Live, _) => format!("{name}: {place} has the log up to seq {}", status.seq),
        (MirrorState::Retrying, Some(error)) => {
            format!("{name}: {} behind; {}; trying again", behind, reason(error))
        }
        (_, Some(_)) => match stuck_failure(status) {
            Failure::Told { message, .. } => message,
            Failure::ClosedPipe => status.state.to_string(),
        },
        (state, None) => format!("{name}: {state}, {behind} behind"),
    }
}

fn reason(error: &planbus::Error) -> String {
    match Failure::from(error.clone()) {
        Failure::Told { message, .. } => message,
        Failure::ClosedPipe => String::new(),
    }
}

/// How a mirror stands, for a line that is drawn again.
fn line(status: &MirrorStatus, elapsed: Duration) -> String {
    let mut line = format!("{}  {}  seq {}", status.name, status.state, number(status.seq));
    if status.lag_events > 0 {
        line.push_str(&format!("  {} behind, {}", counted(status.lag_events, "event"), duration(status.lag)));
    }
    line.push_str(&format!(
        "  {} appended, {}/s",
        number(status.appended),
        number(rate(status.appended, elapsed))
    ));
    line
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
            cell(number(end.lag_events)),
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
