"""Events of a stream that differ in their text only.

A back end sends every token as the same JSON with another text in it. Once such an event was read, the next one that
begins and ends with the same bytes need not be parsed: what stands between is its text, provided that JSON writes this
text as it is. Which string of the first event was the text is not guessed but tried: with another string in its place,
the event must parse to the same chunk with that text.
"""

from __future__ import annotations

import msgspec

from antiphon.wire.chat import ChatChunk, only_text

_BEFORE, _AFTER = b"data: ", b"\n\n"
#: An event may say the same string in several places. So many are tried.
_PLACES = 4

_decode = msgspec.json.Decoder(ChatChunk).decode


class Alike:
    """What is around the text. ``like`` makes one. ``service_tier`` is what all these events name for it."""

    __slots__ = ("_after", "_before", "_end", "_start", "service_tier")

    def __init__(self, before: bytes, after: bytes, service_tier: str | None) -> None:
        self.service_tier = service_tier
        self._before = before
        self._after = after
        self._start = len(before)
        self._end = -len(after)

    def text(self, event: bytes) -> str | None:
        """The text of an event that is alike; None (or "") for any other, and for a text that must be parsed."""
        if not (event.startswith(self._before) and event.endswith(self._after)):
            return None
        try:
            text = event[self._start : self._end].decode()
        except UnicodeDecodeError:
            return None
        return text if _plain(text) else None


def like(event: bytes, chunk: ChatChunk) -> Alike | None:
    """What the next events may be alike to. ``event`` is a whole one that was parsed to ``chunk``, which says nothing
    but a text; None where that cannot be told by its place."""
    text = only_text(chunk)
    if not text or not _plain(text) or chunk.choices is None or chunk.choices[0].logprobs is not None:
        return None
    quoted = b'"%b"' % text.encode()
    at = -1
    for _ in range(_PLACES):
        at = event.find(quoted, at + 1)
        if at < 0:
            break
        before, after = event[: at + 1], event[at + len(quoted) - 1 :]
        if _is_text(before, after, text, chunk):
            return Alike(before, after, chunk.service_tier)
    return None


def _is_text(before: bytes, after: bytes, text: str, chunk: ChatChunk) -> bool:
    """Whether the string between the two is what the chunk takes for its text, and nothing else of it."""
    other = f"{text}?"
    try:
        tried = _decode((before + other.encode() + after)[len(_BEFORE) : -len(_AFTER)])
    except msgspec.MsgspecError:
        return False
    if only_text(tried) != other or tried.choices is None or tried.choices[0].delta is None:
        return False
    tried.choices[0].delta.content = text
    return tried == chunk


def _plain(text: str) -> bool:
    """JSON writes it as it is: nothing escaped, and nothing that would have to be."""
    return text.isprintable() and '"' not in text and "\\" not in text
