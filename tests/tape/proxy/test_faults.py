"""Faults through the proxy, met by the official SDK: the same ones, to the byte, in every run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.tape.proxy.support import MESSAGES, Running, proxy, text_of
from tests.upstreams import FakeBackend, text

#: The events of the recorded answer: nine words, the end, the usage, and [DONE].
_WORDS = [f"w{n} " for n in range(9)]
_EVENTS = len(_WORDS) + 3
_BODY = json.dumps({"model": "m", "messages": MESSAGES, "stream": True}).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A proxy that replays one answer; its back end is gone."""
    directory = tmp_path_factory.mktemp("faults")
    with FakeBackend() as backend:
        backend.answer(*text(*_WORDS))
        with proxy(directory, backend.url) as recording:
            assert recording.http.post("/openai/v1/chat/completions", content=_BODY).status_code == 200
            recording.files()
    with proxy(directory, "http://127.0.0.1:9/v1", "replay") as running:
        yield running


def raw(running: Running, scope: str, fault: str = "") -> tuple[int, bytes, str]:
    """Status, bytes and ending of a call."""
    headers = {"x-antiphon-fault": fault} if fault else {}
    got = b""
    url = f"/s/{scope}/openai/v1/chat/completions"
    with running.http.stream("POST", url, content=_BODY, headers=headers) as reply:
        try:
            for part in reply.iter_raw():
                got += part
        except httpx2.TransportError as failure:
            return reply.status_code, got, type(failure).__name__
    return reply.status_code, got, "whole"


def sdk(running: Running, scope: str, fault: str, **more: Any) -> list[str]:
    """What the SDK makes of it."""
    client = running.sdk(scope, default_headers={"X-Antiphon-Fault": fault} if fault else {}, **more)
    return text_of(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))


@pytest.mark.parametrize("how", ["reset", "close", "half_event"])
@pytest.mark.parametrize("event", range(_EVENTS))
def test_a_cut_at_each_event_is_the_same_every_time(running: Running, event: int, how: str) -> None:
    """So many events arrive, then the connection breaks or ends; two runs are equal to the byte."""
    whole = raw(running, "plain")[1]
    fault = f"cut=after_event:{event},how:{how}"
    first, second = raw(running, f"{how}{event}", fault), raw(running, f"{how}{event}-again", fault)
    assert first == second
    status, got, ending = first
    assert status == 200
    assert whole.startswith(got)
    assert got.count(b"\n\n") == event
    assert (ending == "whole") == (how != "reset")
    assert got.endswith(b"\n\n") == (how != "half_event") or not got


@pytest.mark.parametrize("how", ["reset", "close", "half_event"])
def test_what_the_sdk_makes_of_a_cut(running: Running, how: str) -> None:
    """It hands over what came. A broken connection it raises; a body that ends early it takes for a whole one."""
    pieces: list[str] = []
    broke = False
    client = running.sdk(f"sdk-{how}", default_headers={"X-Antiphon-Fault": f"cut=after_event:4,how:{how}"})
    try:
        for chunk in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            pieces += [choice.delta.content or "" for choice in chunk.choices]
    except (openai.APIError, httpx2.TransportError):
        broke = True
    assert (pieces, broke) == (_WORDS[:4], how == "reset")


def test_two_refusals_and_then_the_answer(running: Running) -> None:
    """429 twice with Retry-After, then the recording: the SDK's retries get there by themselves."""
    fault = "status=429;retry_after=0;times=2"
    assert sdk(running, "retry", fault, max_retries=2) == _WORDS
    with pytest.raises(openai.RateLimitError):
        sdk(running, "no-retry", fault, max_retries=1)


def test_a_stall_is_a_timeout_to_the_sdk(running: Running) -> None:
    """The stream stands still for longer than the client waits."""
    pieces: list[str] = []
    client = running.sdk("stall", default_headers={"X-Antiphon-Fault": "stall=at_event:3,seconds:30"}, timeout=0.3)
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    with pytest.raises((openai.APITimeoutError, httpx2.ReadTimeout)):
        pieces.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert pieces == _WORDS[:2]


@pytest.mark.parametrize(("fault", "events"), [("drop_done", _EVENTS - 1), ("duplicate_event=2", _EVENTS + 1)])
def test_an_event_less_or_more(running: Running, fault: str, events: int) -> None:
    """Without [DONE], or with an event said twice, the stream still ends."""
    _, got, ending = raw(running, fault, fault)
    assert (got.count(b"\n\n"), ending) == (events, "whole")
    assert (b"[DONE]" in got) == (fault != "drop_done")


def test_a_malformed_event_is_an_error_to_the_sdk(running: Running, tmp_path: Path) -> None:
    """It does not pass for text."""
    with pytest.raises((openai.APIError, json.JSONDecodeError, ValueError)):
        sdk(running, "malformed", "malformed=event:3")
