//! A consumer beside a person: workers that take deliveries, when to end, and what is told of Redis.
//!
//! Settles nothing itself: each worker acks what it handled.

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Sender, bounded};
use planbus::{
    Error, ErrorKind,
    redis::{ConsumerState, ConsumerStatus, Deliveries, Delivery, ManualDelivery, StopReport},
};

use crate::{
    agent_runtime::units::{counted, number},
    cli::Global,
    failure::{Exit, Failure, chain},
    interrupt::CtrlC,
    redis::failed,
    text::{self, escape},
};

/// How much of a line that a command said is told.
const SAID_MAX_COLUMNS: usize = 200;
/// How often it is looked whether it is time to end.
const LOOK: Duration = Duration::from_millis(50);
/// How long a worker waits for a delivery before it looks up.
const WAIT: Duration = Duration::from_millis(100);
/// How long a run with an end waits for a Redis that went away.
const AWAY_MAX: Duration = Duration::from_secs(10);
/// How long Redis may take at the end to be told of what was handled.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// When to end without being told to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// When so many were handled.
    pub(crate) count: Option<u64>,
    /// When nothing came for so long.
    pub(crate) idle: Option<Duration>,
}

impl Bounds {
    pub(crate) fn has_any(&self) -> bool {
        self.count.is_some() || self.idle.is_some()
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    Yes,
    /// It failed, or was given back.
    No,
}

/// A consumer, and how far its workers are.
#[derive(Debug)]
pub(crate) struct Consuming {
    deliveries: Deliveries,
    bounds: Bounds,
    is_quiet: bool,
    is_over: AtomicBool,
    /// How many may be begun still: never more than are to be handled.
    left: AtomicU64,
    handled: AtomicU64,
    /// When something last came or was done.
    busy_at: Mutex<Instant>,
}

impl Consuming {
    pub(crate) fn new(deliveries: Deliveries, bounds: Bounds, global: &Global) -> Self {
        Self {
            deliveries,
            bounds,
            is_quiet: global.quiet,
            is_over: AtomicBool::new(false),
            left: AtomicU64::new(bounds.count.unwrap_or(u64::MAX)),
            handled: AtomicU64::new(0),
            busy_at: Mutex::new(Instant::now()),
        }
    }

    /// Takes deliveries until it is over or one ends in an error; `rest` is called while none comes.
    pub(crate) fn work(
        &self,
        handle: impl Fn(ManualDelivery) -> Result<Handled, Failure>,
        rest: impl Fn() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        while !self.is_over.load(Ordering::Relaxed) {
            if !self.may_begin() {
                // The last ones are with other workers, and may fail.
                thread::sleep(LOOK);
                continue;
            }
            let handled = match self.deliveries.next_timeout(WAIT) {
                Ok(Some(delivery)) => {
                    self.note_busy();
                    let handled = handle(delivery);
                    self.note_busy();
                    handled?
                }
                Ok(None) => {
                    rest()?;
                    Handled::No
                }
                // It was stopped.
                Err(_) => break,
            };
            match handled {
                Handled::Yes => self.handled.fetch_add(1, Ordering::Relaxed),
                Handled::No => self.left.fetch_add(1, Ordering::Relaxed),
            };
        }
        Ok(())
    }

    /// Runs workers until it is time to end; then gives them so long to end, cuts off what goes on, and
    /// stops the consumer.
    pub(crate) fn run(
        &self,
        workers: u64,
        work: impl Fn() -> Result<(), Failure> + Sync,
        ctrl_c: &CtrlC,
        stop_after: Duration,
        cut_off: impl Fn(),
    ) -> Result<(), Failure> {
        let (worked, watched, stopped) = thread::scope(|scope| {
            // Each worker holds one end for as long as it works.
            let (working, all_have_ended) = bounded::<Infallible>(0);
            let begin = |working: Sender<Infallible>| {
                let work = &work;
                scope.spawn(move || {
                    let _working = working;
                    work()
                })
            };
            let workers: Vec<_> = (0..workers).map(|_| begin(working.clone())).collect();
            drop(working);
            let has_ended = || workers.iter().any(|worker| worker.is_finished());
            let watched = self.watch(ctrl_c, has_ended);
            self.is_over.store(true, Ordering::Relaxed);
            // What no worker has is given back meanwhile.
            let stopping = scope.spawn(|| self.deliveries.stop(stop_after.saturating_add(SETTLE_MAX)));
            let _ = all_have_ended.recv_timeout(stop_after);
            cut_off();
            let panicked = || Failure::new(Exit::Failed, "a worker panicked");
            let worked: Result<(), Failure> =
                workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| panicked())?);
            let stopped = stopping.join().map_err(|_| panicked()).and_then(|report| Ok(report?));
            (worked, watched, stopped)
        });
        self.tell(&summary(&self.deliveries.status(), &stopped.unwrap_or_default()));
        worked.and(watched)
    }

    /// Looks whether it is time to end, and tells what changes.
    fn watch(&self, ctrl_c: &CtrlC, has_ended: impl Fn() -> bool) -> Result<(), Failure> {
        let mut told = None;
        let mut well_at = Instant::now();
        let (mut counts, mut has_streams) = (self.deliveries.status().counts, true);
        loop {
            if ctrl_c.has_come() {
                return if self.bounds.has_any() { Err(interrupted()) } else { Ok(()) };
            }
            if has_ended() || self.bounds.count.is_some_and(|count| self.handled() >= count) {
                return Ok(());
            }
            let status = self.deliveries.status();
            if status.state == ConsumerState::Live {
                well_at = Instant::now();
            }
            if self.bounds.has_any() {
                check(&status, well_at)?;
            }
            self.tell_change(&status, &mut told);
            // What is passed over has come as well.
            let is_moving = status.counts != counts || status.busy + status.ready > 0;
            if status.state != ConsumerState::Live || is_moving {
                self.note_busy();
            }
            counts = status.counts;
            if status.state == ConsumerState::Live && has_streams && status.streams == 0 {
                has_streams = false;
                self.tell("no such stream yet; it is waited for");
            }
            if self.bounds.idle.is_some_and(|idle| self.lock_busy_at().elapsed() >= idle) {
                return Ok(());
            }
            ctrl_c.wait(LOOK);
        }
    }

    fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    fn may_begin(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    fn note_busy(&self) {
        *self.lock_busy_at() = Instant::now();
    }

    fn lock_busy_at(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.busy_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a failed attempt. What its command said stands on stderr already.
    pub(crate) fn tell_failed(&self, delivery: &Delivery, error: &str, next: &str) {
        // The exit code, and the last thing that the command said, where its cause mostly stands.
        let mut lines = error.lines().map(|line| text::cut(line, SAID_MAX_COLUMNS));
        let (first, last) = (lines.next().unwrap_or_default(), lines.next_back());
        let why = last.map_or(first.to_string(), |last| match first.split_once(": ") {
            Some((code, _)) => format!("{code}: .. {last}"),
            None => format!("{first}: .. {last}"),
        });
        let (event, attempt) = (delivery.event(), delivery.attempt());
        self.tell(&format!(
            "{} {} of {}: attempt {attempt} failed, {next}: {why}",
            event.event_type(),
            delivery.id(),
            event.plan_id()
        ));
    }

    fn tell_change(&self, status: &ConsumerStatus, told: &mut Option<ConsumerState>) {
        let before = told.unwrap_or(ConsumerState::Live);
        let is_bad = |state| matches!(state, ConsumerState::Retrying | ConsumerState::Blocked);
        match &status.last_error {
            Some(error) if is_bad(status.state) && before != status.state => {
                let then = match status.state {
                    ConsumerState::Blocked => "it goes on when that is mended",
                    _ => "trying again until it is back",
                };
                self.tell(&format!("{}; {then}", reason(error)));
            }
            None if status.state == ConsumerState::Live && is_bad(before) => self.tell("redis is back"),
            _ => return,
        }
        *told = Some(status.state);
    }

    fn tell(&self, text: &str) {
        if !self.is_quiet {
            // Where nobody can read it, nobody is told.
            let _ = writeln!(io::stderr(), "planbus: {}", escape(text));
        }
    }
}

/// Ends a run with an end that Redis keeps from it.
fn check(status: &ConsumerStatus, well_at: Instant) -> Result<(), Failure> {
    let Some(error) = &status.last_error else { return Ok(()) };
    match status.state {
        ConsumerState::Blocked => Err(failed(error.clone())),
        ConsumerState::Retrying if well_at.elapsed() >= AWAY_MAX => {
            let failure = Failure::of(Exit::Unavailable, "consume", error);
            Err(failure.hint("what was not handled stays with its group: run it again"))
        }
        _ => Ok(()),
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted: what was not handled stays with its group")
}

fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Unavailable => "redis cannot be reached".to_owned(),
        _ => chain(error),
    }
}

/// What was done, on one line.
fn summary(status: &ConsumerStatus, stopped: &StopReport) -> String {
    let counts = &status.counts;
    let mut told = format!("{} handled", counted(counts.handled, "event"));
    if counts.filtered > 0 {
        told.push_str(&format!(", {} passed over", number(counts.filtered)));
    }
    if counts.duplicates > 0 {
        told.push_str(&format!(", {} known already", number(counts.duplicates)));
    }
    let more = [(counts.failed, "failed attempt"), (counts.dead_lettered, "dead letter")];
    for (number, what) in more.into_iter().filter(|(number, _)| *number > 0) {
        told.push_str(&format!(", {}", counted(number, what)));
    }
    if stopped.released > 0 {
        told.push_str(&format!(", {} given back", stopped.released));
    }
    let unsaid = stopped.abandoned + stopped.unsettled;
    if unsaid > 0 {
        told.push_str(&format!(", {unsaid} that Redis was not told of: they come again"));
    }
    told
}
