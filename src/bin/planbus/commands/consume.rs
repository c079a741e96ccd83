//! `planbus consume`: handles the events of streams as one consumer of a group.
//!
//! Prints each event, or runs a command for it. Works without a store; acks nothing that was not
//! written, or whose command did not succeed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::{Args, builder::NonEmptyStringValueParser};
use planbus::{
    Filter, PlanId, TypePattern,
    redis::{Consumer, ConsumerBuilder, EntryId, GroupStart, ManualDelivery, Ordering, RetryPolicy},
};

use crate::{
    agent_runtime::units,
    cli::{Form, Global, whole_number},
    consuming::{Bounds, Consuming, Handled},
    entry_view::EntryPrinter,
    exec::{Commands, Ran},
    failure::Failure,
    interrupt::CtrlC,
    output::Output,
    redis::{ProfileOptions, RedisOptions, failed},
    terminal, when,
};

/// The most entries that are read ahead.
const PREFETCH: u64 = 256;

/// The options of `consume`.
#[derive(Args, Debug)]
pub(crate) struct ConsumeOptions {
    #[command(flatten)]
    redis: RedisOptions,

    #[command(flatten)]
    profile: ProfileOptions,

    /// Only these streams: keys, or patterns like `events:workflow.*` [default: all of the profile]
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,

    /// The group; each group gets every event once
    #[arg(long, short, value_name = "NAME")]
    group: String,

    /// Run this for each event, by `sh -c`; exit code 0 acks, 65 makes a dead letter, others fail
    ///
    /// It gets the event on stdin as one line of JSON, and in its environment PLANBUS_STREAM,
    /// PLANBUS_ENTRY_ID, PLANBUS_GROUP, PLANBUS_ATTEMPT (from 1), PLANBUS_REPLAY (1 for a dead letter
    /// that was sent back, else 0) and PLANBUS_LAST_ERROR. The last lines of its stderr become a part of
    /// the error.
    #[arg(long, short, value_name = "CMD", value_parser = NonEmptyStringValueParser::new())]
    exec: Option<String>,

    /// Only events of this plan; others are acked
    #[arg(long, value_name = "PLAN")]
    plan: Option<PlanId>,

    /// Only these types, or families like `workflow.*`; may be repeated, or separated by commas; others
    /// are acked
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<TypePattern>,

    /// Where the group begins in streams in which it is not there yet: `beginning`, `now`, or behind
    /// the entry of this id
    #[arg(long, value_name = "WHERE", default_value = "beginning", value_parser = start)]
    from: GroupStart,

    /// Keep the events of a plan in order, also where one is tried again
    #[arg(long)]
    per_plan: bool,

    /// How many commands run at once
    #[arg(long, value_name = "N", requires = "exec", default_value_t = 1,
        value_parser = whole_number::<1, 256>)]
    workers: u64,

    /// The delays before a failed event is tried again; `none` for none. Then it is a dead letter
    #[arg(long, value_name = "DELAYS", default_value = "1s,4s,16s", value_parser = retry)]
    retry: Delays,

    /// After which time what a consumer left that is gone is taken over
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = when::length)]
    claim_idle: Duration,

    /// Kill a command that takes longer than this, with what it started; that is a failure
    #[arg(long, value_name = "TIME", requires = "exec", value_parser = when::some_length)]
    timeout: Option<Duration>,

    /// End when N events were handled; what failed is not counted
    #[arg(long, value_name = "N", value_parser = whole_number::<1, { u64::MAX }>)]
    count: Option<u64>,

    /// End when nothing came for so long, even though some may wait for another attempt [default: 1s]
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1s",
        value_parser = when::some_length)]
    until_idle: Option<Duration>,

    /// How long commands may go on that run when it is to end; then they are killed, and their events
    /// given back
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = when::length)]
    stop_after: Duration,

    /// The consumer's name in Redis, before an id of this run
    #[arg(long, value_name = "NAME", default_value = "planbus")]
    name: String,
}

/// Delays between attempts.
#[derive(Clone, Debug)]
struct Delays(Vec<Duration>);

fn retry(text: &str) -> Result<Delays, String> {
    if text == "none" {
        return Ok(Delays(Vec::new()));
    }
    let delays = text.split(',').map(|delay| when::length(delay.trim())).collect::<Result<_, _>>();
    delays.map(Delays).map_err(|_| "must be delays like 1s,4s,16s, or none".to_owned())
}

fn start(text: &str) -> Result<GroupStart, String> {
    match text {
        "beginning" => Ok(GroupStart::Beginning),
        "now" => Ok(GroupStart::Now),
        id => match id.parse::<EntryId>() {
            Ok(id) => Ok(GroupStart::After(id)),
            Err(_) => Err("must be beginning, now, or an id like 1526919030474-0".to_owned()),
        },
    }
}

/// Runs the command.
pub(crate) fn run(options: &ConsumeOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("consume")?;
    let endpoint = options.redis.endpoint()?;
    let profile = options.profile.profile()?;
    let bounds = Bounds { count: options.count, idle: options.until_idle };
    let builder = options.tell(Consumer::builder(endpoint.clone()).profile(profile), global);
    if bounds.has_any() {
        // Whoever asks for an end is told at once that there is nothing to begin with.
        endpoint.health().map_err(failed)?;
    }
    let commands = options.exec.as_deref().map(|line| Arc::new(Commands::new(line, options.timeout)));
    let ctrl_c = match commands.clone() {
        Some(commands) => CtrlC::listen_before(move || commands.cut_off_and_wait())?,
        None => CtrlC::listen()?,
    };
    let consuming = Consuming::new(builder.deliveries()?, bounds, global);
    match &commands {
        Some(commands) => {
            let handle = |delivery| exec(commands, delivery, &consuming, &options.retry);
            let work = || consuming.work(handle, || Ok(()));
            consuming.run(options.workers, work, &ctrl_c, options.stop_after, || commands.cut_off())
        }
        None => print(&consuming, form, &ctrl_c, options.stop_after, out),
    }
}

impl ConsumeOptions {
    fn tell(&self, builder: ConsumerBuilder, global: &Global) -> ConsumerBuilder {
        let mut filter = Filter::all().tenant(global.tenant());
        if let Some(plan) = &self.plan {
            filter = filter.plan(plan);
        }
        if !self.types.is_empty() {
            filter = filter.types(self.types.iter().cloned());
        }
        // What is read ahead and not handled is given back, which costs everybody more than reading it.
        let prefetch = self.count.unwrap_or(PREFETCH).clamp(self.workers, PREFETCH);
        builder
            .group(&self.group)
            .name(&self.name)
            .streams(&self.streams)
            .filter(filter)
            .start_at(self.from)
            .ordering(if self.per_plan { Ordering::PerPlan } else { Ordering::Shared })
            .retry(RetryPolicy::delays(self.retry.0.iter().copied()))
            .claim_idle(self.claim_idle)
            .prefetch(usize::try_from(prefetch).unwrap_or(usize::MAX))
    }
}

/// Writes each event, and hands it on before it is acked.
fn print(
    consuming: &Consuming,
    form: Form,
    ctrl_c: &CtrlC,
    stop_after: Duration,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut printer = EntryPrinter::new(form);
    printer.begin(out)?;
    out.flush()?;
    // One worker alone writes.
    let writer = Mutex::new((printer, out));
    let write = |delivery: ManualDelivery| {
        let (printer, out) = &mut *writer.lock().unwrap_or_else(PoisonError::into_inner);
        let event = printer.write_event(delivery.stream(), delivery.id(), delivery.event(), out);
        match event.and_then(|()| out.flush()) {
            Ok(()) => delivery.ack(),
            Err(failure) => {
                delivery.release();
                return Err(failure);
            }
        }
        Ok(Handled::Yes)
    };
    let rest = || match terminal::is_stdout_closed() {
        // While nothing comes there is no write that would tell that nobody reads.
        true => Err(Failure::ClosedPipe),
        false => Ok(()),
    };
    consuming.run(1, || consuming.work(write, rest), ctrl_c, stop_after, || {})
}

/// Runs the command for one delivery, and settles it.
fn exec(
    commands: &Commands,
    delivery: ManualDelivery,
    consuming: &Consuming,
    retry: &Delays,
) -> Result<Handled, Failure> {
    if terminal::is_stdout_closed() {
        // It would fail for want of a reader, which is not the event's fault.
        delivery.release();
        return Err(Failure::ClosedPipe);
    }
    match commands.run(&delivery) {
        Ran::Done => {
            delivery.ack();
            return Ok(Handled::Yes);
        }
        Ran::Failed(_) if terminal::is_stdout_closed() => {
            delivery.release();
            return Err(Failure::ClosedPipe);
        }
        Ran::Failed(error) => {
            let failed = usize::try_from(delivery.attempt()).unwrap_or(usize::MAX);
            let next = match retry.0.get(failed.saturating_sub(1)) {
                Some(delay) => format!("again in {}", units::duration(*delay)),
                None => "now a dead letter".to_owned(),
            };
            consuming.tell_failed(&delivery, &error, &next);
            delivery.retry(error);
        }
        Ran::Refused(error) => {
            consuming.tell_failed(&delivery, &error, "now a dead letter");
            delivery.dead_letter(error);
        }
        Ran::CutOff => delivery.release(),
    }
    Ok(Handled::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_in_their_order() {
        let millis = |text| retry(text).map(|delays| delays.0.iter().map(Duration::as_millis).collect());
        assert_eq!(millis("1s,4s, 500ms"), Ok(vec![1_000, 4_000, 500]));
        assert_eq!(millis("none"), Ok(Vec::new()));
        for text in ["", "1s,", "1", "none,1s", "-1s"] {
            assert!(retry(text).is_err(), "{text}");
        }
    }
}
