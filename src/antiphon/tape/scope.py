"""Whose call it is: the scope, a test or a session, in which repeats are counted and recordings are looked for.

A scope travels by a context variable; from another process by the header ``X-Antiphon-Scope``, by a path prefix
``/s/<scope>`` (a base URL can be set everywhere, a header not), or by the test id in the provider data of Llama Stack's
clients. The fault that a request asks for (``X-Antiphon-Fault``) travels with it, to the calls that are made for it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextvars import ContextVar
from typing import Any, TypeAlias
from urllib.parse import unquote

from antiphon.tape import faults
from antiphon.tape.model import NO_SCOPE
from antiphon.tape.refusal import BadFault

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
#: Makes the context in which a request of a scope is served.
Within: TypeAlias = Callable[[str], contextlib.AbstractContextManager[None]]

HEADER = b"x-antiphon-scope"
_PROVIDER_DATA = (b"x-ogx-provider-data", b"x-llamastack-provider-data")
_TEST_ID = "__test_id"
_PREFIX = b"/s/"

_FAULT = faults.HEADER.encode()

_current: ContextVar[str] = ContextVar("antiphon_tape_scope", default=NO_SCOPE)
_fault: ContextVar[str] = ContextVar("antiphon_tape_fault", default="")


def current() -> str:
    """The scope of this context."""
    return _current.get()


def fault() -> str:
    """The fault that was asked for, for the calls from within this context; empty for none."""
    return _fault.get()


@contextlib.contextmanager
def asking(text: str) -> Iterator[None]:
    """Calls from within this context meet this fault. Raises ``BadFault`` where it cannot be understood."""
    try:
        faults.parse_header(text)
    except faults.FaultError as wrong:
        raise BadFault(wrong) from wrong
    token = _fault.set(text)
    try:
        yield
    finally:
        _fault.reset(token)


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Calls from within this context belong to the scope ``name``."""
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


def from_headers(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The scope that the headers of a request name: ours first, then a test id of Llama Stack's clients."""
    found = NO_SCOPE
    for raw_name, value in headers:
        name = raw_name.lower()
        if name == HEADER:
            return _text(value).strip()
        if name in _PROVIDER_DATA:
            found = found or _test_id(value)
    return found


def from_path(raw_path: bytes) -> tuple[str, bytes]:
    """The scope that a path begins with, and the rest of the path; a slash inside a scope is written ``%2F``."""
    if not raw_path.startswith(_PREFIX):
        return NO_SCOPE, raw_path
    name, slash, rest = raw_path[len(_PREFIX) :].partition(b"/")
    if not slash or not name:
        return NO_SCOPE, raw_path
    return unquote(name.decode("latin-1")), slash + rest


def _text(value: bytes) -> str:
    """A header as text: UTF-8, which most clients send, else the older standard's Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _test_id(value: bytes) -> str:
    try:
        data = json.loads(value)
    except ValueError:  # somebody else's header: it is not ours to judge
        return NO_SCOPE
    name = data.get(_TEST_ID) if isinstance(data, dict) else None
    return name if isinstance(name, str) else NO_SCOPE


class ScopeMiddleware:
    """ASGI: takes the scope from the path or the headers of each request, and hands on the request without it.

    A fault that is asked for is kept for the calls of the request; a wrong one is refused with status 400.
    """

    def __init__(self, app: ASGIApp, within: Within = scope) -> None:
        """``within`` is ``Tape.within`` where ids and clock are to be frozen too."""
        self._app = app
        self._within = within

    async def __call__(self, scope_: Scope, receive: Receive, send: Send) -> None:
        if scope_["type"] not in ("http", "websocket"):
            await self._app(scope_, receive, send)
            return
        raw_path = scope_.get("raw_path") or scope_["path"].encode()
        name, rest = from_path(raw_path)
        if rest is not raw_path:
            scope_ = {**scope_, "raw_path": rest, "path": unquote(rest.decode("latin-1"))}
        name = name or from_headers(scope_["headers"])
        fault_ = next((value for key, value in scope_["headers"] if key.lower() == _FAULT), b"").decode("latin-1")
        with contextlib.ExitStack() as stack:
            try:
                if fault_:
                    stack.enter_context(asking(fault_))
            except BadFault as refusal:
                await _refuse(refusal, send)
                return
            if name:
                stack.enter_context(self._within(name))
            await self._app(scope_, receive, send)


async def _refuse(refusal: BadFault, send: Send) -> None:
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers]
    headers.append((b"content-length", str(len(refusal.body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})
