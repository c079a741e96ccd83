//! The payloads of the eight plan events.
//!
//! Every one keeps the fields that it does not name in `extra`, in their order. EVENTS.md says
//! what each field means; durations are whole microseconds.

use serde::{Deserialize, Serialize};

use super::{
    event_type::EventType,
    json::{Json, JsonObject},
    payload::Payload,
};

/// Makes one payload type: its struct, its [`Payload`] impl and `with`.
macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// The fields that this type does not name, in their order.
            #[serde(flatten)]
            pub extra: JsonObject,
        }

        impl Payload for $name {
            const EVENT_TYPE: EventType = EventType::$name;
        }

        impl $name {
            /// Adds a field that the type does not name. A name that it does name is refused as a
            /// duplicate key when the event is published.
            #[must_use]
            pub fn with(mut self, field: impl Into<String>, value: impl Into<Json>) -> Self {
                self.extra.insert(field, value);
                self
            }
        }
    };
}

payload! {
    /// A plan began.
    PlanStarted {
        /// What the plan is to reach, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goal: Option<String>,
        /// The id of the plan that spawned this one, if it is a subplan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    }
}

impl PlanStarted {
    /// A plan with this goal.
    pub fn new(goal: impl Into<String>) -> Self {
        Self { goal: Some(goal.into()), ..Self::default() }
    }
}

payload! {
    /// A plan reached its end.
    PlanCompleted {
        /// Microseconds from the plan's start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_us: Option<u64>,
    }
}

impl PlanCompleted {
    /// A plan that completed; what it brought goes into further fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

payload! {
    /// A plan ended without reaching its goal.
    PlanFailed {
        /// What went wrong, for people.
        error: String,
        /// Microseconds from the plan's start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_us: Option<u64>,
    }
}

impl PlanFailed {
    /// A plan that failed with this error.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }
}

payload! {
    /// The agent chose what to do.
    DecisionMade {
        /// What was chosen.
        decision: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }
}

impl DecisionMade {
    /// A decision; say why with [`because`](Self::because).
    pub fn new(decision: impl Into<String>) -> Self {
        Self { decision: decision.into(), ..Self::default() }
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

payload! {
    /// A tool is about to run.
    ToolCalled {
        /// Names the call within its plan; the completion carries the same.
        call_id: String,
        /// The tool's name.
        tool: String,
        /// What the tool was given.
        #[serde(default)]
        arguments: Json,
    }
}

impl ToolCalled {
    /// A call of `tool` with `arguments`.
    pub fn new(call_id: impl Into<String>, tool: impl Into<String>, arguments: impl Into<Json>) -> Self {
        Self { call_id: call_id.into(), tool: tool.into(), arguments: arguments.into(), ..Self::default() }
    }
}

payload! {
    /// A tool returned or failed.
    ToolCompleted {
        /// The call that this answers.
        call_id: String,
        /// The tool's name.
        tool: String,
        /// Whether the tool did what it was asked.
        ok: bool,
        /// Microseconds that the tool ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_us: Option<u64>,
        /// What the tool returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Json>,
        /// Why it failed, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
}

impl ToolCompleted {
    /// A call that succeeded with `result`.
    pub fn ok(call_id: impl Into<String>, tool: impl Into<String>, result: impl Into<Json>) -> Self {
        let (call_id, tool) = (call_id.into(), tool.into());
        Self { call_id, tool, ok: true, result: Some(result.into()), ..Self::default() }
    }

    /// A call that failed with `error`.
    pub fn failed(call_id: impl Into<String>, tool: impl Into<String>, error: impl Into<String>) -> Self {
        let (call_id, tool) = (call_id.into(), tool.into());
        Self { call_id, tool, ok: false, error: Some(error.into()), ..Self::default() }
    }
}

payload! {
    /// A plan started another plan for a part of its work.
    SubplanSpawned {
        /// The id of the new plan.
        subplan: String,
        /// What the subplan is to reach, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goal: Option<String>,
    }
}

impl SubplanSpawned {
    /// The plan `subplan` was started.
    pub fn new(subplan: impl Into<String>) -> Self {
        Self { subplan: subplan.into(), ..Self::default() }
    }
}

payload! {
    /// A subplan came back, whatever its outcome.
    SubplanCompleted {
        /// The id of the subplan.
        subplan: String,
        /// Whether it completed (`true`) or failed.
        ok: bool,
        /// Microseconds that the subplan ran.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_us: Option<u64>,
        /// Why it failed, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
}

impl SubplanCompleted {
    /// The subplan completed.
    pub fn ok(subplan: impl Into<String>) -> Self {
        Self { subplan: subplan.into(), ok: true, ..Self::default() }
    }

    /// The subplan failed with `error`.
    pub fn failed(subplan: impl Into<String>, error: impl Into<String>) -> Self {
        Self { subplan: subplan.into(), ok: false, error: Some(error.into()), ..Self::default() }
    }
}
