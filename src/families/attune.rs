//! Signals between agents: the family of the profiles `attune` and `attune-registry`.
//!
//! | type | payload |
//! |---|---|
//! | `agent_heartbeat` | [`AgentHeartbeat`] |
//! | `coordination_signal` | [`CoordinationSignal`] |
//! | `workflow_progress` | [`WorkflowProgress`] |
//! | `agent_error` | [`AgentError`] |
//!
//! The system takes any other type, too. No field of these is documented: all are in `extra`.
//!
//! ```
//! use planbus::{Event, families::attune::AgentHeartbeat};
//!
//! let event = Event::new("plan-7", AgentHeartbeat::new().with("status", "busy"));
//! assert_eq!(event.event_type().as_str(), "agent_heartbeat");
//! assert_eq!(event.payload_json()?, r#"{"status":"busy"}"#);
//! # Ok::<(), planbus::Error>(())
//! ```

super::family! {
    /// An agent is alive.
    AgentHeartbeat = "agent_heartbeat" {}

    /// An agent tells others something.
    CoordinationSignal = "coordination_signal" {}

    /// A workflow came one step further.
    WorkflowProgress = "workflow_progress" {}

    /// An agent met an error.
    AgentError = "agent_error" {}
}
