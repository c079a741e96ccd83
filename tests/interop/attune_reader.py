"""What the readers of `attune` and `attune-registry` share: an event of four fields.

The id of the event is that of its entry.
"""

from planbus_readers import as_object, check, marks, some, utc


def understand(prefix):
    def understand_entry(key, entry_id, fields):
        event_type = some(fields["event_type"], "event_type")
        check(key == prefix + event_type, f"{event_type!r} in the stream {key}")
        data = as_object(fields["data"])
        return {
            "event_id": None,
            "type": event_type,
            "plan": data.get("plan_id"),
            "timestamp": utc(fields["timestamp"], "+00:00"),
            "source": some(fields["source"], "source"),
            "call_chain": data.get("_call_chain"),
            "data": data,
            "data_text": fields["data"],
            **marks(fields),
        }

    return understand_entry
