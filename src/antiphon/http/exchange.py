"""One HTTP request and its reply, with just what the endpoints need of both.

Starlette routes; the endpoints are plain ASGI behind this, because a request object and a response object a request
cost more than most of our answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from antiphon.errors import APIError, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from antiphon.http.peer import Peer, Receive, Scope, Send
from antiphon.http.protocol import RawHeaders, connection_of
from antiphon.http.sending import Sending
from antiphon.storage.model import DEFAULT_OWNER, Owner

_encode = msgspec.json.Encoder().encode
_JSON_TYPE = b"application/json"
_JSON: tuple[bytes, bytes] = (b"content-type", _JSON_TYPE)


class Exchange(Peer):
    """A request being answered, and its client: ``with exchange as peer:`` watches that."""

    __slots__ = ("_max_body", "_named", "_query", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
        Peer.__init__(self, send.connection if type(send) is Sending else connection_of(scope), receive)
        self.scope = scope
        self.send = send
        self._max_body = max_body_bytes
        self._named: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first of a name counts
        self._query: dict[str, list[str]] | None = None

    @property
    def owner(self) -> Owner:
        """Whose things this request may see."""
        return DEFAULT_OWNER

    @property
    def method(self) -> str:
        """In capitals."""
        return str(self.scope["method"])

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return str(self.scope["path_params"][name])

    def header(self, name: bytes) -> str | None:
        """The first header of this (lowercase) name."""
        value = self._named.get(name)
        return None if value is None else value.decode("latin-1")

    def headers(self) -> list[tuple[str, str]]:
        """All of them."""
        return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in self.scope["headers"]]

    # -- query

    def query(self, name: str) -> str | None:
        """The last value of a query parameter."""
        values = self.query_list(name)
        return values[-1] if values else None

    def query_list(self, name: str) -> list[str]:
        """All values of a query parameter, sent as ``name=`` or ``name[]=``."""
        if self._query is None:
            self._query = {}
            raw = self.scope["query_string"].decode("latin-1")
            for key, value in parse_qsl(raw, keep_blank_values=True):
                self._query.setdefault(key.removesuffix("[]"), []).append(value)
        return self._query.get(name, [])

    def query_int(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number between ``low`` and ``high``. Raises a 400 that names the parameter."""
        value = self.query(name)
        if value is None:
            return default
        number = int(value) if re.fullmatch(r"-?\d{1,18}", value, re.ASCII) else None
        if number is None or not low <= number <= high:
            raise InvalidRequest(
                f"Invalid value for '{name}': expected a whole number from {low} to {high}, got {value[:40]!r}.",
                param=name,
                code="invalid_value",
            )
        return number

    def query_flag(self, name: str) -> bool:
        """``true`` or ``false``; false when absent. Raises a 400 that names the parameter."""
        return bool(self.query_choice(name, {"true": True, "1": True, "false": False, "0": False}, default=False))

    def query_choice(self, name: str, choices: Mapping[str, Any], *, default: Any) -> Any:
        """One of a few words, and what it stands for. Raises a 400 that lists them."""
        value = self.query(name)
        if value is None:
            return default
        if value.lower() not in choices:
            known = ", ".join(f"'{choice}'" for choice in choices)
            raise InvalidRequest(
                f"Invalid value for '{name}': expected one of {known}, got {value[:40]!r}.",
                param=name,
                code="invalid_value",
            )
        return choices[value.lower()]

    # -- body

    async def body(self) -> bytes:
        """The whole body, which must be JSON by its media type. Raises 413 and 415."""
        self._check_described()
        here = self.connection.whole_body(self.receive) if self.connection is not None else None
        if here is not None:
            if len(here) > self._max_body:
                raise self._too_large()
            return here
        declared = self.header(b"content-length") or ""
        if declared.isdecimal() and int(declared) > self._max_body:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise self._too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    # -- reply

    async def reply(self, status: int, body: bytes, headers: RawHeaders = (_JSON,)) -> None:
        """A whole reply."""
        if type(self.send) is Sending and self.send.whole(status, headers, body):
            return
        length = (b"content-length", str(len(body)).encode())
        await self.send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await self.send({"type": "http.response.body", "body": body})

    async def json(self, value: Any, *, status: int = 200, headers: RawHeaders = ()) -> None:
        """A JSON reply; ``bytes`` are JSON already."""
        body = value if isinstance(value, bytes) else _encode(value)
        await self.reply(status, body, (_JSON, *headers))

    def _check_described(self) -> None:
        """What the headers say of the body. Raises 415."""
        media = self._named.get(b"content-type", _JSON_TYPE)
        if media != _JSON_TYPE and not _is_json(text := media.decode("latin-1")):
            raise UnsupportedMediaType(f"The body must be application/json, not {text[:100]!r}.")
        encoding = self._named.get(b"content-encoding")
        if encoding and encoding != b"identity":
            text = encoding.decode("latin-1")
            raise UnsupportedMediaType(f"Bodies in the encoding {text!r} are not read; send it plain.")

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The request body is over the limit of {self._max_body} bytes (server.max_body_bytes).")


class ClientGone(Exception):
    """The client hung up before its request was read: there is nobody to answer."""


async def send_error(send: Send, error: APIError) -> None:
    """An error as a whole reply."""
    body = _encode(error.body())
    headers = [_JSON, (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _is_json(media: str) -> bool:
    kind = media.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
