"""What the readers of the profiles share: a consumer of Redis Streams, and strict parsers.

Written from the descriptions of the profiles, with redis-py alone: nothing here comes from planbus.
A reader gets the server's URL and, where its system does not find them itself, the keys of streams.
It prints one JSON object a line for each entry, in the order of its stream, and ends with an error that
names the entry at the first one that its system could not read.
"""

import json
import sys
import uuid
from datetime import datetime, timedelta

import redis

COUNT = 10
# Dead letters stand beside the streams of some profiles, under the stream's key and this.
DEAD_LETTERS = ":dlq"
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PRIORITIES = ("low", "normal", "high", "critical")


def main(understand, find_keys=None):
    """Reads every stream to its end and prints what `understand(key, entry id, fields)` gives."""
    url, *keys = sys.argv[1:]
    # Strict: bytes that are no UTF-8 are an error.
    server = redis.Redis.from_url(url, decode_responses=True)
    if not keys:
        if find_keys is None:
            sys.exit(f"usage: {sys.argv[0]} URL KEY...")
        keys = sorted(find_keys(server))
    for key in keys:
        for entry_id, fields in read(server, key, group=f"reader:{sys.argv[0].rsplit('/', 1)[-1]}"):
            try:
                understood = understand(key, entry_id, fields)
            except (KeyError, TypeError, ValueError) as error:
                sys.exit(f"{key} {entry_id}: {type(error).__name__}: {error}")
            print(json.dumps({"stream": key, "entry": entry_id, **understood}, allow_nan=False))


def read(server, key, group):
    """Every entry, as a consumer gets it: in batches of its group, each acknowledged."""
    try:
        server.xgroup_create(key, group, id="0", mkstream=True)
    except redis.ResponseError as error:
        # A reader that comes again goes on where it was.
        if not str(error).startswith("BUSYGROUP"):
            raise
    while True:
        answer = server.xreadgroup(group, "reader", {key: ">"}, count=COUNT)
        # Redis's older protocol gives a list of streams, its newer one a map.
        streams = answer.values() if isinstance(answer, dict) else [entries for _, entries in answer or []]
        entries = [entry for stream in streams for entry in stream]
        # In RESP3 the entries of a stream come in a list of one more depth.
        if entries and isinstance(entries[0], list):
            entries = [entry for page in entries for entry in page]
        if not entries:
            return
        for entry_id, fields in entries:
            yield entry_id, fields
        server.xack(key, group, *(entry_id for entry_id, _ in entries))


def scan(pattern):
    """Finds streams by the pattern of their keys, dead letters left out."""

    def find_keys(server):
        return {key for key in server.scan_iter(match=pattern, _type="stream") if not key.endswith(DEAD_LETTERS)}

    return find_keys


def check(holds, what):
    if not holds:
        raise ValueError(what)


def one_of(text, known, what):
    check(text in known, f"{what} {text!r} is not known")
    return text


def some(text, what):
    check(isinstance(text, str) and text != "", f"{what} is no text: {text!r}")
    return text


def as_json(text):
    """JSON as its standard has it: no NaN, and no name twice in an object."""

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    def pairs(items):
        found = dict(items)
        check(len(found) == len(items), "a name stands twice in an object")
        return found

    return json.loads(text, parse_constant=refuse, object_pairs_hook=pairs)


def as_object(text):
    found = as_json(text)
    check(isinstance(found, dict), f"no JSON object: {text[:80]!r}")
    return found


def as_strings(found, what):
    check(isinstance(found, list) and all(isinstance(text, str) for text in found), f"{what} is no list of texts")
    return found


def utc(text, zone):
    """A time with microseconds in UTC, written with this zone: `Z` or `+00:00`."""
    check(text.endswith(zone), f"the time {text!r} does not end in {zone}")
    at = datetime.strptime(text.removesuffix(zone) + "+0000", "%Y-%m-%dT%H:%M:%S.%f%z")
    check(at.utcoffset() == timedelta(0) and len(text) == 26 + len(zone), f"the time {text!r} has no microseconds")
    return text.removesuffix(zone) + "Z"


def as_uuid(text):
    """A UUID in its canonical form, as the ULID of the same 128 bits."""
    found = uuid.UUID(text)
    check(str(found) == text, f"{text!r} is no canonical UUID")
    return "".join(CROCKFORD[found.int >> 5 * place & 31] for place in reversed(range(26)))


def whole(number, what):
    check(isinstance(number, int) and not isinstance(number, bool), f"{what} is no whole number: {number!r}")
    return number


def marks_in(metadata):
    """As `marks`, where a system has an object for such things."""
    ours = metadata.get("planbus", {})
    return marks({"_" + name: value for name, value in ours.items()})


def marks(fields):
    """What planbus adds to entries of flat fields; a reader of the original system passes it over."""
    seq = fields.get("_seq")
    return {
        "our_id": fields.get("_event_id"),
        "our_plan": fields.get("_plan"),
        "our_type": fields.get("_type"),
        "seq": None if seq is None else int(seq),
        "store": fields.get("_store"),
    }
