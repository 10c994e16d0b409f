"""Recordings to be played: directories of ours, cassettes of vcrpy, and copies of the real corpus where it is there."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from antiphon.tape import canon, document, llama_stack
from antiphon.tape.engine import Settings, Tape
from antiphon.tape.model import Exchange, HttpCall, HttpRequest, HttpResponse, JsonBody, Usage
from bench.tape.questions import RECORDED_URL, SCOPE, answer, question, said

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "recordings" / "llama-stack"
_COPY = "COPYNO"
_TYPE = (("content-type", "application/json"),)


def exchange(number: int, scope: str = SCOPE, *, long: bool = False) -> Exchange:
    """The recorded call of a number."""
    body = json.dumps(question(number, long=long)).encode()
    request = canon.parse(HttpCall("POST", RECORDED_URL, _TYPE, body))
    response = HttpResponse(200, _TYPE, (answer(number),))
    return Exchange(request, response, "inference", "", scope, 1, Usage(9, 5))


def shelf(
    directory: Path, count: int, test: Callable[[int], str] | None = None, *, long: bool = False, keep: bool = True
) -> Path:
    """``count`` recordings of ours in one scope, or each in that of a test; and the index of them, with ``keep``.

    The first is written by the tape's own writer, the others are its text with other numbers. (So their ``key`` is
    not theirs; it is only a note, and names are too: the index computes every key.)
    """
    form = _Form(document.dump(exchange(0, "@scope", long=long))[0].decode())
    home = directory / SCOPE
    for number in range(count):
        scope = SCOPE if test is None else test(number)
        if number == 0 or test is not None:
            home = directory / (SCOPE if test is None else f"test-{number:05}")
            home.mkdir(parents=True)
        (home / f"bench-1-question-{number}.json").write_text(form.text(number).replace('"@scope"', json.dumps(scope)))
    if keep:
        tape = Tape(Settings(str(directory)), environ=os.environ)
        tape.close()
    return directory


class _Form:
    """The text of a recording, to be written with any number."""

    def __init__(self, first: str) -> None:
        self._head, _, rest = first.partition("Question")
        _, _, self._tail = rest.partition("?")
        if any(self._tail.count(word) < 1 for word in (said(0), "chatcmpl-0")) or "Question" in self._tail:
            raise ValueError("a recording is not what it was: its numbers cannot be changed")

    def text(self, number: int) -> str:
        asked = str(question(number)["messages"][-1]["content"]).removesuffix("?")
        rest = self._tail.replace(said(0), said(number)).replace("chatcmpl-0", f"chatcmpl-{number}")
        return f"{self._head}{asked}?{rest}"


# -- cassettes


def _cassette() -> str:
    """The cassette of question 0, as vcrpy writes it."""
    request = importlib.import_module("vcr.request").Request
    asked = request("POST", RECORDED_URL, json.dumps(question(0)).encode(), dict(_TYPE))
    headers = {name: [value] for name, value in _TYPE}
    answered = {"status": {"code": 200, "message": "OK"}, "headers": headers, "body": {"string": answer(0)}}
    form = importlib.import_module("vcr.serializers.yamlserializer")
    text: str = importlib.import_module("vcr.serialize").serialize({"requests": [asked], "responses": [answered]}, form)
    return text


def cassette(path: Path, count: int) -> Path:
    """One cassette of vcrpy with all the questions."""
    begin, middle, end = re.fullmatch(r"(interactions:\n)(.*\n)(version: 1\n)", _cassette(), re.DOTALL).groups()  # type: ignore[union-attr]
    form = _Form(middle)
    path.write_text(begin + "".join(form.text(number) for number in range(count)) + end)
    return path


def cassettes(directory: Path, count: int, name: Callable[[int], str]) -> Path:
    """A cassette for each question."""
    form = _Form(_cassette())
    for number in range(count):
        path = directory / name(number)
        if not number:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(form.text(number))
    return directory


# -- the corpus


def corpus() -> list[Path]:
    """The recordings of Llama Stack that stand beside the checkout; none where they do not."""
    return sorted(CORPUS.rglob("*.json"))


def _loaded() -> Iterator[tuple[int, Exchange]]:
    """Each with the number of chunks that its file holds."""
    for path in corpus():
        data = path.read_bytes()
        try:
            exchange_ = llama_stack.load(data)[0]
        except llama_stack.Unreadable:
            continue
        response = json.loads(data)["response"]
        yield len(response.get("body") or ()) if response.get("is_streaming") else 0, exchange_


def imported(directory: Path, count: int) -> Path:
    """``count`` files of ours: the corpus again and again, each copy with another prompt."""
    texts: list[str] = []
    for _, one in _loaded():
        request = one.request
        if isinstance(request, HttpRequest) and isinstance(request.body, JsonBody):
            value = dict(request.body.value) | {"user": f"copy {_COPY}"}
            request = msgspec.structs.replace(request, body=JsonBody(value))
        # Each copy has scopes of its own, as another test would.
        changed = msgspec.structs.replace(one, request=request, scope=f"{one.scope or 'shared'} {_COPY}")
        texts.append(document.dump(changed)[0].decode())
    homes: dict[str, Path] = {}
    for number in range(count):
        copy, place = divmod(number, len(texts))
        text = texts[place].replace(_COPY, f"{copy:06}")
        scope = json.loads(text)["scope"]
        if scope not in homes:
            homes[scope] = directory / f"test-{len(homes):05}"
            homes[scope].mkdir(parents=True)
        (homes[scope] / f"{place}.json").write_text(text)
    return directory


def in_place(directory: Path, count: int) -> Path:
    """``count`` files of Llama Stack: the same, as they are on disk."""
    paths = corpus()
    for number in range(count):
        copy, one = divmod(number, len(paths))
        path = directory / str(copy) / paths[one].relative_to(CORPUS)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The first body that holds something is that of the request, where it has one.
        path.write_text(paths[one].read_text().replace('"body": {\n', f'"body": {{"user": "copy {copy}",\n', 1))
    return directory


def streams() -> Iterator[tuple[int, HttpResponse]]:
    """Each stream of the corpus with the number of its chunks."""
    for chunks, one in _loaded():
        if chunks and isinstance(one.response, HttpResponse):
            yield chunks, one.response
