//! All round the payload: the envelope's fields, and the rules across them.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    AgentId, CorrelationId, EventId, EventType, PlanId, Tenant, Timestamp,
    id::{shown, textual},
    payload::PayloadCell,
};
use crate::error::{Error, Result};

/// The most bytes of one context reference, and the most references of an event.
pub(super) const CONTEXT_REF_MAX_BYTES: usize = 2_048;
const CONTEXT_REFS_MAX: usize = 256;
/// The most agents of a call chain.
const CALL_CHAIN_MAX: usize = 256;

/// How urgent an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Whenever there is time.
    Low,
    /// The usual.
    #[default]
    Normal,
    /// Before the usual.
    High,
    /// At once.
    Critical,
}

impl Priority {
    /// What a priority must be, as an error says it.
    pub(super) const NAMES: &str = "low, normal, high or critical";

    /// The priority's name: `low`, `normal`, `high` or `critical`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for Priority {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        [Self::Low, Self::Normal, Self::High, Self::Critical]
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .ok_or_else(|| {
                let problem = format!("must be {}, got {}", Self::NAMES, shown(text));
                Error::invalid("priority", problem)
            })
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A W3C `traceparent` of version 00: `00-<32 hex>-<16 hex>-<2 hex>`, ids not all zero.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceParent {
    text: Arc<str>,
}

impl TraceParent {
    fn parse(text: &str) -> Result<Self> {
        let hex = |part: &str, digits: usize| {
            part.len() == digits && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let named = |part: &str| part.bytes().any(|b| b != b'0');
        let parts: Vec<&str> = text.split('-').collect();
        match parts[..] {
            ["00", trace, span, flags]
                if hex(trace, 32) && named(trace) && hex(span, 16) && named(span) && hex(flags, 2) =>
            {
                Ok(Self { text: text.into() })
            }
            _ => {
                let form = "must be a W3C traceparent, 00-<32 hex>-<16 hex>-<2 hex> in lower case";
                Err(Error::invalid("trace_parent", format!("{form}, got {}", shown(text))))
            }
        }
    }

    /// The header's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

textual!(TraceParent);

/// An event's fields but for the payload.
#[derive(Clone, PartialEq)]
pub(crate) struct Envelope {
    pub(crate) seq: Option<u64>,
    pub(crate) event_id: EventId,
    pub(crate) event_type: EventType,
    pub(crate) plan_id: PlanId,
    pub(crate) timestamp: Timestamp,
    pub(crate) recorded_at: Option<Timestamp>,
    pub(crate) tenant: Tenant,
    pub(crate) source: Option<AgentId>,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) causation_id: Option<EventId>,
    pub(crate) priority: Priority,
    pub(crate) schema_version: u32,
    /// What few events have, kept apart so that an event stays small.
    pub(crate) rare: Option<Box<Rare>>,
}

/// The fields that few events have.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Rare {
    pub(crate) call_chain: Vec<AgentId>,
    pub(crate) trace_parent: Option<TraceParent>,
    pub(crate) context_refs: Vec<String>,
}

impl Envelope {
    #[inline]
    pub(super) fn new(plan_id: PlanId, event_type: EventType, schema_version: u32) -> Self {
        let timestamp = Timestamp::now();
        Self {
            seq: None,
            event_id: EventId::at(timestamp),
            event_type,
            plan_id,
            timestamp,
            recorded_at: None,
            tenant: Tenant::default(),
            source: None,
            correlation_id: None,
            causation_id: None,
            priority: Priority::Normal,
            schema_version,
            rare: None,
        }
    }

    pub(super) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Checks the rules across fields and the limits of lists.
    pub(super) fn check(&self) -> Result<()> {
        let Some(rare) = self.rare() else { return Ok(()) };
        if rare.call_chain.len() > CALL_CHAIN_MAX {
            let problem = format!("must have at most {CALL_CHAIN_MAX} agents, got {}", rare.call_chain.len());
            return Err(Error::invalid("call_chain", problem));
        }
        if rare.context_refs.len() > CONTEXT_REFS_MAX {
            let problem = format!("must be at most {CONTEXT_REFS_MAX}, got {}", rare.context_refs.len());
            return Err(Error::invalid("context_refs", problem));
        }
        match &self.source {
            Some(source) if !rare.call_chain.is_empty() && !rare.call_chain.contains(source) => {
                Err(Error::invalid("call_chain", format!("must contain the source {:?}", source.as_str())))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>, payload: &PayloadCell) -> fmt::Result {
        f.debug_struct("Event")
            .field("seq", &self.seq)
            .field("event_id", &self.event_id)
            .field("event_type", &self.event_type)
            .field("tenant", &self.tenant)
            .field("plan_id", &self.plan_id)
            .field("payload", payload)
            .finish_non_exhaustive()
    }
}
