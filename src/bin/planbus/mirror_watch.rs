//! Watches mirrors for a person: what they do, how far and how fast they are, and when to end.
//!
//! Draws over its own lines where stderr is a terminal; elsewhere it says only what changes.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use planbus::{
    ErrorKind,
    redis::{MirrorState, MirrorStatus, RedisEndpoint, RedisMirror},
};

use crate::{
    agent_runtime::units::{counted, duration, number},
    cli::Global,
    failure::{Exit, Failure, chain},
    interrupt::CtrlC,
    live::pane::Pane,
    progress::rate,
    terminal,
    text::{cut, escape},
};

/// How often the mirrors are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long `--once` waits for a Redis that went away.
const AWAY_MAX: Duration = Duration::from_secs(10);
/// How long a look at the end may take, once a mirror has said that it is there.
const LAST_LOOK: Duration = Duration::from_secs(30);
/// Over how long a speed is measured.
const SPEED_SPAN: Duration = Duration::from_secs(1);

/// What a person is told while mirrors run.
pub(crate) struct Watch {
    /// `None` where no lines can be redrawn.
    pane: Option<Pane>,
    is_quiet: bool,
    place: String,
    /// How fast each mirror is.
    speeds: Vec<Speed>,
    /// What was told last of each mirror.
    told: Vec<Option<MirrorState>>,
    /// The groups that were told to hold trimming back, by mirror.
    held: Vec<Vec<(String, String)>>,
    has_warned: bool,
    away_since: Option<Instant>,
}

impl Watch {
    /// For so many mirrors of this Redis.
    pub(crate) fn new(endpoint: &RedisEndpoint, mirrors: usize, global: &Global) -> Self {
        let is_watched = terminal::can_redraw() && global.wants_pictures();
        Self {
            pane: is_watched.then(Pane::default),
            is_quiet: global.quiet,
            place: endpoint.to_string(),
            speeds: vec![Speed { since: Instant::now(), appended: 0, rate: 0 }; mirrors],
            told: vec![None; mirrors],
            held: vec![Vec::new(); mirrors],
            has_warned: false,
            away_since: None,
        }
    }

    /// Looks at the mirrors until it is time to end.
    pub(crate) fn run(&mut self, mirrors: &[RedisMirror], once: bool, ctrl_c: &CtrlC) -> Result<(), Failure> {
        loop {
            if ctrl_c.has_come() {
                return if once { Err(interrupted()) } else { Ok(()) };
            }
            let look = || mirrors.iter().map(RedisMirror::status).collect::<Vec<MirrorStatus>>();
            let all = look();
            self.tell(&all, once);
            if once && self.is_done(&all, mirrors)? {
                self.tell(&look(), once);
                return Ok(());
            }
            ctrl_c.wait(LOOK);
        }
    }

    /// Whether every mirror has brought everything; an error where one cannot.
    fn is_done(&mut self, all: &[MirrorStatus], mirrors: &[RedisMirror]) -> Result<bool, Failure> {
        if let Some(status) = all.iter().find(|status| is_stuck(status)) {
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

    fn tell(&mut self, all: &[MirrorStatus], once: bool) {
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
        for (at, status) in all.iter().enumerate() {
            if self.told[at] != Some(status.state) {
                self.told[at] = Some(status.state);
                // What ends the command is told by its failure.
                if !once || !is_stuck(status) {
                    self.line(&change(status, &self.place));
                }
            }
            let known = std::mem::replace(&mut self.held[at], status.trim_held_by.clone());
            for (stream, group) in status.trim_held_by.iter().filter(|held| !known.contains(held)) {
                let name = &status.name;
                self.line(&format!("{name}: trimming of {stream} is held back by the group {group}"));
            }
        }
        if let Some(pane) = &mut self.pane {
            let columns = terminal::stderr_size().0.saturating_sub(1);
            let each = all.iter().zip(&mut self.speeds);
            let lines: Vec<String> = each
                .map(|(status, speed)| cut(&escape(&line(status, speed.of(status))), columns).into_owned())
                .collect();
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

    /// Takes the lines away that are drawn again.
    pub(crate) fn clear(&mut self) {
        if let Some(pane) = &mut self.pane {
            let _ = pane.clear(&mut io::stderr());
        }
    }
}

fn is_stuck(status: &MirrorStatus) -> bool {
    matches!(status.state, MirrorState::Blocked | MirrorState::Forked)
}

fn interrupted() -> Failure {
    Failure::new(
        Exit::Interrupted,
        "interrupted: what is missing in Redis is in the log; run it again to go on",
    )
}

/// Why a mirror goes no further, and what to do.
fn stuck_failure(status: &MirrorStatus) -> Failure {
    let trouble = status.troubled.first().map(|trouble| &trouble.error);
    let doing = format!("mirror {}: {}", status.name, status.state);
    let Some(error) = trouble.or(status.last_error.as_ref()) else {
        return Failure::new(Exit::Failed, doing);
    };
    let failure = Failure::of(Exit::Failed, &doing, error);
    match remedy(error) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What to do about it. An error that a rebuild mends says so itself; for any other one a rebuild
/// would take entries away and mend nothing.
fn remedy(error: &planbus::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::Unauthorized => Some("give the user the rights that EVENTS.md lists"),
        _ if chain(error).contains("WRONGTYPE") => {
            Some("another program's key is there: remove it with redis-cli DEL, or use another --key")
        }
        _ => None,
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
fn line(status: &MirrorStatus, rate: u64) -> String {
    let mut line = format!("{}  {}  seq {}", status.name, status.state, number(status.seq));
    if status.lag_events > 0 {
        line.push_str(&format!("  {} behind, {}", counted(status.lag_events, "event"), duration(status.lag)));
    }
    line.push_str(&format!("  {} appended, {}/s", number(status.appended), number(rate)));
    line
}

/// How fast a mirror is, measured anew every [`SPEED_SPAN`].
#[derive(Clone)]
struct Speed {
    since: Instant,
    appended: u64,
    /// Entries a second.
    rate: u64,
}

impl Speed {
    fn of(&mut self, status: &MirrorStatus) -> u64 {
        let span = self.since.elapsed();
        if span >= SPEED_SPAN {
            self.rate = rate(status.appended.saturating_sub(self.appended), span);
            (self.since, self.appended) = (Instant::now(), status.appended);
        }
        self.rate
    }
}
