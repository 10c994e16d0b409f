"""Recordings made by the engine, and the command on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result

from antiphon.cli.tape import tape
from antiphon.tape import scope as scopes
from antiphon.tape.engine import Tape
from antiphon.tape.model import HttpCall
from antiphon.tape.refusal import RecordingMiss
from antiphon.tape.settings import Settings
from antiphon.tape.steps import Live, Play

URL = "https://api.example.com/v1/chat/completions"


def body(words: str, model: str = "m", **more: Any) -> dict[str, Any]:
    """A chat request."""
    return {"model": model, "messages": [{"role": "user", "content": words}], "stream": True, **more}


def chunk(content: str | None, finish: str | None = None) -> bytes:
    """An event of a streamed answer."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return (
        b"data: " + json.dumps({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
    )


def reads(*pieces: str, tokens: tuple[int, int] = (7, 3)) -> list[bytes]:
    """A whole streamed answer."""
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    last = b"data: " + json.dumps({"id": "c1", "choices": [], "usage": usage}).encode() + b"\n\n"
    return [*(chunk(piece) for piece in pieces), chunk(None, "stop"), last, b"data: [DONE]\n\n"]


class Session:
    """One process that uses a tape: it asks, records what it is told, plays, and misses."""

    def __init__(self, directory: Path, mode: Any = "record-if-missing") -> None:
        self.tape = Tape(Settings(str(directory), mode), environ={})

    def ask(self, words: str, *answer: str, scope: str = "", **more: Any) -> str:
        """``played``, ``recorded`` or ``missed``."""
        tokens = more.pop("tokens", (7, 3))
        call = HttpCall("POST", URL, (), json.dumps(body(words, **more)).encode(), "inference", "openai")
        with scopes.scope(scope):
            try:
                step = self.tape.begin(call)
            except RecordingMiss:
                return "missed"
        if isinstance(step, Play):
            return "played"
        assert isinstance(step, Live)
        assert step.recorder is not None
        step.recorder.begin(200, (("content-type", "text/event-stream"),))
        for data in reads(*answer, tokens=tokens):
            step.recorder.read(data)
        step.recorder.end()
        return "recorded"

    def close(self) -> None:
        """The process ends."""
        self.tape.close()


def session(directory: Path, *asked: Sequence[Any], mode: Any = "record-if-missing", scope: str = "") -> list[str]:
    """A process that asks these: (words, piece, piece, ...)."""
    one = Session(directory, mode)
    done = [one.ask(*each, scope=scope) for each in asked]
    one.close()
    return done


def run(directory: Path, command: str, *arguments: Any, code: int = 0, typed: str | None = None) -> Result:
    """``antiphon tape COMMAND``, which must exit with ``code``."""
    result = CliRunner().invoke(
        tape, [*command.split(), "--dir", str(directory), *map(str, arguments)], input=typed, catch_exceptions=False
    )
    assert result.exit_code == code, result.output
    return result


def run_json(directory: Path, command: str, *arguments: Any, code: int = 0) -> Any:
    """The same with ``--json``."""
    return msgspec.json.decode(run(directory, command, "--json", *arguments, code=code).stdout)
