"""Reads the stream of the profile `orchestration`: every field is a JSON value of its own.

Usage: read_orchestration.py URL [KEY...]
"""

from planbus_readers import as_json, as_uuid, check, main, marks_in, one_of, some, utc, whole

BASE = ("event_id", "event_type", "timestamp", "trace_id", "source_agent_id", "workflow_id", "metadata")
TYPES = (
    [f"task_{name}" for name in ("created", "started", "completed", "failed")]
    + [f"agent_{name}" for name in ("started", "stopped", "failed")]
    + [f"workflow_{name}" for name in ("created", "started", "completed", "failed", "paused", "resumed")]
)


def text(value, what):
    check(isinstance(value, str), f"{what} is no text: {value!r}")


def table(value, what):
    check(isinstance(value, dict), f"{what} is no object: {value!r}")


def number(value, what):
    check(isinstance(value, (int, float)) and not isinstance(value, bool), f"{what} is no number: {value!r}")


def maybe_text(value, what):
    check(value is None or isinstance(value, str), f"{what} is neither text nor null: {value!r}")


def texts(value, what):
    check(isinstance(value, list) and all(isinstance(item, str) for item in value), f"{what} is no list of texts")


# The fields of a type's class. A `?` may be left out.
CLASSES = {
    "task_created": {"task_id": text, "task_type": text, "agent_id?": maybe_text, "input_data": table, "timeout_seconds?": whole},
    "task_completed": {"task_id": text, "agent_id": text, "result_data": table, "execution_time_ms": number},
    "task_failed": {"task_id": text, "agent_id?": maybe_text, "error_message": text, "error_type": text, "retry_count?": whole},
    "agent_started": {"agent_id": text, "agent_type": text, "capabilities": texts},
    "agent_stopped": {"agent_id": text, "reason": text, "uptime_seconds": number},
    "agent_failed": {"agent_id": text, "error_message": text, "error_type": text},
    "workflow_created": {"workflow_name": text, "workflow_version": text, "orchestration_pattern": text, "total_tasks?": whole},
    "workflow_started": {"execution_id": text, "workflow_name": text},
    "workflow_completed": {"execution_id": text, "workflow_name": text, "total_execution_time_ms": number, "tasks_completed": whole},
    "workflow_failed": {"execution_id": text, "workflow_name": text, "error_message": text, "failed_task_id?": maybe_text},
}


def understand(key, entry_id, fields):
    event = {name: as_json(value) for name, value in fields.items()}
    base = {name: event.pop(name) for name in BASE}
    check(isinstance(base["metadata"], dict), "metadata is no object")
    event_type = one_of(base["event_type"], TYPES, "event_type")
    for name, is_right in CLASSES.get(event_type, {}).items():
        # One that must be there is a KeyError when it is not.
        if not name.endswith("?"):
            is_right(event[name], name)
        elif name[:-1] in event:
            is_right(event[name[:-1]], name[:-1])
    metadata = base["metadata"]
    return {
        "event_id": as_uuid(base["event_id"]),
        "type": event_type,
        "plan": some(base["workflow_id"], "workflow_id"),
        "timestamp": utc(base["timestamp"], "Z"),
        "trace_id": base["trace_id"],
        "source": base["source_agent_id"],
        "call_chain": metadata.get("call_chain"),
        "data": event,
        "metadata": metadata,
        **marks_in(metadata),
    }


main(understand, lambda server: {"orchestration:events"})
