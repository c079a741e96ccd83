"""Follows a stream of server-sent events with httpx, as the standard says that a client does.

Arguments: URL, and options as JSON: {"last_event_id", "cut_after", "until"}. After every `cut_after`
events it drops the connection in the middle and asks again with Last-Event-ID. It ends when the server
ends the stream, or with the event whose id is `until`. Prints a line of JSON for each connection, for
each event, and one for the end.
"""

import json
import sys

import httpx


def print_line(line):
    print(json.dumps(line), flush=True)


def events(lines):
    """The events of a stream: (id or None, type, data)."""
    event_id, event_type, data = None, "message", []
    for line in lines:
        if not line:
            if data:
                yield event_id, event_type, "\n".join(data)
            event_id, event_type, data = None, "message", []
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                event_id = value
            elif field == "event":
                event_type = value
            elif field == "data":
                data.append(value)


def follow(client, url, last_event_id, cut_after, until):
    """One connection: the last event id that came, and whether there is more to come."""
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    with client.stream("GET", url, headers=headers) as response:
        print_line({"status": response.status_code, "type": response.headers.get("content-type")})
        if response.status_code != 200:
            response.read()
            print_line({"refused": response.text})
            return last_event_id, False
        seen = 0
        for event_id, event_type, data in events(response.iter_lines()):
            print_line({"id": event_id, "event": event_type, "data": json.loads(data)})
            last_event_id = event_id if event_id is not None else last_event_id
            seen += 1
            if until is not None and event_id == until:
                return last_event_id, False
            if cut_after is not None and seen == cut_after:
                return last_event_id, True
    return last_event_id, False


def main():
    url = sys.argv[1]
    options = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    last_event_id = options.get("last_event_id")
    with httpx.Client(timeout=httpx.Timeout(60.0)) as client:
        more = True
        while more:
            last_event_id, more = follow(
                client, url, last_event_id, options.get("cut_after"), options.get("until")
            )
    print_line({"end": True})


main()
