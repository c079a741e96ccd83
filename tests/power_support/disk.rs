//! A disk that loses power: what its files may hold afterwards, by what was synced and what was not.
//!
//! Knows nothing of SQLite: only of writes, sectors, names and syncs.

use std::collections::BTreeMap;

use super::{random::Random, trace::Step};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What becomes of that which was not synced when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of it is lost.
    All,
    /// Nothing is lost, as when only the process dies.
    Nothing,
    /// What came last is there, what came before is lost.
    AllButTheLast,
    /// What came first is there, up to a change that is torn.
    Tail,
    /// Each change is there, lost or torn, as it happens.
    Random,
}

impl Loss {
    pub(crate) const EACH: [Self; 5] =
        [Self::All, Self::Nothing, Self::AllButTheLast, Self::Tail, Self::Random];
}

/// What becomes of one change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    Torn,
}

#[derive(Clone, Copy)]
enum Change<'a> {
    Write { offset: usize, bytes: &'a [u8] },
    SetLength(usize),
}

#[derive(Clone, Copy)]
enum NameChange<'a> {
    Create(&'a str, usize),
    Rename(&'a str, &'a str),
    Unlink(&'a str),
}

type Names<'a> = BTreeMap<&'a str, usize>;

/// Changes that are not synced, each with the number of its step.
struct Pending<T>(Vec<(usize, T)>);

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Pending<T> {
    /// Takes out what came before a step.
    fn take_before(&mut self, step: usize) -> Vec<T> {
        let count = self.0.partition_point(|(at, _)| *at < step);
        self.0.drain(..count).map(|(_, change)| change).collect()
    }

    fn with_fates(&self, loss: Loss, random: &mut Random) -> Vec<(T, Fate)> {
        let count = self.0.len();
        let torn_at = random.below(count + 1);
        let fate = |at: usize| match loss {
            Loss::All => Fate::Lost,
            Loss::Nothing => Fate::Kept,
            Loss::AllButTheLast if at + 1 == count => Fate::Kept,
            Loss::AllButTheLast => Fate::Lost,
            Loss::Tail if at < torn_at => Fate::Kept,
            Loss::Tail if at == torn_at => Fate::Torn,
            Loss::Tail => Fate::Lost,
            Loss::Random => [Fate::Kept, Fate::Lost, Fate::Torn][random.below(3)],
        };
        let fates: Vec<Fate> = (0..count).map(fate).collect();
        self.0.iter().map(|(_, change)| *change).zip(fates).collect()
    }
}

#[derive(Default)]
struct File<'a> {
    durable: Vec<u8>,
    pending: Pending<Change<'a>>,
}

/// The files of one directory.
#[derive(Default)]
pub(crate) struct Disk<'a> {
    files: Vec<File<'a>>,
    /// The names as programs see them.
    names: Names<'a>,
    durable_names: Names<'a>,
    pending_names: Pending<NameChange<'a>>,
}

impl<'a> Disk<'a> {
    /// Does the step of this number.
    pub(crate) fn apply(&mut self, number: usize, step: &'a Step) {
        match step {
            Step::Create { name } => {
                if !self.names.contains_key(&**name) {
                    self.change_name(number, NameChange::Create(name, self.files.len()));
                    self.files.push(File::default());
                }
            }
            Step::Rename { from, to } => self.change_name(number, NameChange::Rename(from, to)),
            Step::Unlink { name } => self.change_name(number, NameChange::Unlink(name)),
            Step::Write { name, offset, bytes } => {
                self.file(name).pending.0.push((number, Change::Write { offset: *offset, bytes }));
            }
            Step::SetLength { name, bytes } => {
                self.file(name).pending.0.push((number, Change::SetLength(*bytes)));
            }
            Step::SyncFile { name, began } => {
                let file = self.file(name);
                for change in file.pending.take_before(*began) {
                    change.apply(&mut file.durable);
                }
            }
            Step::SyncDirectory { began } => {
                for change in self.pending_names.take_before(*began) {
                    change.apply(&mut self.durable_names);
                }
            }
            Step::Told(_) => {}
        }
    }

    fn file(&mut self, name: &str) -> &mut File<'a> {
        let number = self.names.get(name).unwrap_or_else(|| panic!("{name} was never created"));
        &mut self.files[*number]
    }

    fn change_name(&mut self, number: usize, change: NameChange<'a>) {
        change.apply(&mut self.names);
        self.pending_names.0.push((number, change));
    }

    /// The files as they may be found when the power is back.
    pub(crate) fn after_cut(&self, loss: Loss, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let mut names = self.durable_names.clone();
        for (change, fate) in self.pending_names.with_fates(loss, random) {
            // A name is there or not; it cannot be torn.
            if fate == Fate::Kept || (fate == Fate::Torn && random.chance()) {
                change.apply(&mut names);
            }
        }
        let content = |number: usize, random: &mut Random| {
            let file = &self.files[number];
            let mut content = file.durable.clone();
            for (change, fate) in file.pending.with_fates(loss, random) {
                match fate {
                    Fate::Kept => change.apply(&mut content),
                    Fate::Torn => change.apply_torn(&mut content, random),
                    Fate::Lost if loss == Loss::All => {}
                    Fate::Lost => change.apply_length(&mut content, random),
                }
            }
            content
        };
        names.into_iter().map(|(name, number)| (name.to_owned(), content(number, random))).collect()
    }
}

impl<'a> NameChange<'a> {
    /// Where the change before it was lost, there may be nothing to rename.
    fn apply(self, names: &mut Names<'a>) {
        match self {
            NameChange::Create(name, file) => drop(names.insert(name, file)),
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to, file);
                }
            }
            NameChange::Unlink(name) => drop(names.remove(name)),
        }
    }
}

impl Change<'_> {
    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => put(content, offset, bytes),
            Change::SetLength(bytes) => content.resize(bytes, 0),
        }
    }

    /// Some of the sectors that the change touches, and not others.
    fn apply_torn(self, content: &mut Vec<u8>, random: &mut Random) {
        match self {
            Change::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let left_in_sector = SECTOR_BYTES - (offset + at) % SECTOR_BYTES;
                    let end = (at + left_in_sector).min(bytes.len());
                    if random.chance() {
                        put(content, offset + at, &bytes[at..end]);
                    }
                    at = end;
                }
                self.apply_length(content, random);
            }
            Change::SetLength(_) if random.chance() => self.apply(content),
            Change::SetLength(_) => {}
        }
    }

    /// A write is lost, but the file may have become as long as it made it, with zeros.
    fn apply_length(self, content: &mut Vec<u8>, random: &mut Random) {
        if let Change::Write { offset, bytes } = self
            && random.chance()
            && content.len() < offset + bytes.len()
        {
            content.resize(offset + bytes.len(), 0);
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}
