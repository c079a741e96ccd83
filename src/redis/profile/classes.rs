//! The fields that each class of the orchestrator's events has, and where they come from.
//!
//! A field comes from the payload's member of its own name, else from the member that says it in
//! the payloads of planbus, else it has a fixed value.

use super::{
    entry::Entry,
    forms,
    object::Object,
    record::Record,
    text::{push, push_string},
};

/// The most bytes of a field beside a payload that is itself too large for the entry.
const FIELD_MAX_BYTES: usize = 4_096;

/// A field of a class.
struct ClassField {
    name: &'static str,
    /// The member of planbus' payloads that says it.
    from: &'static str,
    form: Form,
    otherwise: Otherwise,
}

/// How the member of planbus' payloads is written.
#[derive(Clone, Copy)]
enum Form {
    AsIs,
    /// Anything but an object becomes the only member of one.
    Object,
    /// Microseconds become whole milliseconds.
    Millis,
}

/// What is written where the payload says nothing.
#[derive(Clone, Copy)]
enum Otherwise {
    Json(&'static str),
    /// The agent that the event comes from.
    Agent,
    /// The same, or `null`.
    AgentIfAny,
    Plan,
}

use Form::{AsIs, Millis, Object as InObject};
use Otherwise::{Agent, AgentIfAny, Json, Plan};

const fn field(name: &'static str, from: &'static str, form: Form, otherwise: Otherwise) -> ClassField {
    ClassField { name, from, form, otherwise }
}

const NONE: &str = "\"\"";
const TASK_ID: ClassField = field("task_id", "call_id", AsIs, Json(NONE));
const TASK_TYPE: ClassField = field("task_type", "tool", AsIs, Json(NONE));
const INPUT_DATA: ClassField = field("input_data", "arguments", InObject, Json("{}"));
const AGENT_ID: ClassField = field("agent_id", "", AsIs, Agent);
const AGENT_ID_IF_ANY: ClassField = field("agent_id", "", AsIs, AgentIfAny);
const ERROR_MESSAGE: ClassField = field("error_message", "error", AsIs, Json(NONE));
const EXECUTION_ID: ClassField = field("execution_id", "subplan", AsIs, Plan);
const WORKFLOW_NAME: ClassField = field("workflow_name", "subplan", AsIs, Plan);

/// The fields of a class.
fn fields(name: &str) -> &'static [ClassField] {
    match name {
        "task_created" => {
            const {
                &[
                    TASK_ID,
                    TASK_TYPE,
                    AGENT_ID_IF_ANY,
                    INPUT_DATA,
                    field("timeout_seconds", "", AsIs, Json("300")),
                ]
            }
        }
        "task_started" => const { &[TASK_ID, TASK_TYPE, AGENT_ID_IF_ANY, INPUT_DATA] },
        "task_completed" => {
            const {
                &[
                    TASK_ID,
                    AGENT_ID,
                    field("result_data", "result", InObject, Json("{}")),
                    field("execution_time_ms", "duration_us", Millis, Json("0")),
                ]
            }
        }
        "task_failed" => {
            const {
                &[
                    TASK_ID,
                    AGENT_ID_IF_ANY,
                    ERROR_MESSAGE,
                    field("error_type", "", AsIs, Json("\"ToolError\"")),
                    field("retry_count", "", AsIs, Json("0")),
                ]
            }
        }
        "agent_started" => {
            const {
                &[
                    AGENT_ID,
                    field("agent_type", "", AsIs, Json(NONE)),
                    field("capabilities", "", AsIs, Json("[]")),
                ]
            }
        }
        "agent_stopped" => {
            const {
                &[
                    AGENT_ID,
                    field("reason", "", AsIs, Json(NONE)),
                    field("uptime_seconds", "", AsIs, Json("0")),
                ]
            }
        }
        "agent_failed" => {
            const { &[AGENT_ID, ERROR_MESSAGE, field("error_type", "", AsIs, Json("\"AgentError\""))] }
        }
        "workflow_created" => {
            const {
                &[
                    WORKFLOW_NAME,
                    field("workflow_version", "", AsIs, Json("\"1.0\"")),
                    field("orchestration_pattern", "", AsIs, Json("\"plan\"")),
                    field("total_tasks", "", AsIs, Json("0")),
                ]
            }
        }
        "workflow_started" => const { &[EXECUTION_ID, WORKFLOW_NAME] },
        "workflow_completed" => {
            const {
                &[
                    EXECUTION_ID,
                    WORKFLOW_NAME,
                    field("total_execution_time_ms", "duration_us", Millis, Json("0")),
                    field("tasks_completed", "", AsIs, Json("0")),
                ]
            }
        }
        "workflow_failed" => {
            const { &[EXECUTION_ID, WORKFLOW_NAME, ERROR_MESSAGE, field("failed_task_id", "", AsIs, Json("null"))] }
        }
        _ => &[],
    }
}

/// Writes the fields of the event's class.
pub(super) fn write(record: &Record<'_>, entry: &mut Entry) {
    let fields = fields(record.name);
    // A payload of the log is an object; should it be none, the fields have their fixed values.
    let Ok(payload) = Object::read("payload", if fields.is_empty() { "{}" } else { record.payload }) else {
        return;
    };
    let member = |name: &str| {
        let value = payload.get(name).ok().flatten()?;
        (!record.is_referred() || value.len() <= FIELD_MAX_BYTES).then_some(value)
    };
    for field in fields {
        let text = entry.field(field.name);
        match member(field.name) {
            Some(value) => text.push_str(value),
            None => match member(field.from).and_then(|value| formed(field, value)) {
                Some(value) => text.push_str(&value),
                None => otherwise(field.otherwise, record, text),
            },
        }
    }
}

/// The value of another name's member, as the field has it.
fn formed<'a>(field: &ClassField, value: &'a str) -> Option<std::borrow::Cow<'a, str>> {
    match field.form {
        Form::Object if !value.starts_with('{') => Some(format!("{{\"{}\":{value}}}", field.from).into()),
        AsIs | Form::Object => Some(value.into()),
        Millis => value.parse::<u64>().ok().map(|micros| (micros / 1_000).to_string().into()),
    }
}

fn otherwise(otherwise: Otherwise, record: &Record<'_>, text: &mut String) {
    match (otherwise, forms::source(record.event)) {
        (Json(json), _) => text.push_str(json),
        (Plan, _) => push_string(text, record.event.plan_id().as_str()),
        (AgentIfAny, (_, true)) => push(text, "null"),
        (Agent | AgentIfAny, (agent, _)) => push_string(text, agent),
    }
}
