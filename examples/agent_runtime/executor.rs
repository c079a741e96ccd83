//! A synchronous plan executor: decisions, tools and subplans, each reported through a `PlanRun`.
//!
//! It knows nothing of what the plans do. It never retries, never waits on a clock, and never goes
//! on when a step could not be reported: a log that refuses an event ends the plan.

use std::{
    fmt, io,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, ScopedJoinHandle},
};

use planbus::{PlanBuilder, PlanRun, ToolError};
use serde_json::{Value, json};

/// Room for plans that run inside each other on one thread.
pub(crate) const STACK_BYTES: usize = 4 << 20;

/// A piece of work that an agent does as one plan.
pub(crate) trait Plan: Send {
    /// What the work brings.
    type Output: Send;

    /// The last part of the plan's id when it runs as a subplan.
    fn name(&self) -> String;

    /// What the plan is to reach, for people.
    fn goal(&self) -> String;

    /// The agent that does it, if it is another than its parent's.
    fn agent(&self) -> Option<&'static str> {
        None
    }

    /// Does the work, step by step, through the agent.
    fn run(self, agent: &Agent<'_>) -> Result<Self::Output, Halt>;

    /// What the log keeps of the output; keep it small.
    fn result(output: &Self::Output) -> Value;
}

/// Why a plan stopped before its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Somebody asked the executor to stop.
    Interrupted,
    /// Somebody asked this plan to stop.
    Cancelled,
    /// The log refused an event. Going on would be work that nobody can audit.
    Log(planbus::Error),
    /// The system gave no thread.
    Thread(io::Error),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::Cancelled => f.write_str("cancelled by whoever asked for it"),
            Self::Log(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "no thread for a subplan: {error}"),
        }
    }
}

impl std::error::Error for Halt {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Log(error) => error.source(),
            Self::Interrupted | Self::Cancelled | Self::Thread(_) => None,
        }
    }
}

impl From<planbus::Error> for Halt {
    fn from(error: planbus::Error) -> Self {
        Self::Log(error)
    }
}

/// What ends plans before their time: each looks at it before each step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// The whole program is to end: plans fail with "interrupted".
    pub(crate) interrupted: Arc<AtomicBool>,
    /// These plans alone are to end: they fail with "cancelled".
    pub(crate) cancelled: Arc<AtomicBool>,
}

/// Runs plans on its caller's thread and a bounded number of others.
#[derive(Debug)]
pub(crate) struct Executor {
    /// How many more threads may run now.
    permits: AtomicUsize,
    stop: Stop,
}

impl Executor {
    /// An executor with at most `threads` threads beside its caller's. Every plan ends as failed at its
    /// next step once `stop` says so.
    pub(crate) fn new(threads: usize, stop: Stop) -> Self {
        Self { permits: AtomicUsize::new(threads), stop }
    }

    /// Begins a root plan: from here on it is in the log.
    pub(crate) fn begin<P: Plan>(builder: PlanBuilder, plan: &P) -> Result<PlanRun, Halt> {
        Ok(builder.start(json!({"goal": plan.goal()}))?)
    }

    /// Runs a plan that has begun to its end.
    pub(crate) fn run<P: Plan>(&self, run: PlanRun, plan: P) -> Result<P::Output, Halt> {
        let agent = Agent { executor: self, run: &run };
        match agent.go_on().and_then(|()| plan.run(&agent)) {
            Ok(output) => {
                run.complete(P::result(&output))?;
                Ok(output)
            }
            Err(halt) => {
                // Where the log is what failed, this may fail too; `halt` tells more than that.
                let _ = run.fail(&halt);
                Err(halt)
            }
        }
    }

    fn permit(&self) -> Option<Permit<'_>> {
        self.permits
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1))
            .ok()
            .map(|_| Permit(&self.permits))
    }
}

/// The right to one thread, given back when dropped.
struct Permit<'a>(&'a AtomicUsize);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a plan acts through: every step that it takes here is in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agent<'a> {
    executor: &'a Executor,
    run: &'a PlanRun,
}

impl Agent<'_> {
    /// The decision step: what was chosen, and why.
    pub(crate) fn decide(&self, decision: String, reason: &str, fields: Value) -> Result<(), Halt> {
        self.go_on()?;
        let mut fields = fields;
        fields["reason"] = reason.into();
        self.run.decide(decision, fields)?;
        Ok(())
    }

    /// The tool runner. A tool that fails is an answer, which the plan may act on; the log keeps
    /// `describe`'s word of the result, not the result.
    pub(crate) fn tool<T, E: fmt::Display>(
        &self,
        tool: &str,
        arguments: Value,
        run: impl FnOnce() -> Result<T, E>,
        describe: impl FnOnce(&T) -> Value,
    ) -> Result<Result<T, E>, Halt> {
        self.go_on()?;
        match self.run.tool_with(tool, arguments, run, |result| describe(result).into()) {
            Ok(result) => Ok(Ok(result)),
            Err(ToolError::Tool(error)) => Ok(Err(error)),
            Err(ToolError::Publish(error)) => Err(Halt::Log(error)),
        }
    }

    /// The subplan spawner: runs `plans` as subplans, in threads as far as there are any free, and
    /// `meanwhile` on this thread beside them. Returns when all have ended.
    pub(crate) fn with_subplans<P: Plan, T>(
        &self,
        plans: Vec<P>,
        meanwhile: impl FnOnce() -> Result<T, Halt>,
    ) -> Result<(T, Vec<P::Output>), Halt> {
        let executor = self.executor;
        let mut waiting = plans.into_iter();
        // All that get a thread start before the first of them runs, so that they overlap however
        // short they are.
        let mut ready = Vec::new();
        while waiting.len() > 0 {
            let Some(permit) = executor.permit() else { break };
            if let Some(plan) = waiting.next() {
                ready.push((permit, self.begin(&plan)?, plan));
            }
        }
        thread::scope(|scope| {
            let spawn = |permit, run, plan| {
                let work = move || {
                    let _permit: Permit<'_> = permit;
                    executor.run(run, plan)
                };
                thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).map_err(Halt::Thread)
            };
            let mut threads: Vec<ScopedJoinHandle<'_, _>> = Vec::new();
            let mut outputs = Vec::new();
            let here = || {
                for (permit, run, plan) in ready {
                    threads.push(spawn(permit, run, plan)?);
                }
                let own = meanwhile()?;
                for plan in waiting {
                    self.go_on()?;
                    let run = self.begin(&plan)?;
                    match executor.permit() {
                        Some(permit) => threads.push(spawn(permit, run, plan)?),
                        None => outputs.push(executor.run(run, plan)?),
                    }
                }
                Ok(own)
            };
            let mut result = here();
            for thread in threads {
                match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                    Ok(output) => outputs.push(output),
                    Err(halt) => result = result.and(Err(halt)),
                }
            }
            result.map(|own| (own, outputs))
        })
    }

    /// Runs `step` on every item, on this thread and on free ones, at most `threads_max` together;
    /// the results come in no order.
    pub(crate) fn for_each<I: Sync, T: Send>(
        &self,
        items: &[I],
        threads_max: usize,
        step: impl Fn(&I) -> Result<T, Halt> + Sync,
    ) -> Result<Vec<T>, Halt> {
        let next = AtomicUsize::new(0);
        let worker = || {
            let mut results = Vec::new();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                results.push(step(item)?);
            }
            Ok(results)
        };
        thread::scope(|scope| {
            let mut threads = Vec::new();
            while threads.len() + 1 < threads_max.min(items.len()) {
                let Some(permit) = self.executor.permit() else { break };
                let work = || {
                    let _permit = permit;
                    worker()
                };
                threads.push(thread::Builder::new().spawn_scoped(scope, work).map_err(Halt::Thread)?);
            }
            let mut results = worker();
            for thread in threads {
                let more = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                results = results.and_then(|mut all| {
                    all.extend(more?);
                    Ok(all)
                });
            }
            results
        })
    }

    fn begin<P: Plan>(&self, plan: &P) -> Result<PlanRun, Halt> {
        let fields = json!({"goal": plan.goal()});
        Ok(match plan.agent() {
            Some(agent) => self.run.subplan_by(agent, &plan.name(), fields)?,
            None => self.run.subplan(&plan.name(), fields)?,
        })
    }

    /// Whether to take one more step.
    fn go_on(&self) -> Result<(), Halt> {
        let is_set = |sign: &AtomicBool| sign.load(Ordering::Relaxed);
        match &self.executor.stop {
            stop if is_set(&stop.interrupted) => Err(Halt::Interrupted),
            stop if is_set(&stop.cancelled) => Err(Halt::Cancelled),
            _ => Ok(()),
        }
    }
}
