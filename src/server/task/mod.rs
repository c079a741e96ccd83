//! Plans as A2A's tasks, and events as what their streams bring.
//!
//! Pure: what the log says goes in, one line of JSON for each message comes out. A plan that
//! completed has its result as the artifact `result`; every status carries its event's envelope.

mod doubles;
mod shapes;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) use self::shapes::{Dialect, Task, TaskPage};
use self::{
    doubles::for_doubles,
    shapes::{
        Artifact, ArtifactUpdate, Message, StatusUpdate, StreamResponse, TaskMetadata, TaskState, TaskStatus,
    },
};
use crate::{
    event::{Event, EventType, Members, Timestamp},
    store::{PlanStatus, PlanSummary},
};

/// A plan as a task. `end` is the event that ended it, where its words or its result are wanted.
pub(super) fn task<'a>(dialect: Dialect, plan: &'a PlanSummary, end: Option<&Event>) -> Task<'a> {
    let id = plan.plan_id.as_str();
    let context = plan.correlation_id.as_ref().map_or(id, |context| context.as_str());
    let mut status = TaskStatus::new(dialect, state(plan.status), plan.status_since);
    let mut artifacts = Vec::new();
    if let Some(end) = end {
        if *end.event_type() == EventType::PlanCompleted {
            artifacts.push(result(dialect, end));
        } else if let Some(text) = why(end) {
            let message = Message::from_agent(dialect, (id, context), end.event_id(), text);
            status = status.with_message(message);
        }
    }
    let metadata = TaskMetadata {
        goal: plan.goal.as_deref(),
        source: plan.source.as_ref().map(|source| source.as_str()),
        parent: plan.parent.as_ref().map(|parent| parent.as_str()),
        last_sequence: plan.last_seq.to_string(),
    };
    let mut task = Task::new(dialect, id, context, status, metadata);
    task.artifacts = artifacts;
    task
}

/// A task as the first message of its stream, or as the answer to a message.
pub(super) fn snapshot(dialect: Dialect, task: Task<'_>) -> String {
    written(&StreamResponse::<()>::Task(task), dialect)
}

/// What a stream brings of an event, in order: at least one message.
pub(super) fn updates(dialect: Dialect, event: &Event) -> Vec<String> {
    let plan = event.plan_id().as_str();
    let task = (plan, event.correlation_id().map_or(plan, |context| context.as_str()));
    let state = match event.event_type() {
        kind if *kind == EventType::PlanCompleted => TaskState::Completed,
        kind if *kind == EventType::PlanFailed => TaskState::Failed,
        _ => TaskState::Working,
    };
    let mut status = TaskStatus::new(dialect, state, event.timestamp());
    let mut messages = Vec::with_capacity(2);
    match state {
        TaskState::Completed => {
            let artifact = result(dialect, event);
            let update = StreamResponse::<()>::ArtifactUpdate(ArtifactUpdate::new(dialect, task, artifact));
            messages.push(written(&update, dialect));
        }
        TaskState::Failed => {
            if let Some(text) = why(event) {
                status = status.with_message(Message::from_agent(dialect, task, event.event_id(), text));
            }
        }
        TaskState::Working => {}
    }
    let is_end = state != TaskState::Working;
    let envelope = Envelope::new(event);
    let update = StreamResponse::StatusUpdate(StatusUpdate::new(dialect, task, status, is_end, envelope));
    messages.push(written(&update, dialect));
    messages
}

/// What a stream says in place of events that the log no longer holds: it goes on behind them.
pub(super) fn gap(dialect: Dialect, task: (&str, &str), gap: GapMetadata) -> String {
    let status = TaskStatus::new(dialect, TaskState::Working, Timestamp::now());
    let update = StatusUpdate::new(dialect, task, status, false, gap);
    written(&StreamResponse::StatusUpdate(update), dialect)
}

/// Which events are missing in a stream.
#[derive(Debug, Serialize)]
pub(super) struct GapMetadata {
    pub(super) gap: GapBounds,
}

/// The seqs between which events are missing. Text, since numbers become doubles.
#[derive(Debug, Serialize)]
pub(super) struct GapBounds {
    /// The last seq that the stream had reached, where it was one of this log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
    /// The oldest seq that the log holds; what is before it is lost.
    pub(super) oldest: String,
}

fn state(status: PlanStatus) -> TaskState {
    match status {
        PlanStatus::Running => TaskState::Working,
        PlanStatus::Completed => TaskState::Completed,
        PlanStatus::Failed => TaskState::Failed,
    }
}

/// What a completed plan brought: the payload of its end but for the duration.
fn result(dialect: Dialect, end: &Event) -> Artifact {
    let payload = payload(end);
    let Ok(Members(members)) = serde_json::from_str(payload) else {
        return Artifact::result(dialect, for_doubles(payload));
    };
    let mut json = String::with_capacity(payload.len());
    for (key, value) in members {
        if key.get() == r#""duration_us""# {
            continue;
        }
        json.push(if json.is_empty() { '{' } else { ',' });
        json.extend([key.get(), ":", value.get()]);
    }
    json.push_str(if json.is_empty() { "{}" } else { "}" });
    Artifact::result(dialect, for_doubles(&json))
}

/// Why a plan failed, in the words of its end.
fn why(end: &Event) -> Option<String> {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        reason: Option<&'a RawValue>,
    }
    let said: Said = serde_json::from_str(payload(end)).ok()?;
    let json = said.error.or(said.reason)?.get();
    Some(serde_json::from_str(json).unwrap_or_else(|_| json.to_owned()))
}

/// The payload's text. An event of the log has one.
fn payload(event: &Event) -> &str {
    event.payload_json().unwrap_or("{}")
}

fn written<M: Serialize>(response: &StreamResponse<'_, M>, dialect: Dialect) -> String {
    // Texts and JSON that is JSON already: writing them cannot fail.
    response.write(dialect).unwrap_or_default()
}

/// An event's envelope and payload, as a status update carries them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    event_id: String,
    event_type: &'a str,
    /// Text, since numbers become doubles.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_at: Option<Timestamp>,
    tenant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    call_chain: &'a [crate::event::AgentId],
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_parent: Option<&'a str>,
    priority: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    context_refs: &'a [String],
    schema_version: u32,
    payload: Box<RawValue>,
}

impl<'a> Envelope<'a> {
    fn new(event: &'a Event) -> Self {
        Self {
            event_id: event.event_id().to_string(),
            event_type: event.event_type().as_str(),
            sequence: event.seq().map(|seq| seq.to_string()),
            recorded_at: event.recorded_at(),
            tenant: event.tenant().as_str(),
            source: event.source().map(|source| source.as_str()),
            call_chain: event.call_chain(),
            causation_id: event.causation_id().map(|id| id.to_string()),
            trace_parent: event.trace_parent().map(|trace| trace.as_str()),
            priority: event.priority().as_str(),
            context_refs: event.context_refs(),
            schema_version: event.schema_version(),
            payload: for_doubles(payload(event)),
        }
    }
}
