"""A freeform tool over a model that knows only functions: the text inside ``{"input": "..."}``, as it is written.

The tool is offered as a function with one string property, ``input``. The model's arguments are therefore a JSON string
inside an object, and the text of the call can be streamed while the JSON is still being written.
"""

from __future__ import annotations

import re

import msgspec

_BEFORE = re.compile(r'\s*\{\s*"input"\s*:\s*"')
#: Longest beginning worth waiting for; a model that pads more is read at the end instead.
_MAX_BEFORE = 256

#: One token of a JSON string: plain text, its end, a ``\u`` escape, or any other escape. The fifth alternative is a
#: ``\u`` without its digits, which is not JSON and is taken literally. What matches none was cut in the middle.
_TOKEN = re.compile(r'([^"\\]+)|(")|\\u([0-9a-fA-F]{4})|\\([^u])|(\\u)(?=[0-9a-fA-F]{0,3}[^0-9a-fA-F])', re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LONE = "\ufffd"


class FreeformInput:
    """``feed`` pieces of the arguments and get pieces of the text; ``flush`` gives what only the end can tell.

    However the arguments are cut, the pieces add up to the same text.
    """

    __slots__ = ("_ended", "_held", "_high", "_inside", "_raw")

    def __init__(self) -> None:
        self._raw: list[str] = []
        """Everything so far, until the string has begun."""
        self._held = ""
        """The beginning of something that the stream has cut in the middle."""
        self._high = 0
        """The first half of a surrogate pair, or 0."""
        self._inside = False
        self._ended = False

    def feed(self, piece: str) -> str:
        """The text that is certain after this piece of JSON."""
        if self._ended:
            return ""
        if self._inside:
            return self._text(self._held + piece)
        self._raw.append(piece)
        if len(self._held) > _MAX_BEFORE:
            return ""
        self._held += piece
        return self._enter(self._held)

    def flush(self) -> str:
        """What never looked like ``{"input": "``: the one string of the object, or else everything as it came."""
        if self._inside:
            return ""
        raw = "".join(self._raw)
        text = self._enter(raw)
        return text if self._inside else _one_string(raw)

    def _enter(self, beginning: str) -> str:
        """The text after the beginning, if that is what it is."""
        before = _BEFORE.match(beginning)
        if before is None:
            return ""
        self._inside = True
        self._raw.clear()
        return self._text(beginning[before.end() :])

    def _text(self, json: str) -> str:
        out: list[str] = []
        at = 0
        while token := _TOKEN.match(json, at):
            at = token.end()
            plain, end, code, escaped, literal = token.groups()
            if code is not None:
                out.append(self._unit(int(code, 16)))
                continue
            if self._high:
                out.append(self._alone())
            if end:
                self._ended = True
                break
            out.append(plain or literal or _ESCAPES.get(escaped, "\\" + (escaped or "")))
        self._held = json[at:]
        return "".join(out)

    def _unit(self, code: int) -> str:
        """One UTF-16 unit. The first half of a pair waits for the other; a half without its other is no character."""
        if 0xDC00 <= code < 0xE000:
            if not self._high:
                return _LONE
            high, self._high = self._high, 0
            return chr(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00))
        alone = self._alone() if self._high else ""
        if 0xD800 <= code < 0xDC00:
            self._high = code
            return alone
        return alone + chr(code)

    def _alone(self) -> str:
        self._high = 0
        return _LONE


def _one_string(raw: str) -> str:
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return raw
    if isinstance(value, dict):
        value = value.get("input", next(iter(value.values())) if len(value) == 1 else None)
    return value if isinstance(value, str) else raw
