"""Llama Stack files are found by the name they were given, where the request alone does not lead to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.tape import llama_stack
from antiphon.tape.engine import Play, RecordingMiss, Tape
from antiphon.tape.model import HttpCall, HttpRequest, JsonBody
from tests.tape.shelf.library import opened

_JSON = (("content-type", "application/json"),)
_TEST = "tests/a.py::test_one"


def _file(path: Path, theirs: dict[str, Any], body: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    envelope = {"test_id": _TEST, "request": theirs, "response": {"body": body, "is_streaming": False}}
    path.write_text(json.dumps({**envelope, "id_normalization_mapping": {}}))


def _chat(content: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


def _inference(endpoint: str, body: Any, host: str = "http://127.0.0.1:9") -> dict[str, Any]:
    return {"method": "POST", "url": f"{host}/v1{endpoint}", "headers": {}, "body": body, "endpoint": endpoint}


def _played(tape: Tape, call: HttpCall, scope: str = _TEST) -> Any:
    step = tape.begin(call, scope=scope)
    assert isinstance(step, Play)
    return json.loads(step.http.content)


def _chat_call(content: str) -> HttpCall:
    return HttpCall("POST", "http://127.0.0.1:9/v1/chat/completions", _JSON, json.dumps(_chat(content)).encode())


def _their_key(content: str, **more: Any) -> str:
    return llama_stack.their_key(HttpRequest("POST", "/v1/chat/completions", body=JsonBody(_chat(content))), _TEST)


def test_a_name_of_twelve_digits_is_the_beginning_of_the_hash(tmp_path: Path) -> None:
    """The oldest files have short names."""
    held = _inference("/v1/chat/completions", _chat("score: 0.123"))
    _file(tmp_path / f"{_their_key('score: 0.456')[:12]}.json", held, {"id": "old"})
    tape = opened(tmp_path)
    assert _played(tape, _chat_call("score: 0.456"))["id"] == "old"
    tape.close()


def test_a_name_that_is_no_hash_leads_nowhere(tmp_path: Path) -> None:
    """Somebody's own name for a file is not looked up."""
    _file(tmp_path / "hello.json", _inference("/v1/chat/completions", _chat("a")), {"id": "x"})
    tape = opened(tmp_path)
    assert _played(tape, _chat_call("a"))["id"] == "x"
    with pytest.raises(RecordingMiss):
        tape.begin(_chat_call("b"), scope=_TEST)
    tape.close()


def test_lists_of_models_by_name_are_one_list(tmp_path: Path) -> None:
    """``models-<hash>-<digest>.json``: every file of the hash is a part of the answer."""
    key = llama_stack.their_key(HttpRequest("GET", "/v1/models"), "")
    for name, digest in (("a", "0" * 8), ("b", "1" * 8)):
        # What is asked in them differs from the call, as in files of another version: only the name leads here.
        theirs = _inference("/v1/models", {"extra_query": {"old": name}})
        _file(tmp_path / f"models-{key}-{digest}.json", theirs, [{"id": name, "object": "model"}])
    tape = opened(tmp_path)
    answer = _played(tape, HttpCall("GET", "http://127.0.0.1:9/v1/models"))
    tape.close()
    assert [model["id"] for model in answer["data"]] == ["a", "b"]


@pytest.mark.parametrize(("path", "endpoint"), [("/v1/models", "/v1/models"), ("/api/ps", "/api/ps")])
@pytest.mark.parametrize("body", [b"", b"{}"], ids=["nothing", "object"])
def test_what_is_posted_without_a_body_is_a_get(tmp_path: Path, path: str, endpoint: str, body: bytes) -> None:
    """Their files say POST for everything: who asks again in their words gets the answer."""
    url = "http://127.0.0.1:9/v1/v1/models" if endpoint == "/v1/models" else "http://127.0.0.1:9/api/ps"
    theirs = {"method": "POST", "url": url, "headers": {}, "body": {}, "endpoint": endpoint}
    key = llama_stack.their_key(HttpRequest("GET", path), _TEST)
    _file(tmp_path / f"{key}.json", theirs, {"models": []} if endpoint == "/api/ps" else [])
    tape = opened(tmp_path)
    assert _played(tape, HttpCall("POST", f"http://127.0.0.1:9{path}", _JSON if body else (), body)) is not None
    tape.close()


def test_the_host_of_the_live_call_is_part_of_the_name(tmp_path: Path) -> None:
    """The hash of a call at an HTTP client holds its URL."""
    url, asked = "http://rerank.test:81/rerank", {"query": "q", "score": "score: 0.5"}
    request = HttpRequest("POST", "/rerank", body=JsonBody(asked))
    key = llama_stack.their_key(request, _TEST, url=url)
    held = {"test_id": _TEST, "url": url, "method": "POST", "payload": {"query": "q", "score": "score: 0.1"}}
    _file(tmp_path / f"{key}.json", held, {"ranked": 1})
    tape = opened(tmp_path)
    assert _played(tape, HttpCall("POST", url, _JSON, json.dumps(asked).encode())) == {"ranked": 1}
    tape.close()
