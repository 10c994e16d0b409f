"""The control endpoints, JSON below ``/_tape/``: modes, scopes, misses, statistics, variables and faults.

| Request | Body | Answer |
| --- | --- | --- |
| ``GET mode`` | | ``{"mode", "modes": {boundary: mode}}`` |
| ``PUT mode`` | ``{"mode", "boundary"?}`` | the same |
| ``GET scopes`` | | ``{"scopes": [{"scope", counts}]}`` |
| ``POST scopes/start`` | ``{"scope"}`` | repeats are counted from the first again |
| ``POST scopes/stop`` | ``{"scope"}`` | what its run did: counts, misses, unplayed; its counters are reset |
| ``GET misses`` | ``?scope=`` | ``{"misses": [...]}`` |
| ``GET stats`` | ``?scope=`` | counts, drifts, refusals |
| ``POST vars`` | ``{"name", "value"?, "scope"?}`` | ``{"value"}``: the recorded one on replay, else the given |
| ``GET``, ``PUT``, ``DELETE faults`` | a list of faults | ``{"faults": [...]}`` |

The scope of a request, by prefix or header, stands in for ``"scope"``. They change what a test sees, so they answer
only to this machine, and not to a web page that happens to be open on it; or, wherever it comes from, to a token.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from antiphon.tape import faults
from antiphon.tape import scope as scopes
from antiphon.tape.engine import Tape
from antiphon.tape.model import BOUNDARIES, MODES, Boundary, Json, Mode
from antiphon.tape.proxy.body import HungUp, read_whole
from antiphon.tape.proxy.relay import Answer
from antiphon.tape.scope import ASGIApp, Receive, Scope, Send

_encode = msgspec.json.Encoder(order="sorted").encode

PREFIX = "/_tape/"
_PORT = re.compile(r":\d+$")
#: The longest body that a control endpoint reads. Bytes.
_LIMIT = 1 << 20
#: Headers of something between us and the client: the address we see is not the client's.
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})


class Asked(msgspec.Struct):
    """A control request. ``body`` is its JSON, None when it has none."""

    query: Mapping[str, str]
    body: Json

    @property
    def scope(self) -> str:
        """The scope that is meant: named in the request, else the one that the request belongs to."""
        named = self.field("scope", str, None) if isinstance(self.body, dict) else None
        return str(named if named is not None else self.query.get("scope", scopes.current()))

    def field(self, name: str, kind: type, default: Json = ...) -> Json:
        """A field of the body. Raises ``Answer``."""
        value = self.body.get(name, default) if isinstance(self.body, dict) else default
        if value is ... or (value is not default and not isinstance(value, kind)):
            raise Answer.error(400, "invalid_value", f"The body must be a JSON object with a {kind.__name__} '{name}'.")
        return value


Handler = Callable[[Asked], Json]


def control(tape: Tape, *, token: str | None = None, closed: str = "") -> ASGIApp:
    """The control endpoints of a tape, to be mounted at ``/_tape``.

    Without a ``token`` they answer to loopback clients only, and to nobody where ``closed`` says why; with one, to
    ``Authorization: Bearer TOKEN`` or ``X-Antiphon-Token: TOKEN``.
    """
    table = _Control(tape).table()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            _admit(scope, token, closed)
            handler = _route(scope, table)
            answer = Answer(200, _encode(handler(await _asked(scope, receive))))
        except Answer as refused:
            answer = refused
        except HungUp:
            return
        await answer.send(send)

    return app


class _Control:
    """The endpoints as plain functions from what was asked to what is answered."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def table(self) -> dict[str, dict[str, Handler]]:
        """Path, method, handler."""
        return {
            "mode": {"GET": self.mode, "PUT": self.set_mode},
            "scopes": {"GET": self.scopes},
            "scopes/start": {"POST": self.start},
            "scopes/stop": {"POST": self.stop},
            "misses": {"GET": self.misses},
            "stats": {"GET": self.stats},
            "vars": {"POST": self.var},
            "faults": {"GET": self.faults, "PUT": self.set_faults, "DELETE": self.clear_faults},
        }

    def mode(self, asked: Asked) -> Json:
        modes = {boundary: self._tape.mode_of(boundary) for boundary in BOUNDARIES}
        return {"mode": modes["inference"], "modes": modes}

    def set_mode(self, asked: Asked) -> Json:
        mode: Mode = _one_of("mode", asked.field("mode", str), MODES)
        boundary: str | None = asked.field("boundary", str, None)
        of: Boundary | None = None if boundary is None else _one_of("boundary", boundary, BOUNDARIES)
        self._tape.set_mode(mode, of)
        return self.mode(asked)

    def scopes(self, asked: Asked) -> Json:
        self._tape.flush()  # so that what has been heard is counted
        return {"scopes": [{"scope": name, **_plain(count)} for name, count in sorted(self._tape.scopes.items())]}

    def start(self, asked: Asked) -> Json:
        self._tape.start(asked.scope)
        return {"scope": asked.scope}

    def stop(self, asked: Asked) -> Json:
        self._tape.flush()
        scope = asked.scope
        report = {
            "scope": scope,
            **_plain(self._tape.stats(scope)),
            "unplayed": self._tape.unplayed(scope),
            "reports": [miss.report for miss in self._tape.misses if miss.scope == scope],
        }
        self._tape.start(scope)
        return report

    def misses(self, asked: Asked) -> Json:
        one = asked.query.get("scope", scopes.current() or None)
        return {"misses": [_plain(miss) for miss in self._tape.misses if one is None or miss.scope == one]}

    def stats(self, asked: Asked) -> Json:
        self._tape.flush()
        one = asked.query.get("scope", scopes.current() or None)
        drifts = [drift for drift in self._tape.drifts if one is None or drift.scope == one]
        return {**_plain(self._tape.stats(one)), "drifts": _plain(drifts), "refused": self._tape.refused}

    def var(self, asked: Asked) -> Json:
        name = asked.field("name", str)
        try:
            return {"value": self._tape.var(name, lambda: asked.field("value", object), scope=asked.scope)}
        except LookupError as unknown:
            raise Answer.error(404, "variable_unknown", str(unknown.args[0])) from unknown

    def faults(self, asked: Asked) -> Json:
        found = self._tape.faults
        return {"faults": [] if found is None else [_plain(fault) for fault in found.faults]}

    def set_faults(self, asked: Asked) -> Json:
        try:
            wanted = faults.parse(asked.body)
        except faults.FaultError as wrong:
            raise Answer.error(400, "invalid_fault", str(wrong)) from wrong
        self._tape.faults = faults.Faults(wanted)
        return self.faults(asked)

    def clear_faults(self, asked: Asked) -> Json:
        self._tape.faults = faults.Faults()  # a header may still ask for one
        return self.faults(asked)


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, str_keys=True)


def _one_of(name: str, value: str, words: tuple[Any, ...]) -> Any:
    if value not in words:
        raise Answer.error(400, "invalid_value", f"'{name}' must be one of {', '.join(words)}, not '{value[:40]}'.")
    return value


def _route(scope: Scope, table: Mapping[str, Mapping[str, Handler]]) -> Handler:
    name = str(scope["path"]).rpartition(PREFIX)[2].strip("/")
    methods = table.get(name)
    if methods is None:
        known = ", ".join(sorted(table))
        raise Answer.error(404, "unknown_url", f"There is no '/_tape/{name[:60]}'; there are: {known}.")
    handler = methods.get(scope["method"])
    if handler is None:
        raise Answer.error(405, "method_not_allowed", f"'/_tape/{name}' takes {', '.join(sorted(methods))}.")
    return handler


async def _asked(scope: Scope, receive: Receive) -> Asked:
    body = await read_whole(receive, _LIMIT)
    if body is None:
        raise Answer.error(413, "too_large", f"The body is over {_LIMIT} bytes.")
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
    try:
        return Asked(query, msgspec.json.decode(body) if body.strip() else None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise Answer.error(400, "invalid_json", f"The body is not JSON: {wrong}") from wrong


# -- who may


def _admit(scope: Scope, token: str | None, closed: str) -> None:
    """Raises ``Answer`` for who may not."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if token is not None:
        scheme, _, bearer = headers.get(b"authorization", b"").partition(b" ")
        bearer = bearer if scheme.lower() == b"bearer" else b""
        if any(hmac.compare_digest(sent, token.encode()) for sent in (bearer, headers.get(b"x-antiphon-token", b""))):
            return
        raise _forbidden("who sends its token: 'Authorization: Bearer TOKEN'")
    if closed:
        raise Answer.error(403, "not_allowed", closed)
    client = scope.get("client")
    near = client is None or _is_loopback(client[0])  # None: a Unix socket
    if not near or _FORWARDED & headers.keys():
        raise _forbidden("this machine only, unless a token is set")
    # A page of the web may call us through the user's browser: it says so in Origin, or has a name of its own for us.
    host = _PORT.sub("", headers.get(b"host", b"localhost").decode("latin-1"))
    if b"origin" in headers or not _is_loopback(host):
        raise _forbidden("programs, and not to web pages, unless a token is set")


def _forbidden(whom: str) -> Answer:
    return Answer.error(403, "not_allowed", f"The control endpoints of this tape answer to {whom}.")


def _is_loopback(host: str) -> bool:
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
