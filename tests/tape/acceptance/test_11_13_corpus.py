"""Acceptance tests 11 to 13: the cost of many recordings, their size, and the real recordings of Llama Stack."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from antiphon.tape import document, llama_stack
from antiphon.tape import scope as scopes
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.model import HttpRequest, HttpResponse, JsonBody, ToolRequest
from antiphon.tape.shelf import Entry
from tests.cli.tape.support import run_json
from tests.tape.acceptance import corpus, forks, work
from tests.tape.acceptance.on_tape import NOWHERE, SCOPE, on_tape, text_of, under_clients
from tests.tape.proxy.support import recordings
from tests.upstreams import PATIENCE, FakeBackend

Json = Any


def opened(directory: Path) -> Tape:
    """A tape that only looks."""
    return Tape(Settings(str(directory)), environ={})


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the real recordings, as ours."""
    corpus.files()
    folder = tmp_path_factory.mktemp("imported")
    took = run_json(folder / "tapes", "import llama-stack", corpus.copy(folder / "theirs"))
    assert took["failed"] == {}
    return folder / "tapes"


# -- 11


#: How many recordings there are beside those that are asked for.
_MANY = (10, 1_000, 10_000)
_PROMPT = '"messages": [{"content": "'


@cache
def _templates(folder: Path) -> list[str]:
    """Files of chats, short enough to be copied by the thousand."""
    chats = [path for path in recordings(folder) if path.stat().st_size < 3000]
    return [text for path in chats if _PROMPT in (text := path.read_text())]


def _fill(tapes: Path, templates: list[str], n: int) -> None:
    """Copies with other prompts, under other names."""
    home = tapes / SCOPE
    home.mkdir(parents=True)
    for number in range(n):
        text = templates[number % len(templates)]
        (home / f"copy--{number:012x}.json").write_text(text.replace(_PROMPT, f"{_PROMPT}Copy {number}: ", 1))


def test_11_a_replayed_call_costs_the_same_among_ten_and_ten_thousand(imported: Path, tmp_path: Path) -> None:
    """Counted, not timed: a call opens its own file and no other, reads no directory and calls as many functions;
    the index is made once, a file at a time, and the next start opens the index alone.
    """
    templates = _templates(imported)
    asked = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "the one that is asked for"}]}
    calls = []
    for n in _MANY:
        tapes = tmp_path / str(n) / "tapes"
        _fill(tapes, templates, n)
        _one_more(tapes, asked)
        ear, mouth = forks.pipe()
        process = forks.start(work.measure, str(tapes), f"{NOWHERE}/chat/completions", asked, mouth)
        mouth.close()
        counts = ear.recv()
        assert forks.ended(process) == 0
        assert counts["cold"]["open"] in (n + 1, n + 2)  # each recording, and the index that is not there
        assert counts["warm"]["open"] == (1 if n >= 1_000 else n + 2)
        assert counts["calls"][-1].keys() == {"open", "calls"}
        assert counts["calls"][-1]["open"] == 1
        calls.append(counts["calls"][-1]["calls"])
    assert calls[0] == calls[1] == calls[2]


def _one_more(tapes: Path, asked: Json) -> None:
    """Records one call beside them, without the index being kept."""
    with FakeBackend() as backend, under_clients(tapes, "record", backend.url) as opened:
        assert text_of(opened.sdk().chat.completions.create(**asked)) == "ok"
    (tapes / ".tape" / "index").unlink(missing_ok=True)


# -- 12


def test_12_streams_are_small(imported: Path) -> None:
    """In the files that they are stored in, at most 70 bytes a chunk, and 20 where there are 100 chunks or more."""
    chunks: Counter[bool] = Counter()
    size: Counter[bool] = Counter()
    for path in recordings(imported):
        text = path.read_text()
        start = text.find('\n  "stream": ')
        if start < 0:
            continue
        data = text[start : text.rindex("\n }\n}\n")]
        response = document.load(text.encode(), lambda suffix: b"").response
        assert isinstance(response, HttpResponse)
        count = len(_events(response.content.decode()))
        chunks[count >= 100] += count
        size[count >= 100] += len(data.encode())
    assert sum(chunks.values()) > 3000
    assert sum(size.values()) / sum(chunks.values()) <= 70
    assert size[True] / chunks[True] <= 20
    whole = sum(path.stat().st_size for path in imported.rglob("*") if ".tape" not in path.parts and path.is_file())
    assert whole < sum(map(len, corpus.raw().values())) / 2


def _events(text: str) -> list[str]:
    """The data of the events of a stream, but for the mark of its end."""
    return [line[6:] for line in text.split("\n") if line.startswith("data: ") and line != "data: [DONE]"]


# -- 13


@pytest.fixture(scope="module")
def in_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real recordings as they are, in a directory where a tape may write beside them."""
    corpus.files()
    return corpus.copy(tmp_path_factory.mktemp("theirs"))


def test_13_every_file_loads_and_its_stream_is_exactly_the_chunks_it_holds(in_place: Path) -> None:
    """Read in place: none is left out, and each chunk is one read of the same JSON, in the same order."""
    shelf = opened(in_place).shelf
    assert shelf.unreadable == {}
    assert {entry.path for entry in shelf.entries()} == set(corpus.files())
    streams = 0
    for entry in shelf.entries():
        held = corpus.chunks(corpus.files()[entry.path])
        if held is None:
            continue
        response = shelf.load(entry).response
        assert isinstance(response, HttpResponse)
        text = response.content.decode()
        streams += 1
        if isinstance(held[0], str):
            assert text.rstrip("\n").split("\n") == "\n".join(held).rstrip("\n").split("\n"), entry.path
        elif "candidates" in held[0]:  # attributes of a library, which the wire spells otherwise
            assert [_said(json.loads(data)) for data in _events(text)] == [_said(one) for one in held], entry.path
        else:
            assert [json.loads(data) for data in _events(text)] == held, entry.path
            assert [read for read in response.reads if read != b"data: [DONE]\n\n"] == [
                f"data: {data}\n\n".encode() for data in _events(text)
            ], entry.path
    assert streams > 180


def _said(chunk: Json) -> list[Json]:
    """What the candidates of a chunk say or call."""
    return [
        [part.get("text"), (part.get("function_call") or part.get("functionCall") or {}).get("name")]
        for candidate in chunk["candidates"]
        for part in (candidate.get("content") or {}).get("parts") or ()
    ]


def test_13_every_recorded_call_is_answered_again(in_place: Path) -> None:
    """Each recorded request, sent by a real client in its scope, gets the recorded answer, repeats in their order;
    tools and files too.
    """
    looked = opened(in_place)
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in looked.shelf.entries():
        scope = "" if _is_list(entry) else entry.scope
        groups.setdefault((scope, entry.key), []).append(entry)
    asked = 0
    with (
        on_tape(in_place, "replay", strict=True) as tape,
        httpx2.Client(base_url=NOWHERE.removesuffix("/v1"), timeout=PATIENCE, trust_env=False) as client,
    ):
        for (scope, _), entries in groups.items():
            exchanges = [looked.shelf.load(entry) for entry in entries]
            if _is_list(entries[0]):
                exchanges = [llama_stack.merged(exchanges)]
            for exchange in exchanges:
                asked += 1
                request, response = exchange.request, exchange.response
                with scopes.scope(scope or "nobody's"):
                    if isinstance(request, ToolRequest):
                        answer = tape.call(request.provider, request.tool, request.arguments, _never)
                        assert asyncio.run(answer) == response.result  # type: ignore[union-attr]
                        continue
                    reply = _send(client, request)
                assert isinstance(response, HttpResponse)
                assert (reply.status_code, reply.content) == (response.status, response.content), entries[0].path
        assert (tape.misses, tape.stats().hits) == ([], asked)
    assert asked > 280


def _is_list(entry: Entry) -> bool:
    """A list of models is one for everybody, put together from many files."""
    return Path(entry.path).name.startswith("models-")


async def _never() -> Json:
    raise AssertionError("the tool was called")


def _send(client: httpx2.Client, request: HttpRequest) -> httpx2.Response:
    body = request.body
    assert body is None or isinstance(body, JsonBody)
    content = None if body is None else msgspec.json.encode(body.value)
    headers = {"content-type": "application/json", **dict(request.headers)}
    return client.request(request.method, request.path, params=request.query, headers=headers, content=content)


def test_13_import_and_export_keep_the_meaning(imported: Path, tmp_path: Path) -> None:
    """Theirs to ours, ours to theirs, theirs to ours, by the commands: the same requests and the same answers. Of a
    call that was repeated their form keeps the first answer, and the others are named.
    """
    answers = _meaning(imported)
    gave = run_json(imported, "export llama-stack", tmp_path / "theirs", code=1)
    took = run_json(tmp_path / "again", "import llama-stack", tmp_path / "theirs")
    assert (took["failed"], took["written"]) == ({}, gave["written"])
    assert gave["written"] > 300
    left = {answers[path] for path in gave["failed"]}
    assert {why.partition(":")[0] for why in gave["failed"].values()} == {"a repeat"}
    back = set(_meaning(tmp_path / "again").values())
    assert back == set(answers.values()) - (left - back)
    assert {answer[:2] for answer in left} <= {answer[:2] for answer in back}


def _meaning(folder: Path) -> dict[str, tuple[str, str, str]]:
    """Scope, key and answer of every recording by its path."""
    shelf = opened(folder).shelf
    return {entry.path: (entry.scope, entry.key, _answer(shelf.load(entry).response)) for entry in shelf.entries()}


def _answer(response: Any) -> str:
    """What was answered, without the ids and times of chats, which their recorder blanks."""
    if not isinstance(response, HttpResponse):
        return repr(response)
    text = response.content.decode()
    events: list[Json] = [json.loads(data) for data in _events(text)] if text.startswith("data: {") else [text]
    return f"{response.status} {response.end} " + json.dumps(
        [{**one, "id": "", "created": 0} if isinstance(one, dict) else one for one in events], sort_keys=True
    )
