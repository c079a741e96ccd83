//! What a consumer looks after while nothing happens: what it has in hand, what its plans wait for, and
//! the names of consumers that are gone.
//!
//! Nothing here acks or moves an entry.

use std::{collections::BTreeMap, sync::Arc};

use ::redis::{Cmd, Value, cmd};

use super::{
    delivery::Key,
    refused::Refused,
    scripts::{Caller, Renewed, Taken},
    shared::Shared,
    source::Source,
};
use crate::{
    error::Result,
    redis::{
        EntryId,
        client::{Client, Reply},
        reply,
    },
};

/// The most entries that are renewed by one command.
const RENEW_MAX_ENTRIES: usize = 500;
/// A consumer that was not heard of for so many claim times, and has nothing pending, is removed.
const GONE_AFTER_CLAIM_TIMES: u32 = 10;
/// The most consumers that one look removes from a group.
const SWEEP_MAX_CONSUMERS: usize = 1_000;

/// Renews what is in hand, and lets go of what is no longer ours.
pub(super) fn renew(shared: &Shared, caller: &Caller, client: &mut Client) -> Result<Refused> {
    let mut in_hand: BTreeMap<usize, Vec<EntryId>> = BTreeMap::new();
    let sources: Vec<Arc<Source>> = {
        let state = shared.lock();
        state.board.all_in_hand(|key| in_hand.entry(key.source).or_default().push(key.id));
        in_hand.keys().map(|number| Arc::clone(&state.places[*number].source)).collect()
    };
    let mut refused = Refused::default();
    for (source, ids) in sources.iter().zip(in_hand.values()) {
        for ids in ids.chunks(RENEW_MAX_ENTRIES) {
            let renewed = match client.call(&caller.renew(&source.keys, ids))? {
                Err(refusal) if refusal.code == "NOGROUP" => {
                    Renewed { lost: ids.to_vec(), deleted: Vec::new() }
                }
                reply => {
                    match refused.answer(reply, || format!("renew entries of {}", source.keys.stream))? {
                        Some(answer) => Renewed::of(answer)?,
                        None => continue,
                    }
                }
            };
            let keys = |ids: Vec<EntryId>| ids.into_iter().map(|id| source.key_of(id)).collect::<Vec<Key>>();
            shared.lose(&keys(renewed.lost), |counts| &mut counts.lost);
            shared.lose(&keys(renewed.deleted), |counts| &mut counts.trimmed);
        }
    }
    Ok(refused)
}

/// Reports handlers that run for longer than they should; each once.
pub(super) fn report_overdue(shared: &Shared) {
    let Some(timeout) = shared.setup.handler_timeout else { return };
    let mut state = shared.lock();
    let mut overdue = Vec::new();
    for (key, (since, is_reported)) in &mut state.running {
        if !*is_reported && since.elapsed() > timeout {
            *is_reported = true;
            overdue.push(*key);
        }
    }
    state.counts.overdue += overdue.len() as u64;
    let streams = overdue.iter().map(|key| (state.places[key.source].source.stream.clone(), key.id));
    let streams: Vec<_> = streams.collect();
    drop(state);
    for (stream, id) in streams {
        let group = shared.setup.caller.group.as_str();
        tracing::warn!(group, %stream, %id, ?timeout, "planbus.consume: a handler takes too long");
    }
}

/// Looks whether what plans wait for is still to come: somebody may have deleted that key, or the stream.
pub(super) fn check_waiting(shared: &Shared, client: &mut Client) -> Result<()> {
    let (waiting, sources): (Vec<Key>, Vec<Arc<Source>>) = {
        let state = shared.lock();
        let waiting = state.board.waiting();
        let sources = waiting.iter().map(|key| Arc::clone(&state.places[key.source].source)).collect();
        (waiting, sources)
    };
    let score = |(key, source): (&Key, &Arc<Source>)| {
        cmd("ZSCORE").arg(&source.keys.due).arg(key.id.to_string()).to_owned()
    };
    let commands: Vec<Cmd> = waiting.iter().zip(&sources).map(score).collect();
    for (key, reply) in waiting.into_iter().zip(exchange(client, &commands)?) {
        if matches!(reply, Ok(Value::Nil)) {
            // It is searched for with all the rest, or is gone with its stream and holds up nobody.
            shared.lock().forget_source(key.source);
        }
    }
    Ok(())
}

/// Reads entries again whose turn has come.
pub(super) fn read_again(shared: &Shared, client: &mut Client) -> Result<Refused> {
    let (wanted, sources): (Vec<Key>, Vec<Arc<Source>>) = {
        let mut state = shared.lock();
        let room = state.board.room_for_wanted();
        let wanted = state.board.wanted(room);
        let sources = wanted.iter().map(|key| Arc::clone(&state.places[key.source].source)).collect();
        (wanted, sources)
    };
    let read = |(key, source): (&Key, &Arc<Source>)| {
        let (id, keys) = (key.id.to_string(), &source.keys);
        let entry = cmd("XRANGE").arg(&keys.stream).arg(&id).arg(&id).to_owned();
        let pending =
            cmd("XPENDING").arg(&keys.stream).arg(&*source.group).arg(&id).arg(&id).arg(1).to_owned();
        [entry, cmd("HGET").arg(&keys.failures).arg(&id).to_owned(), pending]
    };
    let commands: Vec<Cmd> = wanted.iter().zip(&sources).flat_map(read).collect();
    let mut refused = Refused::default();
    let read = exchange(client, &commands).and_then(|replies| {
        let doing = || "read entries again whose turn has come".to_owned();
        replies.into_iter().map(|reply| refused.answer(reply, doing)).collect::<Result<Vec<_>>>()
    });
    let mut answers = match read {
        Ok(answers) => answers.into_iter(),
        Err(error) => {
            shared.lock().board.want_again(wanted);
            return Err(error);
        }
    };
    for (key, source) in wanted.into_iter().zip(&sources) {
        let (Some(Some(entry)), Some(Some(record)), Some(Some(pending))) =
            (answers.next(), answers.next(), answers.next())
        else {
            shared.lock().board.want_again(vec![key]);
            continue;
        };
        match reply::entries(entry)?.pop() {
            Some((_, fields)) => {
                let record = if record == Value::Nil { Vec::new() } else { reply::bytes(record)? };
                let taken =
                    Taken { id: key.id, fields, deliveries: deliveries(pending)?, record, is_waiting: false };
                // Its plan has waited for it.
                take_in(shared, source, vec![taken], true);
            }
            None => shared.settle_deleted(key),
        }
    }
    Ok(refused)
}

/// How often a pending entry was delivered: the last of what is told of it.
fn deliveries(pending: Value) -> Result<u64> {
    let Some(facts) = reply::list(pending)?.pop() else { return Ok(1) };
    reply::list(facts)?.pop().map_or(Ok(1), |count| Ok(reply::integer(count)?.unsigned_abs()))
}

/// Removes consumers that are long gone.
pub(super) fn sweep(
    shared: &Shared,
    caller: &Caller,
    client: &mut Client,
    sources: &[Arc<Source>],
) -> Result<Refused> {
    let setup = &shared.setup;
    let idle = setup.claim_idle * GONE_AFTER_CLAIM_TIMES;
    let sweep = |source: &Arc<Source>| caller.sweep(&source.keys, idle, SWEEP_MAX_CONSUMERS);
    let mut refused = Refused::default();
    for reply in exchange(client, &sources.iter().map(sweep).collect::<Vec<_>>())? {
        refused.answer(reply, || "remove consumers that are gone".to_owned())?;
    }
    Ok(refused)
}

/// Takes in entries of a source that were taken over or read again.
pub(super) fn take_in(shared: &Shared, source: &Source, entries: Vec<Taken>, is_retry: bool) {
    let setup = &shared.setup;
    shared.take_in(entries.into_iter().map(|taken| setup.arrival(source, taken, is_retry)).collect());
}

/// The answers to commands that do not wait for each other.
pub(super) fn exchange(client: &mut Client, commands: &[Cmd]) -> Result<Vec<Reply>> {
    client.send(commands)?;
    client.receive()
}
