"""Acceptance tests 6 to 9: no stale answer, any order, repeats in turn, scopes apart."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.cli.tape.support import run_json
from tests.tape.acceptance.on_tape import NOWHERE, SCOPE, text_of
from tests.tape.acceptance.ways import Way, serving, through_proxy
from tests.tape.proxy.raw import RawUpstream, Request
from tests.upstreams import PATIENCE, FakeBackend, text

Json = Any

TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": f"Finds {name}.", "parameters": {"type": "object", "properties": {}}},
    }
    for name in ("streets", "rivers", "towns")
]
ASKED: Json = {
    "model": "m",
    "temperature": 0.5,
    "tools": TOOLS,
    "stream": True,
    "messages": [
        {"role": "system", "content": "You are a careful guide. Answer in one sentence."},
        {"role": "user", "content": "Which river runs through Lyon?"},
        {"role": "assistant", "content": "The Rhone."},
        {"role": "user", "content": "And through Paris today?"},
    ],
}


def _changed(change: Callable[[Json], object]) -> Json:
    asked = copy.deepcopy(ASKED)
    change(asked)
    return asked


#: Test 6's four changes by the reason that a miss must give.
CHANGES = {
    "system": _changed(lambda asked: asked["messages"][0].update(content="You are a careless guide. Answer briefly.")),
    "params": _changed(lambda asked: asked.update(temperature=0.6)),
    "tools": _changed(lambda asked: asked["tools"][1]["function"].update(description="Finds a river.")),
    "prompt": _changed(lambda asked: asked["messages"][3].update(content="And through Paris tomorrow?")),
}
#: What of it the report must show.
SHOWN = {"system": "careless", "params": "0.6", "tools": "$.tools[1].function.description", "prompt": "tomorrow"}


def test_06_a_changed_request_is_never_answered_from_the_tape(way: Way, backend: FakeBackend) -> None:
    """System prompt, temperature, one tool's description, the last word: each a miss, with its reason."""
    backend.answer(*text("The Seine."))
    with way("record", backend.url) as opened:
        assert text_of(opened.sdk().chat.completions.create(**ASKED)) == "The Seine."
    with way("replay", NOWHERE) as opened:
        client = opened.sdk()
        for reason, asked in CHANGES.items():
            with pytest.raises(openai.APIStatusError) as caught:
                client.chat.completions.create(**asked)
            assert (caught.value.status_code, caught.value.code) == (424, "recording_miss")
            assert SHOWN[reason] in str(caught.value)
        assert [miss["reason"] for miss in opened.misses()] == list(CHANGES)
        assert text_of(client.chat.completions.create(**ASKED)) == "The Seine."
    assert len(backend.calls) == 1


def _asked(request: Request) -> str:
    return str(json.loads(request.body)["messages"][-1]["content"])


def _events(*said: str) -> list[bytes]:
    chunks: list[Json] = [
        {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
         "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in said
    ]  # fmt: skip
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    return [*(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]


@pytest.fixture
def echo() -> Iterator[RawUpstream]:
    """A model that repeats what it is asked, and counts its answers."""
    count = itertools.count(1)
    with RawUpstream(
        lambda request: ("text/event-stream", _events(f"{_asked(request)} ", f"({next(count)})"), "end")
    ) as upstream:
        yield upstream


def test_07_twenty_responses_come_in_any_order(echo: RawUpstream, tapes: Path) -> None:
    """Twenty at once through the server; a fresh one replays them in the reverse order, each with its own answer."""
    heard = []
    for mode, url, order in (("record", echo.url, range(20)), ("replay", NOWHERE, reversed(range(20)))):
        with serving(tapes, mode, url) as server:
            heard.append(asyncio.run(_responses(f"{server.root}/s/t/v1", list(order))))
    assert heard[0] == heard[1]
    assert all(said.startswith(f"number {n} (") for n, said in heard[0].items())
    assert len(set(heard[0].values())) == 20 == len(echo.requests)


async def _responses(url: str, order: list[int]) -> dict[int, str]:
    transport = httpx2.AsyncClient(timeout=PATIENCE, trust_env=False)
    async with openai.AsyncOpenAI(api_key="none", base_url=url, max_retries=0, http_client=transport) as client:

        async def ask(n: int) -> str:
            return (await client.responses.create(model="m", input=f"number {n}")).output_text

        return dict(zip(order, await asyncio.gather(*map(ask, order)), strict=True))


def test_08_repeats_come_in_their_order_and_the_fourth_is_an_error(way: Way, echo: RawUpstream, tapes: Path) -> None:
    """Three identical requests, three answers: the same order again. A fourth is ``exhausted`` in strict mode, and
    otherwise the last answer once more.
    """

    def ask(client: openai.OpenAI) -> str:
        messages: Any = [{"role": "user", "content": "again"}]
        return text_of(client.chat.completions.create(model="m", messages=messages, stream=True))

    three = ["again (1)", "again (2)", "again (3)"]
    with way("record", echo.url) as opened:
        client = opened.sdk()
        assert [ask(client) for _ in range(3)] == three
    assert sorted(row["say"] for row in run_json(tapes, "ls", "--scope", SCOPE)) == three
    with way("replay", NOWHERE, strict=True) as opened:
        client = opened.sdk()
        assert [ask(client) for _ in range(3)] == three
        with pytest.raises(openai.APIStatusError, match="recording"):
            ask(client)
        assert [miss["reason"] for miss in opened.misses()] == ["exhausted"]
    with way("replay", NOWHERE) as opened:
        client = opened.sdk()
        assert [ask(client) for _ in range(4)] == [*three, three[-1]]
    assert len(echo.requests) == 3


#: Six tasks and six threads, five equal calls each.
NAMES = [f"{kind}-{n}" for kind in ("task", "thread") for n in range(6)]


def test_09_tasks_and_threads_keep_apart_in_the_proxy(echo: RawUpstream, tapes: Path) -> None:
    """Threads name their scope in the path and tasks in a header, all asking the same: five files each, and on replay
    each hears what it heard.
    """
    heard = []
    for mode, url in (("record", echo.url), ("replay", NOWHERE)):
        with through_proxy(tapes, mode, url, strict=True) as opened:
            heard.append(_twelve_at_once(str(opened.sdk("").base_url)))
            counts = opened.stats()
    assert heard[0] == heard[1]
    assert (counts["hits"], counts["misses"]) == (60, 0)
    assert Counter(row["scope"] for row in run_json(tapes, "ls")) == dict.fromkeys(NAMES, 5)
    assert {name for name, said in heard[0].items() if len(set(said)) == 5} == set(NAMES)
    assert len(echo.requests) == 60


def _twelve_at_once(base: str) -> dict[str, list[str]]:
    """What each heard. ``base`` is the URL of a scope without a name."""
    root = base.partition("/s//")[0]
    heard: dict[str, list[str]] = {name: [] for name in NAMES}
    start = threading.Barrier(7)
    body = {"model": "m", "messages": [{"role": "user", "content": "the same"}]}

    def in_thread(name: str) -> None:
        start.wait(PATIENCE)
        with httpx2.Client(timeout=PATIENCE, trust_env=False, verify=False) as client:
            for _ in range(5):
                heard[name].append(client.post(f"{root}/s/{name}/openai/v1/chat/completions", json=body).text)

    async def in_task(client: httpx2.AsyncClient, name: str) -> None:
        for _ in range(5):
            scoped = {"x-antiphon-scope": name}
            heard[name].append(
                (await client.post(f"{root}/openai/v1/chat/completions", json=body, headers=scoped)).text
            )

    async def tasks() -> None:
        async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client, asyncio.TaskGroup() as group:
            for name in NAMES[:6]:
                group.create_task(in_task(client, name))

    threads = [threading.Thread(target=in_thread, args=(name,)) for name in NAMES[6:]]
    for thread in threads:
        thread.start()
    start.wait(PATIENCE)
    asyncio.run(tasks())
    for thread in threads:
        thread.join(PATIENCE)
    return heard
