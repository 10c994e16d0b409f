"""An entry ``{"type": "mcp", ...}`` of a request's ``tools``, read and checked. Pure.

Its errors name JSON paths and repeat no value that may be a credential.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from antiphon.errors import InvalidRequest, UnsupportedParameter
from antiphon.wire.reading import convert

#: Headers that belong to the connection, or that the protocol sets itself.
_RESERVED = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SCHEME = re.compile(r"(?i)(bearer|basic|token|digest|dpop) ")

Annotations = Mapping[str, Any]


class ToolFilter(msgspec.Struct, frozen=True):
    """Some of a server's tools: those of these names and, of them, those that only read (or that do more)."""

    tool_names: tuple[str, ...] | None = None
    read_only: bool | None = None

    def admits(self, name: str, annotations: Annotations) -> bool:
        """Whether the tool is one of them."""
        if self.tool_names is not None and name not in self.tool_names:
            return False
        return self.read_only is None or self.read_only == (annotations.get("readOnlyHint") is True)

    @property
    def says_something(self) -> bool:
        return self.tool_names is not None or self.read_only is not None


class Approvals(msgspec.Struct, frozen=True):
    """Which calls wait for a person's yes; ``always`` wins, and what neither filter speaks of waits."""

    always: ToolFilter | None = None
    never: ToolFilter | None = None

    def needed(self, name: str, annotations: Annotations) -> bool:
        """Whether a call of this tool waits."""
        if _admits(self.always, name, annotations):
            return True
        return not _admits(self.never, name, annotations)


def _admits(some: ToolFilter | None, name: str, annotations: Annotations) -> bool:
    # An empty filter names no tool here: it must not switch approvals off.
    return some is not None and some.says_something and some.admits(name, annotations)


_EVERY = ToolFilter()
_ALWAYS = Approvals()


class _AllCalls(Approvals, frozen=True):
    """``require_approval: "never"``."""

    def needed(self, name: str, annotations: Annotations) -> bool:
        """No call waits."""
        return False


class _Sent(msgspec.Struct, frozen=True):
    """The entry as the wire has it, without its credentials."""

    server_label: str
    server_url: str | None = None
    server_description: str | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    allowed_tools: tuple[str, ...] | ToolFilter | None = None
    require_approval: Literal["always", "never"] | Approvals | None = None
    defer_loading: bool | None = None


class Entry(msgspec.Struct, frozen=True):
    """What a request asks of one server. ``headers`` hold the credentials, so it is never shown."""

    label: str
    url: str | None
    connector: str | None
    headers: tuple[tuple[str, str], ...]
    allowed: ToolFilter
    approvals: Approvals
    description: str | None = None
    deferred: bool = False

    def __repr__(self) -> str:
        return f"Entry({self.label!r})"


def read_entry(entry: Mapping[str, Any], path: str) -> Entry:
    """The entry at this JSON path. Raises ``InvalidRequest``."""
    headers = _headers(entry, path)
    public = {key: value for key, value in entry.items() if key not in ("authorization", "headers")}
    sent: _Sent = convert(public, _Sent, path)
    if not sent.server_label:
        raise _invalid(f"{path}.server_label", "it is empty")
    if sent.tunnel_id is not None:
        raise UnsupportedParameter(
            f"'{path}.tunnel_id' is not supported: this server has no tunnels. Give a 'server_url'.",
            param=f"{path}.tunnel_id",
        )
    if sent.server_url is not None and sent.connector_id is not None:
        raise InvalidRequest(
            f"'{path}' has both 'server_url' and 'connector_id': give one of them.", param=path, code="invalid_value"
        )
    allowed = sent.allowed_tools
    return Entry(
        sent.server_label,
        sent.server_url,
        sent.connector_id,
        headers,
        _EVERY if allowed is None else allowed if isinstance(allowed, ToolFilter) else ToolFilter(allowed),
        _approvals(sent.require_approval),
        sent.server_description,
        bool(sent.defer_loading),
    )


def bearer(token: str) -> str:
    """The value of ``Authorization`` for a token; one that names its scheme stands as it is."""
    return token if _SCHEME.match(token) else f"Bearer {token}"


def _approvals(sent: str | Approvals | None) -> Approvals:
    if isinstance(sent, Approvals):
        return sent
    return _AllCalls() if sent == "never" else _ALWAYS


def _headers(entry: Mapping[str, Any], path: str) -> tuple[tuple[str, str], ...]:
    sent, authorization = entry.get("headers"), entry.get("authorization")
    if sent is not None and not isinstance(sent, Mapping):
        raise _invalid(f"{path}.headers", "expected an object of strings")
    found: dict[str, tuple[str, str]] = {}
    for name, value in (sent or {}).items():
        at = f"{path}.headers.{name}"
        if not _HEADER_NAME.fullmatch(name):
            raise _invalid(f"{path}.headers", "a name in it cannot be a header's")
        if name.lower() in _RESERVED or name.lower().startswith("proxy-"):
            raise _invalid(at, "this header is not for you to set")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise _invalid(at, "expected a string of one line")
        found[name.lower()] = (name, value)
    if authorization is None:
        return tuple(found.values())
    if "authorization" in found:
        raise _invalid(f"{path}.authorization", "'headers' has an Authorization as well: give one of them")
    if not isinstance(authorization, str) or not authorization or not _HEADER_VALUE.fullmatch(authorization):
        raise _invalid(f"{path}.authorization", "expected a token, a string of one line")
    return (*found.values(), ("Authorization", bearer(authorization)))


def _invalid(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{param}': {why}.", param=param, code="invalid_value")
