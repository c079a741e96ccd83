"""Reads streams of the profile `native`: one field for each part of the envelope.

Usage: read_native.py URL KEY...
"""

import re

from planbus_readers import PRIORITIES, as_json, as_object, as_strings, check, main, one_of, some, utc, whole

REQUIRED = {"event_id", "event_type", "plan_id", "timestamp", "recorded_at", "tenant", "priority", "schema_version", "seq", "store"}
OPTIONAL = {"source", "call_chain", "correlation_id", "causation_id", "trace_parent", "context_refs", "payload", "payload_ref"}
ULID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def understand(key, entry_id, fields):
    check(REQUIRED <= fields.keys(), f"missing: {sorted(REQUIRED - fields.keys())}")
    check(fields.keys() <= REQUIRED | OPTIONAL, f"not known: {sorted(fields.keys() - REQUIRED - OPTIONAL)}")
    check(("payload" in fields) != ("payload_ref" in fields), "one of payload and payload_ref")
    for name in ("event_id", "causation_id"):
        check(name not in fields or ULID.fullmatch(fields[name]), f"{name} is no ULID")
    for name in ("event_type", "tenant"):
        check(NAME.fullmatch(fields[name]), f"{name} is no name")
    call_chain = as_strings(as_json(fields.get("call_chain", "[]")), "call_chain")
    check("call_chain" not in fields or fields.get("source") in call_chain, "call_chain without its source")
    reference = None
    if "payload_ref" in fields:
        reference = as_object(fields["payload_ref"])
        check(reference.keys() == {"store", "seq", "bytes"}, "payload_ref: store, seq and bytes")
    return {
        "event_id": fields["event_id"],
        "type": fields["event_type"],
        "our_type": fields["event_type"],
        "plan": some(fields["plan_id"], "plan_id"),
        "seq": int(fields["seq"]),
        "store": some(fields["store"], "store"),
        "timestamp": utc(fields["timestamp"], "Z"),
        "recorded_at": utc(fields["recorded_at"], "Z"),
        "tenant": fields["tenant"],
        "source": fields.get("source"),
        "call_chain": call_chain,
        "correlation_id": fields.get("correlation_id"),
        "causation_id": fields.get("causation_id"),
        "trace_parent": fields.get("trace_parent"),
        "priority": one_of(fields["priority"], PRIORITIES, "priority"),
        "context_refs": as_strings(as_json(fields.get("context_refs", "[]")), "context_refs"),
        "schema_version": whole(as_json(fields["schema_version"]), "schema_version"),
        "data": None if reference else as_object(fields["payload"]),
        "data_text": fields.get("payload"),
        "reference": reference,
    }


main(understand)
