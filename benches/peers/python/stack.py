"""What agent systems in Python run today: pyee for handlers, sqlite3 for the log, redis-py for others.

A peer of the bench: it reads lines "TIMES WORK [ARGUMENT..]", does the work so many times, and answers
with the nanoseconds that took. What a work needs is made before its first round and kept for the next.

  emit HANDLERS                an event in hand to so many handlers
  save FOLDER                  an event made and saved, durable when the next begins
  emit_save_xadd FOLDER URL    an event made, given to a handler, saved, and added to a Redis Stream
  xadd URL STREAM              an event in hand added to a Redis Stream
  pipeline URL STREAM SIZE     the same, so many in one round trip
"""

import json
import os
import sqlite3
import sys
import time
import uuid
from datetime import datetime, timezone

import redis
from pyee.base import EventEmitter

TABLE = """
CREATE TABLE plan_events(
    id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, event_type TEXT NOT NULL,
    plan_id TEXT NOT NULL, timestamp TEXT NOT NULL, source TEXT, payload TEXT NOT NULL);
CREATE INDEX plan_events_plan ON plan_events(plan_id, id);
"""
INSERT = "INSERT INTO plan_events(event_id, event_type, plan_id, timestamp, source, payload) VALUES (?, ?, ?, ?, ?, ?)"


def event():
    """The event that the bench's other contenders publish."""
    arguments = {"path": "src/bus/dispatch.rs", "pattern": "catch_unwind", "context": 3, "case": True}
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": "ToolCalled",
        "plan_id": "survey-01JZ8Q4V7N5T3M2K1H0G9F8E7D/src/bus",
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "source": "surveyor",
        "payload": {"call_id": "call-17", "tool": "search", "arguments": arguments},
    }


def fields(made):
    """The event as the fields of an entry, or the columns of a row."""
    return {**made, "payload": json.dumps(made["payload"])}


def emitter(handlers):
    bus, seen = EventEmitter(), [0]

    def handle(_):
        seen[0] += 1

    for _ in range(handlers):
        # One function for each: pyee keeps its handlers by identity.
        bus.on("ToolCalled", lambda made: handle(made))
    return bus


def saver(folder):
    # Each statement is a transaction: what one does who saves each event as it comes.
    database = sqlite3.connect(os.path.join(folder, f"python-{uuid.uuid4()}.db"), isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + TABLE)
    return lambda made: database.execute(INSERT, tuple(fields(made).values()))


def make_emit(handlers):
    bus, made = emitter(int(handlers)), event()
    return lambda: bus.emit("ToolCalled", made)


def make_save(folder):
    save = saver(folder)
    return lambda: save(event())


def make_emit_save_xadd(folder, url):
    bus, save, client = emitter(1), saver(folder), redis.Redis.from_url(url)

    def publish():
        made = event()
        bus.emit(made["event_type"], made)
        save(made)
        client.xadd("python:events", fields(made))

    return publish


def make_xadd(url, stream):
    client, made = redis.Redis.from_url(url), event()
    return lambda: client.xadd(stream, fields(made))


def make_pipeline(url, stream, size):
    client, made, size = redis.Redis.from_url(url), event(), int(size)
    waiting = client.pipeline(transaction=False)

    def add():
        waiting.xadd(stream, fields(made))
        if len(waiting) >= size:
            waiting.execute()

    return add


MAKERS = {
    "emit": make_emit,
    "save": make_save,
    "emit_save_xadd": make_emit_save_xadd,
    "xadd": make_xadd,
    "pipeline": make_pipeline,
}


def main():
    works = {}
    for line in sys.stdin:
        times, name, *arguments = line.split()
        key = (name, *arguments)
        if key not in works:
            works[key] = MAKERS[name](*arguments)
        work = works[key]
        # As the bench does: what waits for nobody is measured by the processor time that it takes.
        clock = time.thread_time_ns if name == "emit" else time.perf_counter_ns
        begun = clock()
        for _ in range(int(times)):
            work()
        print(clock() - begun, flush=True)


main()
