"""A back end in a process of its own whose answers prove what it was asked: ``python -m tests.kills.upstream``.

Each answer begins with a digest of every message it saw, so that a client that knows its conversation can tell whether
the server has remembered all of it. Chunks are paced, by the digest, so that many streams are under way at any moment.
It prints its base URL, and runs until it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

from tests.upstream.loopback import Peer

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
#: A user message with this word is answered with a call of the tool.
CALL = "look!"

_PAUSE_SECONDS = 0.008


def digest(lines: list[str]) -> str:
    """What the answer to these lines begins with."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def lines(messages: list[dict[str, Any]]) -> Iterator[str]:
    """What was said, in lines that a client can write down as well."""
    for message in messages:
        content = message.get("content")
        if content:
            text = content if isinstance(content, str) else "".join(part["text"] for part in content)
            yield f"{message['role']}: {text}"
        for call in message.get("tool_calls") or ():
            yield f"call {call['id']}: {call['function']['arguments']}"


def _chunks(body: dict[str, Any], chance: random.Random, seen: str) -> Iterator[dict[str, Any]]:
    last = body["messages"][-1]
    if last["role"] == "user" and CALL in str(last["content"]):
        call = {"index": 0, "id": f"call_{seen}", "type": "function", "function": {"name": "look", "arguments": ""}}
        yield {"delta": {"role": "assistant", "tool_calls": [call]}}
        for piece in ('{"at":', f'"{seen}"', "}"):
            yield {"delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}
        yield {"delta": {}, "finish_reason": "tool_calls"}
        return
    if chance.random() < 0.3:
        yield {"delta": {"reasoning_content": "hm, "}}
        yield {"delta": {"reasoning_content": "well"}}
    yield {"delta": {"content": seen}}
    for n in range(chance.randrange(3, 30)):
        yield {"delta": {"content": f" ü{n}"}}
    yield {"delta": {}, "finish_reason": "stop"}


async def _handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    peer = Peer(reader, writer)
    # Whoever asked may be killed at any moment, in the middle of a request as well.
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while await peer.request():
            body = json.loads(peer.body)
            seen = digest(list(lines(body["messages"])))
            chance = random.Random(seen)
            await peer.begin()
            for choice in _chunks(body, chance, seen):
                chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, **choice}]}
                await peer.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                await asyncio.sleep(chance.random() * _PAUSE_SECONDS)
            usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
            last = json.dumps({"id": "c", "choices": [], "usage": usage}).encode()
            await peer.chunk(b"data: " + last + b"\n\ndata: [DONE]\n\n")
            await peer.end()
    writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_handle, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
