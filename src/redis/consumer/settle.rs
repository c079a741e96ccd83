//! Turns outcomes into commands, and answers into what becomes of the entries here.
//!
//! All of them can be sent again: acks are acks, and every script looks first who has the entry.

use std::collections::{BTreeMap, BTreeSet};

use ::redis::{Cmd, Value, cmd};

use super::{
    delivery::Key,
    outcome::{End, Grave, Outcome},
    scripts::{Caller, Kept},
    setup::Setup,
    source::Source,
    state::Settled,
};
use crate::{
    error::Result,
    redis::{
        EntryId,
        client::{Client, Reply},
        dead_letters::{Burial, Buried},
        fault::Refusal,
        reply,
    },
};

/// The most entries of one command.
const COMMAND_MAX_ENTRIES: usize = 500;
/// The most commands on their way at once.
const COMMANDS_MAX: usize = 500;

/// What was settled, and what has to be told of it.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) settled: Vec<(Key, Settled)>,
    pub(super) buried: u64,
    pub(super) lost: u64,
    /// Sources of which something was another's, or gone: so may be the lease, where there is one.
    pub(super) doubtful: BTreeSet<usize>,
    /// What the server refused: these outcomes are still to be settled.
    pub(super) refused: Option<Refusal>,
}

/// What a command is about.
enum About {
    /// These are acked.
    Gone(Vec<Key>),
    /// These are given back.
    Released(Vec<Key>),
    Failed(Key),
    Buried(Key),
}

/// Tells Redis of outcomes. Those that were settled leave the list.
pub(super) fn settle(
    client: &mut Client,
    setup: &Setup,
    caller: &Caller,
    source_of: impl Fn(usize) -> std::sync::Arc<Source>,
    outcomes: &mut Vec<Outcome>,
) -> Result<Report> {
    let mut commands = acks(setup, caller, &source_of, outcomes);
    for outcome in outcomes.iter() {
        if let End::Retry { delay, attempts, error } = &outcome.end {
            let source = source_of(outcome.key.source);
            let command = caller.fail(&source.keys, outcome.key.id, *delay, *attempts, error);
            commands.push((About::Failed(outcome.key), command));
        }
    }
    let mut report = Report::default();
    commands.extend(burials(client, setup, caller, &source_of, outcomes, &mut report)?);
    while !commands.is_empty() {
        let part: Vec<_> = commands.drain(..commands.len().min(COMMANDS_MAX)).collect();
        let (abouts, part): (Vec<_>, Vec<_>) = part.into_iter().unzip();
        client.send(&part)?;
        for (about, reply) in abouts.into_iter().zip(client.receive()?) {
            report.take(about, reply)?;
        }
    }
    let settled: std::collections::HashSet<Key> = report.settled.iter().map(|(key, _)| *key).collect();
    outcomes.retain(|outcome| !settled.contains(&outcome.key));
    Ok(report)
}

/// One command for many entries that are acked, or given back.
fn acks(
    setup: &Setup,
    caller: &Caller,
    source_of: &impl Fn(usize) -> std::sync::Arc<Source>,
    outcomes: &[Outcome],
) -> Vec<(About, Cmd)> {
    let mut alike: BTreeMap<(usize, bool, bool), Vec<EntryId>> = BTreeMap::new();
    for outcome in outcomes {
        let is_release = matches!(outcome.end, End::Release);
        if is_release || matches!(outcome.end, End::Done) {
            let alike = alike.entry((outcome.key.source, is_release, outcome.has_traces)).or_default();
            alike.push(outcome.key.id);
        }
    }
    let mut commands = Vec::new();
    for ((number, is_release, has_traces), ids) in alike {
        let source = source_of(number);
        let kept = if has_traces { source.kept() } else { Kept::Nothing };
        for ids in ids.chunks(COMMAND_MAX_ENTRIES) {
            let command = match kept {
                _ if is_release => caller.release(&source.keys, ids),
                Kept::Nothing if !setup.is_per_plan() => caller.ack(&source.keys, ids),
                kept => caller.done(&source.keys, ids, kept),
            };
            let keys = ids.iter().map(|id| Key { source: number, id: *id }).collect();
            commands.push((if is_release { About::Released(keys) } else { About::Gone(keys) }, command));
        }
    }
    commands
}

/// Moves to the dead letters; each needs its entry as it is.
fn burials(
    client: &mut Client,
    setup: &Setup,
    caller: &Caller,
    source_of: &impl Fn(usize) -> std::sync::Arc<Source>,
    outcomes: &[Outcome],
    report: &mut Report,
) -> Result<Vec<(About, Cmd)>> {
    let graves: Vec<(Key, &Grave)> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.end {
            End::Bury(grave) => Some((outcome.key, grave.as_ref())),
            _ => None,
        })
        .take(COMMANDS_MAX)
        .collect();
    if graves.is_empty() {
        return Ok(Vec::new());
    }
    let read = |(key, _): &(Key, &Grave)| {
        let mut command = cmd("XRANGE");
        let id = key.id.to_string();
        command.arg(&source_of(key.source).keys.stream).arg(&id).arg(&id);
        command
    };
    client.send(&graves.iter().map(read).collect::<Vec<_>>())?;
    let mut commands = Vec::new();
    for ((key, grave), reply) in graves.into_iter().zip(client.receive()?) {
        let source = source_of(key.source);
        let entry = match reply {
            Ok(answer) => reply::entries(answer)?.pop(),
            Err(refusal) => {
                report.refused = Some(refusal);
                continue;
            }
        };
        let Some((_, fields)) = entry else {
            // Deleted while it was pending: there is nothing left to keep.
            commands.push((About::Gone(vec![key]), caller.done(&source.keys, &[key.id], source.kept())));
            continue;
        };
        let burial = Burial {
            keys: &source.keys,
            group: &caller.group,
            consumer: &caller.consumer,
            id: key.id,
            fields: &fields,
            attempts: grave.attempts,
            deliveries: grave.deliveries,
            first_failed_ms: grave.first_failed_ms,
            error: &grave.error,
            reason: grave.reason,
            max_len: setup.dead_letters_max,
            lease: setup.is_per_plan().then_some(caller.token.as_str()),
            is_replay: source.is_replay,
        };
        commands.push((About::Buried(key), burial.command(&setup.profile)));
    }
    Ok(commands)
}

impl Report {
    fn take(&mut self, about: About, reply: Reply) -> Result<()> {
        let answer = match reply {
            Ok(answer) => answer,
            // The group is gone, and with it all that was pending.
            Err(refusal) if refusal.code == "NOGROUP" => {
                self.doubt(&about);
                self.settled.extend(about.keys().iter().map(|key| (*key, Settled::Gone)));
                return Ok(());
            }
            Err(refusal) => {
                self.refused = Some(refusal);
                return Ok(());
            }
        };
        let (is_ours, how) = match &about {
            About::Gone(_) => (answer != Value::Nil, Settled::Gone),
            // Whoever takes it first has it; until then its plan waits.
            About::Released(_) => (true, Settled::Waits),
            About::Failed(_) => match reply::integer(answer)? > 0 {
                true => (true, Settled::Waits),
                false => (false, Settled::Gone),
            },
            About::Buried(_) => {
                let buried = Buried::of_reply(answer)?;
                self.buried += u64::from(buried == Buried::Done);
                (buried != Buried::NotOurs, Settled::Gone)
            }
        };
        if !is_ours {
            self.lost += about.keys().len() as u64;
            self.doubt(&about);
        }
        self.settled.extend(about.keys().iter().map(|key| (*key, how)));
        Ok(())
    }

    fn doubt(&mut self, about: &About) {
        self.doubtful.extend(about.keys().iter().map(|key| key.source));
    }
}

impl About {
    fn keys(&self) -> &[Key] {
        match self {
            Self::Gone(keys) | Self::Released(keys) => keys,
            Self::Failed(key) | Self::Buried(key) => std::slice::from_ref(key),
        }
    }
}
