"""What live tests send and how they compare what comes back."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from tests.live.rawhttp import Connection, payload, sse
from tests.responses.grammar import check
from tests.upstreams import Gate, Step

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"
LOOK: Json = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}

_ID = re.compile(rb"\b([a-z]+)_[0-9a-f]{48}\b")
_TIME = re.compile(rb'"(created_at|completed_at)":\d+')


def chunk(finish: str | None = None, **delta: Any) -> Json:
    """One chunk of an answer."""
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "finish_reason": finish, "delta": delta}],
    }


def piece(index: int, arguments: str, **first: str) -> Json:
    """A piece of a tool call; ``name`` and ``id`` come with its first."""
    name = {"name": first.pop("name")} if "name" in first else {}
    return chunk(tool_calls=[{"index": index, **first, "function": {**name, "arguments": arguments}}])


USAGE: Json = {"id": "c1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}}

#: An answer with everything in it: thoughts, text and two calls, with tags, quotes and characters cut in the middle.
RICH: list[Json] = [
    chunk(role="assistant", content="<thi"),
    chunk(content="nk>Größe? 😀</th"),
    chunk(content="ink>\n\nJa, "),
    chunk(content='日本 "so" \\ '),
    chunk(content="𝄞"),
    piece(0, "", id="call_a", name="look"),
    piece(0, '{"ort": "Zü'),
    piece(0, 'rich\\n"}'),
    piece(1, '{"ort": ', id="call_b", name="look"),
    piece(1, "null}"),
    chunk("tool_calls"),
    USAGE,
]


def event(data: Json, end: bytes = b"\n") -> bytes:
    """A chunk as an event, its text as plain UTF-8."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + end + end


def request(*, stream: bool, **more: Any) -> Json:
    """What the client asks."""
    return {"model": "m", "input": "hi", "tools": [LOOK], "stream": stream, **more}


def normal(data: bytes) -> bytes:
    """The bytes with ids numbered as they appear and times at zero: what may differ between two runs."""
    seen: dict[bytes, bytes] = {}
    data = _ID.sub(lambda found: seen.setdefault(found[0], b"%b_%d" % (found[1], len(seen))), data)
    return _TIME.sub(rb'"\1":0', data)


async def streamed(connection: Connection, asked: Json) -> bytes:
    """The body of a streamed response."""
    body = await connection.ask("POST", "/v1/responses", {**asked, "stream": True})
    assert body.status == 200, body.data
    return body.data


def told(data: bytes) -> list[Json]:
    """The events of a whole body, which must keep every rule of the wire and end with ``[DONE]``."""
    events = sse(data)
    assert events[-1] == DONE
    found = [payload(event) for event in events[:-1]]
    check(found)
    return found


class Pause(Gate):
    """A moment between two writes, so that they are two reads: nothing would tell us that the first was read."""

    async def passed(self) -> None:
        """A little longer than a read takes."""
        await asyncio.sleep(0.001)


def pieces(data: bytes, at: Iterable[int]) -> list[Step]:
    """``data`` cut at these places, each piece a read of its own."""
    places = sorted({0, len(data), *at})
    return [step for a, b in pairwise(places) for step in (data[a:b], Pause())]
