"""Chat requests that ask the same thing, in one form.

Clients, servers and years differ in how they write down the same request; a recording must be found all the same.
``canonical`` brings a request into the one form that these equivalences leave (its own canonical form is itself):

==============================================  =====================================================
written as                                      the same as
==============================================  =====================================================
a null field of request, message, tool          the field is absent
a documented default (``DEFAULTS``)             the field is absent
``stream_options``                              absent: it changes the last chunk, not the answer
content null or ``""`` beside tool calls        content is absent
content that is a list of one text part         the string
``detail: "auto"`` of an image                  absent
``index`` in a tool call                        absent
a tool call without ``type``                    ``type: "function"``
a ``type`` inside ``function`` of a tool        absent
``strict: false``                               absent
``parameters: {}`` of a function                absent
call ids                                        ``call_0``, ``call_1``, ... in order of appearance
``1.0``                                         ``1``
the order of keys                               any
==============================================  =====================================================

JSON schemas, argument strings and texts are compared as they are, but for numbers: a null in a schema means something.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from typing import Any

from antiphon.tape.canon.values import Defaults, numbers, spare

Request = dict[str, Any]

#: Top-level fields and the values that mean the same as leaving them out.
DEFAULTS: Defaults = {
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "metadata": ({},),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "stop": ([],),
    "store": (False,),
    "stream": (False,),
    "temperature": (1,),
    "tools": ([],),
    "top_logprobs": (0,),
    "top_p": (1,),
    "verbosity": ("medium",),
}
#: Fields that do not change the answer.
IGNORED = frozenset({"stream_options"})
#: The same for the parts of a request, by place.
_MESSAGE_DEFAULTS: Defaults = {"tool_calls": ([],), "annotations": ([],)}
_FUNCTION_DEFAULTS: Defaults = {"strict": (False,), "parameters": ({},), "type": ("function",)}
_SCHEMA_DEFAULTS: Defaults = {"strict": (False,)}
_IMAGE_DEFAULTS: Defaults = {"detail": ("auto",)}


def canonical(request: Request) -> Request:
    """The canonical form of a chat request; the request itself is left alone."""
    return tidy(numbers(request))[0]


def canonical_key(request: Request) -> str:
    """The sha256, in hex, of the canonical form."""
    form = json.dumps(canonical(request), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(form.encode("utf-8", "surrogatepass")).hexdigest()


def tidy(request: Request) -> tuple[Request, dict[str, str], frozenset[str]]:
    """The canonical form of a request whose numbers are folded, the name of each call id in it, and all these names.

    An id that was used for several calls has the name of the first.
    """
    ids = _CallIds()
    plain: Request = {key: value for key, value in request.items() if key not in IGNORED}
    if isinstance(plain.get("messages"), list):
        plain["messages"] = [_message(one, ids) if isinstance(one, dict) else one for one in plain["messages"]]
    if isinstance(plain.get("tools"), list):
        plain["tools"] = [_tool(tool) for tool in plain["tools"]]
    if isinstance(plain.get("response_format"), dict):
        plain["response_format"] = _response_format(plain["response_format"])
    plain = spare(plain, DEFAULTS)
    # What a model does by itself depends on there being tools.
    plain = spare(plain, {"tool_choice": ("auto",) if "tools" in plain else ("none", "auto")})
    return plain, ids.first, ids.names


class _CallIds:
    """Gives each call a name by its order, and each result the name of the call it answers.

    An id that appears again is a new call: some back ends count from zero in every answer.
    """

    def __init__(self) -> None:
        self.first: dict[str, str] = {}
        self._count = 0
        self._waiting: defaultdict[str, deque[str]] = defaultdict(deque)
        self._last: dict[str, str] = {}

    @property
    def names(self) -> frozenset[str]:
        """Every name that was given."""
        return frozenset(f"call_{n}" for n in range(self._count))

    def call(self, raw: Any) -> str:
        name = self._next(raw)
        self._waiting[str(raw)].append(name)
        return name

    def result(self, raw: Any) -> str:
        if waiting := self._waiting[str(raw)]:
            return waiting.popleft()
        return self._last.get(str(raw)) or self._next(raw)

    def _next(self, raw: Any) -> str:
        name = f"call_{self._count}"
        self._count += 1
        self._last[str(raw)] = name
        self.first.setdefault(str(raw), name)
        return name


def _message(message: dict[str, Any], ids: _CallIds) -> dict[str, Any]:
    plain = spare(message, _MESSAGE_DEFAULTS)
    if isinstance(plain.get("content"), list):
        plain["content"] = _content(plain["content"])
    if isinstance(plain.get("tool_calls"), list):
        plain["tool_calls"] = [_call(call, ids) for call in plain["tool_calls"]]
        if plain.get("content") == "":
            del plain["content"]
    if "tool_call_id" in plain:
        plain["tool_call_id"] = ids.result(plain["tool_call_id"])
    return plain


def _content(parts: list[Any]) -> str | list[Any]:
    parts = [_part(part) if isinstance(part, dict) else part for part in parts]
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        text = parts[0]["text"]
        return text if isinstance(text, str) and parts[0]["type"] == "text" else parts
    return parts


def _part(part: dict[str, Any]) -> dict[str, Any]:
    plain = spare(part, {})
    if isinstance(plain.get("image_url"), dict):
        plain["image_url"] = spare(plain["image_url"], _IMAGE_DEFAULTS)
    return plain


def _call(call: Any, ids: _CallIds) -> Any:
    if not isinstance(call, dict):
        return call
    plain = {"type": "function", **spare(call, {})}
    plain.pop("index", None)
    if "id" in plain:
        plain["id"] = ids.call(plain["id"])
    if isinstance(plain.get("function"), dict):
        plain["function"] = spare(plain["function"], {})
    return plain


def _tool(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    plain = spare(tool, {})
    if isinstance(plain.get("function"), dict):
        plain["function"] = spare(plain["function"], _FUNCTION_DEFAULTS)
    return plain


def _response_format(form: dict[str, Any]) -> dict[str, Any]:
    plain = spare(form, {})
    if isinstance(plain.get("json_schema"), dict):
        plain["json_schema"] = spare(plain["json_schema"], _SCHEMA_DEFAULTS)
    return plain
