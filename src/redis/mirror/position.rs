//! [`Position`]: how far a stream has come, as Redis keeps it and as the log knows it.
//!
//! It is the last-delivered id of the mirror's own group in the stream: the seq of the last event
//! that was appended, and 64 bits of the log's chain there. Pure; reads no log and no stream.

use std::fmt;

/// The last event of a stream: its seq, and the first 64 bits of its chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) seq: u64,
    pub(super) bits: u64,
}

impl Position {
    /// Before the first event.
    pub(super) const START: Self = Self { seq: 0, bits: 0 };

    /// Reads the id of a group.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let (seq, bits) = id.split_once('-')?;
        Some(Self { seq: seq.parse().ok()?, bits: bits.parse().ok()? })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written_and_nothing_else_is() {
        for position in [Position::START, Position { seq: 7, bits: u64::MAX }] {
            assert_eq!(Position::parse(&position.to_string()), Some(position));
        }
        for text in ["", "7", "-", "7-", "-7", "a-1", "1-18446744073709551616"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }
}
