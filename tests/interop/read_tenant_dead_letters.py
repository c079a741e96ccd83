"""Lists and replays dead letters of the profile `tenant`, as a TenantEventBus does.

Usage: read_tenant_dead_letters.py URL KEY..., keys of dead letters.

Prints one JSON object a line for each letter, then replays it: without what its system adds, at the end
of the stream that it came from.
"""

import json
import sys
from datetime import datetime

import redis

from planbus_readers import as_object, check, one_of

COUNT = 50
ADDED = "_dlq_"
TYPES = ("task.assigned", "task.completed", "task.failed")


def understand(fields):
    # A field that is missing is a KeyError.
    at = datetime.fromisoformat(fields["_dlq_timestamp"])
    check(at.utcoffset() is not None and at.utcoffset().total_seconds() == 0, f"no time in UTC: {at}")
    as_object(fields["data"])
    return {
        "stream": fields["_dlq_original_stream"],
        "id": fields["_dlq_original_id"],
        "error": fields["_dlq_error"],
        "retry_count": int(fields["_dlq_retry_count"]),
        "timestamp": fields["_dlq_timestamp"],
        "type": one_of(fields["event_type"], TYPES, "event_type"),
    }


def replay(server, key, entry_id, fields):
    own = {name: text for name, text in fields.items() if not name.startswith(ADDED) and name != "_retry_count"}
    server.xadd(fields["_dlq_original_stream"], own)
    server.xdel(key, entry_id)


def main():
    url, *keys = sys.argv[1:]
    server = redis.Redis.from_url(url, decode_responses=True)
    for key in keys:
        for entry_id, fields in server.xrange(key, count=COUNT):
            try:
                understood = understand(fields)
            except (KeyError, TypeError, ValueError) as error:
                sys.exit(f"{key} {entry_id}: {type(error).__name__}: {error}")
            print(json.dumps(understood))
            replay(server, key, entry_id, fields)


main()
