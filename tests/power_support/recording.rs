//! A child's recording: where to cut it, and what must be there after each cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use planbus::*;
use rusqlite::types::Value;

use super::{
    disk::{Disk, Loss},
    random::Random,
    rows::{Row, check_whole, first_unlinked, read_rows},
    tally::{Found, Tally},
    trace::Step,
};
use crate::store_support::{check_dense, event, memory_dir};

/// What a child did, and what it left when nothing went wrong.
pub(crate) struct Recording {
    steps: Vec<Step>,
    rows: Vec<Row>,
    events: Vec<Event>,
    store_id: String,
}

/// What the child had been told when the power went.
#[derive(Clone, Copy, Default)]
struct Told {
    opened: bool,
    /// Acknowledged events are all those up to this seq, because a commit makes all before it last.
    head: usize,
}

impl Told {
    fn hear(&mut self, line: &str) {
        self.opened |= line == "opened";
        self.head = acknowledged(line).map_or(self.head, |(seq, _)| self.head.max(seq));
    }
}

impl Recording {
    /// Takes what a child did and the store that it left, whose chain must hold, and whose rows must
    /// be those that were acknowledged.
    pub(crate) fn new(steps: Vec<Step>, path: &Path) -> Self {
        let (store_id, rows) = read_rows(path).expect("the log can be read");
        assert_eq!(first_unlinked(&store_id, &rows), None, "the chain holds");
        let acknowledged = steps.iter().filter_map(|step| match step {
            Step::Told(line) => acknowledged(line),
            _ => None,
        });
        for (seq, id) in acknowledged {
            assert_eq!(rows[seq - 1][1], Value::Text(id.to_owned()), "seq {seq} is what was acknowledged");
        }
        let store = EventStore::open(path).expect("opens");
        let events = check_dense(&store);
        store.close().expect("closes");
        Self { steps, rows, events, store_id }
    }

    /// What the child did.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The log that it left.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Opens what a cut left, and compares it with what was acknowledged.
    fn judge(&self, path: &Path, told: Told) -> Found {
        let there = path.exists();
        if told.opened && !there {
            return if told.head > 0 { Found::Lost(told.head) } else { Found::Broken("it vanished".into()) };
        }
        let judged = EventStore::open(path).map_err(|error| format!("{error:?}")).and_then(|store| {
            let (id, rows) = read_rows(path).map_err(|error| error.to_string())?;
            if (there && id != self.store_id) || !self.rows.starts_with(&rows) {
                return Err(format!("{} rows are not the first that were written", rows.len()));
            }
            self.go_on(&store, rows.len()).map_err(|error| format!("{error:?}"))?;
            store.close().map_err(|error| format!("{error:?}"))?;
            check_whole(path, &id, &rows)?;
            Ok(rows.len())
        });
        match judged {
            Ok(rows) if rows < told.head => Found::Lost(told.head - rows),
            Ok(_) => Found::Whole,
            Err(broken) => Found::Broken(broken),
        }
    }

    /// The log can be read, and goes on where it ends.
    fn go_on(&self, store: &EventStore, rows: usize) -> Result<()> {
        let events = store.read_after(0, usize::MAX)?;
        assert!(events == self.events[..rows], "the rows are the same, and so are the events");
        if let Some(last) = events.last() {
            let again = store.save(last)?;
            assert!(again.duplicate && again.seq == rows as u64, "{again:?}");
        }
        let saved = store.save(&event("after-the-cut", rows))?;
        assert!(!saved.duplicate && saved.seq == rows as u64 + 1, "{saved:?}");
        Ok(())
    }

    /// Cuts the power after each of these steps, of a recording of which some steps may be left out.
    pub(crate) fn cut(
        &self,
        points: &BTreeSet<usize>,
        seed: u64,
        is_done: impl Fn(usize, &Step) -> bool + Sync,
    ) -> Tally {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let tally = std::thread::scope(|scope| {
            let is_done = &is_done;
            let run = |worker: usize| {
                let mine = points.iter().copied().skip(worker).step_by(workers).collect();
                move || self.cut_at(&mine, seed, is_done)
            };
            let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(run(worker))).collect();
            let tallies = threads.into_iter().map(|thread| thread.join().expect("no check panics"));
            tallies.fold(Tally::default(), Tally::and)
        });
        assert_eq!(tally.cuts, points.len());
        tally
    }

    /// After which steps to cut: some of each kind, and others as it happens.
    pub(crate) fn points(&self, cuts: usize, seed: u64) -> BTreeSet<usize> {
        let mut random = Random::new(seed);
        let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            kinds.entry(kind(step)).or_default().push(at);
        }
        let each = cuts / kinds.len() / 2;
        let mut points = BTreeSet::new();
        for steps in kinds.values() {
            points.extend((0..each).map(|_| steps[random.below(steps.len())]));
        }
        while points.len() < cuts {
            points.insert(random.below(self.steps.len()));
        }
        points
    }

    fn cut_at(&self, points: &BTreeSet<usize>, seed: u64, is_done: impl Fn(usize, &Step) -> bool) -> Tally {
        let (mut disk, mut told, mut tally) = (Disk::default(), Told::default(), Tally::default());
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Told(line) => told.hear(line),
                step if is_done(at, step) => disk.apply(at, step),
                _ => {}
            }
            if points.contains(&at) {
                let mut random = Random::new(seed ^ at as u64);
                let loss = Loss::EACH[random.below(Loss::EACH.len())];
                let dir = memory_dir();
                put_files(dir.path(), disk.after_cut(loss, &mut random), &mut random);
                let found = self.judge(&dir.path().join("planbus.db"), told);
                tally.note(found, &format!("after step {at}, {}, {loss:?} lost", kind(step)));
            }
        }
        tally
    }
}

/// The seq and the event id of a line that tells an acknowledgement.
fn acknowledged(line: &str) -> Option<(usize, &str)> {
    let (seq, id) = line.strip_prefix("ack ")?.split_once(' ')?;
    Some((seq.parse().expect("a seq"), id))
}

/// What a step is, and to which file.
pub(crate) fn kind(step: &Step) -> String {
    match step {
        Step::Create { name } => format!("create {name}"),
        Step::Write { name, .. } => format!("write {name}"),
        Step::SetLength { name, .. } => format!("set the length of {name}"),
        Step::SyncFile { name, .. } => format!("sync {name}"),
        Step::SyncDirectory { .. } => "sync the directory".to_owned(),
        Step::Rename { to, .. } => format!("rename to {to}"),
        Step::Unlink { name } => format!("unlink {name}"),
        Step::Told(line) => line.split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// The files after a cut. The index of the write-ahead log is never synced: it is gone, or anything.
fn put_files(directory: &Path, mut files: BTreeMap<String, Vec<u8>>, random: &mut Random) {
    if let Some(shm) = files.get_mut("planbus.db-shm") {
        shm.resize(32_768, 0);
        random.fill(shm);
    }
    if random.chance() {
        files.remove("planbus.db-shm");
    }
    for (name, content) in files {
        std::fs::write(directory.join(name), content).expect("writes");
    }
}
