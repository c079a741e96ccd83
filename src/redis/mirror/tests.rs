//! [`Book`] against a model: whatever is lost, refused, pruned and restarted, every stream ends up with
//! all events of the log, and none was ever appended across a gap.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{book::Book, position::Position, status::MirrorState};
use crate::{
    error::{Error, ErrorKind},
    store::{ChainAt, Progress},
};

/// How many events the log has, and how many streams they go into.
const EVENTS: u64 = 60;
const STREAMS: u64 = 5;

#[derive(Clone, Debug)]
enum Act {
    /// A batch of so many events.
    Append(u64),
    /// A look at all streams.
    Check,
    /// A stream loses all entries beyond a seq.
    Lose(u64, u64),
    /// A stream takes no more entries.
    Refuse(u64),
    /// A stream takes entries again, and the mirror tries.
    Accept(u64),
    Save,
    /// Another process goes on with what was saved last.
    Restart,
    /// Retention goes as far as the saved cursor allows.
    Prune,
}

fn act() -> impl Strategy<Value = Act> {
    let stream = 0..STREAMS;
    prop_oneof![
        6 => (1..20_u64).prop_map(Act::Append),
        2 => Just(Act::Check),
        2 => (stream.clone(), 0..EVENTS).prop_map(|(stream, to)| Act::Lose(stream, to)),
        1 => stream.clone().prop_map(Act::Refuse),
        1 => stream.prop_map(Act::Accept),
        2 => Just(Act::Save),
        1 => Just(Act::Restart),
        1 => Just(Act::Prune),
    ]
}

/// The log, the streams as they are, and the book that is kept of them.
struct Model {
    /// The stream of each event.
    homes: Vec<u64>,
    floor: u64,
    streams: BTreeMap<u64, BTreeSet<u64>>,
    refusing: BTreeSet<u64>,
    book: Book,
    stored: Progress,
}

fn position(seq: u64) -> Position {
    if seq == 0 { Position::START } else { Position { seq, bits: 1_000 + seq } }
}

impl Model {
    fn new(homes: Vec<u64>) -> Self {
        let streams = (0..STREAMS).map(|stream| (stream, BTreeSet::new())).collect();
        let (stored, refusing) = (Progress::default(), BTreeSet::new());
        let book = Book::new(stored.clone(), "setup", 1);
        Self { homes, floor: 1, streams, refusing, book, stored }
    }

    fn events(&self, stream: u64, seqs: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        seqs.filter(|seq| self.homes[*seq as usize - 1] == stream).collect()
    }

    /// The last seq that a stream has.
    fn last(&self, stream: u64) -> u64 {
        self.streams[&stream].last().copied().unwrap_or(0)
    }

    fn find(&mut self, stream: u64) {
        let at = position(self.last(stream));
        let log = if at.seq < self.floor { ChainAt::Pruned } else { ChainAt::Bits(at.bits) };
        let known = self.book.known(&stream.to_string()).filter(|known| known.position == Some(at));
        if !known.is_some_and(|known| known.is_open() || known.is_blocked()) {
            self.book.found(&stream.to_string(), at, log, self.floor);
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Append(count) => self.append(count),
            Act::Check => self.check(),
            Act::Lose(stream, to) => self.streams.entry(stream).or_default().retain(|seq| *seq <= to),
            Act::Refuse(stream) => drop(self.refusing.insert(stream)),
            Act::Accept(stream) => {
                self.refusing.remove(&stream);
                self.book.unblock(&stream.to_string());
            }
            Act::Save => self.save(),
            Act::Restart => self.book = Book::new(self.stored.clone(), "setup", self.floor),
            Act::Prune => self.floor = self.floor.max(self.stored.cursor.unwrap_or(0).min(EVENTS - 1) + 1),
        }
    }

    fn check(&mut self) {
        let known: Vec<u64> = self
            .book
            .keys_behind(None, usize::MAX)
            .iter()
            .map(|key| key.parse().expect("a stream of ours"))
            .collect();
        known.into_iter().for_each(|stream| self.find(stream));
    }

    fn save(&mut self) {
        let Some(progress) = self.book.unsaved("setup") else { return };
        self.book.note_saved(progress.clone());
        let mut streams: BTreeMap<String, u64> = self.stored.streams.drain(..).collect();
        streams.extend(progress.streams.clone());
        self.stored = Progress { streams: streams.into_iter().collect(), ..progress };
    }

    /// A batch, as a session sends it.
    fn append(&mut self, count: u64) {
        let after = self.book.cursor().max(self.floor - 1);
        self.book.advance(after);
        let end = EVENTS.min(after + count);
        let ids = |model: &Self, stream| model.events(stream, after + 1..=end);
        let concerned: Vec<u64> = (0..STREAMS).filter(|stream| !ids(self, *stream).is_empty()).collect();
        for stream in &concerned {
            let known = self.book.known(&stream.to_string());
            if known.is_none_or(|known| known.position.is_none() && known.is_open()) {
                self.find(*stream);
            }
        }
        if self.book.cursor() < after {
            return;
        }
        self.book.advance(end);
        for stream in concerned {
            self.append_to(stream, &ids(self, stream), after);
        }
    }

    /// The part of a batch for one stream, as the script does it.
    fn append_to(&mut self, stream: u64, ids: &[u64], after: u64) {
        let key = stream.to_string();
        let last = *ids.last().expect("has events");
        let known = self.book.stream(&key);
        let Some(believed) = known.position.filter(|_| known.is_open()) else { return };
        if believed.seq >= last {
            return;
        }
        let at = self.last(stream);
        let is_known = at == believed.seq || ids.contains(&at);
        if !is_known {
            self.find(stream);
            self.book.rewind(after);
        } else if self.refusing.contains(&stream) {
            self.book.block(&key, Error::new(ErrorKind::Storage, "refused"), self.floor);
            self.book.rewind(after);
        } else {
            for seq in ids.iter().copied().filter(|seq| *seq > at) {
                let before = self.events(stream, self.floor..=seq - 1);
                let gap = before.into_iter().filter(|seq| *seq > at).find(|seq| !self.has(stream, *seq));
                assert_eq!(gap, None, "stream {stream} gets {seq} before it");
                self.streams.entry(stream).or_default().insert(seq);
            }
            self.book.stream(&key).position = Some(position(last));
        }
    }

    fn has(&self, stream: u64, seq: u64) -> bool {
        self.streams[&stream].contains(&seq)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn p7_whatever_streams_lose_each_gets_every_event_and_none_across_a_gap(
        homes in proptest::collection::vec(0..STREAMS, EVENTS as usize),
        acts in proptest::collection::vec(act(), 0..80),
    ) {
        let mut model = Model::new(homes);
        acts.iter().for_each(|act| model.act(act));
        // Nothing is wrong any more, and the mirror looks again and again.
        for stream in 0..STREAMS {
            model.act(&Act::Accept(stream));
        }
        for _ in 0..3 {
            model.check();
            for _ in 0..2 * EVENTS {
                model.append(7);
            }
        }
        prop_assert!(model.book.is_sound() && model.book.cursor() == EVENTS);
        for stream in 0..STREAMS {
            let missing = model.events(stream, model.floor..=EVENTS).into_iter().find(|seq| !model.has(stream, *seq));
            prop_assert_eq!(missing, None, "stream {} lacks an event", stream);
        }
    }
}

/// A book of which this was saved: a cursor, and the last seqs of two streams.
fn saved(cursor: u64, streams: [u64; 2]) -> Progress {
    let streams = ["a", "b"].map(str::to_owned).into_iter().zip(streams).collect();
    Progress { setup: "setup".to_owned(), cursor: Some(cursor), streams, skipped: Vec::new() }
}

fn find(book: &mut Book, key: &str, seq: u64) {
    let at = position(seq);
    book.found(key, at, ChainAt::Bits(at.bits), 1);
}

#[test]
fn after_a_restart_only_what_streams_lack_is_read_again() {
    let mut book = Book::new(saved(1_000, [3, 1_000]), "setup", 1);
    find(&mut book, "a", 3);
    find(&mut book, "b", 1_000);
    assert_eq!(book.cursor(), 1_000, "a stream of a rare type lacks nothing");
    // What was appended after the last save is there, too.
    let mut book = Book::new(saved(1_000, [3, 900]), "setup", 1);
    find(&mut book, "b", 1_200);
    find(&mut book, "a", 0);
    assert_eq!(book.cursor(), 0, "a stream that lost its entries is filled anew");
    assert_eq!(Book::new(saved(1_000, [3, 900]), "another setup", 50).cursor(), 49);
}

#[test]
fn what_a_stream_in_trouble_needs_is_kept_and_nothing_that_was_pruned_is_asked_for() {
    let mut book = Book::new(saved(1_000, [3, 1_000]), "setup", 500);
    find(&mut book, "b", 1_000);
    book.block("a", Error::new(ErrorKind::Storage, "refused"), 500);
    assert_eq!(book.unsaved("setup").and_then(|progress| progress.cursor), Some(499));
    book.unblock("a");
    assert_eq!((book.cursor(), book.is_sound()), (499, true));
    book.advance(1_000);
    book.found("b", position(1_000), ChainAt::Bits(7), 500);
    assert_eq!(book.troubles()[0].state, MirrorState::Forked);
    assert_eq!(book.unsaved("setup"), None, "it holds from where it stands");
}
