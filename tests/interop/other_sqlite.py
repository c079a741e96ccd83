"""Publishes through planbus while Python's own copy of SQLite opens, reads and closes the same file.

Usage: other_sqlite.py LIBRARY DATABASE OPENS. Standard library only. Tells each acknowledgement and,
when the file was opened so often, "opened N"; then goes on publishing until it is killed.
"""

import ctypes
import os
import sqlite3
import sys
import threading

PUBLISHERS = 4
# How many events are acknowledged between two opens, so that each comes in the middle of publishing.
EVENTS_PER_OPEN = 5

library, database, opens = sys.argv[1], sys.argv[2], int(sys.argv[3])
planbus = ctypes.CDLL(library)
planbus.planbus_open.argtypes = [ctypes.c_char_p]
planbus.planbus_publish.argtypes = [ctypes.c_char_p, ctypes.c_uint64]
planbus.planbus_last_error.restype = ctypes.c_char_p
for function in (planbus.planbus_open, planbus.planbus_publish, planbus.planbus_close):
    function.restype = ctypes.c_int64


def tell(line):
    # In one write each, so that lines of several threads do not mix.
    os.write(1, (line + "\n").encode())


def give_up(what):
    tell(f"failed: {what}: {planbus.planbus_last_error().decode()}")
    os._exit(1)


def publish(publisher):
    number = 0
    while True:
        # The call lets go of Python's lock: the publishers and the reader below run at once.
        seq = planbus.planbus_publish(f"plan-{publisher}".encode(), number)
        if seq < 0:
            give_up("publish")
        tell(f"ack {seq} plan-{publisher} call-{number}")
        acknowledged.release()
        number += 1


acknowledged = threading.Semaphore(0)
if planbus.planbus_open(database.encode()) < 0:
    give_up("open")
if planbus.planbus_publish(b"first", 0) != 1:
    give_up("publish")
tell("ack 1 first call-0")
for publisher in range(PUBLISHERS):
    threading.Thread(target=publish, args=(publisher,), daemon=True).start()
seen = 0
for _ in range(opens):
    for _ in range(EVENTS_PER_OPEN):
        acknowledged.acquire()
    other = sqlite3.connect(database)
    (count,) = other.execute("SELECT count(*) FROM plan_events").fetchone()
    other.close()
    if count < seen:
        tell(f"failed: {seen} events were there, then {count}")
        os._exit(1)
    seen = count
tell(f"opened {opens}")
threading.Event().wait()
