"""Which fault befalls a call. Nothing is left to chance: calls are counted, each scope by itself."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from antiphon.tape.faults.fault import Fault
from antiphon.tape.faults.filter import Filter
from antiphon.tape.faults.parse import parse_header
from antiphon.tape.model import (
    Call,
    Exchange,
    HttpCall,
    HttpRequest,
    HttpResponse,
    ToolCall,
    ToolFailure,
    ToolRequest,
    ToolResponse,
)

#: Names a fault for one call: ``X-Antiphon-Fault: cut=after_event:5,how:reset``. It is not for the other side.
HEADER = "x-antiphon-fault"

#: Different headers whose calls are counted; beyond that the oldest begins anew.
_HEADERS = 1000

_encode = msgspec.json.Encoder().encode
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

Picked: TypeAlias = "Exchange | Filter | None"


class Faults:
    """The faults in force, and how often each was due. Safe to use from several threads."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(faults)
        self._lock = threading.Lock()
        self._counts = [_Count() for _ in self.faults]
        self._headers: dict[str, tuple[Fault, _Count]] = {}

    def pick(self, call: Call, scope: str, header: str = "") -> Picked:
        """What befalls this call: a made-up exchange to answer with, a filter for its body, or nothing.

        Of the faults that fit and are due the first one counts. ``header`` is the value of ``HEADER``, where it is not
        among the headers of the call; its fault comes before the others. Raises ``FaultError`` for one that is wrong.
        """
        header = header or _header(call)
        if not header and not self.faults:
            return None
        model = _model(call)
        with self._lock:
            known = list(zip(self.faults, self._counts, strict=True))
            if header:
                known.insert(0, self._of_header(header))
            # All that fit are counted, also behind the one that is taken: the third call is the third call.
            due = [
                (fault, count) for fault, count in known if _fits(fault, call, scope, model) and count.due(fault, scope)
            ]
            if not due:
                return None
            fault, count = due[0]
            count.taken[scope] += 1
        return _effect(fault, call, scope)

    def reset(self, scope: str | None = None) -> None:
        """Begin to count anew, for one scope or for all."""
        with self._lock:
            for count in [*self._counts, *(count for _, count in self._headers.values())]:
                count.reset(scope)

    def _of_header(self, text: str) -> tuple[Fault, _Count]:
        found = self._headers.get(text)
        if found is None:
            if len(self._headers) >= _HEADERS:
                del self._headers[next(iter(self._headers))]
            found = self._headers[text] = (parse_header(text), _Count())
        return found


class _Count:
    """How many calls of each scope fitted one fault, and how many it took."""

    __slots__ = ("seen", "taken")

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()

    def due(self, fault: Fault, scope: str) -> bool:
        """Counts a call that fits; whether the fault is for it."""
        self.seen[scope] += 1
        if fault.nth and self.seen[scope] not in fault.nth:
            return False
        return fault.times is None or self.taken[scope] < fault.times

    def reset(self, scope: str | None) -> None:
        for counter in (self.seen, self.taken):
            if scope is None:
                counter.clear()
            else:
                counter.pop(scope, None)


def _header(call: Call) -> str:
    if isinstance(call, HttpCall):
        return next((value for name, value in call.headers if name.lower() == HEADER), "")
    return ""


class _Asked(msgspec.Struct):
    model: str = ""


def _model(call: Call) -> str:
    """The model of a JSON body; nothing when there is none, or when the body is spooled to a file."""
    if isinstance(call, HttpCall) and isinstance(call.body, bytes) and b'"model"' in call.body:
        try:
            return msgspec.json.decode(call.body, type=_Asked).model
        except msgspec.MsgspecError:
            return ""  # not such a body: no fault that names a model fits it
    return ""


def _fits(fault: Fault, call: Call, scope: str, model: str) -> bool:
    if fault.on_tools != isinstance(call, ToolCall):
        return False
    if fault.boundary is not None and fault.boundary != call.boundary:
        return False
    path = urlsplit(call.url).path if isinstance(call, HttpCall) else ""
    tool = call.tool if isinstance(call, ToolCall) else ""
    wanted = (
        (fault.provider, call.provider),
        (fault.scope, scope),
        (fault.path, path),
        (fault.model, model),
        (fault.tool, tool),
    )
    return all(pattern is None or fnmatchcase(value, pattern) for pattern, value in wanted)


def _effect(fault: Fault, call: Call, scope: str) -> Exchange | Filter:
    if isinstance(call, ToolCall):
        response = ToolResponse(error=_failure(fault, call))
        return Exchange(ToolRequest(call.provider, call.tool), response, call.boundary, call.provider, scope)
    if fault.status is None:
        return Filter(fault)
    request = HttpRequest(call.method, urlsplit(call.url).path)
    return Exchange(request, _refusal(fault, fault.status), call.boundary, call.provider, scope)


def _refusal(fault: Fault, status: int) -> HttpResponse:
    """An error in OpenAI's form."""
    message = fault.message or f"A fault that was asked for answers this call with status {status}."
    kind = _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    body = _encode({"error": {"message": message, "type": kind, "param": None, "code": "injected_fault"}})
    headers = [("content-type", "application/json")]
    if fault.retry_after is not None:
        headers.append(("retry-after", f"{fault.retry_after:g}"))
    return HttpResponse(status, tuple(headers), (body,))


def _failure(fault: Fault, call: ToolCall) -> ToolFailure:
    if fault.tool_timeout:
        return ToolFailure(
            "TimeoutError", f"The tool {call.tool} took too long: a fault that was asked for.", timeout=True
        )
    return ToolFailure("ToolError", fault.tool_error or "")
