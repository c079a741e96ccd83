//! What the tests of power cuts share: a recorder of what a child does to its files, and a disk that
//! loses what was not synced.

pub(crate) mod disk;
pub(crate) mod random;
pub(crate) mod recording;
pub(crate) mod rows;
pub(crate) mod tally;
pub(crate) mod trace;
