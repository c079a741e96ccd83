//! [`Keeper`]: the thread that tells Redis what became of deliveries, and looks after those that wait.
//!
//! It acks, schedules, moves to the dead letters; takes what is due again, and what others left; renews
//! what is in hand. It keeps an outcome until Redis has answered, whatever becomes of the connection.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ::redis::Cmd;

use super::{
    leases,
    outcome::Outcome,
    refused::Refused,
    scripts::{Caller, Claimed, Due, Held, Search},
    settle::settle,
    shared::Shared,
    source::{Source, add},
    state::{Settled, Thread},
    upkeep::{self, exchange, take_in},
};
use crate::{
    error::{Error, Result},
    redis::{EntryId, back_off::BackOff, client::Client},
};

/// How often entries are looked for whose time has come, for the first stream and for each more.
const DUE_INTERVAL: Duration = Duration::from_millis(250);
const DUE_INTERVAL_PER_SOURCE: Duration = Duration::from_micros(300);
/// The longest pause between two looks for what others have left, and the one until there is room.
const CLAIM_INTERVAL_MAX: Duration = Duration::from_secs(15);
const CLAIM_PAUSE: Duration = Duration::from_millis(20);
/// The most entries of a stream that one look takes over.
const CLAIM_MAX_ENTRIES: usize = 100;
/// How many entries that are due are taken even though there is no room: they have waited long enough.
const DUE_MIN_ENTRIES: usize = 8;

/// What the keeper does. The server may refuse one and not another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    HoldLeases,
    Settle,
    Renew,
    ReadAgain,
    TakeDue,
    Claim,
    Sweep,
}

/// The keeper of a consumer.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    client: Option<Client>,
    /// With whose tokens the leases were taken last.
    caller: Arc<Caller>,
    /// What Redis has not been told of yet.
    unsettled: Vec<Outcome>,
    /// What Redis was told of and refused, when it is told again, and how long it is let alone then.
    refused: Vec<Outcome>,
    settle_again_at: Instant,
    refusals: BackOff,
    /// What is refused now.
    troubles: BTreeMap<Task, Error>,
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
            refused: Vec::new(),
            settle_again_at: now,
            refusals: shared.setup.endpoint.back_off(),
            troubles: BTreeMap::new(),
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
            upkeep::report_overdue(&self.shared);
            match self.round() {
                Ok(()) => {
                    back_off.reset();
                    self.shared.tell(Thread::Keeper, self.troubles.values().next().cloned());
                }
                Err(error) => {
                    self.shared.lose_connection();
                    self.shared.tell(Thread::Keeper, Some(error));
                    self.shared.pause_settling(Instant::now() + back_off.next_delay());
                }
            }
        }
        self.leave();
    }

    fn next_time(&self) -> Instant {
        let is_per_plan = self.shared.setup.is_per_plan();
        let mut next = if is_per_plan { self.renew_at.min(self.hold_at) } else { self.renew_at };
        if !self.refused.is_empty() {
            next = next.min(self.settle_again_at);
        }
        match self.shared.is_stopping() {
            true => next,
            false if is_per_plan => next.min(self.due_at),
            false => next.min(self.due_at).min(self.claim_at),
        }
    }

    /// All that is to be done now. What the server refuses holds up nothing else.
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
            let refused = leases::hold(&self.shared, &self.caller, &mut client, &sources)?;
            self.note(Task::HoldLeases, refused);
        }
        self.settle(&mut client)?;
        if now >= self.renew_at {
            self.renew_at = now + claim_idle / 3;
            let refused = upkeep::renew(&self.shared, &self.caller, &mut client)?;
            self.note(Task::Renew, refused);
            upkeep::check_waiting(&self.shared, &mut client)?;
            self.shared.release_stuck();
        }
        let refused = upkeep::read_again(&self.shared, &mut client)?;
        self.note(Task::ReadAgain, refused);
        let is_stopping = self.shared.is_stopping();
        if now >= self.due_at && !is_stopping {
            let pause =
                DUE_INTERVAL + DUE_INTERVAL_PER_SOURCE * u32::try_from(sources.len()).unwrap_or(u32::MAX);
            let (next, refused) = self.take_due(&mut client, &sources)?;
            self.due_at = now + next.map_or(pause, |next| next.min(pause));
            self.note(Task::TakeDue, refused);
        }
        if now >= self.claim_at && !is_stopping && !self.shared.setup.is_per_plan() {
            let (pause, refused) = self.claim(&mut client, &sources)?;
            self.claim_at = now + pause.unwrap_or((claim_idle / 4).min(CLAIM_INTERVAL_MAX));
            self.note(Task::Claim, refused);
        }
        if now >= self.sweep_at {
            self.sweep_at = now + claim_idle;
            let refused = upkeep::sweep(&self.shared, &self.caller, &mut client, &sources)?;
            self.note(Task::Sweep, refused);
        }
        self.client = Some(client);
        Ok(())
    }

    /// A task was done, but for what the server refused.
    fn note(&mut self, task: Task, refused: Refused) {
        match refused.into_error() {
            Some(error) => drop(self.troubles.insert(task, error)),
            None => drop(self.troubles.remove(&task)),
        }
    }

    /// Tells Redis of what ended. What it refuses waits for a while, and the rest does not wait for it.
    fn settle(&mut self, client: &mut Client) -> Result<()> {
        let now = Instant::now();
        if now >= self.settle_again_at {
            self.unsettled.append(&mut self.refused);
        }
        if self.unsettled.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let source_of = |number: usize| Arc::clone(&shared.lock().places[number].source);
        let report = settle(client, &shared.setup, &self.caller, source_of, &mut self.unsettled)?;
        shared.count(|counts| {
            counts.dead_lettered += report.buried;
            counts.lost += report.lost;
        });
        if report.settled.iter().any(|(_, how)| *how == Settled::Waits) {
            self.due_at = now;
        }
        // Before what is behind an entry has its turn: that may be another's as well.
        let is_per_plan = shared.setup.is_per_plan();
        for number in report.doubtful.into_iter().filter(|_| is_per_plan) {
            shared.note_lease(number, Held::Anothers, now);
            self.hold_at = now;
        }
        shared.note_settled(&report.settled);
        let mut refused = Refused::default();
        match report.refused {
            Some(refusal) => {
                refused.take(refusal, "settle deliveries")?;
                self.refused.append(&mut self.unsettled);
                if now >= self.settle_again_at {
                    self.settle_again_at = now + self.refusals.next_delay();
                }
            }
            None if self.refused.is_empty() => self.refusals.reset(),
            None => return Ok(()),
        }
        self.note(Task::Settle, refused);
        Ok(())
    }

    /// Takes the entries whose time has come; in how long the next is due.
    fn take_due(
        &mut self,
        client: &mut Client,
        sources: &[Arc<Source>],
    ) -> Result<(Option<Duration>, Refused)> {
        let room = match self.shared.lock() {
            state if state.is_stuck(&self.shared.setup) => 0,
            state => state.board.room().max(DUE_MIN_ENTRIES),
        };
        let (caller, republishes) = (&self.caller, self.shared.setup.policy.republishes);
        let open: Vec<&Arc<Source>> = sources.iter().filter(|source| self.is_searched(source)).collect();
        let commands: Vec<Cmd> =
            open.iter().map(|source| caller.due(&source.keys, room, republishes)).collect();
        let (mut next, mut refused): (Option<Duration>, _) = (None, Refused::default());
        for (source, reply) in open.into_iter().zip(exchange(client, &commands)?) {
            let doing = || format!("take the entries of {} that are due", source.keys.stream);
            let Some(answer) = refused.answer(reply, doing)? else { continue };
            let Some(due) = Due::of(answer)? else {
                // Who needs no lease finds one.
                if !self.shared.setup.is_per_plan() {
                    refused.note(source.conflict());
                }
                continue;
            };
            next = [next, due.next].into_iter().flatten().min();
            if room > 0 && due.entries.len() >= room {
                next = Some(Duration::ZERO);
            }
            self.shared.count(|counts| counts.trimmed += due.deleted.len() as u64);
            let gone = due.gone.iter().chain(&due.deleted);
            let gone: Vec<_> = gone.map(|id| source.key_of(*id)).collect();
            self.shared.leave(&gone);
            take_in(&self.shared, source, due.entries, true);
            if due.has_replays {
                self.add_replays(source);
            }
        }
        // Where there is no room, what is due is left to others, and to later.
        Ok((next.filter(|_| room > 0), refused))
    }

    /// Takes over what others have left; when to go on at once or soon, where that was not all.
    fn claim(&mut self, client: &mut Client, sources: &[Arc<Source>]) -> Result<(Option<Duration>, Refused)> {
        let setup = &self.shared.setup;
        let (mut pause, mut refused) = (None, Refused::default());
        for source in sources {
            let (room, in_hand, has_suspect) = {
                let state = self.shared.lock();
                let room = state.room(setup).min(CLAIM_MAX_ENTRIES);
                (room, state.board.in_hand(source.number), state.board.has_suspect())
            };
            if room == 0 {
                return Ok((Some(CLAIM_PAUSE), refused));
            }
            let after = self.claim_after.remove(&source.number).unwrap_or(EntryId::ZERO);
            let search = Search {
                after,
                count: room,
                idle: setup.claim_idle,
                own: false,
                waiting: false,
                suspect: !has_suspect,
                skipped: &in_hand,
            };
            let reply = client.call(&self.caller.claim(&source.keys, &search))?;
            let answer = refused.answer(reply, || format!("take over entries of {}", source.keys.stream))?;
            let Some(found) = answer.map(Claimed::of).transpose()?.flatten() else { continue };
            if let Some(last) = found.last {
                self.claim_after.insert(source.number, last);
                pause = Some(Duration::ZERO);
            }
            self.shared.count(|counts| {
                counts.claimed += found.entries.len() as u64;
                counts.trimmed += found.deleted.len() as u64;
            });
            take_in(&self.shared, source, found.entries, true);
        }
        if self.shared.lock().board.has_suspect() {
            // The next one has its turn when this one has left.
            pause = pause.or(Some(DUE_INTERVAL));
        }
        Ok((pause, refused))
    }

    /// Lets others have the streams, and takes the consumer's name out of the group where it has
    /// nothing pending. Else the leases run out, and another consumer removes it later.
    fn leave(&mut self) {
        let Some(mut client) = self.client.take() else { return };
        let setup = &self.shared.setup;
        let sources = self.shared.sources();
        // What is with a handler still is taken over when the lease has run out, and not before.
        let is_free =
            |source: &&Arc<Source>| setup.is_per_plan() && !self.shared.lock().is_busy_with(source.number);
        let free = sources.iter().filter(is_free).map(|source| self.caller.free(&source.keys));
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
}
