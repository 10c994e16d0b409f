"""Acceptance tests 1 to 5: reads, first tokens, pace, broken streams and errors come again as they were."""

from __future__ import annotations

import asyncio
import json
import re
import selectors
import socket
import time
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from antiphon.tape import document
from antiphon.tape.model import HttpResponse
from tests.cli.tape.support import run_json
from tests.tape.acceptance.on_tape import NOWHERE, under_clients
from tests.tape.acceptance.ways import Way, control, serving, through_proxy
from tests.tape.clients.drivers import drivers
from tests.tape.clients.far_side import DONE, Answer, FarSide, Gate, Reset, event
from tests.tape.proxy.support import recordings
from tests.upstreams import PATIENCE, Break, FakeBackend, delta, text
from tests.upstreams import Gate as BackendGate

ASK: dict[str, Any] = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
SAY: Any = ASK["messages"]

_WHOLE = [event(f"word{n} " + "x" * n) for n in range(6)]
#: Ten reads, two of the events split in two writes; the last is ``[DONE]``.
PIECES = [*_WHOLE[:4], _WHOLE[4][:60], _WHOLE[4][60:], _WHOLE[5][:1], _WHOLE[5][1:], event("y" * 114), DONE]
SIZES = [len(piece) for piece in PIECES]


def response_of(directory: Path) -> HttpResponse:
    """The response of the one recording."""
    (path,) = recordings(directory)
    found = document.load(path.read_bytes(), lambda suffix: path.with_suffix(suffix).read_bytes()).response
    assert isinstance(found, HttpResponse)
    return found


def record_pieces(far: FarSide, tapes: Path, client: Any) -> list[int]:
    """The sizes of the reads of a client while it is recorded, each piece sent when the one before was read."""
    gates = [Gate() for _ in PIECES]
    far.streams(*(step for pair in zip(gates, PIECES, strict=True) for step in pair))
    gates[0].open()
    with under_clients(tapes, "record", far.root):
        heard = client.ask(far.url, ASK, on_read=lambda n: gates[min(n, len(gates) - 1)].open())
    return list(heard.sizes)


@pytest.mark.parametrize("client", drivers())
def test_01_boundary_exact_for_clients(client: Any, far: FarSide, tapes: Path) -> None:
    """Ten reads, events split in two writes among them: replay gives reads of the same sizes."""
    assert len(SIZES) == 10
    assert SIZES[-2:] == [258, 14]
    assert record_pieces(far, tapes, client) == SIZES
    with under_clients(tapes, "replay", NOWHERE):
        assert client.ask(f"{NOWHERE}/chat/completions", ASK).sizes == SIZES
    assert far.hits == 1


def test_01_boundary_exact_on_the_wire_of_the_proxy(far: FarSide, tapes: Path) -> None:
    """What the proxy replays leaves it in chunks of the recorded sizes, for a client of any language."""
    assert record_pieces(far, tapes, drivers()[2].values[0]) == SIZES
    with through_proxy(tapes, "replay", NOWHERE) as opened:
        base = opened.sdk().base_url
        assert _chunks(base.host, base.port or 0, f"{base.path}chat/completions") == SIZES


def _chunks(host: str, port: int, path: str) -> list[int]:
    """The sizes of the HTTP chunks of an answer."""
    body = json.dumps(ASK).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection((host, port), timeout=PATIENCE) as sock:
        sock.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
        with sock.makefile("rb") as reply:
            assert b" 200 " in reply.readline()
            while reply.readline().strip():
                pass
            sizes = []
            while size := int(reply.readline(), 16):
                sizes.append(size)
                reply.read(size + 2)
    return sizes


def test_02_no_buffering_in_the_server(backend: FakeBackend, tapes: Path) -> None:
    """While recording, the first delta is with the client before the back end has sent the second; a client that
    leaves after it cuts the back end, and the file says so.
    """
    gate, never = BackendGate(), BackendGate()
    backend.answer(delta(content="first"), gate, *text("second"))
    backend.answer(delta(content="third"), never)
    with serving(tapes, "record", backend.url) as server:
        stream = server.client.responses.create(model="m", input="hello", stream=True)
        assert next(one.delta for one in stream if one.type == "response.output_text.delta") == "first"
        gate.open()
        assert [one.delta for one in stream if one.type == "response.output_text.delta"] == ["second"]
        left = server.client.responses.create(model="m", input="and then?", stream=True)
        assert next(one.delta for one in left if one.type == "response.output_text.delta") == "third"
        left.close()
        assert backend.call(1).gone.wait(PATIENCE), "the back end was left waiting"
        never.open()
    assert sorted(row["end"] for row in run_json(tapes, "ls")) == ["closed", "complete"]


class _Clock(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while there is something to do, and jumps when all wait."""

    def __init__(self) -> None:
        self.now = 0.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> Any:
                ready = super().select(None if timeout is None else 0)
                if not ready and timeout:
                    loop.now += timeout
                return ready

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


async def _arrivals(url: str) -> list[float]:
    loop = asyncio.get_running_loop()
    async with httpx2.AsyncClient() as client, client.stream("POST", url, json=ASK) as reply:
        return [loop.time() async for _ in reply.aiter_raw()]


@pytest.mark.parametrize("speed", [1.0, 10.0, None])
def test_03_timing_is_played_to_the_millisecond(speed: float | None, far: FarSide, tapes: Path) -> None:
    """``exact`` keeps each gap as the client saw it; speed 1 plays every gap, 10 a tenth of it, none no time at all."""
    pause, client = 0.02, drivers()[2].values[0]
    gates = [Gate() for _ in range(4)]
    far.streams(*(step for n in range(4) for step in (gates[n], event(str(n)))), DONE)
    gates[0].open()

    def wait_and_open(n: int) -> None:
        if n < 4:
            time.sleep(pause)  # the pace is what is recorded
            gates[n].open()

    began = time.perf_counter()
    with under_clients(tapes, "record", far.root, timing="exact"):
        client.ask(far.url, ASK, on_read=wait_and_open)
    took = (time.perf_counter() - began) * 1000
    gaps = response_of(tapes).gaps
    assert gaps is not None
    assert all(gap >= pause * 1000 for gap in gaps[1:4])
    assert sum(gaps) <= took + len(gaps)
    with under_clients(tapes, "replay", NOWHERE, speed=speed), asyncio.Runner(loop_factory=_Clock) as runner:
        times = runner.run(_arrivals(f"{NOWHERE}/chat/completions"))
    expected = [sum(gaps[: n + 1]) / 1000 / speed if speed else 0.0 for n in range(len(gaps))]
    assert times == pytest.approx(expected, abs=0.001)


def test_03_a_thousand_events_wait_for_nothing(far: FarSide, tapes: Path) -> None:
    """Without a speed no time passes between a thousand events, whatever the recording says."""
    far.streams(*(event(f"{n} ") for n in range(1000)), DONE)
    with under_clients(tapes, "record", far.root, timing="exact"):
        drivers()[2].values[0].ask(far.url, ASK)
    with under_clients(tapes, "replay", NOWHERE), asyncio.Runner(loop_factory=_Clock) as runner:
        assert set(runner.run(_arrivals(f"{NOWHERE}/chat/completions"))) == {0.0}


def test_04_a_cut_stream_is_cut_again(way: Way, far: FarSide, tapes: Path) -> None:
    """Reset after the fifth event: the file says so, and replay gives five events and then the SDK's own exception."""
    gates = [Gate() for _ in range(5)]
    far.streams(*(step for n in range(5) for step in (event(str(n)), gates[n])), Reset())
    ends = []
    for mode, url in (("record", f"{far.root}/v1"), ("replay", NOWHERE)):
        with way(mode, url) as opened:
            got: list[str] = []
            stream = opened.sdk().chat.completions.create(model="m", messages=SAY, stream=True)
            with pytest.raises((openai.APIError, httpx2.TransportError)) as broken:  # noqa: PT012 - when is compared
                for chunk in stream:
                    got.append(chunk.choices[0].delta.content or "")
                    gates[int(got[-1])].open()
            ends.append((got, type(broken.value), re.sub(r"127\.0\.0\.1:\d+", "there", str(broken.value))))
    assert ends[0] == ends[1]
    assert ends[0][0] == list("01234")
    assert [row["end"] for row in run_json(tapes, "ls")] == ["reset"]
    assert far.hits == 1


def test_04_a_response_of_the_server_fails_again(backend: FakeBackend, tapes: Path) -> None:
    """The same for the Responses API: every event, ids and times included, and the failure at the end."""
    backend.answer(*(delta(content=str(n)) for n in range(5)), Break())
    heard = []
    for mode, url in (("record", backend.url), ("replay", NOWHERE)):
        with serving(tapes, mode, url) as server:
            ask = {"model": "m", "input": "hello", "stream": True}
            heard.append(server.read_events("POST", "/s/t/v1/responses", json=ask))
    assert heard[0] == heard[1]
    assert [one["delta"] for one in heard[0] if one["type"] == "response.output_text.delta"] == list("01234")
    assert "broke off" in heard[0][-1]["response"]["error"]["message"]
    assert len(backend.calls) == 1


def test_05_errors_take_the_same_way_through_the_sdk(way: Way, far: FarSide) -> None:
    """429 with Retry-After, then 200: the client sees the 429 itself while recording, and retries alike on replay."""
    refusal = Answer(
        status="429 Too Many Requests",
        headers={"retry-after": "0", "retry-after-ms": "1"},
        body=b'{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded","param":null}}',
    )
    whole = (event("now"), DONE)
    for _ in range(2):
        far.answers(refusal)
        far.streams(*whole)
    seen = []
    for mode, url in (("record", f"{far.root}/v1"), ("replay", NOWHERE)):
        with way(mode, url) as opened:
            with pytest.raises(openai.RateLimitError) as caught:
                opened.sdk().chat.completions.create(model="m", messages=SAY, stream=True)
            headers = caught.value.response.headers
            again = opened.sdk().chat.completions.with_raw_response.create(model="m", messages=SAY, stream=True)
            retried = opened.sdk(max_retries=2).chat.completions.with_raw_response.create(
                model="m", messages=SAY, stream=True
            )
            seen.append((caught.value.code, caught.value.message, headers["retry-after"], again.retries_taken,
                         retried.retries_taken))  # fmt: skip
            for raw in (again, retried):
                assert [chunk.choices[0].delta.content for chunk in raw.parse()] == ["now"]
    assert seen[0] == seen[1]
    assert seen[0][2:] == ("0", 0, 1)
    assert far.hits == 4


def test_05_a_refused_response_is_refused_again(far: FarSide, tapes: Path) -> None:
    """The Responses API passes the back end's 429 on with its Retry-After, while recording and on replay."""
    far.answers(Answer(status="429 No", headers={"retry-after": "7"}, body=b'{"error":{"message":"slow down"}}'))
    seen = []
    for mode, url in (("record", f"{far.root}/v1"), ("replay", NOWHERE)):
        with serving(tapes, mode, url) as server:
            with pytest.raises(openai.RateLimitError) as caught:
                server.client.responses.create(model="m", input="hello")
            seen.append((caught.value.response.headers["retry-after"], caught.value.body))
            assert control(server, "stats")["misses"] == 0
    assert seen[0] == seen[1]
    assert seen[0][0] == "7"
    assert far.hits == 1
