"""Acceptance tests 1 to 5 of the recorder, for each client: what is read, when, how it ends, and what refuses."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest

from antiphon.tape import document
from antiphon.tape.clients import source as bodies
from antiphon.tape.model import HttpResponse
from tests.tape.clients.conftest import OnTape
from tests.tape.clients.drivers import Driver, drivers
from tests.tape.clients.far_side import DONE, Answer, FarSide, Hangup, Reset, event
from tests.upstreams import Gate

every_client = pytest.mark.parametrize("client", drivers())
ASK = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}

#: Ten pieces, some of them halves of an event.
_WHOLE = [event(f"word{n} ") for n in range(6)]
PIECES = [*_WHOLE[:4], _WHOLE[4][:60], _WHOLE[4][60:], _WHOLE[5][:1], _WHOLE[5][1:], event("end"), DONE]


def answer_of(on_tape: OnTape) -> HttpResponse:
    """The one response on the tape."""
    (path,) = on_tape.files
    found = document.load(path.read_bytes(), lambda suffix: path.with_suffix(suffix).read_bytes()).response
    assert isinstance(found, HttpResponse)
    return found


@every_client
def test_replay_gives_the_very_reads(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """What each read brought while recording, it brings on replay, events cut in two included."""
    gates = [Gate() for _ in PIECES]
    far.streams(*(step for pair in zip(gates, PIECES, strict=True) for step in pair))
    gates[0].open()
    with on_tape("record"):
        live = client.ask(far.url, ASK, on_read=lambda n: gates[min(n, len(gates) - 1)].open())
    assert live.reads == PIECES
    with on_tape("replay"):
        again = client.ask("http://127.0.0.1:1/v1/chat/completions", ASK)
    assert again.sizes == [len(piece) for piece in PIECES]
    assert (again.reads, again.failure) == (live.reads, "")
    assert far.hits == 1


@every_client
def test_reads_that_come_together_are_played_as_they_were_heard(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """Without pauses the network joins and splits what was sent; the recording is of what the client read."""
    far.streams(*PIECES)
    with on_tape("record"):
        live = client.ask(far.url, ASK)
    with on_tape("replay"):
        again = client.ask(far.url, ASK)
    assert (again.sizes, again.body) == (live.sizes, b"".join(PIECES))


@every_client
def test_the_first_chunk_is_not_held_back_and_a_break_returns_at_once(
    client: Driver, far: FarSide, on_tape: OnTape
) -> None:
    """The client has chunk 1 while the server still waits, hangs up, and the file says that it hung up."""
    never = Gate()
    far.streams(event("one"), never, event("two"), DONE)
    with on_tape("record"):
        live = client.ask(far.url, ASK, stop_after=1)
    assert live.reads == [event("one")]
    assert far.gone.wait(5), "the connection was kept"
    assert (answer_of(on_tape).end, answer_of(on_tape).reads) == ("closed", (event("one"),))
    with on_tape("replay") as tape:
        assert client.ask(far.url, ASK, stop_after=1).reads == live.reads
        assert tape.misses == []


@every_client
def test_reading_on_where_the_recorded_reader_hung_up_is_no_clean_end(
    client: Driver, far: FarSide, on_tape: OnTape
) -> None:
    """A recording that was broken off never passes for a whole answer."""
    never = Gate()
    far.streams(event("one"), never, event("two"), DONE)
    with on_tape("record"):
        client.ask(far.url, ASK, stop_after=1)
    with on_tape("replay") as tape:
        heard = client.ask(far.url, ASK)
        assert heard.reads == [event("one")]
        assert heard.failure != ""
        assert len(tape.misses) == 1


@every_client
def test_a_reader_that_stops_at_done_has_heard_it_all(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """SDKs do not read to the end of the body; the marker of the end is enough."""
    never, first = Gate(), Gate()
    far.streams(event("one"), first, DONE, never)
    with on_tape("record"):
        client.ask(far.url, ASK, stop_after=2, on_read=lambda n: first.open())
    assert answer_of(on_tape).end == "complete"
    with on_tape("replay"):
        assert client.ask(far.url, ASK).failure == ""


@every_client
@pytest.mark.parametrize("how", [Reset(), Hangup()], ids=["reset", "hangup"])
def test_a_cut_stream_is_cut_again(client: Driver, how: Any, far: FarSide, on_tape: OnTape) -> None:
    """Five events, then the exception that the client's library had raised; the server is not asked again."""
    gates = [Gate() for _ in range(5)]
    far.streams(*(step for n in range(5) for step in (event(f"{n}"), gates[n])), how)
    with on_tape("record"):
        live = client.ask(far.url, ASK, on_read=lambda n: gates[n - 1].open())
    assert (len(live.reads), live.failure != "") == (5, True)
    assert answer_of(on_tape).end == "reset"
    with on_tape("replay"):
        again = client.ask(far.url, ASK)
    assert (again.reads, again.failure) == (live.reads, live.failure)
    assert far.hits == 1


@every_client
def test_an_exact_timing_is_played(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """Speed 1 takes the recorded time, speed 10 a tenth, none no time."""
    gap = 0.08
    far.streams(event("a"), gap, event("b"), gap, event("c"), DONE)
    with on_tape("record", timing="exact"):
        client.ask(far.url, ASK)
    for speed, least, most in ((1.0, 2 * gap - 0.03, 1.0), (10.0, 0.2 * gap - 0.01, 0.12), (None, 0.0, 0.06)):
        with on_tape("replay", timing="exact", speed=speed):
            times = client.ask(far.url, ASK).times
        assert least <= times[-1] - times[0] <= most, speed


@every_client
def test_errors_are_errors_while_recording_and_on_replay(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """429 with its Retry-After, then 200: in both, in this order, with the body of the refusal."""
    refusal = b'{"error":{"message":"slow down"}}'
    far.answers(Answer(status="429 Too Many Requests", headers={"retry-after": "1"}, body=refusal), Answer(body=b"{}"))
    with on_tape("record"):
        live = [client.ask(far.url, ASK) for _ in range(2)]
    with on_tape("replay"):
        again = [client.ask(far.url, ASK) for _ in range(2)]
    assert [heard.status for heard in live] == [heard.status for heard in again] == [429, 200]
    assert again[0].headers["retry-after"] == live[0].headers["retry-after"] == "1"
    assert again[0].body == refusal
    assert far.hits == 2


@every_client
def test_the_body_of_a_refusal_is_recorded_though_nobody_reads_it(
    client: Driver, far: FarSide, on_tape: OnTape
) -> None:
    """A client that tries again throws the body away; one that gives up on replay wants it."""
    far.answers(Answer(status="503 No", body=b'{"error":{"message":"busy"}}'))
    with on_tape("record"):
        client.ask(far.url, ASK, stop_after=1)
    assert answer_of(on_tape).end == "complete"
    with on_tape("replay"):
        assert json.loads(client.ask(far.url, ASK).body) == {"error": {"message": "busy"}}


@every_client
def test_a_miss_is_an_answer_that_is_not_tried_again(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """424 with the report, remembered by the tape; nothing leaves."""
    with on_tape("replay") as tape:
        heard = client.ask(far.url, ASK)
        assert (heard.status, heard.headers["x-should-retry"]) == (424, "false")
        assert json.loads(heard.body)["error"]["code"] == "recording_miss"
        assert len(tape.misses) == 1
        assert on_tape.outcomes == ["refused"]
    assert far.hits == 0


@every_client
def test_what_is_recorded_is_readable_though_the_server_compresses(
    client: Driver, far: FarSide, on_tape: OnTape
) -> None:
    """The client asks for no compression; a server that insists is decoded, on the tape and for the reader."""
    text = b'{"object":"a thing","value":"' + b"x" * 2000 + b'"}'
    far.answers(Answer(headers={"content-encoding": "gzip"}, body=gzip.compress(text)))
    with on_tape("record"):
        client.ask(far.url, ASK)
    assert far.asked[0].headers["accept-encoding"] == "identity"
    assert answer_of(on_tape).content == text
    with on_tape("replay"):
        again = client.ask(far.url, ASK)
    assert again.body == text
    assert "content-encoding" not in again.headers


@every_client
def test_modes_differ_by_boundary(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """Embeddings by their path, MCP by its protocol: each in the mode of its own boundary."""
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add"}}
    with on_tape("replay", modes={"tools": "live", "embeddings": "record"}):
        assert client.ask(f"{far.root}/mcp", rpc).status == 200
        assert client.ask(f"{far.root}/v1/embeddings", {"input": "a"}).status == 200
        assert client.ask(far.url, ASK).status == 424
        assert on_tape.outcomes == ["live", "recorded", "refused"]
    assert [asked.path for asked in far.asked] == ["/mcp", "/v1/embeddings"]


@every_client
def test_faults_befall_a_replay(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """A status first, then a cut after an event, then the recording as it is; a stall is the client's own timeout."""
    far.streams(*PIECES)
    with on_tape("record"):
        client.ask(far.url, ASK)
    faults = [
        {"nth": 1, "status": 429, "retry_after": 2},
        {"nth": 2, "cut": {"after_event": 3, "how": "reset"}},
        {"nth": 3, "stall": {"at_event": 2, "seconds": 60}},
    ]
    with on_tape("replay", faults=faults):
        refused = client.ask(far.url, ASK)
        cut = client.ask(far.url, ASK)
        stalled = client.ask(far.url, ASK, timeout=0.2)
        whole = client.ask(far.url, ASK)
    assert (refused.status, refused.headers["retry-after"]) == (429, "2")
    assert (cut.body, cut.failure) == (b"".join(PIECES[:3]), _RESET[client.name.partition("-")[0]])
    assert (stalled.failure, stalled.body) == (_TIMEOUT[client.name.partition("-")[0]], PIECES[0])
    assert whole.body == b"".join(PIECES)


_RESET = {"httpx": "ReadError", "httpx2": "ReadError", "aiohttp": "ClientPayloadError"}
_TIMEOUT = {"httpx": "ReadTimeout", "httpx2": "ReadTimeout", "aiohttp": "SocketTimeoutError"}


@every_client
def test_a_fault_on_a_live_call_leaves_no_recording(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """What the fault cut off was never heard, and must not pass for an answer."""
    far.streams(*PIECES)
    with on_tape("record", faults=[{"cut": {"after_event": 2, "how": "reset"}}]):
        assert client.ask(far.url, ASK).body == b"".join(PIECES[:2])
    assert on_tape.files == []


@every_client
def test_a_recording_of_one_client_serves_another(client: Driver, far: FarSide, on_tape: OnTape) -> None:
    """The break that one library recorded, another tells in its own words."""
    gate = Gate()
    far.streams(event("one"), gate, Hangup())
    other = next(param.values[0] for param in drivers() if param.id == "aiohttp" and not param.marks)
    with on_tape("record"):
        other.ask(far.url, ASK, on_read=lambda n: gate.open())
    with on_tape("replay"):
        heard = client.ask(far.url, ASK)
    assert (heard.reads, heard.failure) == ([event("one")], _RESET[client.name.partition("-")[0]])


@pytest.mark.anyio
@pytest.mark.parametrize("package", ["httpx2", "aiohttp"])
async def test_who_gives_up_on_the_body_of_a_refusal_hangs_up(package: str, far: FarSide, on_tape: OnTape) -> None:
    """It is read before it is handed over; a caller that is cancelled meanwhile leaves no connection open."""
    never = Gate()
    far.answers(Answer([b"{", never], status="503 No"))
    with on_tape("record"):
        async with httpx2.AsyncClient() if package == "httpx2" else aiohttp.ClientSession() as client:
            call = asyncio.create_task(client.post(far.url, json=ASK))
            await asyncio.to_thread(never.reached)
            while not bodies.live():  # noqa: ASYNC110 - the call gives no sign of its own that it waits for the body
                await asyncio.sleep(0.001)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.to_thread(far.gone.wait, 5), "the connection was kept"
            assert bodies.live() == 0


@pytest.mark.anyio
async def test_a_body_that_is_not_coded_as_it_says_is_no_answer(far: FarSide, on_tape: OnTape) -> None:
    """The library's own exception, while recording and on replay."""
    far.answers(*2 * [Answer(headers={"content-encoding": "gzip"}, body=b"this is no gzip")])
    for mode in ("record", "replay"):
        with on_tape(mode):
            with httpx2.Client() as client, pytest.raises(httpx2.DecodingError):
                client.post(far.url, json=ASK)
            async with httpx2.AsyncClient() as client:
                with pytest.raises(httpx2.DecodingError):
                    await client.post(far.url, json=ASK)
    assert far.hits == 2


def test_a_long_body_that_cannot_be_read_leaves_no_file(
    far: FarSide, on_tape: OnTape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file into which it was read goes with the call."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def long() -> Iterator[bytes]:
        yield b"x" * (9 * 1024 * 1024)
        assert list(tmp_path.glob("antiphon-*")) != []
        raise OSError("the disk is gone")

    with on_tape("record"), httpx2.Client() as client, pytest.raises(OSError, match="disk"):
        client.post(far.url, content=long())
    gc.collect()
    assert list(tmp_path.glob("antiphon-*")) == []
