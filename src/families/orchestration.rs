//! Tasks, agents and workflows of an orchestrator: the family of the profile `orchestration`.
//!
//! | type | payload |
//! |---|---|
//! | `task_created` | [`TaskCreated`] `{task_id, task_type, agent_id?, input_data, timeout_seconds = 300}` |
//! | `task_started` | [`TaskStarted`] |
//! | `task_completed` | [`TaskCompleted`] `{task_id, agent_id, result_data, execution_time_ms}` |
//! | `task_failed` | [`TaskFailed`] `{task_id, agent_id?, error_message, error_type, retry_count = 0}` |
//! | `agent_started` | [`AgentStarted`] `{agent_id, agent_type, capabilities}` |
//! | `agent_stopped` | [`AgentStopped`] `{agent_id, reason, uptime_seconds}` |
//! | `agent_failed` | [`AgentFailed`] `{agent_id, error_message, error_type}` |
//! | `workflow_created` | [`WorkflowCreated`] `{workflow_name, workflow_version, orchestration_pattern, total_tasks = 0}` |
//! | `workflow_started` | [`WorkflowStarted`] `{execution_id, workflow_name}` |
//! | `workflow_completed` | [`WorkflowCompleted`] `{execution_id, workflow_name, total_execution_time_ms, tasks_completed}` |
//! | `workflow_failed` | [`WorkflowFailed`] `{execution_id, workflow_name, error_message, failed_task_id?}` |
//! | `workflow_paused`, `workflow_resumed` | [`WorkflowPaused`], [`WorkflowResumed`] |
//!
//! ```
//! use planbus::{Event, families::orchestration::TaskCompleted};
//! use serde_json::json;
//!
//! let event = Event::new("plan-7", TaskCompleted::new("task-1", "writer", json!({"pages": 4}), 12.5));
//! assert_eq!(event.event_type().as_str(), "task_completed");
//! assert_eq!(
//!     event.payload_json()?,
//!     r#"{"task_id":"task-1","agent_id":"writer","result_data":{"pages":4},"execution_time_ms":12.5}"#
//! );
//! # Ok::<(), planbus::Error>(())
//! ```

super::family! {
    /// A task is to be done.
    TaskCreated = "task_created" {
        required {
            /// Names the task.
            task_id: String,
            /// What kind of task it is.
            task_type: String,
            /// What the task is given.
            input_data: Json,
        }
        optional {
            /// The agent that is to do it.
            agent_id: String,
            /// Seconds that it may take; 300 when absent.
            timeout_seconds: u64,
        }
    }

    /// A task began.
    TaskStarted = "task_started" {}

    /// A task was done.
    TaskCompleted = "task_completed" {
        required {
            /// Names the task.
            task_id: String,
            /// The agent that did it.
            agent_id: String,
            /// What it brought.
            result_data: Json,
            /// Milliseconds that it took.
            execution_time_ms: f64,
        }
    }

    /// A task was not done.
    TaskFailed = "task_failed" {
        required {
            /// Names the task.
            task_id: String,
            /// What went wrong, for people.
            error_message: String,
            /// What kind of error it was.
            error_type: String,
        }
        optional {
            /// The agent that tried it.
            agent_id: String,
            /// How often it was tried again; 0 when absent.
            retry_count: u64,
        }
    }

    /// An agent began its work.
    AgentStarted = "agent_started" {
        required {
            /// Names the agent.
            agent_id: String,
            /// What kind of agent it is.
            agent_type: String,
            /// What it can do.
            capabilities: Json,
        }
    }

    /// An agent ended its work.
    AgentStopped = "agent_stopped" {
        required {
            /// Names the agent.
            agent_id: String,
            /// Why, for people.
            reason: String,
            /// Seconds from its start.
            uptime_seconds: f64,
        }
    }

    /// An agent cannot go on.
    AgentFailed = "agent_failed" {
        required {
            /// Names the agent.
            agent_id: String,
            /// What went wrong, for people.
            error_message: String,
            /// What kind of error it was.
            error_type: String,
        }
    }

    /// A workflow is there, and has not begun.
    WorkflowCreated = "workflow_created" {
        required {
            /// Names the workflow.
            workflow_name: String,
            /// Its version.
            workflow_version: String,
            /// How its tasks are put together.
            orchestration_pattern: String,
        }
        optional {
            /// How many tasks it has; 0 when absent.
            total_tasks: u64,
        }
    }

    /// A workflow began.
    WorkflowStarted = "workflow_started" {
        required {
            /// Names this run of the workflow.
            execution_id: String,
            /// Names the workflow.
            workflow_name: String,
        }
    }

    /// A workflow reached its end.
    WorkflowCompleted = "workflow_completed" {
        required {
            /// Names this run of the workflow.
            execution_id: String,
            /// Names the workflow.
            workflow_name: String,
            /// Milliseconds from its start.
            total_execution_time_ms: f64,
            /// How many of its tasks were done.
            tasks_completed: u64,
        }
    }

    /// A workflow ended without reaching its goal.
    WorkflowFailed = "workflow_failed" {
        required {
            /// Names this run of the workflow.
            execution_id: String,
            /// Names the workflow.
            workflow_name: String,
            /// What went wrong, for people.
            error_message: String,
        }
        optional {
            /// The task that failed.
            failed_task_id: String,
        }
    }

    /// A workflow waits.
    WorkflowPaused = "workflow_paused" {}

    /// A workflow goes on.
    WorkflowResumed = "workflow_resumed" {}
}
