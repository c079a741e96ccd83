"""Consumes a stream as one of a group in the plain way: XREADGROUP, handle, XACK, with redis-py alone.

Usage: plain_consumer.py URL STREAM GROUP FILE HOLDS_AFTER

Writes the id of each entry to FILE when it has handled it, before it acks. After so many it takes what
comes and neither handles nor acks it, as one that hangs.
"""

import sys

import redis

COUNT = 10
BLOCK_MS = 100


def main():
    url, stream, group, path, holds_after = sys.argv[1:]
    server = redis.Redis.from_url(url, decode_responses=True)
    handled = 0
    with open(path, "a", buffering=1, encoding="utf-8") as file:
        while True:
            answer = server.xreadgroup(group, "plain", {stream: ">"}, count=COUNT, block=BLOCK_MS)
            for _, entries in answer or []:
                for entry_id, _ in entries:
                    if handled >= int(holds_after):
                        continue
                    file.write(f"{entry_id}\n")
                    server.xack(stream, group, entry_id)
                    handled += 1


main()
