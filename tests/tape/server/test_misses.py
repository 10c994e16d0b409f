"""A call that is not on the tape: what a client of the server is told, at the first call and within a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from antiphon.upstream.errors import in_stream, refusal
from tests.server import Servers
from tests.tape.server.support import ask, recordings, stored, taped
from tests.upstreams import FakeBackend, text

_PROMPTS = [f"{n}: tell me of the sea, of its tides and of what they leave on the shore." for n in range(20)]
_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
_FORMAT = {"format": {"type": "json_schema", "name": "number", "schema": _SCHEMA, "strict": True}}


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"], ids=["responses", "chat"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_first_call(servers: Servers, backend: FakeBackend, tmp_path: Path, path: str, stream: bool) -> None:
    """Status 424, not to be tried again, and the whole report."""

    def body(words: list[str]) -> dict[str, Any]:
        messages = [{"role": "user", "content": one} for one in words]
        return {"model": "m", "stream": stream, "input" if path == "/v1/responses" else "messages": messages}

    changed = [one.replace("tides", "currents, winds and depths " * 12) for one in _PROMPTS]
    with taped(servers, tmp_path, "record") as server:
        server.http.post(path, json=body(_PROMPTS)).raise_for_status()
    with taped(servers, tmp_path, "replay") as server:
        reply = server.http.post(path, json=body(changed))
        report = server.http.get("/_tape/misses").json()["misses"][0]["report"]
    assert (reply.status_code, reply.headers["x-should-retry"]) == (424, "false")
    assert reply.json()["error"]["code"] == "recording_miss"
    assert reply.json()["error"]["message"] == report
    assert len(report.splitlines()) <= 30
    assert report.splitlines()[-1].strip().startswith("antiphon tape accept")


def test_the_longest_report_is_passed_on() -> None:
    """Thirty lines of a hundred and ten characters, and more bytes than characters."""
    report = "\n".join("ü" * 110 for _ in range(30))
    error = {"error": {"message": report, "type": "invalid_request_error", "param": None, "code": "recording_miss"}}
    assert refusal("local", 424, (), json.dumps(error).encode()).message == report
    assert len(in_stream("local", {**error["error"], "message": report * 2}).message) == 2 * len(report)


def test_a_later_call_of_a_stream(servers: Servers, backend: FakeBackend, tmp_path: Path) -> None:
    """The answer breaks its schema and is asked for again, which is not recorded: the stream ends with the reason."""
    backend.answer(*text('{"n": "none"}'))
    backend.answer(*text('{"n": 4}'))
    validated = {"upstream": {"schemas": "validated"}}
    with taped(servers, tmp_path, "record", **validated) as server:
        assert ask(server, text=_FORMAT).json()["status"] == "completed"
    for path in recordings(tmp_path):
        if len(stored(path)["request"]["json"]["messages"]) > 1:
            path.unlink()
    assert len(recordings(tmp_path)) == 1
    with taped(servers, tmp_path, "replay", **validated) as server:
        events = [line[6:] for line in ask(server, text=_FORMAT, stream=True).text.splitlines() if "data: {" in line]
        error, failed = map(json.loads, events[-2:])
        assert (error["type"], error["code"], error["error"]["code"]) == ("error", "recording_miss", "recording_miss")
        assert failed["type"] == "response.failed"
        assert failed["response"]["error"]["code"] == "recording_miss"
        assert error["message"] == failed["response"]["error"]["message"]
        assert error["message"].startswith("There is no recording of POST /v1/chat/completions (m)")
        with pytest.raises(openai.APIError, match="There is no recording"):
            list(server.client.responses.create(model="m", input="Say it.", text=_FORMAT, stream=True))  # type: ignore[call-overload]
        whole = ask(server, text=_FORMAT).json()
        assert (whole["status"], whole["error"]["code"]) == ("failed", "recording_miss")
