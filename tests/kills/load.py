"""The clients: each keeps a conversation going, streamed and not, and notes what it was told until the server dies."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

from tests.kills.upstream import CALL, TOOL, digest
from tests.live.rawhttp import Connection, payload, sse

Json = dict[str, Any]

#: Responses of one conversation before a client begins another one.
_DEPTH = 12


@dataclass
class Told:
    """What one client was told of one response. ``said`` are the lines of the conversation before its answer."""

    request: Json
    said: list[str]
    stream: bytes = b""
    body: Json | None = None
    """The Response: the JSON body, or the terminal event's. With it, the server has made a promise."""

    @property
    def events(self) -> list[bytes]:
        """The whole events of the stream, without ``[DONE]``."""
        return [event for event in sse(self.stream) if not event.startswith(b"data: [DONE]")]

    @property
    def id(self) -> str:
        """The response's id; empty when the client never learned it."""
        if self.body is not None:
            return str(self.body["id"])
        events = self.events
        return str(payload(events[0])["response"]["id"]) if events else ""


@dataclass
class Conversation:
    """Where a client stands: its last response that it knows to be stored, and all that was said up to there."""

    previous: str | None = None
    said: list[str] = field(default_factory=list)
    depth: int = 0
    call_id: str | None = None
    """Set when the last answer was a call that waits for its result."""

    def next(self, chance: random.Random, stream: bool) -> Told:
        """The request that comes next."""
        if self.call_id is not None:
            output = f"seen {chance.randrange(1000)}"
            items: list[Json] = [{"type": "function_call_output", "call_id": self.call_id, "output": output}]
            said = [*self.said, f"tool: {output}"]
        else:
            words = f"{CALL if chance.random() < 0.25 else 'and'} {chance.randrange(10**6)}"
            items, said = [{"role": "user", "content": words}], [*self.said, f"user: {words}"]
        request = {"model": "m", "input": items, "tools": [TOOL], "stream": stream}
        return Told({**request, "previous_response_id": self.previous}, said)

    def after(self, told: Told) -> Conversation:
        """Where the client stands when the answer has come, which must show that all of the chain was remembered."""
        assert told.body is not None
        said = list(told.said)
        call_id, seen = None, ""
        for item in told.body["output"]:
            if item["type"] == "message":
                seen = item["content"][0]["text"]
                said.append(f"assistant: {seen}")
            elif item["type"] == "function_call":
                call_id, seen = item["call_id"], json.loads(item["arguments"])["at"]
                said.append(f"call {call_id}: {item['arguments']}")
        assert seen.split(" ")[0] == digest(told.said), "the model was not asked with all that was said before"
        if self.depth + 1 >= _DEPTH and call_id is None:
            return Conversation()
        return Conversation(str(told.body["id"]), said, self.depth + 1, call_id)


class Load:
    """Clients against one server until it dies; conversations go on with the next one."""

    def __init__(self, clients: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._conversations = [Conversation() for _ in range(clients)]
        self._reads = 0
        self._goal = 0
        self._enough = asyncio.Event()

    @property
    def conversations(self) -> list[Conversation]:
        """Where each client stands."""
        return list(self._conversations)

    async def until_killed(self, port: int, reads: int, kill: asyncio.Event) -> list[Told]:
        """Everything the clients were told. ``kill`` is set when they have read ``reads`` times; they end with it."""
        self._reads, self._goal, self._enough = 0, reads, kill
        clients = [self._client(port, n, self._chance.getrandbits(64)) for n in range(len(self._conversations))]
        return [one for told in await asyncio.gather(*clients) for one in told]

    async def _client(self, port: int, n: int, seed: int) -> list[Told]:
        chance, all_told = random.Random(seed), []
        try:
            connection = await Connection.open(port)
        except ConnectionError:
            return []
        try:
            while True:
                conversation = self._conversations[n]
                told = conversation.next(chance, chance.random() < 0.6)
                all_told.append(told)
                await self._exchange(connection, told)
                self._conversations[n] = conversation.after(told)
        except (ConnectionError, asyncio.IncompleteReadError):
            assert self._enough.is_set(), "the server broke a connection before it was killed"
        finally:
            await connection.close()
        return all_told

    async def _exchange(self, connection: Connection, told: Told) -> None:
        """One response. What came is noted even when the rest never does."""
        reply = await connection.send("POST", "/v1/responses", told.request)
        assert reply.status == 200, (told.request, (await connection.rest()).data)
        try:
            while await connection.more():
                self._count()
        finally:
            _note(told, reply.data, whole=reply.whole)
        assert told.body is not None
        assert told.body["status"] == "completed", told.body

    def _count(self) -> None:
        self._reads += 1
        if self._reads >= self._goal:
            self._enough.set()


def _note(told: Told, data: bytes, *, whole: bool) -> None:
    if not told.request["stream"]:
        told.body = json.loads(data) if whole else None
        return
    told.stream = data
    events = told.events
    if events:
        last = payload(events[-1])
        if last["type"] in ("response.completed", "response.failed", "response.incomplete"):
            told.body = last["response"]
