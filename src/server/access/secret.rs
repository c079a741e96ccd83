//! Secrets: kept as SHA-256 only, and made from the system's random source.
//!
//! A secret that a client presents is looked up by its digest, so that how long the look-up takes says
//! nothing about a secret. What is here is never shown, digests included.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result};

/// How many random bytes a secret of our own has.
const RANDOM_BYTES: usize = 32;

/// What is kept of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// A short secret can be guessed from its digest.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// A new secret, as text that may stand in an address and in a cookie.
pub(super) fn random() -> Result<String> {
    use fmt::Write;
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::with_source(ErrorKind::Unavailable, "make a random secret", cause))?;
    Ok(bytes.iter().fold(String::with_capacity(2 * RANDOM_BYTES), |mut text, byte| {
        // Writing into memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
