"""Reads streams of the profile `per-type`: one JSON object in the field `data`, a stream for each type.

Usage: read_per_type.py URL [KEY...]; without keys it finds them by SCAN, as wildcards need.
"""

from planbus_readers import as_object, as_uuid, check, main, marks_in, scan, some, utc

NAMES = {"id", "type", "workflow_id", "timestamp", "data", "source_agent", "metadata"}
TYPES = {
    f"{family}.{name}"
    for family, names in {
        "workflow": "created started progressed completed failed cancelled clarification_needed capability_exceeded",
        "generation": "started completed failed",
        "audit": "started completed failed",
        "testing": "started completed failed",
        "deployment": "started confirmed failed pending_confirmation",
        "a2a": "request response",
        "system": "error task_queued task_started task_completed",
    }.items()
    for name in names.split()
}


def understand(key, entry_id, fields):
    event = as_object(fields["data"])
    check(event.keys() == NAMES, f"the names of an event are {sorted(NAMES)}, got {sorted(event)}")
    check(key == f"events:{event['type']}", f"{event['type']!r} in the stream {key}")
    for name in ("data", "metadata"):
        check(isinstance(event[name], dict), f"{name} is no object")
    source = event["source_agent"]
    check(source is None or some(source, "source_agent"), "source_agent")
    metadata = event["metadata"]
    return {
        "event_id": as_uuid(event["id"]),
        "type": some(event["type"], "type"),
        "is_known_type": event["type"] in TYPES,
        "plan": some(event["workflow_id"], "workflow_id"),
        "timestamp": utc(event["timestamp"], "+00:00"),
        "source": source,
        "call_chain": metadata.get("call_chain"),
        "data": event["data"],
        "metadata": metadata,
        **marks_in(metadata),
    }


main(understand, scan("events:*"))
