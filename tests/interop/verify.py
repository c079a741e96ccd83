#!/usr/bin/env python3
"""Verifies a planbus log independently of planbus.

Written from the chapter "The chain" of EVENTS.md, with Python's standard library alone. Reads only.

    verify.py [--head HASH] FILE

Exit code: 0 sound, 6 not sound, 5 damaged beyond reading or no planbus store, 3 not there.
"""

import argparse
import hashlib
import os
import sqlite3
import struct
import sys
import urllib.parse

APPLICATION_ID = 0x504C4253
COLUMNS = (
    "id, event_id, event_type, plan_id, timestamp, recorded_at, payload, tenant, source, call_chain,"
    " correlation_id, causation_id, trace_parent, priority, context_refs, schema_version"
)
NUMBERS = {0, 15}  # id and schema_version; all others are TEXT or NULL


def field(value, is_number):
    """The canonical bytes of a column, or None where no column of planbus holds such a value."""
    if value is None:
        return b"\xff" * 8
    if is_number:
        return struct.pack(">Qq", 8, value) if isinstance(value, int) else None
    # With text_factory = bytes TEXT and BLOB look alike here; typeof() in the query tells them apart.
    return struct.pack(">Q", len(value)) + value if isinstance(value, bytes) else None


def verify(db, kept):
    """(events, first seq, last sound seq, its chain, first bad seq or None, problems)."""
    meta = {key.decode(): value for key, value in db.execute("SELECT key, value FROM store_meta")}
    store_id, link = meta["store_id"], meta["chain_anchor"]
    last = meta.get("chain_anchor_seq", 0)
    if not isinstance(last, int) or last < 0 or not isinstance(link, bytes) or len(link) != 32:
        raise sqlite3.DatabaseError("store_meta: an anchor is not valid")
    first, bad, events, found, problems = last + 1, None, 0, link == kept, []
    lowest, highest, given = db.execute(
        "SELECT min(id), max(id), (SELECT seq FROM sqlite_sequence WHERE name = 'plan_events') FROM plan_events"
    ).fetchone()
    given = given or 0
    end = max(highest or 0, given, last)
    if lowest is not None and lowest <= last:
        bad = lowest  # stands where no row can be
    elif last > 0 and end == last:
        bad = end + 1  # the newest row is never pruned
    elif last == 0 and link != hashlib.sha256(b"planbus chain v1\n" + store_id).digest():
        bad = 1  # the anchor is not that of the store id
    kinds = "||".join(f"substr(typeof({name.strip()}), 1, 1)" for name in COLUMNS.split(","))
    if bad is None:
        rows = db.execute(f"SELECT {kinds}, typeof(chain), chain, {COLUMNS} FROM plan_events ORDER BY id")
        for kind, chain_kind, chain, *row in rows:
            if row[0] != last + 1:
                break  # a hole: the end of the loop names it
            fields = [field(value, at in NUMBERS) for at, value in enumerate(row)]
            computed = hashlib.sha256(link + b"".join(f or b"" for f in fields)).digest()
            if None in fields or b"b" in kind or chain_kind != b"blob" or chain != computed:
                bad = row[0]
                break
            last, link, events = row[0], computed, events + 1
            found = found or link == kept
        if bad is None and last < end:
            bad = last + 1
    if given != end:
        problems.append(f"sqlite_sequence says {given}, the log {end}")
    if kept is not None and not found:
        problems.append("the head that was kept is not in the log")
    problems += [line.decode(errors="replace") for (line,) in db.execute("PRAGMA integrity_check") if line != b"ok"]
    problems += [f"a trigger: {name!r}" for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    return events, first, last, link, bad, problems


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--head", type=bytes.fromhex)
    arguments.add_argument("file")
    options = arguments.parse_args()
    if not os.path.exists(options.file):
        sys.exit(3)
    try:
        db = sqlite3.connect("file:" + urllib.parse.quote(options.file) + "?mode=ro", uri=True)
        db.text_factory = bytes
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise sqlite3.DatabaseError("no planbus store")
        # One snapshot for everything.
        db.isolation_level = None
        db.execute("BEGIN")
        events, first, last, link, bad, problems = verify(db, options.head)
    except (sqlite3.DatabaseError, KeyError) as error:
        print(f"damaged: {error}", file=sys.stderr)
        sys.exit(5)
    print(f"events {events}")
    print(f"first_seq {first}")
    print(f"last_seq {last}")
    print(f"head {link.hex()}")
    if bad is not None:
        print(f"first_bad_seq {bad}")
    for problem in problems:
        print(f"problem {problem}")
    sys.exit(6 if bad is not None or problems else 0)


if __name__ == "__main__":
    main()
