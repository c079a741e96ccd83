//! Workflows and the steps in them: the family of the profile `per-type`.
//!
//! | types | payloads |
//! |---|---|
//! | `workflow.` `created` `started` `progressed` `completed` `failed` `cancelled` `clarification_needed` `capability_exceeded` | [`WorkflowCreated`] to [`WorkflowCapabilityExceeded`] |
//! | `generation.` `started` `completed` `failed` | [`GenerationStarted`], [`GenerationCompleted`], [`GenerationFailed`] |
//! | `audit.` `started` `completed` `failed` | [`AuditStarted`], [`AuditCompleted`], [`AuditFailed`] |
//! | `testing.` `started` `completed` `failed` | [`TestingStarted`], [`TestingCompleted`], [`TestingFailed`] |
//! | `deployment.` `started` `confirmed` `failed` `pending_confirmation` | [`DeploymentStarted`] to [`DeploymentPendingConfirmation`] |
//! | `a2a.` `request` `response` | [`A2aRequest`], [`A2aResponse`] |
//! | `system.` `error` `task_queued` `task_started` `task_completed` | [`SystemError`] to [`SystemTaskCompleted`] |
//!
//! No field of these is documented: all are in `extra`.
//!
//! ```
//! use planbus::{Event, families::workflow::WorkflowProgressed};
//!
//! let event = Event::new("plan-7", WorkflowProgressed::new().with("percent", 40));
//! assert_eq!(event.event_type().as_str(), "workflow.progressed");
//! assert_eq!(event.payload_json()?, r#"{"percent":40}"#);
//! # Ok::<(), planbus::Error>(())
//! ```

super::family! {
    /// A workflow is there, and has not begun.
    WorkflowCreated = "workflow.created" {}

    /// A workflow began.
    WorkflowStarted = "workflow.started" {}

    /// A workflow came one step further.
    WorkflowProgressed = "workflow.progressed" {}

    /// A workflow reached its end.
    WorkflowCompleted = "workflow.completed" {}

    /// A workflow ended without reaching its goal.
    WorkflowFailed = "workflow.failed" {}

    /// A workflow was given up.
    WorkflowCancelled = "workflow.cancelled" {}

    /// A workflow waits for an answer.
    WorkflowClarificationNeeded = "workflow.clarification_needed" {}

    /// A workflow asks for more than its agents can do.
    WorkflowCapabilityExceeded = "workflow.capability_exceeded" {}

    /// The generation began.
    GenerationStarted = "generation.started" {}

    /// The generation reached its end.
    GenerationCompleted = "generation.completed" {}

    /// The generation failed.
    GenerationFailed = "generation.failed" {}

    /// The audit began.
    AuditStarted = "audit.started" {}

    /// The audit reached its end.
    AuditCompleted = "audit.completed" {}

    /// The audit failed.
    AuditFailed = "audit.failed" {}

    /// The tests began.
    TestingStarted = "testing.started" {}

    /// The tests reached their end.
    TestingCompleted = "testing.completed" {}

    /// The tests failed.
    TestingFailed = "testing.failed" {}

    /// A deployment began.
    DeploymentStarted = "deployment.started" {}

    /// A deployment was confirmed.
    DeploymentConfirmed = "deployment.confirmed" {}

    /// A deployment failed.
    DeploymentFailed = "deployment.failed" {}

    /// A deployment waits to be confirmed.
    DeploymentPendingConfirmation = "deployment.pending_confirmation" {}

    /// An agent asks another one.
    A2aRequest = "a2a.request" {}

    /// An agent answers another one.
    A2aResponse = "a2a.response" {}

    /// Something is wrong with the system itself.
    SystemError = "system.error" {}

    /// The system put a task in its queue.
    SystemTaskQueued = "system.task_queued" {}

    /// The system began a task.
    SystemTaskStarted = "system.task_started" {}

    /// The system ended a task.
    SystemTaskCompleted = "system.task_completed" {}
}
