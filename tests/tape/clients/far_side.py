"""A server over real sockets that answers what the test has scripted, in a thread of its own, and counts its calls.

Gaps are gates that the test opens, or seconds where time itself is the subject.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.upstreams import Gate

#: How long a test waits for something that ought to happen at once. Seconds.
PATIENCE = 20.0


class Reset:
    """The connection is reset here."""


class Hangup:
    """The connection is closed here, in the middle of the body."""


Step = bytes | float | Gate | Reset | Hangup


class Answer(NamedTuple):
    """``steps`` is a body in chunks; ``body`` one with its length."""

    steps: Sequence[Step] = ()
    status: str = "200 OK"
    headers: dict[str, str] = {}
    body: bytes | None = None


class Asked(NamedTuple):
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class FarSide:
    """``with FarSide() as far``: a server at ``far.url``. Without a script it answers a small JSON document."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.gone = threading.Event()
        self._answers: deque[Answer] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def hits(self) -> int:
        """How many requests came."""
        return len(self.asked)

    def answers(self, *answers: Answer) -> None:
        """What the next requests get, in turn."""
        self._answers.extend(answers)

    def streams(self, *steps: Step, **more: Any) -> None:
        """The next request gets this stream of events."""
        self.answers(Answer(steps, headers={"content-type": "text/event-stream"}, **more))

    def __enter__(self) -> FarSide:
        self._thread.start()
        serving = asyncio.start_server(self._connected, "127.0.0.1", 0, limit=64 * 1024 * 1024)
        self._server = self._run(serving)
        self.port = self._server.sockets[0].getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1/chat/completions"
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _close(self) -> None:
        self._server.close()
        pending = list(self._tasks)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            asked = await _request(reader)
            self.asked.append(asked)
            answer = self._answers.popleft() if self._answers else _echo(asked)
            await self._answer(reader, writer, answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        headers = {"content-type": "application/json", "connection": "close", **answer.headers}
        headers |= (
            {"transfer-encoding": "chunked"} if answer.body is None else {"content-length": str(len(answer.body))}
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status}\r\n{lines}\r\n".encode())
        if answer.body is not None:
            writer.write(answer.body)
            await writer.drain()
            return
        watch = asyncio.ensure_future(self._watch(reader))
        try:
            for step in answer.steps:
                if not await self._step(writer, step, watch):
                    return
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            watch.cancel()

    async def _step(self, writer: asyncio.StreamWriter, step: Step, watch: asyncio.Future[None]) -> bool:
        if isinstance(step, bytes):
            writer.write(b"%x\r\n%s\r\n" % (len(step), step))
            await writer.drain()
        elif isinstance(step, float):
            await asyncio.sleep(step)
        elif isinstance(step, Gate):
            gate = asyncio.ensure_future(step.passed())
            await asyncio.wait([gate, watch], return_when=asyncio.FIRST_COMPLETED)
            gate.cancel()
            return not watch.done()
        elif isinstance(step, Reset):
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        else:
            return False
        return True

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        await reader.read(1)
        self.gone.set()


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
    }
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)


def _echo(asked: Asked) -> Answer:
    """A different answer for each request: it says what was asked."""
    said = asked.body.decode("utf-8", "replace")
    return Answer(body=json.dumps({"object": "echo", "path": asked.path, "said": said}).encode())


def event(text: str, **more: Any) -> bytes:
    """One chunk of a chat completion, as an event."""
    delta = {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return _event(
        {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
    )


def usage(prompt: int, completion: int) -> bytes:
    """The event that says what it cost."""
    counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return event("", usage=counted)


def completion(text: str, prompt: int = 7, output: int = 3) -> bytes:
    """A whole answer in one JSON document."""
    message = {"role": "assistant", "content": text}
    counted = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": counted}
    return json.dumps(whole).encode()


def _event(value: Any) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
