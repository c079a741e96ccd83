//! [`DeadLetterReason`]: why an entry became a dead letter.

use serde::Serialize;

/// Why an entry became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// Its handler failed as often as the policy lets it try.
    Failed,
    /// The policy's verdict, or the program that handled it, gave it up.
    Refused,
    /// It is no event that the profile can read.
    Undecodable,
    /// It was delivered too often without an end: it most likely ends its process.
    Deliveries,
}

impl DeadLetterReason {
    const ALL: [Self; 4] = [Self::Failed, Self::Refused, Self::Undecodable, Self::Deliveries];

    /// Its name, like `failed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Undecodable => "undecodable",
            Self::Deliveries => "deliveries",
        }
    }

    /// The reason of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}
