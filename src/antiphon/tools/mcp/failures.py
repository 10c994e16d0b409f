"""What can go wrong with a server, in the three forms of ``mcp_call.error`` and in words for the model. Pure."""

from __future__ import annotations

from typing import Any, Literal

Kind = Literal["mcp_protocol_error", "http_error"]

# JSON-RPC's and MCP's numbers, so that this file needs no package that has them.
CONNECTION_CLOSED = -32000
REQUEST_TIMEOUT = -32001
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
PARSE_ERROR = -32700

#: Stands for the status that never came.
NO_ANSWER = 502

_LONGEST = 2000


class Failed(Exception):
    """A call or a listing came to nothing. ``message`` is the server's own, or a sentence without its name or URL."""

    def __init__(self, kind: Kind, code: int, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.code = code
        self.message = message if len(message) <= _LONGEST else message[: _LONGEST - 3] + "..."

    def error(self) -> dict[str, Any]:
        """The typed form."""
        return {"type": self.kind, "code": self.code, "message": self.message}


class SessionLost(Failed):
    """The server no longer knows the session, and has done nothing: another connection may ask again."""


def answered(status: int) -> Failed:
    """The failure that an HTTP status is."""
    about = _STATUS.get(status, "")
    return Failed("http_error", status, f"The server answered HTTP {status}{about}.")


_STATUS = {
    401: " (unauthorized): it wants other credentials",
    403: " (forbidden): it refuses these credentials",
    404: " (not found): there is no MCP server at this URL",
    429: " (too many requests)",
}


def silent(seconds: float) -> Failed:
    """No answer in time."""
    return Failed("mcp_protocol_error", REQUEST_TIMEOUT, f"The server gave no answer within {seconds:g} seconds.")


def closed() -> Failed:
    """The connection ended in the middle."""
    return Failed("mcp_protocol_error", CONNECTION_CLOSED, "The server closed the connection before it answered.")
