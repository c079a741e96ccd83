//! [`Book`]: what the mirror knows of its streams, and what it decides by that. Pure.
//!
//! One cursor reads the log for all streams. A stream that turns out to lack something sends the
//! cursor back; what the others have already is left out when it is read again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
};

use super::{
    position::Position,
    status::{MirrorState, StreamTrouble},
    tally::Tally,
};
use crate::{
    error::{Error, ErrorKind},
    store::{ChainAt, Progress},
};

/// Why events are left out that retention took before they were mirrored.
pub(super) const GONE: &str = "no longer in the log";
/// A stream that has refused ever so often is tried in every 2^6th round.
const TRIED_SELDOM: u32 = 6;

/// A stream, as far as the mirror knows it.
#[derive(Debug)]
pub(super) struct Stream {
    /// Where it stands; `None` before it was asked.
    pub(super) position: Option<Position>,
    /// The last seq in it that the store remembers, 0 for none.
    recorded: u64,
    /// Why nothing is appended to it.
    trouble: Option<Trouble>,
    /// How often it has refused entries since it took some.
    refusals: u32,
    /// How many entries it got since it was trimmed; at first as many as can be, for what mirrors
    /// before this one appended and did not trim.
    pub(super) untrimmed: u64,
    /// The group that holds its trimming back.
    trim_held_by: Option<String>,
    /// The server refused to trim it.
    pub(super) is_trim_refused: bool,
}

/// Why nothing is appended to a stream.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) state: MirrorState,
    pub(super) error: Error,
    /// What it needs of the log, once it takes entries again, comes after this seq.
    needs_after: u64,
}

impl Stream {
    fn new(recorded: u64) -> Self {
        Self {
            position: None,
            recorded,
            trouble: None,
            refusals: 0,
            untrimmed: u64::MAX,
            trim_held_by: None,
            is_trim_refused: false,
        }
    }

    /// Whether the mirror has ever appended to it.
    pub(super) fn was_written(&self) -> bool {
        self.last_seq() > 0
    }

    /// The last seq that it is known to have got.
    pub(super) fn last_seq(&self) -> u64 {
        self.position.map_or(self.recorded, |position| position.seq)
    }

    /// Whether it refused entries where it stands.
    pub(super) fn is_blocked(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.state == MirrorState::Blocked)
    }

    /// In which rounds of trying it is tried.
    fn tried_every(&self) -> u32 {
        1 << self.refusals.saturating_sub(1).min(TRIED_SELDOM)
    }

    /// Whether it takes entries now.
    pub(super) fn is_open(&self) -> bool {
        self.trouble.is_none()
    }
}

/// What the mirror knows.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// All events up to here are in those streams that take entries, or were left out.
    cursor: u64,
    streams: BTreeMap<String, Stream>,
    /// Those of them that wait for somebody, or whose trimming is held back: few, where there are many.
    notable: BTreeSet<String>,
    pub(super) tally: Tally,
    saved: Progress,
}

impl Book {
    /// What the store remembers. Another setup begins anew: it reads the log from its beginning, and
    /// what the one before it wrote or left out is not its own.
    pub(super) fn new(progress: Progress, setup: &str, floor: u64) -> Self {
        let before_floor = floor.saturating_sub(1);
        if progress.setup != setup {
            return Self { cursor: before_floor, ..Self::default() };
        }
        let stream = |(key, seq): &(String, u64)| (key.clone(), Stream::new(*seq));
        Self {
            cursor: progress.cursor.unwrap_or(before_floor),
            streams: progress.streams.iter().map(stream).collect(),
            notable: BTreeSet::new(),
            tally: Tally::new(&progress.skipped),
            saved: progress,
        }
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// All up to `seq` was handled.
    pub(super) fn advance(&mut self, seq: u64) {
        self.cursor = self.cursor.max(seq);
    }

    /// Reads on from an earlier place.
    pub(super) fn rewind(&mut self, seq: u64) {
        self.cursor = self.cursor.min(seq);
    }

    /// The next streams behind one, by name; the first ones behind none.
    pub(super) fn keys_behind(&self, key: Option<&str>, count: usize) -> Vec<String> {
        let behind = key.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.streams.range::<str, _>((behind, Bound::Unbounded));
        keys.take(count).map(|(key, _)| key.clone()).collect()
    }

    /// The blocked streams whose turn it is: one that has refused often is seldom tried.
    pub(super) fn blocked(&self, round: u32) -> Vec<String> {
        let is_due = |stream: &Stream| stream.is_blocked() && round.is_multiple_of(stream.tried_every());
        self.notable.iter().filter(|key| self.streams.get(*key).is_some_and(is_due)).cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn stream(&mut self, key: &str) -> &mut Stream {
        if !self.streams.contains_key(key) {
            self.streams.insert(key.to_owned(), Stream::new(0));
        }
        self.streams.entry(key.to_owned()).or_insert_with(|| Stream::new(0))
    }

    pub(super) fn known(&self, key: &str) -> Option<&Stream> {
        self.streams.get(key)
    }

    /// A stream was found at a position, of which the log says this.
    pub(super) fn found(&mut self, key: &str, at: Position, log: ChainAt, floor: u64) {
        let cursor = self.cursor;
        // Retention took away what comes before the floor.
        let needs_after = at.seq.max(floor.saturating_sub(1));
        let forked = fork(key, at, log);
        let stream = self.stream(key);
        // One that was not asked before stands as the store remembers it, at 0 for one that is new:
        // it lacks nothing of what was read before.
        let before = stream.position.map_or(stream.recorded, |before| before.seq);
        let is_as_before = before == at.seq && stream.is_open();
        stream.position = Some(at);
        stream.trouble = forked.map(|error| Trouble { state: MirrorState::Forked, error, needs_after });
        let is_behind = stream.is_open() && !is_as_before && at.seq < cursor;
        self.note(key);
        if is_behind {
            self.count_lost(at.seq, needs_after.min(before));
            self.rewind(needs_after);
        }
    }

    /// Counts what a stream had, lost, and cannot get again: it lies before the log's floor. One that
    /// lost everything begins anew with what the log holds, and lacks nothing in between.
    fn count_lost(&mut self, at: u64, before: u64) {
        if at > 0 && before > at {
            self.tally.count(GONE, at + 1, before);
        }
    }

    /// A stream took entries, up to a position.
    pub(super) fn reached(&mut self, key: &str, at: Position) {
        let stream = self.stream(key);
        stream.position = Some(at);
        stream.refusals = 0;
    }

    /// The trimming of a stream is held back by a group, or by none any more.
    pub(super) fn hold_trim(&mut self, key: &str, group: Option<String>) {
        self.stream(key).trim_held_by = group;
        self.note(key);
    }

    /// Keeps in mind what is to be told of a stream.
    fn note(&mut self, key: &str) {
        let is_notable =
            self.streams.get(key).is_some_and(|stream| !stream.is_open() || stream.trim_held_by.is_some());
        if is_notable {
            self.notable.insert(key.to_owned());
        } else {
            self.notable.remove(key);
        }
    }

    fn notable(&self) -> impl Iterator<Item = (&String, &Stream)> {
        self.notable.iter().filter_map(|key| self.streams.get_key_value(key))
    }

    /// The server does not take what is for a stream; the log begins at `floor`.
    pub(super) fn block(&mut self, key: &str, error: Error, floor: u64) {
        let stream = self.stream(key);
        let needs_after = match &stream.trouble {
            // What was forced out of the log meanwhile is missed, and told.
            Some(trouble) => trouble.needs_after,
            None => stream.last_seq().max(floor.saturating_sub(1)),
        };
        if stream.is_open() {
            stream.refusals = stream.refusals.saturating_add(1);
        }
        stream.trouble = Some(Trouble { state: MirrorState::Blocked, error, needs_after });
        self.note(key);
    }

    /// A blocked stream may take entries again: what it lacks is read anew.
    pub(super) fn unblock(&mut self, key: &str) {
        let trouble = &mut self.stream(key).trouble;
        if let Some(trouble) = trouble.take_if(|trouble| trouble.state == MirrorState::Blocked) {
            self.rewind(trouble.needs_after);
        }
        self.note(key);
    }

    /// Whether every stream takes entries.
    pub(super) fn is_sound(&self) -> bool {
        self.notable().all(|(_, stream)| stream.is_open())
    }

    /// The streams that wait for somebody, by name.
    pub(super) fn troubles(&self) -> Vec<StreamTrouble> {
        let waiting = self.notable().filter_map(|(key, stream)| Some((key, stream.trouble.as_ref()?)));
        let told = |(key, trouble): (&String, &Trouble)| StreamTrouble {
            stream: key.clone(),
            state: trouble.state,
            error: trouble.error.clone(),
        };
        waiting.map(told).collect()
    }

    /// The streams whose trimming a group holds back, with the group, by name.
    pub(super) fn held_trims(&self) -> Vec<(String, String)> {
        let held =
            self.notable().filter_map(|(key, stream)| Some((key.clone(), stream.trim_held_by.clone()?)));
        held.collect()
    }

    /// All events up to here are in their streams, or were left out: what a stream in trouble still
    /// needs counts. Retention must keep the log from here on.
    pub(super) fn needed_after(&self) -> u64 {
        let waiting = self.notable().filter_map(|(_, stream)| stream.trouble.as_ref());
        waiting.map(|trouble| trouble.needs_after).min().unwrap_or(u64::MAX).min(self.cursor)
    }

    /// What has changed since it was last saved; `None` when nothing has.
    pub(super) fn unsaved(&self, setup: &str) -> Option<Progress> {
        let cursor = Some(self.needed_after());
        let streams: HashMap<&str, u64> =
            self.saved.streams.iter().map(|(key, seq)| (key.as_str(), *seq)).collect();
        let moved = self.streams.iter().filter(|(key, stream)| {
            stream.was_written() && streams.get(key.as_str()) != Some(&stream.last_seq())
        });
        let streams: Vec<_> = moved.map(|(key, stream)| (key.clone(), stream.last_seq())).collect();
        let skipped = self.tally.to_vec();
        let is_same = cursor == self.saved.cursor
            && streams.is_empty()
            && skipped == self.saved.skipped
            && setup == self.saved.setup;
        (!is_same).then(|| Progress { setup: setup.to_owned(), cursor, streams, skipped })
    }

    /// What [`unsaved`](Self::unsaved) gave is in the store now.
    pub(super) fn note_saved(&mut self, progress: Progress) {
        let mut streams: HashMap<String, u64> = std::mem::take(&mut self.saved.streams).into_iter().collect();
        streams.extend(progress.streams);
        self.saved = Progress { streams: streams.into_iter().collect(), ..progress };
    }
}

/// Why a position is none of this log's.
fn fork(key: &str, at: Position, log: ChainAt) -> Option<Error> {
    let problem = match log {
        _ if at == Position::START => return None,
        ChainAt::Bits(bits) if bits == at.bits => return None,
        // What it was is no longer known; the seqs that come after it are the log's own.
        ChainAt::Pruned => return None,
        ChainAt::Bits(_) => format!("another event than the log's stands at seq {}", at.seq),
        ChainAt::Missing => format!("it holds the event at seq {}, and the log does not", at.seq),
    };
    Some(Error::new(
        ErrorKind::Conflict,
        format!(
            "stream {key}: {problem}: the database was restored or copied, or lost its end. Nothing is \
             appended until `planbus streams rebuild {key}` fills the stream anew from this log"
        ),
    ))
}
