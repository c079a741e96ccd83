//! `planbus events --redis`: the events in the streams of a profile, as they were appended there.
//!
//! Reads in pages, all streams side by side, and keeps no more than a page of each. An entry that
//! holds no event is shown raw. What it prints has no gap and no repetition between the past and what
//! follows.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use planbus::{
    ErrorKind,
    redis::{EntryId, FollowFrom, READ_MAX_ENTRIES, RedisEndpoint, StreamEntry, Streams},
};

use super::{
    events::{LAST_DEFAULT, WAIT, filter, is_wanted},
    note_nothing,
};
use crate::{
    cli::{EventsOptions, Form, Global},
    entry_view::EntryPrinter,
    failure::{Exit, Failure},
    interrupt,
    output::Output,
    redis::failed,
    terminal,
};

/// How many entries of a stream are read at once.
const PAGE_ENTRIES: usize = 1_000;

/// Runs the command.
pub(super) fn run(
    options: &EventsOptions,
    endpoint: RedisEndpoint,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    check(options, out)?;
    let streams = Streams::new(endpoint, options.redis.profile()?);
    let stop = options.follow.then(interrupt::flag).transpose()?;
    let names = streams.list().map_err(failed)?.streams;
    if names.is_empty() && !options.follow {
        let told = format!("redis: there is no stream of the profile {}", streams.profile().name());
        return Err(
            Failure::new(Exit::NotFound, told).hint("`planbus mirror --redis URL` copies a log there")
        );
    }
    // What is appended from here on belongs to the follower.
    let infos = streams.infos(&names).map_err(failed)?;
    let ends: BTreeMap<String, EntryId> =
        infos.into_iter().map(|info| (info.name, info.last_generated_id)).collect();
    let mut printer = EntryPrinter::new(out.form(Form::Table));
    let bounded = options.since.is_some() || options.until.is_some();
    let by_default = (terminal::is_stdout() && !bounded).then_some(LAST_DEFAULT);
    let past = Past { streams: &streams, options, global, ends: &ends };
    match options.last.or(by_default) {
        Some(0) => {}
        Some(last) => printer.write_all(&past.last(last as usize)?, out)?,
        None => past.each_page(|page| printer.write_all(&page, out))?,
    }
    printer.begin(out)?;
    match stop {
        Some(stop) => follow(&streams, FollowFrom::Places(ends), options, global, &stop, &mut printer, out),
        None => {
            if printer.printed == 0 && options.last != Some(0) {
                out.flush()?;
                note_nothing("event", global);
            }
            Ok(())
        }
    }
}

/// Refuses what only a log can answer.
fn check(options: &EventsOptions, out: &Output) -> Result<(), Failure> {
    let told = if options.after.is_some() {
        "--after: a seq is a place in the log; with --redis use --last or --since"
    } else if out.form(Form::Table) == Form::Tree {
        "-o tree: how plans are nested is in the log; with --redis use -o table or -o json"
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Usage, told))
}

/// What was in the streams when the command began.
struct Past<'a> {
    streams: &'a Streams,
    options: &'a EventsOptions,
    global: &'a Global,
    /// Where each stream ends.
    ends: &'a BTreeMap<String, EntryId>,
}

/// The entries of one stream that were read and not given yet.
struct Lane<'a> {
    name: &'a str,
    end: EntryId,
    ready: VecDeque<StreamEntry>,
    /// The last entry that was read; `None` when all were.
    after: Option<EntryId>,
}

impl Past<'_> {
    /// The last entries of all streams together, the oldest first.
    fn last(&self, count: usize) -> Result<Vec<StreamEntry>, Failure> {
        let mut last: VecDeque<StreamEntry> = VecDeque::new();
        let needs_all = self.options.since.is_some() || self.options.until.is_some();
        if needs_all || self.options.grep.is_some() || count > READ_MAX_ENTRIES {
            self.each_page(|page| {
                last.extend(page);
                last.drain(..last.len().saturating_sub(count));
                Ok(())
            })?;
            return Ok(last.into());
        }
        for (name, end) in self.ends {
            let recent = self.streams.recent(name, count, filter(self.options, self.global));
            let recent = or_gone(recent)?;
            last.extend(recent.into_iter().filter(|entry| entry.id <= *end));
        }
        let mut last = Vec::from(last);
        last.sort_by_key(|entry| entry.id);
        last.drain(..last.len().saturating_sub(count));
        Ok(last)
    }

    /// All entries of all streams together, by their ids.
    fn each_page(
        &self,
        mut take: impl FnMut(Vec<StreamEntry>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut lanes: Vec<Lane<'_>> = self
            .ends
            .iter()
            .map(|(name, end)| Lane { name, end: *end, ready: VecDeque::new(), after: Some(EntryId::ZERO) })
            .collect();
        let mut page = Vec::new();
        loop {
            for lane in &mut lanes {
                self.fill(lane)?;
            }
            let next = lanes.iter_mut().filter(|lane| !lane.ready.is_empty());
            let Some(next) = next.min_by_key(|lane| lane.ready.front().map(|entry| entry.id)) else {
                return take(page);
            };
            page.extend(next.ready.pop_front());
            if page.len() == PAGE_ENTRIES {
                take(std::mem::take(&mut page))?;
            }
        }
    }

    fn fill(&self, lane: &mut Lane<'_>) -> Result<(), Failure> {
        while let Some(after) = lane.after.filter(|_| lane.ready.is_empty()) {
            let filter = filter(self.options, self.global);
            let read = or_gone(self.streams.read_after(lane.name, after, PAGE_ENTRIES, filter))?;
            let last = read.last().map(|entry| entry.id);
            lane.after = last.filter(|last| read.len() == PAGE_ENTRIES && *last < lane.end);
            for entry in read {
                if entry.id <= lane.end && is_shown(self.options, &entry)? {
                    lane.ready.push_back(entry);
                }
            }
        }
        Ok(())
    }
}

/// A stream that was deleted meanwhile has no entries.
fn or_gone(read: planbus::Result<Vec<StreamEntry>>) -> Result<Vec<StreamEntry>, Failure> {
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(failed),
    }
}

/// What a filter does not look at; an entry that is no event is always shown.
fn is_shown(options: &EventsOptions, entry: &StreamEntry) -> Result<bool, Failure> {
    let Ok(event) = &entry.event else { return Ok(true) };
    Ok(options.until.is_none_or(|until| event.timestamp() < until) && is_wanted(options, event)?)
}

fn follow(
    streams: &Streams,
    from: FollowFrom,
    options: &EventsOptions,
    global: &Global,
    stop: &AtomicBool,
    printer: &mut EntryPrinter,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut follower = streams.follow(&[], from, filter(options, global)).map_err(failed)?;
    out.flush()?;
    let mut wait = WAIT;
    let mut is_away = false;
    while !stop.load(Ordering::Relaxed) {
        match follower.next_timeout(wait).map_err(failed)? {
            Some(entry) => {
                if is_shown(options, &entry)? {
                    printer.write_all(std::slice::from_ref(&entry), out)?;
                }
                // What waits already is written before the lines are handed on.
                wait = Duration::ZERO;
            }
            // While nothing comes there is no write that would tell that nobody reads.
            None if terminal::is_stdout_closed() => break,
            None => {
                out.flush()?;
                wait = WAIT;
            }
        }
        // Ctrl-C ends a read as well: that is no news of Redis.
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if is_away != follower.last_error().is_some() && !global.quiet {
            is_away = !is_away;
            let told = match follower.last_error() {
                Some(_) => "redis cannot be reached; trying again until it is back",
                None => "redis is back",
            };
            // Where nobody can read it, nobody is told.
            let _ = writeln!(io::stderr(), "planbus: {told}");
        }
    }
    Ok(())
}
