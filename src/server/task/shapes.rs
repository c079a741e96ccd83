//! The objects of A2A as they go over the wire, for both versions of the protocol.
//!
//! One set of structs serves 1.0 and 0.3: what only one of them has (`kind`, `final`) is `None` for
//! the other, and a [`Dialect`] spells the words in which they differ. Nothing here knows of events.

use serde::Serialize;
use serde_json::value::RawValue;

/// Which version of A2A is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Dialect {
    /// 1.0: enums are spelled out, objects say what they are by the field that holds them.
    V1,
    /// 0.3: objects say what they are in `kind`, and a stream ends with a `final` status.
    V03,
}

/// How a task stands, as far as the log can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskState {
    Working,
    Completed,
    Failed,
}

impl Dialect {
    fn state(self, state: TaskState) -> &'static str {
        match (self, state) {
            (Self::V1, TaskState::Working) => "TASK_STATE_WORKING",
            (Self::V1, TaskState::Completed) => "TASK_STATE_COMPLETED",
            (Self::V1, TaskState::Failed) => "TASK_STATE_FAILED",
            (Self::V03, TaskState::Working) => "working",
            (Self::V03, TaskState::Completed) => "completed",
            (Self::V03, TaskState::Failed) => "failed",
        }
    }

    fn agent(self) -> &'static str {
        match self {
            Self::V1 => "ROLE_AGENT",
            Self::V03 => "agent",
        }
    }

    /// What an object is, where objects say so.
    fn kind(self, kind: &'static str) -> Option<&'static str> {
        (self == Self::V03).then_some(kind)
    }
}

/// A plan, as A2A calls it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::server) struct Task<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    pub(super) id: &'a str,
    pub(super) context_id: &'a str,
    pub(super) status: TaskStatus<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) artifacts: Vec<Artifact>,
    pub(super) metadata: TaskMetadata<'a>,
}

impl<'a> Task<'a> {
    pub(super) fn new(
        dialect: Dialect,
        id: &'a str,
        context_id: &'a str,
        status: TaskStatus<'a>,
        metadata: TaskMetadata<'a>,
    ) -> Self {
        Self { kind: dialect.kind("task"), id, context_id, status, artifacts: Vec::new(), metadata }
    }
}

/// What planbus says of a task beside A2A's own fields.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskMetadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) goal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<&'a str>,
    /// The seq of the newest event: a place to go on from. Text, since numbers become doubles.
    pub(super) last_sequence: String,
}

#[derive(Debug, Serialize)]
pub(super) struct TaskStatus<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    timestamp: String,
}

impl<'a> TaskStatus<'a> {
    pub(super) fn new(dialect: Dialect, state: TaskState, timestamp: impl ToString) -> Self {
        Self { state: dialect.state(state), message: None, timestamp: timestamp.to_string() }
    }

    pub(super) fn with_message(mut self, message: Message<'a>) -> Self {
        self.message = Some(message);
        self
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    message_id: String,
    role: &'static str,
    parts: Vec<Part>,
    task_id: &'a str,
    context_id: &'a str,
}

impl<'a> Message<'a> {
    /// What the agent says of a task, as text.
    pub(super) fn from_agent(
        dialect: Dialect,
        (task_id, context_id): (&'a str, &'a str),
        message_id: impl ToString,
        text: String,
    ) -> Self {
        Self {
            kind: dialect.kind("message"),
            message_id: message_id.to_string(),
            role: dialect.agent(),
            parts: vec![Part::text(dialect, text)],
            task_id,
            context_id,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Part {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

impl Part {
    fn text(dialect: Dialect, text: String) -> Self {
        Self { kind: dialect.kind("text"), text: Some(text), data: None }
    }

    fn data(dialect: Dialect, data: Box<RawValue>) -> Self {
        Self { kind: dialect.kind("data"), text: None, data: Some(data) }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifact {
    artifact_id: &'static str,
    parts: Vec<Part>,
}

impl Artifact {
    /// What a plan brought.
    pub(super) fn result(dialect: Dialect, data: Box<RawValue>) -> Self {
        Self { artifact_id: "result", parts: vec![Part::data(dialect, data)] }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusUpdate<'a, M> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    task_id: &'a str,
    context_id: &'a str,
    status: TaskStatus<'a>,
    /// Whether no more will come.
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    is_final: Option<bool>,
    metadata: M,
}

impl<'a, M> StatusUpdate<'a, M> {
    pub(super) fn new(
        dialect: Dialect,
        (task_id, context_id): (&'a str, &'a str),
        status: TaskStatus<'a>,
        is_final: bool,
        metadata: M,
    ) -> Self {
        let is_final = (dialect == Dialect::V03).then_some(is_final);
        Self { kind: dialect.kind("status-update"), task_id, context_id, status, is_final, metadata }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArtifactUpdate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    task_id: &'a str,
    context_id: &'a str,
    artifact: Artifact,
    last_chunk: bool,
}

impl<'a> ArtifactUpdate<'a> {
    pub(super) fn new(
        dialect: Dialect,
        (task_id, context_id): (&'a str, &'a str),
        artifact: Artifact,
    ) -> Self {
        Self { kind: dialect.kind("artifact-update"), task_id, context_id, artifact, last_chunk: true }
    }
}

/// One of the things that a stream may bring.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum StreamResponse<'a, M> {
    Task(Task<'a>),
    StatusUpdate(StatusUpdate<'a, M>),
    ArtifactUpdate(ArtifactUpdate<'a>),
}

impl<M: Serialize> StreamResponse<'_, M> {
    /// One line of JSON: in 1.0 in a field that says what it is, in 0.3 as it is.
    pub(super) fn write(&self, dialect: Dialect) -> serde_json::Result<String> {
        match (dialect, self) {
            (Dialect::V1, response) => serde_json::to_string(response),
            (Dialect::V03, Self::Task(task)) => serde_json::to_string(task),
            (Dialect::V03, Self::StatusUpdate(update)) => serde_json::to_string(update),
            (Dialect::V03, Self::ArtifactUpdate(update)) => serde_json::to_string(update),
        }
    }
}

/// A page of tasks. All fields are always there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::server) struct TaskPage {
    /// As they were written.
    pub(in crate::server) tasks: Vec<Box<RawValue>>,
    /// Empty on the last page.
    pub(in crate::server) next_page_token: String,
    pub(in crate::server) page_size: usize,
    pub(in crate::server) total_size: u64,
}
