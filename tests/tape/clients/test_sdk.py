"""The official SDK on the tape: its streams, its retries, its uploads, its speed."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from antiphon.tape import document
from antiphon.tape import scope as scopes
from tests.tape.clients.conftest import OnTape
from tests.tape.clients.far_side import DONE, Answer, FarSide, Reset, completion, event, usage
from tests.upstreams import Gate

SAY = [{"role": "user", "content": "hello"}]


def sync(far: FarSide, **more: Any) -> openai.OpenAI:
    """A client of the SDK."""
    return openai.OpenAI(base_url=f"{far.root}/v1", api_key="none", **more)


def asynchronous(far: FarSide, **more: Any) -> openai.AsyncOpenAI:
    """The same for a loop."""
    return openai.AsyncOpenAI(base_url=f"{far.root}/v1", api_key="none", **more)


def words(stream: Any) -> Iterator[str]:
    """The text of a stream of chunks."""
    for chunk in stream:
        for choice in chunk.choices:
            yield choice.delta.content or ""


def test_a_stream_of_the_sdk_is_recorded_whole_and_played(far: FarSide, on_tape: OnTape) -> None:
    """The SDK stops at the marker of the end; the recording is complete all the same."""
    far.streams(event("to"), event("ge"), event("ther"), usage(5, 3), DONE)
    for mode in ("record", "replay"):
        with on_tape(mode) as tape, sync(far) as client:
            stream = client.chat.completions.create(model="m", messages=SAY, stream=True)  # type: ignore[call-overload]
            assert "".join(words(stream)) == "together"
            tokens = tape.stats()
    assert (far.hits, tokens.tokens_replayed) == (1, 8)


def test_breaking_a_stream_after_the_first_chunk_returns_at_once(far: FarSide, on_tape: OnTape) -> None:
    """No matter how much the server still has to say."""
    never = Gate()
    far.streams(event("one"), never, event("two"), DONE)
    with on_tape("record"), sync(far) as client:
        stream = client.chat.completions.create(model="m", messages=SAY, stream=True)  # type: ignore[call-overload]
        assert next(words(stream)) == "one"
        began = time.perf_counter()
        stream.close()
        assert time.perf_counter() - began < 0.1
    assert far.gone.wait(5)


def test_the_retries_of_the_sdk_are_played(far: FarSide, on_tape: OnTape) -> None:
    """429 with Retry-After, then 200, on the same path and without a call."""
    for mode in ("record", "replay"):
        slow = Answer(status="429 Slow", headers={"retry-after-ms": "1", "retry-after": "0"}, body=b"{}")
        far.answers(slow, Answer(body=completion("yes")))
        with on_tape(mode), sync(far) as client:
            made = client.chat.completions.with_raw_response.create(model="m", messages=SAY)  # type: ignore[arg-type]
            assert made.parse().choices[0].message.content == "yes"
            assert made.retries_taken == 1
            assert len(on_tape.outcomes) == 2
    assert far.hits == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_sdk_does_not_try_a_miss_again(stream: bool, far: FarSide, on_tape: OnTape) -> None:
    """One call, one report, at once; with streaming and without, sync and async."""

    async def ask() -> None:
        async with asynchronous(far) as client:
            await client.chat.completions.create(model="m", messages=SAY, stream=stream)  # type: ignore[call-overload]

    with on_tape("replay") as tape, sync(far) as client:
        began = time.perf_counter()
        with pytest.raises(openai.APIStatusError) as missed:
            client.chat.completions.create(model="m", messages=SAY, stream=stream)  # type: ignore[call-overload]
        assert time.perf_counter() - began < 0.5
        assert (missed.value.status_code, missed.value.code) == (424, "recording_miss")
        with pytest.raises(openai.APIStatusError):
            asyncio.run(ask())
        assert len(tape.misses) == 2
    assert far.hits == 0


def test_a_cut_stream_ends_with_the_sdks_own_exception(far: FarSide, on_tape: OnTape) -> None:
    """The same class, after the same five events."""
    gates = [Gate() for _ in range(5)]
    far.streams(*(step for n in range(5) for step in (event(f"{n}"), gates[n])), Reset())
    ends = []
    for mode in ("record", "replay"):
        with on_tape(mode), sync(far) as client:
            stream = client.chat.completions.create(model="m", messages=SAY, stream=True)  # type: ignore[call-overload]
            got: list[str] = []
            with pytest.raises(Exception) as broken:  # noqa: PT011, PT012 - which one, and when, is what is compared
                for word in words(stream):
                    got.append(word)
                    gates[int(word)].open()
            ends.append((got, type(broken.value)))
    assert ends[0] == ends[1]
    assert ends[0][0] == list("01234")
    assert far.hits == 1


def test_a_thousand_events_are_played_quickly(far: FarSide, on_tape: OnTape) -> None:
    """The SDK's own parsing takes the time: the same bytes out of memory take it almost as long."""
    pieces = [*(event(f"{n} ") for n in range(1000)), DONE]
    far.streams(*pieces)
    memory = httpx2.MockTransport(
        lambda request: httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=_InMemory(pieces))
    )

    async def ask(**more: Any) -> tuple[int, float]:
        async with asynchronous(far, **more) as client:
            began = time.perf_counter()
            stream = await client.chat.completions.create(model="m", messages=SAY, stream=True)  # type: ignore[call-overload]
            return len([chunk async for chunk in stream]), time.perf_counter() - began

    with on_tape("record"):
        assert asyncio.run(ask())[0] == 1000
    with on_tape("replay"):
        assert asyncio.run(ask())[0] == 1000
        played, bare = [], []
        for _ in range(12):  # the least of each counts, however busy the machine is meanwhile
            played.append(asyncio.run(ask())[1])
            bare.append(asyncio.run(ask(http_client=httpx2.AsyncClient(transport=memory)))[1])
            if min(played) < 1.5 * min(bare) + 0.03:
                return
    pytest.fail(f"played in {min(played):.3f} s, and out of memory in {min(bare):.3f} s")


class _InMemory(httpx2.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@pytest.mark.parametrize("size", [2000, 9 * 1024 * 1024], ids=["short", "long"])
def test_an_upload_matches_in_spite_of_its_random_boundary(
    size: int, far: FarSide, on_tape: OnTape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form is read to its end before it is matched, over 8 MiB from a file, and is sent whole."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    far.answers(Answer(body=b"{}"))
    for mode in ("record", "replay"):
        with on_tape(mode), sync(far, max_retries=0) as client:
            file = ("a.txt", io.BytesIO(b"line\n" * (size // 5)))
            made = client.files.with_raw_response.create(file=file, purpose="assistants")
            assert made.http_response.status_code == 200, made.http_response.text
            del made
    assert far.hits == 1
    assert far.asked[0].body.count(b"line\n") == size // 5
    gc.collect()
    assert list(tmp_path.glob("antiphon-*")) == [], "the file outlives its request"


def test_twenty_calls_are_played_in_any_order(far: FarSide, on_tape: OnTape) -> None:
    """Each gets the answer to what it asked."""

    async def ask(client: openai.AsyncOpenAI, n: int) -> str:
        made = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": f"number {n}"}])
        return str(made.model_extra["said"])  # type: ignore[index]

    async def all_of_them(order: list[int]) -> dict[int, str]:
        async with asynchronous(far) as client:
            return dict(zip(order, await asyncio.gather(*(ask(client, n) for n in order)), strict=True))

    with on_tape("record"):
        live = asyncio.run(all_of_them(list(range(20))))
    with on_tape("replay"):
        again = asyncio.run(all_of_them(list(reversed(range(20)))))
    assert again == live
    assert all(f"number {n}" in said for n, said in again.items())
    assert far.hits == 20


def test_tasks_and_threads_keep_to_their_scopes(far: FarSide, on_tape: OnTape) -> None:
    """Six tasks and six threads at once, five calls each, the same in all: five files in each scope."""
    with sync(far) as client, on_tape("record"):
        _tasks_and_threads(far, client)
    found: dict[str, set[int]] = {}
    for path in on_tape.files:
        exchange = document.load(path.read_bytes(), lambda suffix, path=path: b"")
        asked = json.loads(exchange.response.content)["said"]  # type: ignore[union-attr]
        assert exchange.scope in asked
        found.setdefault(exchange.scope, set()).add(exchange.variant)
    assert found == {f"{kind}-{n}": set(range(1, 6)) for kind in ("task", "thread") for n in range(6)}
    with sync(far) as client, on_tape("replay", strict=True) as tape:
        _tasks_and_threads(far, client)
        assert (tape.stats().hits, tape.misses, far.hits) == (60, [], 60)


def _tasks_and_threads(far: FarSide, client: openai.OpenAI) -> None:
    start = threading.Barrier(7)

    def in_thread(name: str) -> None:
        start.wait(20)
        with scopes.scope(name):
            for _ in range(5):
                client.chat.completions.create(model="m", messages=[{"role": "user", "content": name}])

    async def in_task(client: openai.AsyncOpenAI, name: str) -> None:
        with scopes.scope(name):
            for _ in range(5):
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": name}])

    async def tasks() -> None:
        async with asynchronous(far) as client, asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(in_task(client, f"task-{n}"))

    # Threads start with no context of ours: what they know of scopes they set themselves.
    empty = contextvars.Context()
    threads = [threading.Thread(target=empty.copy().run, args=(in_thread, f"thread-{n}")) for n in range(6)]
    for thread in threads:
        thread.start()
    start.wait(20)
    asyncio.run(tasks())
    for thread in threads:
        thread.join(20)
