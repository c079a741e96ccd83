//! The hash that indexes events by type, plan and tenant.
//!
//! Seeded anew in every process, so that nobody can choose ids that collide. Never stored.

use std::{
    hash::{BuildHasher, Hasher},
    sync::LazyLock,
};

use foldhash::quality::RandomState;

static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// The hash of a text, the same for the same text all through the process.
pub(crate) fn of(text: &str) -> u64 {
    let mut hasher = SEED.build_hasher();
    hasher.write(text.as_bytes());
    hasher.finish()
}
