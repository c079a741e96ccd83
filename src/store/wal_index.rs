//! How many frames of the write-ahead log were committed, by the word of the last owner's `-shm` file.
//!
//! The file outlives a killed process, and SQLite empties it when the next one opens the store: so it
//! is read before. An owner writes it after a commit was synced, so with `Durability::Full` the log
//! holds at least as many frames, after a power cut too. What is not consistent in itself says nothing.
//!
//! Closing the file drops SQLite's locks on it in this process: never to be called while a store on
//! the same database is open here.

use std::{fs::File, io::Read};

use super::files::Files;

/// The version of the format, the first word of the file.
const VERSION: u32 = 3_007_000;
/// The header stands there twice, so that one that is being written is seen.
const HEADER_BYTES: usize = 48;

/// The two running sums of SQLite's checksum.
pub(super) type Sums = (u32, u32);

/// The committed part of the log, if it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    /// How many frames.
    pub(super) frames: u64,
    /// The generation of the log that they belong to.
    pub(super) salt: [u8; 8],
    /// All of them are in the database too.
    pub(super) is_copied: bool,
}

pub(super) fn committed(files: &Files) -> Option<Committed> {
    let mut file = File::open(&files.shm).ok()?;
    let mut bytes = [0; 2 * HEADER_BYTES + 4];
    file.read_exact(&mut bytes).ok()?;
    let (header, rest) = bytes.split_at(HEADER_BYTES);
    // Words of the machine's own byte order.
    let word = |at: usize| bytes[at..].first_chunk().copied().map_or(0, u32::from_ne_bytes);
    let is_big_endian = cfg!(target_endian = "big");
    let sums = checksum((0, 0), &header[..40], is_big_endian);
    let is_valid = header == &rest[..HEADER_BYTES]
        && word(0) == VERSION
        && header[12] == 1
        && sums == (word(40), word(44));
    let frames = u64::from(word(16));
    is_valid.then(|| Committed {
        frames,
        salt: header[32..40].first_chunk().copied().unwrap_or_default(),
        is_copied: u64::from(word(2 * HEADER_BYTES)) >= frames,
    })
}

/// SQLite's checksum of whole pairs of words, from where another one ended.
pub(super) fn checksum((mut first, mut second): Sums, bytes: &[u8], is_big_endian: bool) -> Sums {
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
