"""Ids that only need to correspond, under the names ``<id:1>``, ``<id:2>``, ... in order of appearance.

Which ids those are depends on who wrote the text, its voice. A request to a model repeats what the model said before,
what tools gave back, and what it was given otherwise: instructions, questions, tools.

- UUIDs, with and without dashes, are renamed in every voice.
- Wire ids (``call_...``, ``file-...``, ``resp_...``) are renamed where a field holds them, and in every text then.
- In what tools gave back, whatever looks drawn at random is renamed too: words of hex digits, and the values of fields
  named like ids, JSON within strings included. What a question or the model wrote out before stays, since there it is
  what is talked about.

What the model says is named apart from what it is shown: when a recording is played to tools that draw new ids, the
model still repeats the old ones, and the request must stay the same. Two ids of one voice are never made one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import msgspec

Voice: TypeAlias = Literal["given", "said", "seen"]

_ROLES: dict[Any, Voice] = {"assistant": "said", "model": "said", "tool": "seen", "function": "seen"}
#: Blocks and items by the end of their type.
_KINDS: tuple[tuple[str, Voice], ...] = (
    ("_output", "seen"),
    ("tool_result", "seen"),
    ("_call", "said"),
    ("tool_use", "said"),
    ("reasoning", "said"),
)
_FIELDS: dict[str, Voice] = {"functionResponse": "seen", "function_response": "seen"}
#: Whatever these hold names a call.
_LINKS = frozenset({"call_id", "tool_call_id", "tool_use_id", "approval_request_id"})
#: These hold no text, or an id that is the question.
_LEFT = frozenset({"model", "role", "type", "encrypted_content", "signature", "thought_signature", "thoughtSignature"})
#: What is asked first is read first, wherever its name stands in the alphabet.
_FIRST = ("instructions", "system", "systemInstruction", "system_instruction")

_WIRE = re.compile(
    r"((?:call|toolcall|toolu|srvtoolu|chatcmpl|cmpl|resp|msg|rs|fc|fco|ctc|ctco|file|vs)[-_])[0-9A-Za-z_-]+"
    # These are words of other things too.
    r"|((?:batch|ci|cntr|conv|cu|fs|ig|item|mcp|mcpa|mcpl|mcpr|rec|req|run|step|thread|ws)[-_])"
    r"(?=[A-Za-z_-]*[0-9])[0-9A-Za-z_-]{6,}"
)
# The first digit stands before the look back: so the scan goes from digit to digit and not from place to place.
_HEX = re.compile(
    r"[0-9a-fA-F](?<![0-9A-Za-z](?s:.))"
    r"(?:[0-9a-fA-F]{7}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{7,47})(?![0-9A-Za-z])"
)
# Most texts hold no eight hex digits in a row, and that is seen five times faster so than by looking for them.
_DIGITS = bytes(ord("h") if chr(byte) in "0123456789abcdefABCDEF" else ord(" ") for byte in range(256))
_RUN = b"h" * 8
#: All but letters and digits is a blank.
_BLANKS = bytes(byte if chr(byte).isalnum() and byte < 128 else ord(" ") for byte in range(256))
_UUID_HEX = re.compile(r"[0-9a-fA-F]{12}[1-8][0-9a-fA-F]{3}[89abAB][0-9a-fA-F]{15}")
_WORD = re.compile(r"[0-9A-Za-z]{8,}")
#: A field named like an id in JSON within a string, once or more often quoted.
_FIELD = re.compile(r"""[iI][dD]s?\\*"\s*:\s*\\*"([0-9A-Za-z_.:-]{8,80})\\*\"""")
_EXPONENT = re.compile(r"[0-9]+[eE][0-9]*")
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_SHA1 = 40
#: No id is shorter, but for those of calls.
_SHORTEST = 6
_NESTED = frozenset({dict, list})
#: A text that long without a blank at its beginning is data.
_OPAQUE = 4096
_MARK = "<id:"


def renamed(value: Any, names: dict[str, str] | None = None, done: frozenset[str] = frozenset()) -> Any:
    """The value with its ids renamed.

    ``names`` are ids that have been given a name in their fields already, ``done`` are the names that stand there.
    """
    ids = _Ids(names or {}, done)
    ids.collect(value)
    some = ids.held or _perhaps(value)
    if not isinstance(value, dict):
        return ids.walk(value, "given") if some else value
    first = {key: ids.walk(value[key], "given") if some else value[key] for key in _FIRST if key in value}
    rest = {key: value[key] for key in sorted(value) if key not in first}
    return first | (ids.fields(rest, "given") if some else rest)


def _perhaps(value: Any) -> bool:
    """Whether a text may hold an id where no field does. Most requests have none, and need not be walked through."""
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair
        return True
    return _RUN in data.translate(_DIGITS) or b'\\"' in data


class _Ids:
    def __init__(self, names: dict[str, str], done: frozenset[str]) -> None:
        #: Ids as they stand, and their names: of what the model said, and of all else.
        self._said: dict[str, str] = dict(names)
        self._seen: dict[str, str] = dict(names)
        self._done = done
        self._count = 0
        #: Whether any field holds an id.
        self.held = bool(names)
        #: The ids that fields of the API hold, and how those begin that may stand in texts.
        self._wire: set[str] = set()
        self._marks: set[str] = set()
        for raw in names:
            self._learn(raw)
        #: Words that fields named like ids hold, of hex digits and others, and words that stay.
        self._minted: set[str] = set()
        self._odd: set[str] = set()
        self._fixed: set[bytes] = set()
        #: Texts whose words stay, not looked through yet.
        self._told: list[str] = []
        self._voice: Voice = "given"

    def collect(self, value: Any) -> None:
        """Learn the wire ids that fields hold, since a text may name one before."""
        waiting = [value] if isinstance(value, (dict, list)) else []
        while waiting:
            one: Any = waiting.pop()
            if type(one) is list:
                waiting += [inner for inner in one if type(inner) in _NESTED]
                continue
            for key, inner in one.items():
                kind = type(inner)
                if kind is str:
                    if key in _LINKS:
                        self._wire.add(inner)
                        self.held = True
                    if _names_ids(key):
                        self._learn(inner)
                        self.held = True
                elif kind in _NESTED:
                    waiting.append(inner)
                    if _names_ids(key):
                        self.held = True
                        for raw in inner:
                            self._learn(raw)

    def _learn(self, raw: Any) -> None:
        if isinstance(raw, str) and (found := _WIRE.fullmatch(raw)):
            self._marks.add(found[1] or found[2])
            self._wire.add(raw)

    def walk(self, value: Any, voice: Voice) -> Any:
        """A value with the ids in it renamed, in order of its keys."""
        if isinstance(value, dict):
            return self.fields(value, _voice(value, voice))
        if isinstance(value, list):
            return [self.walk(one, voice) for one in value]
        return self._text(value, voice) if isinstance(value, str) else value

    def fields(self, value: dict[str, Any], voice: Voice) -> dict[str, Any]:
        """The fields of an object, each with the ids in it renamed."""
        out = {}
        for key in sorted(value):
            one = value[key]
            if not isinstance(one, str):
                out[key] = self.walk(one, _FIELDS.get(key, voice))
            elif _names_ids(key):
                out[key] = self._id(one, voice)
            else:
                out[key] = one if len(one) < _SHORTEST or key in _LEFT else self._text(one, voice)
        return out

    def _id(self, text: str, voice: Voice) -> str:
        """What a field named like an id holds."""
        if text in self._done or text.startswith(_MARK):
            return text
        if text in self._wire:
            return self._name(text, voice)
        if voice == "seen":
            self._mind(text)
        return self._text(text, voice)

    def _text(self, text: str, voice: Voice) -> str:
        if len(text) < _SHORTEST or (len(text) > _OPAQUE and " " not in text[:_OPAQUE]):
            return text
        self._voice = voice
        if voice == "seen" and '"' in text:
            for found in _FIELD.finditer(text):
                self._mind(found[1])
        # In one order: which id is met first decides its name.
        for mark in sorted(self._marks):
            if mark in text:
                text = _tokens(mark).sub(self._known, text)
        if _RUN in text.encode("utf-8", "surrogatepass").translate(_DIGITS):
            text = _HEX.sub(self._hex, text)
        if self._odd and voice != "said":
            text = _WORD.sub(self._word, text)
        if voice != "seen":
            self._told.append(text)
        return text

    def _stays(self, raw: str) -> bool:
        """Whether a question or the model wrote this word out before. Few requests ever ask."""
        for text in self._told:
            self._fixed.update(_words(text))
        self._told.clear()
        return raw.encode("ascii") in self._fixed

    def _mind(self, value: str) -> None:
        """A field named like an id holds this: what of it looks drawn at random is an id from now on."""
        run = max(re.split(r"[^0-9A-Za-z]", value), key=len)
        if _is_odd(run):
            (self._minted if _HEX.fullmatch(run) else self._odd).add(run)

    def _known(self, found: re.Match[str]) -> str:
        return self._name(found[0], self._voice) if found[0] in self._wire else found[0]

    def _word(self, found: re.Match[str]) -> str:
        raw = found[0]
        return self._name(raw, self._voice) if raw in self._odd and not self._stays(raw) else raw

    def _hex(self, found: re.Match[str]) -> str:
        raw = found[0]
        if "-" in raw or _UUID_HEX.fullmatch(raw):
            return self._name(raw.replace("-", "").lower(), self._voice)
        if self._voice == "said" or self._stays(raw):
            return raw
        if raw in self._seen or raw in self._minted or (self._voice == "seen" and _is_mixed(raw)):
            return self._name(raw, self._voice)
        return raw

    def _name(self, raw: str, voice: Voice) -> str:
        known = self._said.get(raw) or (self._seen.get(raw) if voice != "said" else None)
        if known is None:
            self._count += 1
            known = f"{_MARK}{self._count}>"
            (self._said if voice == "said" else self._seen)[raw] = known
        return known


def _voice(value: dict[str, Any], voice: Voice) -> Voice:
    role, kind = value.get("role"), value.get("type")
    if isinstance(role, str):
        return _ROLES.get(role, "given")
    return (_kind(kind) or voice) if isinstance(kind, str) else voice


@lru_cache(maxsize=1024)
def _kind(kind: str) -> Voice | None:
    return next((named for end, named in _KINDS if kind.endswith(end)), None)


@lru_cache(maxsize=4096)
def _names_ids(key: str) -> bool:
    return key in ("id", "ids", "container", "conversation") or key.endswith(("_id", "_ids", "Id", "Ids", "ID", "uuid"))


@lru_cache(maxsize=256)
def _tokens(mark: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9A-Za-z]){re.escape(mark)}[0-9A-Za-z_-]+")


def _words(text: str) -> list[bytes]:
    """The words of a text that are long enough for an id."""
    return [word for word in text.encode("ascii", "replace").translate(_BLANKS).split() if len(word) >= 8]


def _is_mixed(run: str) -> bool:
    """Digits and letters, and not a number or the digest of some content."""
    if run.isdigit() or not any(map(str.isdigit, run)) or len(run) == _SHA1:
        return False
    return not _EXPONENT.fullmatch(run)


def _is_odd(run: str) -> bool:
    """Whether the value of a field named like an id looks drawn at random."""
    if _HEX.fullmatch(run):
        return not _DATE.fullmatch(run)
    digits = sum(map(str.isdigit, run))
    return 10 <= len(run) <= 64 and digits >= 2 and len(run) - digits >= 2 and run.isascii() and run.isalnum()
