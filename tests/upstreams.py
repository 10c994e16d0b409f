"""A foreign back end over a real socket: it records what it is asked and answers what the test has scripted.

It runs in a thread of its own, so that plain tests can drive it. Gaps between chunks are ``Gate``s that the test opens,
never times; a client that hangs up is seen (``Call.gone``).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.upstream.loopback import Peer

#: How long a test waits for something that ought to happen at once. Seconds.
PATIENCE = 20.0

Chunk = dict[str, Any]


class Gate:
    """A place in an answer where the back end waits until the test opens it."""

    def __init__(self) -> None:
        self._open: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._reached = threading.Event()

    def open(self) -> None:
        """Let the answer go on."""
        if not self._open.done():
            self._open.set_result(None)

    def reached(self) -> None:
        """Wait until the back end stands here."""
        assert self._reached.wait(PATIENCE), "the back end never came to this gate"

    async def passed(self) -> None:
        """For the back end: until it is open."""
        self._reached.set()
        await asyncio.wrap_future(self._open)


class Break:
    """The back end drops the connection here."""


Step = Chunk | bytes | Gate | Break


class Call:
    """One request the back end got. ``gone`` is set when the client closed the connection before the answer's end."""

    def __init__(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> None:
        self.path = path
        self.headers = headers
        self.body = body
        self.gone = threading.Event()


class _Answer(NamedTuple):
    steps: Sequence[Step]
    status: str = "200 OK"
    headers: str = ""
    before: Gate | None = None
    body: bytes | None = None


class FakeBackend:
    """``with FakeBackend() as backend``: a chat-completions server. Without a script it says ``ok``."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[Call] = []
        """Chat requests, in the order in which they came."""
        self.models = ["m"]
        self.files: dict[str, tuple[str, bytes]] = {}
        """What it answers to anything but chat: media type and content by path (``/v1/models``)."""
        self.others: list[Call] = []
        """What else it was asked by POST."""
        self._answers: deque[_Answer] = deque()
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    # -- for the test

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests so far."""
        return [call.body for call in self.calls]

    @property
    def last(self) -> dict[str, Any]:
        """The body of the latest chat request."""
        return self.calls[-1].body

    def answer(self, *steps: Step, before: Gate | None = None, headers: str = "") -> None:
        """What the next unscripted request gets; ``before`` is a gate in front of the status line."""
        self._answers.append(_Answer(steps, headers=headers, before=before))

    def refuse(self, status: int, error: Any, headers: str = "", before: Gate | None = None) -> None:
        """The next request is refused with this status and JSON body."""
        self._answers.append(_Answer((), f"{status} No", headers, before, json.dumps(error).encode()))

    def reset(self) -> None:
        """Forget requests and scripts."""
        self._answers.clear()
        self.calls.clear()
        self.others.clear()
        self.files.clear()
        self.models = ["m"]

    def call(self, n: int = 0) -> Call:
        """The n-th chat request, once it has come."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.calls) > n, PATIENCE), "the back end was not asked"
        return self.calls[n]

    # -- life

    def __enter__(self) -> FakeBackend:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=64 * 1024 * 1024)

    async def _close(self) -> None:
        self._server.close()
        pending = list(self._tasks)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    # -- one connection, one request

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = Peer(reader, writer)
        try:
            if await peer.request():
                await self._serve(peer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _serve(self, peer: Peer) -> None:
        method, path, _ = peer.head.split(" ", 2)
        call = Call(path, _headers(peer.head), json.loads(peer.body or b"{}"))
        if not path.endswith("/chat/completions"):
            if method == "POST":
                self.others.append(call)
            await self._give(peer, path)
            return
        answer = self._answers.popleft() if self._answers else _Answer(text("ok"))
        with self._news:
            self.calls.append(call)
            self._news.notify_all()
        watch = asyncio.ensure_future(self._watch(peer, call))
        play = asyncio.ensure_future(_play(peer, answer))
        try:
            await asyncio.wait([watch, play], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in (watch, play):
                part.cancel()
            await asyncio.gather(watch, play, return_exceptions=True)

    async def _watch(self, peer: Peer, call: Call) -> None:
        await peer.gone()
        call.gone.set()

    async def _give(self, peer: Peer, path: str) -> None:
        kind, content = self.files.get(path, ("", b""))
        if kind:
            length = f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
            await peer.write(f"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n".encode() + content)
        elif path == "/v1/models":
            data = [{"id": name, "object": "model", "created": 1, "owned_by": "fake"} for name in self.models]
            await peer.answer(json.dumps({"object": "list", "data": data}).encode(), more="Connection: close\r\n")
        else:
            await peer.answer(b'{"error":{"message":"no such thing"}}', "404 No", "Connection: close\r\n")


async def _play(peer: Peer, answer: _Answer) -> None:
    if answer.before is not None:
        await answer.before.passed()
    more = f"Connection: close\r\n{answer.headers}"
    if answer.body is not None:
        await peer.answer(answer.body, answer.status, more)
        return
    await peer.begin(status=answer.status, more=more)
    for step in answer.steps:
        if isinstance(step, Gate):
            await step.passed()
        elif isinstance(step, Break):
            return
        else:
            await peer.chunk(step if isinstance(step, bytes) else b"data: " + json.dumps(step).encode() + b"\n\n")
    await peer.chunk(b"data: [DONE]\n\n")
    await peer.end()


def _headers(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n")[1:] if line)
    return {name.lower(): value.strip() for name, _, value in lines}


# -- chunks


def delta(finish: str | None = None, **what: Any) -> Chunk:
    """One chunk that adds this to the message; ``logprobs`` stands beside the delta."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if "logprobs" in what:
        choice["logprobs"] = what.pop("logprobs")
    return _chunk([{**choice, "delta": what}])


def usage(prompt: int = 7, completion: int = 3, **more: Any) -> Chunk:
    """The last chunk: what it cost."""
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**_chunk([]), "usage": {**counted, **more.pop("details", {})}, **more}


def text(*pieces: str, finish: str = "stop", **more: Any) -> list[Chunk]:
    """A whole answer of text."""
    return [*(delta(content=piece) for piece in pieces), delta(finish), usage(**more)]


def call_piece(index: int, call_id: str | None, name: str | None, arguments: str) -> Chunk:
    """A piece of one tool call."""
    function = {"arguments": arguments, **({"name": name} if name is not None else {})}
    piece = {"index": index, "type": "function", "function": function}
    return delta(tool_calls=[{**piece, "id": call_id} if call_id is not None else piece])


def tool_calls(*calls: tuple[str, str, str]) -> list[Chunk]:
    """A whole answer of tool calls: (id, name, arguments), the arguments in two pieces."""
    chunks: list[Chunk] = []
    for index, (call_id, name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        chunks += [call_piece(index, call_id, name, ""), call_piece(index, None, None, arguments[:half])]
        chunks.append(call_piece(index, None, None, arguments[half:]))
    return [*chunks, delta("tool_calls"), usage()]


def _chunk(choices: list[dict[str, Any]]) -> Chunk:
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
