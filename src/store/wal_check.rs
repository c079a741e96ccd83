//! Whether a write-ahead log that a killed owner left is whole.
//!
//! SQLite takes the log up to the first frame whose checksum is wrong for all there is: right when a
//! power cut tore the last transaction, which nobody was told of; but where the disk damaged an older
//! frame, it drops every commit behind that one without a word. Here the frames behind it are looked
//! at too. A frame's checksum begins with that of the frame before, so frames that follow each other
//! are known without those before them.
//!
//! With `Durability::Full` every commit is synced before the next one is written. So a run of frames
//! behind the broken one that holds two commits proves damage: the first of them was on the disk.
//! What a rolled-back transaction left behind the end of the log has no commit, what a failed commit
//! left has one, and the frames of earlier generations have another salt.
//!
//! A log that was cut, or whose last commit alone is damaged, looks like one that a crash tore. It is
//! told apart by the note of the last owner (`lock`).
//!
//! Reads the file alone, never through SQLite, and never changes it.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use super::{fault, files::Files, schema::PAGE_BYTES};
use crate::error::Result;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The magic number but for its last bit, which says in which byte order checksums are made.
const MAGIC: u32 = 0x377f_0682;

/// The two running sums of SQLite's checksum.
type Sums = (u32, u32);

/// What a write-ahead log's file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WalState {
    Whole,
    /// The last transaction is not whole: never acknowledged, unless the disk damaged it.
    Torn {
        frame: u64,
    },
    /// Commits that were synced are lost with this frame; 0 is the header.
    Damaged {
        frame: u64,
        commits: u64,
    },
}

impl fmt::Display for WalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("the write-ahead log is whole"),
            Self::Torn { frame } => write!(
                f,
                "the last transaction of the write-ahead log is not whole from frame {frame} on: a crash tore \
                 it before it was acknowledged, or the disk damaged it"
            ),
            Self::Damaged { frame, commits } => write!(
                f,
                "the write-ahead log is damaged at frame {frame}, and {commits} commits or more that follow \
                 it cannot be read"
            ),
        }
    }
}

/// Looks at a write-ahead log. Where an owner may be writing to it, a frame that is being written
/// looks broken: so whatever is not whole is looked at once more.
pub(super) fn check(files: &Files) -> Result<WalState> {
    let look =
        || look(&files.wal).map_err(|cause| fault::file("read the write-ahead log", &files.wal, cause));
    match look()? {
        WalState::Whole => Ok(WalState::Whole),
        first => Ok(if look()? == first { first } else { WalState::Whole }),
    }
}

fn look(wal: &Path) -> io::Result<WalState> {
    let file = match File::open(wal) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(WalState::Whole),
        opened => opened?,
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut reader, &mut header)? {
        return Ok(WalState::Whole);
    }
    let is_big_endian = word(&header, 0) & 1 == 1;
    let mut scan = Scan::new(&header, is_big_endian);
    // Where the header is damaged its word for the byte order is not to be trusted.
    let mut other = (scan.broken_at == Some(0)).then(|| Scan::new(&header, !is_big_endian));
    let mut frame = vec![0; FRAME_HEADER_BYTES + PAGE_BYTES as usize];
    while fill(&mut reader, &mut frame)? {
        scan.take(&frame);
        if let Some(other) = &mut other {
            other.take(&frame);
        }
    }
    let commits = |scan: &Scan| scan.commits_max;
    Ok(other
        .into_iter()
        .fold(scan, |best, other| if commits(&other) > commits(&best) { other } else { best })
        .verdict())
}

/// A walk over the frames.
struct Scan {
    is_big_endian: bool,
    /// Of this generation; unknown when the header is damaged, then that of the first frame.
    salt: Option<[u8; 8]>,
    frame: u64,
    /// What the next frame's checksum may begin with: what the last frame says, and what it must say.
    seeds: [Sums; 2],
    broken_at: Option<u64>,
    /// The last frame has a commit, and stands at the beginning of a run that is not known yet.
    first_commit: u64,
    /// How many commits the present run holds, behind the broken frame, and the most of any run.
    commits: u64,
    commits_max: u64,
}

impl Scan {
    fn new(header: &[u8; HEADER_BYTES], is_big_endian: bool) -> Self {
        let sums = checksum((0, 0), &header[..24], is_big_endian);
        let is_valid = word(header, 0) & !1 == MAGIC
            && word(header, 8) == PAGE_BYTES as u32
            && sums == (word(header, 24), word(header, 28));
        let salt = header[16..24].first_chunk().copied();
        Self {
            is_big_endian,
            salt: salt.filter(|_| is_valid),
            frame: 0,
            seeds: [sums; 2],
            broken_at: (!is_valid).then_some(0),
            first_commit: 0,
            commits: 0,
            commits_max: 0,
        }
    }

    fn take(&mut self, frame: &[u8]) {
        self.frame += 1;
        let is_ours =
            *self.salt.get_or_insert_with(|| frame[8..16].first_chunk().copied().unwrap_or_default())
                == frame[8..16];
        let is_commit = u64::from(word(frame, 4) != 0);
        let told = (word(frame, 16), word(frame, 20));
        let computed = self.seeds.map(|seed| {
            let sums = checksum(seed, &frame[..8], self.is_big_endian);
            checksum(sums, &frame[FRAME_HEADER_BYTES..], self.is_big_endian)
        });
        let follows = computed.contains(&told);
        self.seeds = [told, if follows { told } else { computed[0] }];
        if follows && is_ours {
            if self.broken_at.is_some() {
                self.commits += self.first_commit + is_commit;
                self.first_commit = 0;
            }
        } else if self.broken_at.is_none() {
            self.broken_at = Some(self.frame);
            // Its salt or its sum may be what is damaged: one of them still says whose it is.
            self.commits = if follows || is_ours { is_commit } else { 0 };
        } else {
            self.commits = 0;
            self.first_commit = if is_ours { is_commit } else { 0 };
        }
        self.commits_max = self.commits_max.max(self.commits);
    }

    fn verdict(&self) -> WalState {
        match (self.broken_at, self.commits_max) {
            (Some(frame), commits @ 2..) => WalState::Damaged { frame, commits },
            (Some(frame), 1) => WalState::Torn { frame },
            _ => WalState::Whole,
        }
    }
}

/// The big-endian word at an offset.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// Fills the buffer; `false` where the file ends before.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        done => done.map(|()| true),
    }
}

/// SQLite's checksum of whole pairs of words, from where another one ended.
fn checksum((mut first, mut second): Sums, bytes: &[u8], is_big_endian: bool) -> Sums {
    let (pairs, _) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in pairs {
        let (left, right) = match is_big_endian {
            true => (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])),
            false => (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])),
        };
        first = first.wrapping_add(left).wrapping_add(second);
        second = second.wrapping_add(right).wrapping_add(first);
    }
    (first, second)
}
