//! The identifiers of the envelope, each parsed once at the edge.
//!
//! A value of these types has passed its grammar; nothing inside the crate takes a bare `&str`
//! for an id. They never touch the log: uniqueness is the store's business.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};

/// The most bytes that a plan, agent or correlation id may have.
pub const ID_MAX_BYTES: usize = 256;

/// The most bytes that an event type or a tenant may have.
pub const NAME_MAX_BYTES: usize = 64;

/// Checks the grammar of plan, agent and correlation ids: 1-256 bytes, no control characters.
fn check_id(field: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > ID_MAX_BYTES {
        let problem = format!("must be 1 to {ID_MAX_BYTES} bytes, got {}", text.len());
        return Err(Error::invalid(field, problem));
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, c)) => {
            let problem = format!("must not contain control characters, got {c:?} at byte {at}");
            Err(Error::invalid(field, problem))
        }
        None => Ok(()),
    }
}

/// Whether `text` keeps the grammar of names, `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`; usable in `const`.
pub(crate) const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > NAME_MAX_BYTES || !bytes[0].is_ascii_alphanumeric() {
        return false;
    }
    let mut at = 1;
    while at < bytes.len() {
        let byte = bytes[at];
        if !byte.is_ascii_alphanumeric() && byte != b'.' && byte != b'_' && byte != b'-' {
            return false;
        }
        at += 1;
    }
    true
}

/// Checks the grammar of names and says which rule is broken.
pub(crate) fn check_name(field: &str, text: &str) -> Result<()> {
    if is_name(text) {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        format!("must match [A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}, got {}", NAME_MAX_BYTES - 1, shown(text)),
    ))
}

/// Bad input as an error shows it: quoted, escaped and cut short.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    match text.char_indices().nth(SHOWN_CHARS) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}... ({} bytes)", &text[..cut], text.len()),
    }
}

/// The error of a field, told of another field that has the same grammar.
pub(super) fn blamed_on(field: &str, fault: &Error) -> Error {
    let message = fault.to_string();
    Error::invalid(field, message.split_once(": ").map_or(message.as_str(), |(_, problem)| problem))
}

/// Implements what every textual id shares, from its `parse` and `as_str`.
macro_rules! textual {
    ($type:ident) => {
        impl TryFrom<&str> for $type {
            type Error = Error;
            fn try_from(text: &str) -> Result<Self> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }

        impl TryFrom<&String> for $type {
            type Error = Error;
            fn try_from(text: &String) -> Result<Self> {
                Self::parse(text)
            }
        }

        impl From<&$type> for $type {
            fn from(id: &$type) -> Self {
                id.clone()
            }
        }

        impl FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($type), self.as_str())
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $type {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $type {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
        }
    };
}

pub(crate) use textual;

/// The plan that an event belongs to: 1-256 bytes without control characters.
///
/// A plan is named by its tenant and this id together. Cloning is cheap.
#[derive(Clone)]
pub struct PlanId {
    text: Arc<str>,
    /// Made once, so that finding a plan's subscribers hashes no text.
    hash: u64,
}

impl PlanId {
    fn parse(text: &str) -> Result<Self> {
        check_id("plan_id", text)?;
        Ok(Self { hash: super::hash::of(text), text: text.into() })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands in an event that was given no valid plan id, and is refused for it.
    pub(super) fn placeholder() -> Self {
        Self { hash: 0, text: "".into() }
    }

    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

impl PartialEq for PlanId {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for PlanId {}

impl std::hash::Hash for PlanId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for PlanId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PlanId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

textual!(PlanId);

/// The agent that published an event: 1-256 bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId {
    text: Arc<str>,
}

impl AgentId {
    fn parse(text: &str) -> Result<Self> {
        check_id("source", text)?;
        Ok(Self { text: text.into() })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

textual!(AgentId);

/// What an event has in common with others across plans, by default the root plan's id:
/// 1-256 bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId {
    text: Arc<str>,
}

impl CorrelationId {
    fn parse(text: &str) -> Result<Self> {
        check_id("correlation_id", text)?;
        Ok(Self { text: text.into() })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<PlanId> for CorrelationId {
    fn from(plan: PlanId) -> Self {
        Self { text: plan.text }
    }
}

textual!(CorrelationId);

/// Whose events these are: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, `default` unless said otherwise.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tenant {
    /// `None` is the default tenant, so that naming it costs nothing.
    name: Option<Arc<str>>,
}

impl Tenant {
    const DEFAULT: &str = "default";

    fn parse(text: &str) -> Result<Self> {
        check_name("tenant", text)?;
        Ok(Self { name: (text != Self::DEFAULT).then(|| text.into()) })
    }

    /// The tenant's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.name.as_deref().unwrap_or(Self::DEFAULT)
    }

    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.name.as_deref().map_or(0, super::hash::of)
    }
}

textual!(Tenant);
