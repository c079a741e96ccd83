"""Reads streams of the profile `tenant`, as a TenantEventBus would: twelve flat strings.

Usage: read_tenant.py URL KEY..., keys like t:<tenant>:events:<stream>.
"""

from planbus_readers import PRIORITIES, as_object, as_uuid, check, main, marks, one_of, some, utc

TYPES = (
    "task.assigned task.completed task.failed handoff.request handoff.validated handoff.rejected"
    " context.updated agent.registered agent.health"
).split()


def understand(key, entry_id, fields):
    # A field that is missing is a KeyError; fields that are not known are passed over.
    source = some(fields["source_agent_id"], "source_agent_id")
    call_chain = fields["call_chain"].split(",")
    check(source in call_chain and "" not in call_chain, f"call_chain {call_chain} and source {source!r}")
    check(fields["version"] == "1.0", f"version {fields['version']!r}")
    prefix, tenant, events, _ = key.split(":", 3)
    check((prefix, tenant, events) == ("t", fields["tenant_id"], "events"), f"another tenant: {fields['tenant_id']!r}")
    data = as_object(fields["data"])
    parent = fields["parent_event_id"]
    return {
        "event_id": as_uuid(fields["event_id"]),
        "type": one_of(fields["event_type"], TYPES, "event_type"),
        "plan": data.get("plan_id"),
        "timestamp": utc(fields["timestamp"], "+00:00"),
        "tenant": tenant,
        "priority": one_of(fields["priority"], PRIORITIES, "priority"),
        "source": source,
        "call_chain": call_chain,
        "context_refs": fields["context_refs"].split(",") if fields["context_refs"] else [],
        "correlation_id": fields["correlation_id"] or None,
        "causation_id": as_uuid(parent) if parent else None,
        "data": data,
        "data_text": fields["data"],
        **marks(fields),
    }


main(understand)
