//! The profiles that are built in: their names, keys, limits and default type maps.

use crate::families::{attune, orchestration, tenant, workflow};

/// What an entry's fields are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Native,
    Tenant,
    PerType,
    Orchestration,
    Attune,
}

/// A type of ours, and what it is called in the profile's system: as such, and where its payload
/// says `"ok": false`.
pub(super) type Mapped = (&'static str, &'static str, &'static str);

/// A profile that is built in.
#[derive(Debug)]
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    pub(super) codec: Codec,
    pub(super) key: &'static str,
    pub(super) max_len: u64,
    /// The types that the system has itself.
    pub(super) family: &'static [&'static str],
    /// Whether the system takes types beyond its family.
    pub(super) is_open: bool,
    pub(super) types: &'static [Mapped],
    /// The set to which the keys of all streams are added.
    pub(super) registry: Option<&'static str>,
}

impl BuiltIn {
    pub(super) fn has(&self, name: &str) -> bool {
        self.family.contains(&name)
    }
}

pub(super) static NATIVE: BuiltIn = BuiltIn {
    name: "native",
    codec: Codec::Native,
    key: "planbus:{<tenant>}:events",
    max_len: 1_000_000,
    family: &[],
    is_open: true,
    types: &[],
    registry: None,
};

pub(super) static TENANT: BuiltIn = BuiltIn {
    name: "tenant",
    codec: Codec::Tenant,
    key: "t:<tenant>:events:<stream>",
    max_len: 1_000,
    family: tenant::TYPES,
    is_open: false,
    types: &[
        ("PlanStarted", "task.assigned", "task.assigned"),
        ("PlanCompleted", "task.completed", "task.completed"),
        ("PlanFailed", "task.failed", "task.failed"),
        ("DecisionMade", "context.updated", "context.updated"),
        ("ToolCalled", "task.assigned", "task.assigned"),
        ("ToolCompleted", "task.completed", "task.failed"),
        ("SubplanSpawned", "handoff.request", "handoff.request"),
        ("SubplanCompleted", "handoff.validated", "handoff.rejected"),
    ],
    registry: None,
};

pub(super) static PER_TYPE: BuiltIn = BuiltIn {
    name: "per-type",
    codec: Codec::PerType,
    key: "events:<type>",
    max_len: 10_000,
    family: workflow::TYPES,
    is_open: true,
    types: &[
        ("PlanStarted", "workflow.started", "workflow.started"),
        ("PlanCompleted", "workflow.completed", "workflow.completed"),
        ("PlanFailed", "workflow.failed", "workflow.failed"),
        ("DecisionMade", "workflow.progressed", "workflow.progressed"),
        ("ToolCalled", "workflow.progressed", "workflow.progressed"),
        ("ToolCompleted", "workflow.progressed", "workflow.progressed"),
        ("SubplanSpawned", "workflow.created", "workflow.created"),
        ("SubplanCompleted", "workflow.progressed", "workflow.progressed"),
    ],
    registry: None,
};

pub(super) static ORCHESTRATION: BuiltIn = BuiltIn {
    name: "orchestration",
    codec: Codec::Orchestration,
    key: "orchestration:events",
    max_len: 10_000,
    family: orchestration::TYPES,
    is_open: false,
    types: &[
        ("PlanStarted", "workflow_started", "workflow_started"),
        ("PlanCompleted", "workflow_completed", "workflow_completed"),
        ("PlanFailed", "workflow_failed", "workflow_failed"),
        ("ToolCalled", "task_started", "task_started"),
        ("ToolCompleted", "task_completed", "task_failed"),
        ("SubplanSpawned", "workflow_created", "workflow_created"),
        ("SubplanCompleted", "workflow_completed", "workflow_failed"),
    ],
    registry: None,
};

pub(super) static ATTUNE: BuiltIn = BuiltIn {
    name: "attune",
    codec: Codec::Attune,
    key: "empathy:events:<type>",
    max_len: 10_000,
    family: attune::TYPES,
    is_open: true,
    types: &[],
    registry: None,
};

pub(super) static ATTUNE_REGISTRY: BuiltIn = BuiltIn {
    name: "attune-registry",
    codec: Codec::Attune,
    key: "stream:<type>",
    max_len: 10_000,
    family: attune::TYPES,
    is_open: true,
    types: &[],
    registry: Some("stream_registry"),
};

/// All of them, in the order in which an error lists them.
pub(super) static ALL: [&BuiltIn; 6] =
    [&NATIVE, &TENANT, &PER_TYPE, &ORCHESTRATION, &ATTUNE, &ATTUNE_REGISTRY];
