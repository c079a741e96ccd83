//! Tasks and handoffs between a tenant's agents: the family of the profile `tenant`.
//!
//! | type | payload |
//! |---|---|
//! | `task.assigned`, `task.completed`, `task.failed` | [`TaskAssigned`], [`TaskCompleted`], [`TaskFailed`] |
//! | `handoff.request`, `handoff.validated`, `handoff.rejected` | [`HandoffRequest`], [`HandoffValidated`], [`HandoffRejected`] |
//! | `context.updated` | [`ContextUpdated`] |
//! | `agent.registered`, `agent.health` | [`AgentRegistered`], [`AgentHealth`] |
//!
//! No field of these is documented: all are in `extra`.
//!
//! ```
//! use planbus::{Event, families::tenant::HandoffRequest};
//!
//! let event = Event::new("plan-7", HandoffRequest::new().with("to_agent", "reviewer"));
//! assert_eq!(event.event_type().as_str(), "handoff.request");
//! assert_eq!(event.payload_json()?, r#"{"to_agent":"reviewer"}"#);
//! # Ok::<(), planbus::Error>(())
//! ```

super::family! {
    /// A task was given to an agent.
    TaskAssigned = "task.assigned" {}

    /// A task was done.
    TaskCompleted = "task.completed" {}

    /// A task was not done.
    TaskFailed = "task.failed" {}

    /// An agent asks another one to take over.
    HandoffRequest = "handoff.request" {}

    /// A handoff was accepted.
    HandoffValidated = "handoff.validated" {}

    /// A handoff was refused.
    HandoffRejected = "handoff.rejected" {}

    /// What the agents share has changed.
    ContextUpdated = "context.updated" {}

    /// An agent is there from now on.
    AgentRegistered = "agent.registered" {}

    /// How an agent is.
    AgentHealth = "agent.health" {}
}
