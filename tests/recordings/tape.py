"""Recordings of chat calls as plain values, from our own files and from those of the system we compare ourselves with.

Our own format, one conversation a file::

    {"scope": "...", "exchanges": [{"request": {chat request}, "chunks": [chunk, ...]}, ...]}

An exchange that was not streamed has ``body`` in place of ``chunks``. The other system's files hold one exchange each,
with the request below ``request.body`` and its objects in envelopes ``{"__type__", "__data__"}``, which are taken off
without importing what they name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from antiphon.tape.canon.chat import canonical, canonical_key

Json = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    """One exchange. ``scope`` says which conversation it belongs to: the same request may be in several."""

    name: str
    scope: str
    request: Json
    answer: list[Json] | Json
    """The chunks of a stream, or the whole body."""

    @property
    def key(self) -> str:
        """Of its request."""
        return canonical_key(self.request)

    @property
    def messages(self) -> list[Any]:
        """Of its request, in canonical form."""
        messages: list[Any] = canonical(self.request)["messages"]
        return messages

    @property
    def text(self) -> str:
        """All text that the model says in it."""
        return "".join(message.get("content") or "" for message in self._said())

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        """The calls the model makes in it: (id, name, arguments)."""
        found: dict[int, list[str]] = {}
        for message in self._said():
            for n, call in enumerate(message.get("tool_calls") or ()):
                one = found.setdefault(call.get("index", n), ["", "", ""])
                function = call.get("function") or {}
                for place, piece in enumerate((call.get("id"), function.get("name"), function.get("arguments"))):
                    one[place] += piece or ""
        return [(call_id, name, arguments) for call_id, name, arguments in found.values()]

    def _said(self) -> list[Json]:
        if isinstance(self.answer, dict):
            return [self.answer["choices"][0]["message"]]
        return [choice["delta"] for chunk in self.answer for choice in chunk["choices"]]


def own(folder: Path) -> list[Recording]:
    """The recordings of our own format in this folder."""
    found = []
    for path in sorted(folder.glob("*.json")):
        file = json.loads(path.read_text())
        for n, exchange in enumerate(file["exchanges"]):
            answer = exchange["chunks"] if "chunks" in exchange else exchange["body"]
            found.append(Recording(f"{path.stem}[{n}]", file["scope"], exchange["request"], answer))
    return found


def foreign(paths: Iterable[Path]) -> list[Recording]:
    """The chat calls among these files of the other system; other kinds of recordings and failures are left out."""
    found = []
    for path in paths:
        file = json.loads(path.read_text())
        request, response = file["request"], file["response"]
        # Written under a doubled prefix, because the base URL already ended in it.
        if not request.get("url", "").replace("/v1/v1/", "/v1/").endswith("/v1/chat/completions"):
            continue
        if not response.get("is_exception"):
            # Without a test id the file is a conversation of its own.
            scope = file.get("test_id") or path.stem
            found.append(Recording(path.stem, scope, request["body"], unwrapped(response["body"])))
    return found


def unwrapped(value: Any) -> Any:
    """The value without the envelopes around its objects."""
    if isinstance(value, dict):
        if value.keys() == {"__type__", "__data__"}:
            return unwrapped(value["__data__"])
        return {key: unwrapped(one) for key, one in value.items()}
    return [unwrapped(one) for one in value] if isinstance(value, list) else value
