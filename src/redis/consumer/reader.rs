//! [`Reader`]: the thread that finds streams, makes the group in them, and reads.
//!
//! It has a connection of its own, on which it waits at the server. It acks nothing. After a
//! connection was lost it first looks for what was delivered to it and never came.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ::redis::Value;

use super::{
    refused::{Refused, is_missing},
    scripts::{Claimed, Ensured, Search, Taken},
    shared::Shared,
    source::{FIRST_TERM, Place, Source, add},
    state::{State, Thread},
    upkeep::exchange,
};
use crate::{
    error::Result,
    redis::{EntryId, client::Reply, group_keys::GroupKeys, reply, session::Session, streams::list::find},
};

/// How long one read waits at the server for entries to come: as long may a stop take.
pub(super) const BLOCK_MAX: Duration = Duration::from_millis(250);
/// How often streams that came, or came again, are looked for, and at most which part of the time.
const REFRESH: Duration = Duration::from_millis(500);
const REFRESH_PART: u32 = 20;
/// The most entries of one stream that one read takes.
const PAGE_ENTRIES: usize = 200;
/// The most streams of one read.
const READ_MAX_STREAMS: usize = 500;
/// The pause between two rounds where one read cannot wait for all streams: in a Cluster, and where
/// they are many.
pub(super) const ROUND_PAUSE: Duration = Duration::from_millis(20);

/// The reader of a consumer.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    refresh_at: Instant,
    /// The streams must be read one by one.
    pub(super) is_split: bool,
    /// The source that was read last, where one read is not for all.
    turn: usize,
    /// How many streams had something when they were read last.
    busy_streams: usize,
    /// It has looked for streams once: those that come later are new.
    is_begun: bool,
    /// The last wait ended because something had come.
    pub(super) is_woken: bool,
    /// Why a stream cannot be read while others can.
    pub(super) refused: Refused,
}

/// Tells that the thread has ended, also where it panicked.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.note_read();
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            refresh_at: Instant::now(),
            is_split: false,
            turn: 0,
            busy_streams: usize::MAX,
            is_begun: false,
            is_woken: false,
            refused: Refused::default(),
        }
    }

    /// Reads until the consumer is stopped.
    pub(super) fn run(mut self) {
        let _told = End(Arc::clone(&self.shared));
        let mut back_off = self.shared.setup.endpoint.back_off();
        while !self.shared.is_stopping() {
            let ended = self.read_over_one_connection(|| back_off.reset());
            if let Err(error) = ended {
                self.shared.lose_connection();
                self.shared.tell(Thread::Reader, Some(error));
                self.shared.pause(Instant::now() + back_off.next_delay());
            }
        }
    }

    fn read_over_one_connection(&mut self, mut went_well: impl FnMut()) -> Result<()> {
        let mut session = Session::open(&self.shared.setup.endpoint, "consume streams")?;
        session.allow_wait(BLOCK_MAX)?;
        // What was lost with the connection may be more than the connection.
        self.refresh_at = Instant::now();
        for place in &mut self.shared.lock().places {
            place.search_after = Some(EntryId::ZERO);
        }
        while !self.shared.is_stopping() {
            if Instant::now() >= self.refresh_at {
                let start = Instant::now();
                self.refresh(&mut session)?;
                self.refresh_at = Instant::now() + REFRESH.max(start.elapsed() * REFRESH_PART);
            }
            self.search(&mut session)?;
            self.read(&mut session)?;
            self.shared.tell(Thread::Reader, self.refused.error().cloned());
            went_well();
        }
        Ok(())
    }

    /// Looks for streams that came, and makes the group where it is missing.
    fn refresh(&mut self, session: &mut Session) -> Result<()> {
        let setup = &self.shared.setup;
        let mut names = find(session, &setup.profile, &setup.patterns)?;
        names.retain(|name| setup.wants_stream(name));
        let mut state = self.shared.lock();
        for place in &mut state.places {
            // One that is gone is looked for again.
            place.is_there &= place.source.is_replay || names.contains(&place.source.keys.stream);
        }
        for name in names {
            if !state.places.iter().any(|place| place.source.keys.stream == name) {
                let keys = GroupKeys::new(&setup.profile, &name, &setup.caller.group);
                add(&mut state.places, keys, &name, &setup.caller.group, false);
            }
        }
        let missing: Vec<Arc<Source>> = {
            let missing = state.places.iter().filter(|place| !place.is_there);
            missing.map(|place| Arc::clone(&place.source)).collect()
        };
        drop(state);
        self.refused = Refused::default();
        self.ensure(session, &missing)?;
        self.is_begun = true;
        Ok(())
    }

    /// Makes the group in these streams where it is missing.
    fn ensure(&mut self, session: &mut Session, sources: &[Arc<Source>]) -> Result<()> {
        let setup = &self.shared.setup;
        let mut commands = Vec::new();
        for source in sources {
            let start = setup.start_in(source, self.is_begun)?;
            commands.push(setup.caller.ensure(&source.keys, &start));
        }
        let mut found = Vec::new();
        for (source, reply) in sources.iter().zip(exchange(session.client(), &commands)?) {
            let doing = || format!("make the group in {}", source.keys.stream);
            let Some(answer) = self.refused.answer(reply, doing)? else { continue };
            match Ensured::of(answer)? {
                Ensured::Leased => self.refused.note(source.conflict()),
                ensured => found.push((source, ensured)),
            }
        }
        #[cfg(feature = "sqlite")]
        self.look_for_refills(session, &found)?;
        let mut state = self.shared.lock();
        for (source, ensured) in found {
            let place = &mut state.places[source.number];
            place.is_there = ensured != Ensured::NoStream;
            let was_there = place.was_there;
            place.was_there |= place.is_there;
            if ensured == Ensured::Made {
                (place.search_after, place.last_read) = (None, EntryId::ZERO);
                if was_there && !source.is_replay {
                    state.counts.healed += 1;
                    tracing::info!(stream = %source.stream, group = %source.group, "planbus.consume: made the group again");
                }
            } else if setup.is_per_plan() {
                place.search_after = Some(EntryId::ZERO);
            }
        }
        Ok(())
    }

    /// Finds out which streams are being filled again with what an inbox knows as handled.
    #[cfg(feature = "sqlite")]
    fn look_for_refills(&self, session: &mut Session, found: &[(&Arc<Source>, Ensured)]) -> Result<()> {
        let setup = &self.shared.setup;
        let Some(inbox) = &setup.inbox else { return Ok(()) };
        let is_there =
            |(source, ensured): &&(&Arc<Source>, Ensured)| *ensured != Ensured::NoStream && !source.is_replay;
        let mut found = found.iter().filter(is_there).peekable();
        // Streams that are not there are looked for often, and the inbox need not be asked for them.
        let floors = if found.peek().is_some() { inbox.floors()? } else { Vec::new() };
        for (source, ensured) in found {
            let is_made = *ensured == Ensured::Made;
            let refill = super::refill::of(session, &setup.profile, source, &floors, is_made)?;
            self.shared.lock().places[source.number].refill = refill;
        }
        Ok(())
    }

    /// Looks for entries that were delivered before, to us or, where plans keep their order, to whoever
    /// had the stream before, and takes in those that are not in hand.
    fn search(&mut self, session: &mut Session) -> Result<()> {
        while let Some((source, after, term)) = self.next_search() {
            let deadline = Instant::now() + BLOCK_MAX;
            let room = self.shared.wait_for_room(deadline, State::room_to_search).min(PAGE_ENTRIES);
            if room == 0 || self.shared.is_stopping() {
                return Ok(());
            }
            let is_per_plan = self.shared.setup.is_per_plan();
            let skipped = self.shared.lock().board.in_hand(source.number);
            let search = Search {
                after,
                count: room,
                idle: Duration::ZERO,
                own: !is_per_plan,
                waiting: is_per_plan,
                suspect: after == EntryId::ZERO,
                skipped: &skipped,
            };
            let command = self.shared.caller().claim(&source.keys, &search);
            let reply = session.client().call(&command)?;
            let is_refused = reply.as_ref().is_err_and(|refusal| refusal.code != "NOGROUP");
            let doing = || format!("look for entries of {}", source.keys.stream);
            let found = self.refused.answer(reply, doing)?.map(Claimed::of).transpose()?.flatten();
            if is_refused {
                // Later entries must not pass those that were not found: it is looked at again, from here.
                self.shared.lock().places[source.number].is_there = false;
                continue;
            }
            let last = found.as_ref().and_then(|found| found.last);
            let (entries, deleted) =
                found.map_or_else(Default::default, |found| (found.entries, found.deleted));
            self.shared.count(|counts| counts.trimmed += deleted.len() as u64);
            self.take_in(&source, term, entries, |place| place.search_after = last);
        }
        Ok(())
    }

    fn next_search(&self) -> Option<(Arc<Source>, EntryId, u64)> {
        let state = self.shared.lock();
        let place = state.places.iter().find(|place| {
            place.is_there && place.search_after.is_some() && place.is_open(self.shared.setup.ordering)
        })?;
        Some((Arc::clone(&place.source), place.search_after?, place.term))
    }

    fn take_in(&self, source: &Source, term: u64, entries: Vec<Taken>, note: impl FnOnce(&mut Place)) {
        let setup = &self.shared.setup;
        let arrivals = entries.into_iter().map(|taken| setup.arrival(source, taken, false)).collect();
        self.shared.take_in_term((source, term), arrivals, note);
    }

    /// Reads what is new, as much as there is room for.
    fn read(&mut self, session: &mut Session) -> Result<()> {
        let room = self.shared.wait_for_room(Instant::now() + BLOCK_MAX, State::room);
        let (sources, is_all) = self.next_sources();
        if room == 0 {
            return Ok(());
        }
        if sources.is_empty() {
            self.shared.pause(Instant::now() + ROUND_PAUSE);
            return Ok(());
        }
        // As if as many had something as the last time: a busy stream among many idle ones is read in pages.
        let count = (room / self.busy_streams.clamp(1, sources.len())).clamp(1, PAGE_ENTRIES);
        if self.shared.setup.is_per_plan() {
            return self.read_leased(session, &sources, count);
        }
        if !self.is_split {
            let wait = if is_all { BLOCK_MAX } else { Duration::ZERO };
            let names: Vec<&str> = sources.iter().map(|source| source.keys.stream.as_str()).collect();
            let command = self.shared.setup.caller.read(&names, count, wait);
            match session.client().call(&command)? {
                Err(refusal) if refusal.code == "CROSSSLOT" => self.is_split = true,
                reply => {
                    let came = self.take_answer(reply, &sources)?;
                    if !came && !is_all {
                        self.shared.pause(Instant::now() + ROUND_PAUSE);
                    }
                    return Ok(());
                }
            }
        }
        let caller = &self.shared.setup.caller;
        let read = |source: &Arc<Source>| caller.read(&[&source.keys.stream], count, Duration::ZERO);
        let replies = exchange(session.client(), &sources.iter().map(read).collect::<Vec<_>>())?;
        let mut came = false;
        for reply in replies {
            came |= self.take_answer(reply, &sources)?;
        }
        if !came {
            self.shared.pause(Instant::now() + ROUND_PAUSE);
        }
        Ok(())
    }

    /// The sources whose turn it is, and whether these are all.
    fn next_sources(&mut self) -> (Vec<Arc<Source>>, bool) {
        let state = self.shared.lock();
        let is_open = |place: &&Place| {
            place.is_there && place.search_after.is_none() && place.is_open(self.shared.setup.ordering)
        };
        let open: Vec<Arc<Source>> =
            state.places.iter().filter(is_open).map(|place| Arc::clone(&place.source)).collect();
        drop(state);
        if open.len() <= READ_MAX_STREAMS {
            return (open, true);
        }
        let turn = self.turn;
        let behind = open.iter().filter(|source| source.number > turn);
        let before = open.iter().filter(|source| source.number <= turn);
        let part: Vec<_> = behind.chain(before).take(READ_MAX_STREAMS).cloned().collect();
        self.turn = part.last().map_or(0, |source| source.number);
        (part, false)
    }

    /// Takes in what came to streams; whether anything did.
    fn take_answer(&mut self, reply: Reply, sources: &[Arc<Source>]) -> Result<bool> {
        let answer = match reply {
            Ok(answer) => answer,
            Err(refusal) if is_missing(&refusal) => {
                self.miss(sources);
                return Ok(false);
            }
            Err(refusal) => return Err(refusal.into_error("read streams")),
        };
        let mut came = false;
        let by_stream = reply::by_stream(answer)?;
        self.busy_streams = by_stream.len();
        for (name, entries) in by_stream {
            let named = sources.iter().find(|source| source.keys.stream.as_bytes() == name);
            let Some(source) = named else { continue };
            // Only where plans keep their order does a term end.
            came |= self.take_new(source, FIRST_TERM, entries)?;
        }
        Ok(came)
    }

    pub(super) fn take_new(&self, source: &Source, term: u64, entries: Value) -> Result<bool> {
        let new = |(id, fields): (String, reply::Fields)| {
            let id = id.parse()?;
            Ok(Taken { id, fields, deliveries: 1, record: Vec::new(), is_waiting: false })
        };
        let entries = reply::entries(entries)?.into_iter().map(new).collect::<Result<Vec<_>>>()?;
        let Some(last) = entries.last().map(|entry| entry.id) else { return Ok(false) };
        self.take_in(source, term, entries, |place| place.last_read = last);
        Ok(true)
    }

    /// A group is gone in one of these streams, or the stream itself: all are looked at again.
    pub(super) fn miss(&mut self, sources: &[Arc<Source>]) {
        let mut state = self.shared.lock();
        for source in sources {
            state.places[source.number].is_there = false;
        }
        drop(state);
        self.refresh_at = Instant::now();
        // What took the group away may be at it still.
        self.shared.pause(Instant::now() + ROUND_PAUSE);
    }
}
