//! [`Profile`]: how events stand in streams: keys, fields, and how much is kept.

/// How events stand in streams.
#[derive(Clone, Debug)]
pub struct Profile(());
