"""An A2A client as the makers of the protocol have it: the package a2a-sdk, with its defaults.

Arguments: the server's address, and the binding: jsonrpc, rest, or 0.3 (JSON-RPC, from what an agent
card of 0.3 says). Each line on stdin is a command; each answer is a line on stdout: {"item": ..} for
what came, then {"done": true}, or {"error": {"type": .., "message": ..}}.
"""

import asyncio
import json
import sys

import httpx
from a2a.client import ClientCallContext, ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.types import a2a_pb2 as a2a
from google.protobuf.json_format import MessageToDict, ParseDict


def say(**line):
    print(json.dumps(line), flush=True)


async def connect(base, binding, streaming=True):
    if binding == "jsonrpc":
        return await ClientFactory(ClientConfig(streaming=streaming)).create_from_url(base)
    if binding == "rest":
        config = ClientConfig(streaming=streaming, supported_protocol_bindings=["HTTP+JSON"])
        return await ClientFactory(config).create_from_url(base)
    async with httpx.AsyncClient() as http:
        card = (await http.get(base + "/.well-known/agent-card.json")).json()
    del card["supportedInterfaces"]
    return ClientFactory(ClientConfig(streaming=streaming)).create(parse_agent_card(card))


async def items(base, binding, command):
    """What a command brings: one thing, or a stream of them."""
    params = command.get("params", {})
    after = command.get("last_event_id")
    context = ClientCallContext(service_parameters={"Last-Event-ID": after}) if after else None
    client = await connect(base, binding, command.get("streaming", True))
    match command["do"]:
        case "card":
            yield client._card
        case "get":
            yield await client.get_task(ParseDict(params, a2a.GetTaskRequest()))
        case "list":
            yield await client.list_tasks(ParseDict(params, a2a.ListTasksRequest()))
        case "cancel":
            yield await client.cancel_task(ParseDict(params, a2a.CancelTaskRequest()))
        case "send":
            async for item in client.send_message(ParseDict(params, a2a.SendMessageRequest())):
                yield item
        case "follow":
            request = ParseDict(params, a2a.SubscribeToTaskRequest())
            async for item in client.subscribe(request, context=context):
                yield item
    await client.close()


async def obey(base, binding, command):
    try:
        async for item in items(base, binding, command):
            say(item=MessageToDict(item))
    except Exception as error:  # What it is, is what the test asks.
        say(error={"type": type(error).__name__, "message": str(error)})
    else:
        say(done=True)


def main():
    base, binding = sys.argv[1:]
    for line in sys.stdin:
        asyncio.run(obey(base, binding, json.loads(line)))


main()
