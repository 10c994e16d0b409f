"""Recorded runs with file search over an empty vector store: a store of ours is searched, and the model is told, to the
letter, what it was told when they were recorded.

They were made while the other system changed its words, three times; each run fits the setting of its time only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, get_args

import openai
import pytest

from antiphon.config import Config, StorageConfig, TapeConfig, ToolsConfig, UpstreamConfig
from antiphon.tools.prompts import Style
from tests.recordings.backend import SCOPE, RecordedBackend
from tests.recordings.conversations import items, strung
from tests.recordings.loops import Loop
from tests.recordings.tape import foreign
from tests.server import Server
from tests.shared import SHARED, shared

FOLDER = SHARED / "recordings"
_FILES = [*sorted(FOLDER.glob("seeds/*.json")), *sorted(FOLDER.glob("llama-stack/runs/*/*.json"))]
LOOPS = [loop for loop in map(Loop, strung(foreign(_FILES))) if loop.kind == "file_search"]
STYLES: tuple[Style, ...] = get_args(Style)


def style_of(loop: Loop) -> Style:
    """The setting of its time: by the function, the word in the frame, and the blank at the end."""
    last = loop.turns[-1].request
    name = last["tools"][0]["function"]["name"]
    told = next(message["content"] for message in last["messages"] if message["role"] == "tool")
    if name == "file_search":
        return "llama-stack" if told[0]["text"].startswith("file_search") else "llama-stack-2026-early"
    return "llama-stack-2025" if told[-1]["text"].endswith(" \n") else "llama-stack-2025-early"


class Stage:
    """Servers in front of the recordings, one for each setting, each with an empty store."""

    def __init__(self, backend: RecordedBackend, tmp: Any, stack: ExitStack) -> None:
        self.backend = backend
        self._tmp = tmp
        self._stack = stack
        self._servers: dict[Style, tuple[Server, str]] = {}

    def run(self, loop: Loop, style: Style) -> Any:
        """The response of this run. Raises what the SDK raises."""
        server, store = self._server(style)
        self.backend.served.clear()
        return server.client.responses.create(**body(loop, store), extra_headers={SCOPE: loop.name})

    def _server(self, style: Style) -> tuple[Server, str]:
        if style not in self._servers:
            server = started(self.backend, str(self._tmp.mktemp("data")), style)
            self._stack.callback(server.stop)
            self._servers[style] = server, server.client.vector_stores.create(name="empty").id
        return self._servers[style]


def started(backend: RecordedBackend, folder: str, style: Style, tape: TapeConfig = TapeConfig()) -> Server:  # noqa: B008
    """A server whose only back end answers from the recordings."""
    upstream = UpstreamConfig(url=backend.url, forward_headers=(SCOPE,))
    server = Server(
        Config(
            upstreams={"recorded": upstream},
            discover=False,
            storage=StorageConfig(data_dir=folder),
            tools=ToolsConfig(prompts=style),
            tape=tape,
        )
    )
    server.start()
    return server


def body(loop: Loop, store: str) -> Any:
    """The request that begins the run."""
    first = loop.turns[0].request
    entry = {"type": "file_search", "vector_store_ids": [store]}
    return {"model": first["model"], "input": list(items(first["messages"])), "tools": [entry]}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Servers, started as they are needed."""
    shared("recordings")
    with ExitStack() as stack:
        backend = stack.enter_context(RecordedBackend([turn for loop in LOOPS for turn in loop.scoped()]))
        yield Stage(backend, tmp_path_factory, stack)


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.name)
def test_a_run_happens_again(stage: Stage, loop: Loop) -> None:
    """Under its setting the model is asked what was recorded, call by call, and the answer is the recorded one."""
    response = stage.run(loop, style_of(loop))
    assert [one.name for one in stage.backend.served] == [turn.name for turn in loop.turns]
    searches = [item for item in response.output if item.type == "file_search_call"]
    assert [item.status for item in searches] == ["completed"] * (len(loop.turns) - 1)
    assert all(item.queries and item.results is None for item in searches)
    assert response.output_text == loop.turns[-1].text
    assert "<|" not in response.output_text


def test_each_setting_is_of_its_time(stage: Stage) -> None:
    """Every setting but ours fits some run, and a run fits no other setting than its own."""
    assert {style_of(loop) for loop in LOOPS} == {style for style in STYLES if style != "antiphon"}
    for loop in LOOPS:
        for style in STYLES:
            if style != style_of(loop):
                try:
                    fits = stage.run(loop, style).status == "completed"
                except openai.APIError:
                    fits = False
                assert not fits, (loop.name, style)


def test_nothing_is_left_out() -> None:
    """Every recorded model call that was offered a file search is a turn of one of these runs."""
    shared("recordings")
    offered = {one.name for one in foreign(_FILES) if _of_files(one.request)}
    assert offered == {turn.name for loop in LOOPS for turn in loop.turns if "[" not in turn.name}


def _of_files(request: Any) -> bool:
    return any(tool["function"]["name"] in ("file_search", "knowledge_search") for tool in request.get("tools") or ())


def test_the_first_seed_on_a_tape(stage: Stage, tmp_path: Any) -> None:
    """Recorded once, it happens again to the last byte of its events: without the model, and without the store."""
    (seed,) = [loop for loop in LOOPS if loop.turns[-1].name == "000"]
    style = style_of(seed)
    tape = {"dir": str(tmp_path / "tape")}
    recorder = started(stage.backend, str(tmp_path / "one"), style, TapeConfig(**tape, mode="record"))
    store = recorder.client.vector_stores.create(name="empty").id
    ask = ("POST", f"/s/{seed.name}/v1/responses")
    more = {"json": {**body(seed, store), "stream": True}, "headers": {SCOPE: seed.name}}
    recorded = recorder.read_events(*ask, **more)
    recorder.stop()
    assert recorded[-1]["response"]["output"][-1]["content"][0]["text"] == seed.turns[-1].text
    with RecordedBackend([]) as nobody:
        replayer = started(nobody, str(tmp_path / "two"), style, TapeConfig(**tape, mode="replay"))
        assert replayer.read_events(*ask, **more) == recorded
        replayer.stop()
        assert nobody.served == []
