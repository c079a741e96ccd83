//! [`EventType`]: the eight plan events by name, and any other name by the same grammar.

use std::{fmt, hash::Hash, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    hash,
    id::{check_name, is_name},
};
use crate::error::{Error, Result};

/// What an event says happened: one of the eight types of a plan's life, or any other name.
///
/// Names match `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`; a dot separates a family from its members
/// (`workflow.started`).
///
/// ```
/// use planbus::EventType;
///
/// const HEARTBEAT: EventType = EventType::from_static("agent.heartbeat"); // checked when compiled
/// assert_eq!(EventType::new("ToolCalled")?, EventType::ToolCalled);
/// assert_eq!(HEARTBEAT.as_str(), "agent.heartbeat");
/// # Ok::<(), planbus::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventType {
    /// A plan began.
    PlanStarted,
    /// A plan reached its end.
    PlanCompleted,
    /// A plan ended without reaching its goal.
    PlanFailed,
    /// The agent chose what to do, and why.
    DecisionMade,
    /// A tool is about to run.
    ToolCalled,
    /// A tool returned or failed.
    ToolCompleted,
    /// A plan started another plan for a part of its work.
    SubplanSpawned,
    /// A subplan came back, whatever its outcome.
    SubplanCompleted,
    /// Any other type.
    Custom(CustomType),
}

/// The name of an event type that is not one of the eight.
#[derive(Clone)]
pub struct CustomType(Name);

#[derive(Clone)]
enum Name {
    Static(&'static str),
    Shared(Arc<str>),
}

/// The built-in types with their names, in the order of their index.
const BUILT_IN: [(EventType, &str); EventType::BUILT_IN] = [
    (EventType::PlanStarted, "PlanStarted"),
    (EventType::PlanCompleted, "PlanCompleted"),
    (EventType::PlanFailed, "PlanFailed"),
    (EventType::DecisionMade, "DecisionMade"),
    (EventType::ToolCalled, "ToolCalled"),
    (EventType::ToolCompleted, "ToolCompleted"),
    (EventType::SubplanSpawned, "SubplanSpawned"),
    (EventType::SubplanCompleted, "SubplanCompleted"),
];

impl EventType {
    /// How many types are built in.
    pub(crate) const BUILT_IN: usize = 8;

    /// The type of this name.
    ///
    /// # Errors
    /// `InvalidInput` when the name does not keep the grammar.
    pub fn new(name: &str) -> Result<Self> {
        if let Some(index) = built_in_index(name) {
            return Ok(BUILT_IN[index].0.clone());
        }
        check_name("event_type", name)?;
        Ok(Self::Custom(CustomType(Name::Shared(name.into()))))
    }

    /// The type of this name, for constants.
    ///
    /// # Panics
    /// When the name does not keep the grammar: in a constant, while compiling.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(is_name(name), "an event type must match [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}");
        match built_in_index(name) {
            Some(0) => Self::PlanStarted,
            Some(1) => Self::PlanCompleted,
            Some(2) => Self::PlanFailed,
            Some(3) => Self::DecisionMade,
            Some(4) => Self::ToolCalled,
            Some(5) => Self::ToolCompleted,
            Some(6) => Self::SubplanSpawned,
            Some(_) => Self::SubplanCompleted,
            None => Self::Custom(CustomType(Name::Static(name))),
        }
    }

    /// The type's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Custom(custom) => custom.as_str(),
            built_in => built_in.index().map_or("", |index| BUILT_IN[index].1),
        }
    }

    /// The place of a built-in type among the eight.
    pub(crate) fn index(&self) -> Option<usize> {
        Some(match self {
            Self::PlanStarted => 0,
            Self::PlanCompleted => 1,
            Self::PlanFailed => 2,
            Self::DecisionMade => 3,
            Self::ToolCalled => 4,
            Self::ToolCompleted => 5,
            Self::SubplanSpawned => 6,
            Self::SubplanCompleted => 7,
            Self::Custom(_) => return None,
        })
    }

    /// The hash of the name; small distinct numbers for the built-in types.
    pub(crate) fn hash(&self) -> u64 {
        match self {
            Self::Custom(custom) => hash::of(custom.as_str()),
            built_in => built_in.index().map_or(0, |index| index as u64 + 1),
        }
    }
}

const fn built_in_index(name: &str) -> Option<usize> {
    let mut index = 0;
    while index < BUILT_IN.len() {
        if same(name.as_bytes(), BUILT_IN[index].1.as_bytes()) {
            return Some(index);
        }
        index += 1;
    }
    None
}

/// Equality of byte strings, usable in `const`.
const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl CustomType {
    /// The type's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Static(name) => name,
            Name::Shared(name) => name,
        }
    }
}

impl PartialEq for CustomType {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for CustomType {}

impl Hash for CustomType {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for CustomType {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CustomType {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl fmt::Debug for CustomType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl TryFrom<&str> for EventType {
    type Error = Error;
    fn try_from(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl FromStr for EventType {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl From<&EventType> for EventType {
    fn from(event_type: &EventType) -> Self {
        event_type.clone()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventType({})", self.as_str())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&name).map_err(de::Error::custom)
    }
}
