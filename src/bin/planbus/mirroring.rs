//! A mirror beside a command that publishes: started with it, brought to its end with it.
//!
//! Never fails the command: what Redis lacks is told, and the next mirror brings it.

use std::{
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

use planbus::{
    ErrorKind, EventStore,
    redis::{MirrorState, MirrorStatus, RedisMirror, Streams},
    server::ServerBuilder,
};
use serde_json::{Value, json};

use crate::{
    agent_runtime::units::counted,
    cli::Global,
    failure::{Failure, chain},
    redis::RedisBeside,
    text::{escape, shell_word},
};

/// How long Redis may take for what is left when the command is done.
const FLUSH_MAX: Duration = Duration::from_secs(10);
/// How long a Redis may be away by then: whoever works without one does not wait for it.
const AWAY_MAX: Duration = Duration::from_secs(2);
/// How long one wait lasts before it is looked whether Redis is there at all.
const LOOK: Duration = Duration::from_secs(1);

/// A mirror that may be there or not.
pub(crate) struct Mirroring(Option<Beside>);

/// A mirror beside a command.
struct Beside {
    mirror: RedisMirror,
    streams: Streams,
    place: String,
    profile: String,
    /// Up to which seq a person was told how Redis stands.
    told_seq: u64,
}

impl Mirroring {
    /// Starts a mirror where one was asked for; Redis need not be there.
    pub(crate) fn start(options: &RedisBeside, store: &EventStore) -> Result<Self, Failure> {
        let Some(endpoint) = options.endpoint()? else { return Ok(Self(None)) };
        let (place, profile) = (endpoint.to_string(), options.profile()?);
        let streams = Streams::new(endpoint.clone(), profile.clone());
        let mirror = RedisMirror::builder(store, endpoint).profile(profile).start()?;
        Ok(Self(Some(Beside { mirror, streams, place, profile: options.profile_words(), told_seq: 0 })))
    }

    /// Lets a server tell how the mirror and its Redis are.
    pub(crate) fn show(&self, server: ServerBuilder) -> ServerBuilder {
        match &self.0 {
            Some(beside) => server.redis(beside.streams.clone()).mirror(&beside.mirror),
            None => server,
        }
    }

    /// Waits until Redis has everything so far, but not for ever. Says how it stands, for whoever reads the
    /// result as JSON.
    pub(crate) fn settle(&mut self, global: &Global) -> Option<Value> {
        let beside = self.0.as_mut()?;
        let flushed = flush(&beside.mirror);
        let status = beside.tell(&flushed, !global.quiet, global);
        Some(to_json(&status))
    }

    /// Brings what was published since to Redis too, and ends the mirror.
    pub(crate) fn end(self, global: &Global) -> Result<(), Failure> {
        let Some(mut beside) = self.0 else { return Ok(()) };
        if beside.mirror.status().head > beside.told_seq {
            let flushed = flush(&beside.mirror);
            beside.tell(&flushed, false, global);
        }
        beside.mirror.stop().map_err(Failure::from)
    }
}

impl Beside {
    /// Tells a person how Redis stands: what it lacks, or, if that is wanted, that it has everything.
    fn tell(&mut self, flushed: &planbus::Result<()>, says_done: bool, global: &Global) -> MirrorStatus {
        let status = self.mirror.status();
        self.told_seq = status.head;
        let told = match flushed {
            Ok(()) => says_done.then(|| done(&status, &self.place)),
            Err(error) => {
                let command = command(&global.db, &self.place, &self.profile);
                Some(left(&status, &self.place, &chain(error), &command))
            }
        };
        if let Some(told) = told {
            // A note alone: where nobody can read it, the command is done all the same.
            let _ = writeln!(io::stderr(), "planbus: {}", escape(&told));
        }
        status
    }
}

fn flush(mirror: &RedisMirror) -> planbus::Result<()> {
    let begun = Instant::now();
    loop {
        let flushed = mirror.flush(LOOK);
        let most = match mirror.status().state {
            MirrorState::CatchingUp | MirrorState::Live => FLUSH_MAX,
            _ => AWAY_MAX,
        };
        match flushed {
            Err(error) if error.kind() == ErrorKind::Unavailable && begun.elapsed() < most => {}
            flushed => return flushed,
        }
    }
}

fn done(status: &MirrorStatus, place: &str) -> String {
    let mut told = format!("mirrored to {place}: {} appended", counted(status.appended, "event"));
    let skipped: u64 = status.skipped.iter().map(|skipped| skipped.events).sum();
    if skipped > 0 {
        told.push_str(&format!(", {} that the profile {} cannot say left out", skipped, status.name));
    }
    told
}

/// The command that brings what is missing, with what it needs to find the same log and streams.
fn command(db: &Path, place: &str, profile: &str) -> String {
    let mut command = "planbus mirror --once".to_owned();
    if db != Path::new("planbus.db") {
        command.push_str(&format!(" --db {}", shell_word(&db.to_string_lossy())));
    }
    command.push_str(&format!(" --redis {}{profile}", shell_word(place)));
    command
}

fn left(status: &MirrorStatus, place: &str, why: &str, command: &str) -> String {
    format!(
        "{place} lacks {} ({why}); the log has them, and `{command}` brings them there",
        counted(status.lag_events, "event"),
    )
}

/// How a mirror stands, as JSON.
pub(crate) fn to_json(status: &MirrorStatus) -> Value {
    let troubled = status
        .troubled
        .iter()
        .map(|stream| json!({"stream": stream.stream, "state": stream.state, "error": chain(&stream.error)}));
    let held = status.trim_held_by.iter().map(|(stream, group)| json!({"stream": stream, "group": group}));
    json!({
        "mirror": status.name, "state": status.state, "seq": status.seq, "head": status.head,
        "lag_events": status.is_compared.then_some(status.lag_events),
        "lag_ms": status.is_compared.then_some(status.lag.as_millis() as u64), "appended": status.appended,
        "streams": status.streams, "skipped": status.skipped, "troubled": troubled.collect::<Value>(),
        "trim_held_by": held.collect::<Value>(),
        "error": status.last_error.as_ref().map(|error| chain(error)),
    })
}
