"""What clients do with a server, end to end, each run in a scope of its own; and what they get, to the byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx2

from tests.upstreams import PATIENCE, Break, FakeBackend, delta, text, tool_calls, usage

_SEALED = re.compile(r'("encrypted_content":")[^"]+')
_LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
_NUMBER = {"format": {"type": "json_schema", "name": "number", "schema": _SCHEMA, "strict": True}}
_VECTORS = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -1.5]}], "model": "m"}


class Talk:
    """One client in one scope. ``heard`` is every status and body that it got, in order."""

    def __init__(self, root: str, scope: str) -> None:
        self._http = httpx2.Client(base_url=f"{root}/s/{scope}/v1", timeout=PATIENCE, trust_env=False)
        self.heard: list[tuple[int, str]] = []

    def __call__(self, method: str, path: str, **body: Any) -> Any:
        """Asks; gives back the JSON that came, or the response of the last event."""
        reply = self._http.request(method, path, **({"json": body} if method == "POST" else {}))
        # What is sealed is sealed anew each time, so that nobody learns anything from two of them.
        self.heard.append((reply.status_code, _SEALED.sub(r"\1...", reply.text)))
        if not reply.headers["content-type"].startswith("text/event-stream"):
            return reply.json()
        events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
        return events[-1].get("response", events[-1])

    def ask(self, said: Any, **more: Any) -> Any:
        """A response to this."""
        return self("POST", "/responses", model="m", input=said, **more)

    def close(self) -> None:
        """Hangs up."""
        self._http.close()


def _whole(talk: Talk) -> None:
    talk.ask("Say one thing.", temperature=0.5, metadata={"a": "b"})


def _stream(talk: Talk) -> None:
    talk.ask("Say one thing.", stream=True)


def _call(talk: Talk) -> None:
    asked = talk.ask("What is there?", tools=[_LOOK], stream=True)
    call = next(item for item in asked["output"] if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "a lamp"}
    talk.ask([result], tools=[_LOOK], previous_response_id=asked["id"])


def _reasoning(talk: Talk) -> None:
    """The second request sends back what the first one sealed."""
    first = {"role": "user", "content": "Think."}
    sealed = {"store": False, "include": ["reasoning.encrypted_content"]}
    thought = talk.ask([first], stream=True, **sealed)
    talk.ask([first, *thought["output"], {"role": "user", "content": "Think again."}], **sealed)


def _structured(talk: Talk) -> None:
    for stream in (True, False):
        talk.ask(f"A number, {stream}.", stream=stream, text=_NUMBER)


def _chain(talk: Talk) -> None:
    first = talk.ask("One.")
    second = talk.ask("Two.", previous_response_id=first["id"], stream=True)
    third = talk.ask("Three.", previous_response_id=second["id"])
    for path in (f"/responses/{third['id']}", f"/responses/{second['id']}/input_items", f"/responses/{first['id']}"):
        talk("GET", path)
    talk("GET", f"/responses/{second['id']}?stream=true")


def _conversation(talk: Talk) -> None:
    made = talk("POST", "/conversations", metadata={"topic": "tides"})
    talk.ask("First turn.", conversation=made["id"])
    talk.ask("Second turn.", conversation=made["id"], stream=True)
    talk("GET", f"/conversations/{made['id']}/items")


def _refused(talk: Talk) -> None:
    for stream in (False, True):
        talk.ask(f"Too much, {stream}.", stream=stream)


def _broken(talk: Talk) -> None:
    talk.ask("Break off.", stream=True)


def _repeated(talk: Talk) -> None:
    for _ in range(3):
        talk.ask("Again.", store=False)


def _passed_through(talk: Talk) -> None:
    messages = [{"role": "user", "content": "Hello."}]
    talk("POST", "/chat/completions", model="m", messages=messages, stream=True)
    talk("POST", "/embeddings", model="m", input="a tide")


RUNS: dict[str, Callable[[Talk], None]] = {
    "whole": _whole,
    "stream": _stream,
    "call": _call,
    "reasoning": _reasoning,
    "structured": _structured,
    "chain": _chain,
    "conversation": _conversation,
    "refused": _refused,
    "broken": _broken,
    "repeated": _repeated,
    "passed-through": _passed_through,
}


def script(backend: FakeBackend) -> None:
    """What the back end answers to all of them, in the order of ``RUNS``."""
    backend.files["/v1/embeddings"] = ("application/json", json.dumps(_VECTORS).encode())
    for words in ("whole", "stream"):
        backend.answer(*text(words, " and", " more", "."))
    backend.answer(*tool_calls(("call_7", "look", '{"at": "the north"}')))
    backend.answer(*text("There is a lamp."))
    for n in range(2):
        backend.answer(delta(reasoning_content="Let me"), delta(reasoning_content=f" see {n}."), *text("So."))
    for n in range(2):
        backend.answer(*text('{"n"', f": {n}", "}"))
    for n in range(3):
        backend.answer(*text(f"link {n}"))
    for n in range(2):
        backend.answer(*text(f"turn {n}"))
    for _ in range(2):
        refusal = {"error": {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": "slow"}}
        backend.refuse(429, refusal, "retry-after: 3\r\n")
    backend.answer(delta(content="so far"), usage(), Break())
    for n in range(3):
        backend.answer(*text(f"answer {n}"))
    backend.answer(*text("as", " it", " comes"))


def heard(root: str) -> dict[str, list[tuple[int, str]]]:
    """All runs against a server."""
    found = {}
    for scope, run in RUNS.items():
        talk = Talk(root, scope)
        run(talk)
        talk.close()
        found[scope] = talk.heard
    return found
