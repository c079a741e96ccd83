//! [`Keeper`]: the thread that tells Redis what became of deliveries, and looks after those that wait.
//!
//! It acks, schedules, moves to the dead letters; takes what is due again, and what others left; renews
//! what is in hand. It keeps an outcome until Redis has answered, whatever becomes of the connection.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ::redis::{Cmd, Value, cmd};

use super::{
    delivery::Key,
    leases,
    outcome::Outcome,
    reader::add,
    scripts::{self, Caller, Claimed, Due, Held, Search, Taken},
    settle::settle,
    shared::Shared,
    source::Source,
    state::{Settled, Thread},
};
use crate::{
    error::{Error, Result},
    redis::{
        EntryId,
        client::{Client, Reply},
        reply,
    },
};

/// How often entries are looked for whose time has come, for the first stream and for each more.
const DUE_INTERVAL: Duration = Duration::from_millis(250);
const DUE_INTERVAL_PER_SOURCE: Duration = Duration::from_micros(300);
/// The longest pause between two looks for what others have left.
const CLAIM_INTERVAL_MAX: Duration = Duration::from_secs(15);
/// The most entries of a stream that one look takes over.
const CLAIM_MAX_ENTRIES: usize = 100;
/// How many entries that are due are taken even though there is no room: they have waited long enough.
const DUE_MIN_ENTRIES: usize = 8;
/// The most entries that are renewed by one command.
const RENEW_MAX_ENTRIES: usize = 500;
/// A consumer that was not heard of for so many claim times, and has nothing pending, is removed.
const GONE_AFTER_CLAIM_TIMES: u32 = 10;
/// The most consumers that one look removes from a group.
const SWEEP_MAX_CONSUMERS: usize = 1_000;

/// The keeper of a consumer.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    client: Option<Client>,
    /// With whose tokens the leases were taken last.
    caller: Arc<Caller>,
    /// What Redis has not been told of yet.
    unsettled: Vec<Outcome>,
    due_at: Instant,
    renew_at: Instant,
    claim_at: Instant,
    /// When leases are taken and kept, where plans keep their order.
    hold_at: Instant,
    sweep_at: Instant,
    /// Where the look for what others have left goes on, by source.
    claim_after: BTreeMap<usize, EntryId>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            client: None,
            caller: shared.caller(),
            unsettled: Vec::new(),
            due_at: now,
            renew_at: now,
            claim_at: now,
            hold_at: now,
            sweep_at: now + shared.setup.claim_idle,
            claim_after: BTreeMap::new(),
            shared,
        }
    }

    /// Works until the consumer is stopped and all is settled, or it is given up.
    pub(super) fn run(mut self) {
        let mut back_off = self.shared.setup.endpoint.back_off();
        loop {
            let outcomes = self.shared.wait_for_outcomes(self.next_time());
            self.unsettled.extend(outcomes);
            if self.shared.is_settled() {
                break;
            }
            self.shared.report_overdue();
            match self.round() {
                Ok(()) => {
                    back_off.reset();
                    self.shared.tell(Thread::Keeper, None);
                }
                Err(error) => {
                    if self.client.is_none() {
                        self.shared.change_tokens();
                    }
                    self.shared.tell(Thread::Keeper, Some(error));
                    self.shared.pause(Instant::now() + back_off.next_delay());
                }
            }
        }
        self.leave();
    }

    fn next_time(&self) -> Instant {
        let more = if self.shared.setup.is_per_plan() { self.hold_at } else { self.claim_at };
        self.due_at.min(self.renew_at).min(more)
    }

    /// All that is to be done now.
    fn round(&mut self) -> Result<()> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.shared.setup.endpoint.connect()?,
        };
        let (now, claim_idle) = (Instant::now(), self.shared.setup.claim_idle);
        let (sources, caller) = (self.shared.sources(), self.shared.caller());
        let is_new = !Arc::ptr_eq(&caller, &self.caller);
        self.caller = caller;
        if self.shared.setup.is_per_plan() && (is_new || now >= self.hold_at) {
            // Before anything is told: a lease that has run out may still be had.
            self.hold_at = now + leases::INTERVAL.min(claim_idle / 3);
            leases::hold(&self.shared, &self.caller, &mut client, &sources)?;
        }
        if let Some(refused) = self.settle(&mut client)? {
            self.client = Some(client);
            return Err(refused);
        }
        if now >= self.renew_at {
            self.renew_at = now + claim_idle / 3;
            self.renew(&mut client)?;
            self.check_waiting(&mut client)?;
            self.shared.release_stuck();
        }
        self.read_again(&mut client)?;
        if now >= self.due_at && !self.shared.is_stopping() {
            let pause =
                DUE_INTERVAL + DUE_INTERVAL_PER_SOURCE * u32::try_from(sources.len()).unwrap_or(u32::MAX);
            self.due_at = now + self.take_due(&mut client, &sources)?.map_or(pause, |next| next.min(pause));
        }
        if now >= self.claim_at && !self.shared.is_stopping() && !self.shared.setup.is_per_plan() {
            let is_all = self.claim(&mut client, &sources)?;
            self.claim_at = if is_all { now + (claim_idle / 4).min(CLAIM_INTERVAL_MAX) } else { now };
        }
        if now >= self.sweep_at {
            self.sweep_at = now + claim_idle;
            self.sweep(&mut client, &sources)?;
        }
        self.client = Some(client);
        Ok(())
    }

    /// Tells Redis of what ended; why the server refused to hear some of it.
    fn settle(&mut self, client: &mut Client) -> Result<Option<Error>> {
        if self.unsettled.is_empty() {
            return Ok(None);
        }
        let shared = Arc::clone(&self.shared);
        let source_of = |number: usize| Arc::clone(&shared.lock().places[number].source);
        let report = settle(client, &shared.setup, &self.caller, source_of, &mut self.unsettled)?;
        shared.count(|counts| {
            counts.dead_lettered += report.buried;
            counts.lost += report.lost;
        });
        if report.settled.iter().any(|(_, how)| *how == Settled::Waits) {
            self.due_at = Instant::now();
        }
        // Before what is behind an entry has its turn: that may be another's as well.
        let is_per_plan = shared.setup.is_per_plan();
        for number in report.doubtful.into_iter().filter(|_| is_per_plan) {
            shared.note_lease(number, Held::Anothers, Instant::now());
            self.hold_at = Instant::now();
        }
        shared.note_settled(&report.settled);
        Ok(report.refused.map(|refusal| refusal.into_error("settle deliveries")))
    }

    /// Takes the entries whose time has come; in how long the next is due.
    fn take_due(&mut self, client: &mut Client, sources: &[Arc<Source>]) -> Result<Option<Duration>> {
        let room = match self.shared.lock() {
            state if state.is_stuck(&self.shared.setup) => 0,
            state => state.board.room().max(DUE_MIN_ENTRIES),
        };
        let (caller, republishes) = (&self.caller, self.shared.setup.policy.republishes);
        let open: Vec<&Arc<Source>> = sources.iter().filter(|source| self.is_searched(source)).collect();
        let commands: Vec<Cmd> =
            open.iter().map(|source| caller.due(&source.keys, room, republishes)).collect();
        let mut next: Option<Duration> = None;
        for (source, reply) in open.into_iter().zip(exchange(client, &commands)?) {
            let due = match read_answer(reply, Due::of)? {
                Some(Some(due)) => due,
                // Who needs no lease finds one.
                Some(None) if !self.shared.setup.is_per_plan() => return Err(source.conflict()),
                _ => continue,
            };
            next = [next, due.next].into_iter().flatten().min();
            if room > 0 && due.entries.len() >= room {
                next = Some(Duration::ZERO);
            }
            let gone: Vec<_> = due.gone.iter().map(|id| (key_of(source, *id), Settled::Gone)).collect();
            self.shared.leave(&gone);
            self.take_in(source, due.entries, true);
            if due.has_replays {
                self.add_replays(source);
            }
        }
        Ok(next)
    }

    /// Takes over what others have left; whether all sources were looked through.
    fn claim(&mut self, client: &mut Client, sources: &[Arc<Source>]) -> Result<bool> {
        let setup = &self.shared.setup;
        let mut is_all = true;
        for source in sources {
            let (room, in_hand) = {
                let state = self.shared.lock();
                (state.room(setup).min(CLAIM_MAX_ENTRIES), state.board.in_hand(source.number))
            };
            if room == 0 {
                break;
            }
            let after = self.claim_after.remove(&source.number).unwrap_or(EntryId::ZERO);
            let search = Search {
                after,
                count: room,
                idle: setup.claim_idle,
                own: false,
                waiting: false,
                skipped: &in_hand,
            };
            let reply = client.call(&self.caller.claim(&source.keys, &search))?;
            let Some(found) = read_answer(reply, Claimed::of)?.flatten() else { continue };
            if let Some(last) = found.last {
                self.claim_after.insert(source.number, last);
                is_all = false;
            }
            self.shared.count(|counts| {
                counts.claimed += found.entries.len() as u64;
                counts.trimmed += found.deleted.len() as u64;
            });
            self.take_in(source, found.entries, true);
        }
        Ok(is_all)
    }

    /// Renews what is in hand, and lets go of what is no longer ours.
    fn renew(&mut self, client: &mut Client) -> Result<()> {
        let mut in_hand: BTreeMap<usize, Vec<EntryId>> = BTreeMap::new();
        let sources: Vec<Arc<Source>> = {
            let state = self.shared.lock();
            state.board.all_in_hand(|key| in_hand.entry(key.source).or_default().push(key.id));
            in_hand.keys().map(|number| Arc::clone(&state.places[*number].source)).collect()
        };
        let caller = &self.caller;
        for (source, ids) in sources.iter().zip(in_hand.values()) {
            for ids in ids.chunks(RENEW_MAX_ENTRIES) {
                let lost = match client.call(&caller.renew(&source.keys, ids))? {
                    Err(refusal) if refusal.code == "NOGROUP" => ids.to_vec(),
                    reply => {
                        let answer = reply.map_err(|refusal| refusal.into_error("renew deliveries"))?;
                        scripts::ids(answer)?
                    }
                };
                let lost: Vec<Key> = lost.into_iter().map(|id| key_of(source, id)).collect();
                self.shared.lose(&lost);
            }
        }
        Ok(())
    }

    /// Looks whether what plans wait for is still to come: somebody may have deleted that key.
    fn check_waiting(&mut self, client: &mut Client) -> Result<()> {
        let (waiting, sources): (Vec<Key>, Vec<Arc<Source>>) = {
            let state = self.shared.lock();
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
                self.shared.lock().places[key.source].search_after = Some(EntryId::ZERO);
            }
        }
        Ok(())
    }

    /// Reads entries again whose turn has come.
    fn read_again(&mut self, client: &mut Client) -> Result<()> {
        let (wanted, sources): (Vec<Key>, Vec<Arc<Source>>) = {
            let mut state = self.shared.lock();
            let room = state.board.room_for_wanted();
            let wanted = state.board.wanted(room);
            let sources = wanted.iter().map(|key| Arc::clone(&state.places[key.source].source)).collect();
            (wanted, sources)
        };
        let read = |(key, source): (&Key, &Arc<Source>)| {
            let (id, keys) = (key.id.to_string(), &source.keys);
            let entry = cmd("XRANGE").arg(&keys.stream).arg(&id).arg(&id).to_owned();
            [entry, cmd("HGET").arg(&keys.failures).arg(&id).to_owned()]
        };
        let commands: Vec<Cmd> = wanted.iter().zip(&sources).flat_map(read).collect();
        let replies = match exchange(client, &commands) {
            Ok(replies) => replies,
            Err(error) => {
                self.shared.lock().board.want_again(wanted);
                return Err(error);
            }
        };
        let mut replies = replies
            .into_iter()
            .map(|reply| reply.map_err(|refusal| refusal.into_error("read an entry again")));
        for (key, source) in wanted.into_iter().zip(&sources) {
            let (entry, record) = (replies.next().transpose()?, replies.next().transpose()?);
            let (entry, record) = (entry.unwrap_or_default(), record.unwrap_or_default());
            match reply::entries(entry)?.pop() {
                Some((_, fields)) => {
                    let record = if record == Value::Nil { Vec::new() } else { reply::bytes(record)? };
                    let taken = Taken { id: key.id, fields, deliveries: 1, record, is_waiting: false };
                    // Its plan has waited for it.
                    self.take_in(source, vec![taken], true);
                }
                None => self.shared.settle_deleted(key),
            }
        }
        Ok(())
    }

    /// Removes consumers that are long gone.
    fn sweep(&mut self, client: &mut Client, sources: &[Arc<Source>]) -> Result<()> {
        let setup = &self.shared.setup;
        let idle = setup.claim_idle * GONE_AFTER_CLAIM_TIMES;
        let sweep = |source: &Arc<Source>| self.caller.sweep(&source.keys, idle, SWEEP_MAX_CONSUMERS);
        for reply in exchange(client, &sources.iter().map(sweep).collect::<Vec<_>>())? {
            read_answer(reply, reply::integer)?;
        }
        Ok(())
    }

    /// Lets others have the streams, and takes the consumer's name out of the group where it has
    /// nothing pending. Else the leases run out, and another consumer removes it later.
    fn leave(&mut self) {
        let Some(mut client) = self.client.take() else { return };
        let setup = &self.shared.setup;
        let sources = self.shared.sources();
        let free =
            sources.iter().filter(|_| setup.is_per_plan()).map(|source| self.caller.free(&source.keys));
        let gone = sources.iter().map(|source| self.caller.leave(&source.keys));
        let _ = exchange(&mut client, &free.chain(gone).collect::<Vec<_>>());
    }

    /// Dead letters were sent back to the group: their stream is read as well.
    fn add_replays(&self, source: &Source) {
        let keys = source.keys.for_replays();
        let mut state = self.shared.lock();
        if !source.is_replay && !state.places.iter().any(|place| place.source.keys.stream == keys.stream) {
            add(&mut state.places, keys, &source.stream, &source.group, true);
        }
        drop(state);
        self.shared.call_all();
    }

    /// Whether all is known that was delivered before: else a later entry could pass an earlier one.
    fn is_searched(&self, source: &Source) -> bool {
        let state = self.shared.lock();
        let place = &state.places[source.number];
        place.is_open(self.shared.setup.ordering)
            && (place.search_after.is_none() || !self.shared.setup.is_per_plan())
    }

    fn take_in(&self, source: &Source, entries: Vec<Taken>, is_retry: bool) {
        let setup = &self.shared.setup;
        self.shared
            .take_in(entries.into_iter().map(|taken| setup.arrival(source, taken, is_retry)).collect());
    }
}

fn key_of(source: &Source, id: EntryId) -> Key {
    Key { source: source.number, id }
}

/// The answers to commands that do not wait for each other.
fn exchange(client: &mut Client, commands: &[Cmd]) -> Result<Vec<Reply>> {
    client.send(commands)?;
    client.receive()
}

/// The answer about a group; `None` where the group is gone, which the reader finds out.
fn read_answer<T>(reply: Reply, read: impl FnOnce(::redis::Value) -> Result<T>) -> Result<Option<T>> {
    match reply {
        Err(refusal) if refusal.code == "NOGROUP" || refusal.message.contains("no such key") => Ok(None),
        Err(refusal) => Err::<_, Error>(refusal.into_error("look after a group")),
        Ok(answer) => read(answer).map(Some),
    }
}
