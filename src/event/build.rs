//! The fields of the envelope as a publisher sets them.
//!
//! None of these methods fails: the first wrong value is kept, and publishing returns it.

use std::sync::Arc;

use super::{
    AgentId, CorrelationId, Envelope, Event, EventId, Priority, Tenant, Timestamp, TraceParent,
    envelope::CONTEXT_REF_MAX_BYTES, id::blamed_on,
};
use crate::error::{Error, Result};

impl Event {
    /// Gives the event an id of your own, so that publishing it twice stores it once.
    #[must_use]
    pub fn with_event_id(self, id: impl TryInto<EventId, Error: Into<Error>>) -> Self {
        self.set(id.try_into(), |envelope, id| envelope.event_id = id)
    }

    /// Sets when the event happened; by default when it was built.
    #[must_use]
    pub fn with_timestamp(self, at: impl TryInto<Timestamp, Error: Into<Error>>) -> Self {
        self.set(at.try_into(), |envelope, at| envelope.timestamp = at)
    }

    /// Sets whose event this is; by default the tenant `default`.
    #[must_use]
    pub fn with_tenant(self, tenant: impl TryInto<Tenant, Error: Into<Error>>) -> Self {
        self.set(tenant.try_into(), |envelope, tenant| envelope.tenant = tenant)
    }

    /// Sets the agent that the event comes from.
    #[must_use]
    pub fn with_source(self, agent: impl TryInto<AgentId, Error: Into<Error>>) -> Self {
        self.set(agent.try_into(), |envelope, agent| envelope.source = Some(agent))
    }

    /// Sets the agents through which the work came here, the outermost first. When given, it is
    /// not empty and contains the source.
    #[must_use]
    pub fn with_call_chain<A: TryInto<AgentId, Error: Into<Error>>>(
        self,
        agents: impl IntoIterator<Item = A>,
    ) -> Self {
        let agents: Result<Vec<AgentId>> =
            agents.into_iter().map(|agent| agent.try_into().map_err(Into::into)).collect();
        let agents = agents.map_err(|fault| blamed_on("call_chain", &fault));
        let agents = agents.and_then(|agents| match agents.is_empty() {
            true => Err(Error::invalid("call_chain", "must not be empty when given")),
            false => Ok(agents),
        });
        self.set(agents, |envelope, agents| envelope.rare_mut().call_chain = agents)
    }

    /// Sets what the event has in common with others across plans; by default the root plan's id.
    #[must_use]
    pub fn with_correlation_id(self, id: impl TryInto<CorrelationId, Error: Into<Error>>) -> Self {
        self.set(id.try_into(), |envelope, id| envelope.correlation_id = Some(id))
    }

    /// Sets the event that caused this one; filled in when published inside a handler.
    #[must_use]
    pub fn with_causation_id(self, id: impl TryInto<EventId, Error: Into<Error>>) -> Self {
        let id = id.try_into().map_err(|fault| blamed_on("causation_id", &fault.into()));
        self.set(id, |envelope, id| envelope.causation_id = Some(id))
    }

    /// Sets the [W3C trace context](https://www.w3.org/TR/trace-context/#traceparent-header).
    #[must_use]
    pub fn with_trace_parent(self, trace: impl TryInto<TraceParent, Error: Into<Error>>) -> Self {
        self.set(trace.try_into(), |envelope, trace| envelope.rare_mut().trace_parent = Some(trace))
    }

    /// Sets how urgent the event is; by default [`Priority::Normal`].
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Self {
        self.set(Ok::<_, Error>(priority), |envelope, priority| envelope.priority = priority)
    }

    /// Adds a reference to data that is too large for a payload.
    #[must_use]
    pub fn with_context_ref(self, reference: impl Into<String>) -> Self {
        let reference: String = reference.into();
        let checked = match reference.is_empty() || reference.len() > CONTEXT_REF_MAX_BYTES {
            true => {
                let limit = CONTEXT_REF_MAX_BYTES;
                let problem = format!("must be 1 to {limit} bytes, got {}", reference.len());
                Err(Error::invalid("context_refs", problem))
            }
            false => Ok(reference),
        };
        self.set(checked, |envelope, reference| envelope.rare_mut().context_refs.push(reference))
    }

    /// Sets the version of the payload's shape; by default the payload type's own.
    #[must_use]
    pub fn with_schema_version(self, version: u32) -> Self {
        self.set(Ok::<_, Error>(version), |envelope, version| envelope.schema_version = version)
    }

    /// Puts one parsed field into the envelope, or keeps the fault.
    fn set<T>(mut self, value: Result<T, impl Into<Error>>, put: impl FnOnce(&mut Envelope, T)) -> Self {
        match value {
            Ok(value) => {
                put(self.envelope_mut(), value);
                self
            }
            Err(fault) => self.keep_fault(Some(fault.into())),
        }
    }

    /// Remembers the first fault.
    pub(super) fn keep_fault(mut self, fault: Option<Error>) -> Self {
        if fault.is_some() && self.0.fault.is_none() {
            Arc::make_mut(&mut self.0).fault = fault;
        }
        self
    }
}
