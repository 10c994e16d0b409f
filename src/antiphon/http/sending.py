"""The ``send`` of one request: it adds what every reply has, and takes the short way where there is one."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from antiphon.http.peer import Scope, Send
from antiphon.http.protocol import RawHeaders, connection_of, header_lines

#: Replies that uvicorn sends without a body.
_BODILESS = frozenset({204, 304})


class Sending:
    """ASGI's ``send``, with the id of the request among the headers. ``status`` is that of the reply; 0 before it."""

    __slots__ = ("_id", "_send", "connection", "status")

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.connection = connection_of(scope)
        self._send = send
        self._id = request_id.encode()
        self.status = 0

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._id)]
        await self._send(message)

    def whole(self, status: int, headers: RawHeaders, body: bytes) -> bool:
        """A whole reply in one write. False when it must be sent instead, and nothing was done."""
        connection = self.connection
        if connection is None or status in _BODILESS or not connection.takes(self._send):
            return False
        self.status = status
        length = b"content-length: %d\r\n" % len(body)
        connection.reply(status, header_lines(headers) + length + b"x-request-id: %b\r\n" % self._id, body)
        return True

    def begin(self, status: int, headers: bytes) -> bool:
        """Begin a reply in chunks, to be written to the connection; ``headers`` are lines. False when it must be sent
        instead, and nothing was done."""
        connection = self.connection
        if connection is None or status in _BODILESS or not connection.takes(self._send):
            return False
        self.status = status
        connection.begin(status, headers + b"x-request-id: %b\r\n" % self._id)
        return True
