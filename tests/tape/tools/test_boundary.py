"""The tool boundary: calls of tools are recorded as what they are, and replay when their servers are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.tape import document
from antiphon.tape.engine import Live, Play, RecordingMiss, Settings, Tape, ToolError
from antiphon.tape.faults import Faults, parse
from antiphon.tape.model import Exchange, HttpCall, ToolRequest, ToolResponse
from tests.tape.shelf.library import exchange, question, write
from tests.tape.tools import mcp_shaped
from tests.tape.tools.mcp_shaped import far

pytestmark = pytest.mark.anyio

_RAIN = {"content": [{"type": "text", "text": "Oslo: rain"}]}


def _tape(directory: Path, mode: Any, **more: Any) -> Tape:
    faults = more.pop("faults", None)
    return Tape(Settings(str(directory), mode, **more), environ={}, faults=faults)


def _exchanges(directory: Path) -> list[Exchange]:
    found = sorted(path for path in directory.rglob("*.json") if ".tape" not in path.parts)
    return [document.load(path.read_bytes(), lambda ending: b"") for path in found]


def _never() -> Callable[[], Awaitable[Any]]:
    async def perform() -> Any:
        raise AssertionError("the tool was called")

    return perform


async def _weather(tape: Tape, url: str, city: str = "Oslo") -> Any:
    arguments = {"city": city}

    async def perform() -> Any:
        return await mcp_shaped.call(url, "weather", arguments)

    return await tape.call("meteo", "weather", arguments, perform)


async def test_a_tool_replays_without_being_called(tmp_path: Path) -> None:
    """Result, failure and timeout; a repeat gets what the repeat got."""
    results = iter([{"sum": 5}, {"sum": 5, "again": True}])

    async def add() -> Any:
        return next(results)

    async def fail() -> Any:
        raise LookupError("no such row")

    async def wait() -> Any:
        raise TimeoutError("silent for 30 s")

    tape = _tape(tmp_path, "record")
    assert [await tape.call("local", "add", {"a": 2, "b": 3}, add) for _ in range(2)] == [
        {"sum": 5},
        {"sum": 5, "again": True},
    ]
    with pytest.raises(LookupError):
        await tape.call("local", "find", {"row": 9}, fail)
    with pytest.raises(TimeoutError):
        await tape.call("local", "wait", {}, wait)
    tape.close()

    tape = _tape(tmp_path, "replay")
    replayed = [await tape.call("local", "add", {"b": 3, "a": 2}, _never()) for _ in range(2)]
    assert replayed == [{"sum": 5}, {"sum": 5, "again": True}]
    with pytest.raises(ToolError, match="no such row") as failed:
        await tape.call("local", "find", {"row": 9}, _never())
    assert failed.value.type == "LookupError"
    with pytest.raises(TimeoutError, match="silent for 30 s"):
        await tape.call("local", "wait", {}, _never())
    tape.close()


async def test_a_cancelled_call_leaves_no_recording(tmp_path: Path) -> None:
    """It never came to an end, and the next one may make it."""
    begun = asyncio.Event()

    async def hang() -> Any:
        begun.set()
        await asyncio.Event().wait()

    tape = _tape(tmp_path, "record-if-missing")
    call = asyncio.ensure_future(tape.call("local", "hang", {}, hang))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert _exchanges(tmp_path) == []
    assert await asyncio.wait_for(tape.call("local", "hang", {}, _done), 5) == "done"
    tape.close()


async def _done() -> Any:
    return "done"


async def test_an_mcp_shaped_server_replays_when_it_is_gone(tmp_path: Path) -> None:
    """One exchange a call, of the tool's own terms: the HTTP beneath is no part of it."""
    with far() as server:
        tape = _tape(tmp_path, "record")
        assert await _weather(tape, server.url) == _RAIN
        tape.close()
        assert server.calls == [{"city": "Oslo"}]
    [kept] = _exchanges(tmp_path)
    assert kept.request == ToolRequest("meteo", "weather", {"city": "Oslo"})
    assert (kept.response, kept.boundary) == (ToolResponse(_RAIN), "tools")
    tape = _tape(tmp_path, "replay")
    assert await _weather(tape, "http://127.0.0.1:9/mcp") == _RAIN
    tape.close()


async def test_the_http_of_an_mcp_server_replays_too(tmp_path: Path) -> None:
    """Where it is recorded as HTTP, the ids of its calls and of their progress do not count."""
    tape = _tape(tmp_path, "record")
    reads = (b'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n',)
    for n in range(2):
        step = tape.begin(_rpc(), scope="a")
        if n == 0:
            assert isinstance(step, Live)
            assert step.recorder is not None
            step.recorder.begin(200, (("content-type", "text/event-stream"),))
            step.recorder.read(reads[0])
            step.recorder.end()
            tape.set_mode("replay")
            tape.start("a")
        else:
            assert isinstance(step, Play)
            assert step.http.reads == reads
    tape.close()


def _rpc() -> HttpCall:
    body = json.dumps(mcp_shaped.envelope("weather", {"city": "Oslo"})).encode()
    return HttpCall("POST", "http://127.0.0.1:9/mcp", (("content-type", "application/json"),), body, "tools")


async def test_a_miss_fails_the_call_and_names_the_argument(tmp_path: Path) -> None:
    """It is an exception of the tape's, never a result; and it is remembered though somebody swallows it."""
    with far() as server:
        tape = _tape(tmp_path, "record")
        await _weather(tape, server.url)
        tape.close()
    tape = _tape(tmp_path, "replay")
    with pytest.raises(RecordingMiss) as missed:
        await _weather(tape, "http://127.0.0.1:9/mcp", "Bergen")
    assert (missed.value.miss.reason, missed.value.miss.pointer) == ("arguments", "$.city")
    assert [miss.reason for miss in tape.misses] == ["arguments"]
    tape.close()


async def test_live_tools_over_a_replayed_model_show_where_the_run_drifts(tmp_path: Path) -> None:
    """The tool says something else than when it was recorded: the model's next call misses, and the report says why."""
    asked = question("What is the weather in Oslo?")
    with far() as server:
        tape = _tape(tmp_path, "record")
        result = await _weather(tape, server.url)
        tape.close()
        write(tmp_path, [exchange(asked), exchange(_with_result(result))])
        server.answer = lambda arguments: {"content": [{"type": "text", "text": f"{arguments['city']}: snow"}]}

        tape = _tape(tmp_path, "replay", modes={"tools": "live"})
        assert isinstance(tape.begin(asked), Play)
        drifted = await _weather(tape, server.url)
        assert drifted != result
        with pytest.raises(RecordingMiss) as missed:
            tape.begin(_with_result(drifted))
        assert missed.value.miss.divergence == "the result of tool weather"
        assert missed.value.miss.first_divergent_turn == 2
        assert "[-rain-]{+snow+}" in missed.value.miss.report
        assert (tape.stats().live, tape.stats().hits) == (1, 1)
        tape.close()


def _with_result(result: Any) -> HttpCall:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    messages = [
        {"role": "user", "content": "What is the weather in Oslo?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": result["content"]},
    ]
    return question("", messages=messages)


async def test_a_verified_tool_tells_a_changed_shape(tmp_path: Path) -> None:
    """Another text is no drift; a field that is gone is one, with its place. The recording stays as it is."""
    with far() as server:
        tape = _tape(tmp_path, "record")
        await _weather(tape, server.url)
        tape.close()
        before = _exchanges(tmp_path)
        tape = _tape(tmp_path, "verify")
        server.answer = lambda arguments: {"content": [{"type": "text", "text": "Oslo: snow"}]}
        await _weather(tape, server.url)
        assert tape.drifts == []
        server.answer = lambda arguments: {"content": [{"type": "text"}], "isError": True}
        await _weather(tape, server.url)
        [drift] = tape.drifts
        assert any("text" in one for one in drift.differences)
        assert any("isError" in one for one in drift.differences)
        tape.close()
    assert _exchanges(tmp_path) == before


@pytest.mark.parametrize(
    ("fault", "failure"),
    [({"tool_error": "the pipe burst"}, ToolError), ({"tool_timeout": True}, TimeoutError)],
    ids=["error", "timeout"],
)
async def test_a_tool_fails_on_purpose(tmp_path: Path, fault: Any, failure: type[Exception]) -> None:
    """By a fault, once, over a live tool; what is recorded is not touched by it."""
    faults = Faults(parse([{**fault, "tool": "weather", "times": 1}]))
    with far() as server:
        tape = _tape(tmp_path, "record-if-missing", faults=faults)
        with pytest.raises(failure):
            await _weather(tape, server.url)
        assert server.calls == []
        assert await _weather(tape, server.url) == _RAIN
        tape.close()
    assert [kept.response for kept in _exchanges(tmp_path)] == [ToolResponse(_RAIN)]
