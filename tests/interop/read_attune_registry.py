"""Reads streams of the profile `attune-registry`: as `attune`, with a set that names the streams.

Usage: read_attune_registry.py URL [KEY...]; without keys it finds them in the set.
"""

from attune_reader import understand
from planbus_readers import check, main

PREFIX = "stream:"
REGISTRY = "stream_registry"


def find_keys(server):
    keys = server.smembers(REGISTRY)
    for key in keys:
        check(key.startswith(PREFIX), f"{REGISTRY} names {key!r}, which is the key of no stream")
        check(server.type(key) == "stream", f"{REGISTRY} names {key!r}, which is {server.type(key)}")
    return keys


main(understand(PREFIX), find_keys)
