"""Whom an entry means: where the server is, what identifies a connection to it, and which texts are secret. Pure.

A connection is shared by those who bring the same credentials, and by nobody else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from antiphon.config import McpConfig, McpServerConfig
from antiphon.errors import InvalidRequest
from antiphon.tools.mcp.entry import Entry, bearer
from antiphon.upstream.egress import BadTarget, Target, target

STARS = "********"

#: Shorter texts are too likely to stand somewhere by chance.
_SHORTEST_SECRET = 6
_LONG = 20
_SECRET_NAME = re.compile(r"(?i)auth|key|token|secret|passw|pwd|cookie|session|sig|credential")

Headers = tuple[tuple[str, str], ...]


class Server(msgspec.Struct, frozen=True):
    """One server with the credentials for it: ``url`` or a ``command``. ``exempt`` ones the egress policy lets pass.

    ``key`` is the same for the same server and credentials; it tells neither.
    """

    key: str
    url: Target | None = None
    headers: Headers = ()
    exempt: bool = False
    command: tuple[str, ...] = ()
    env: Headers = ()

    def __repr__(self) -> str:
        return f"Server({self.key[:8]})"

    def cleaned(self, value: Any) -> Any:
        """JSON of this server's without the secrets that it was told."""
        secrets = sorted(self._secrets(), key=len, reverse=True)
        return _cleaned(value, secrets) if secrets else value

    def _secrets(self) -> set[str]:
        found: set[str] = set()
        for name, value in (*self.headers, *_query(self.url)):
            if name.lower() == "authorization":
                found.update((value, value.rpartition(" ")[2]))
            elif len(value) >= _LONG or _SECRET_NAME.search(name):
                found.add(value)
        # A program's variables are mostly paths and switches, which may well stand in what it says.
        found.update(value for name, value in self.env if _SECRET_NAME.search(name))
        return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def server_of(entry: Entry, config: McpConfig, path: str) -> Server:
    """The server that an entry names, or brings. Raises ``InvalidRequest``."""
    if entry.url is not None:
        return _brought(entry, config, path)
    name, param = (entry.label, "server_label") if entry.connector is None else (entry.connector, "connector_id")
    known = config.servers.get(name)
    if known is None and entry.connector is None:
        raise InvalidRequest(
            f"'{path}' needs a 'server_url': no MCP server '{name}' is configured ([tools.mcp.servers.{name}]).",
            param=f"{path}.server_url",
            code="missing_required_parameter",
        )
    if known is None:
        raise InvalidRequest(
            f"Invalid value for '{path}.{param}': no connector '{name}' is configured ([tools.mcp.servers.{name}]).",
            param=f"{path}.{param}",
            code="connector_not_found",
        )
    return _configured(entry, known, path)


def _brought(entry: Entry, config: McpConfig, path: str) -> Server:
    param = f"{path}.server_url"
    if not config.from_requests:
        raise InvalidRequest(
            f"'{param}' is not allowed: this server connects to configured MCP servers only (tools.mcp.from_requests).",
            param=param,
            code="unsupported_parameter",
        )
    assert entry.url is not None
    try:
        url = target(entry.url)
    except BadTarget as wrong:
        raise InvalidRequest(
            f"Invalid value for '{param}': {wrong.reason}.", param=param, code="invalid_value"
        ) from None
    return Server(_key(url.url, sorted(entry.headers)), url, entry.headers)


def _configured(entry: Entry, known: McpServerConfig, path: str) -> Server:
    if known.url is None:
        if entry.headers:
            raise InvalidRequest(
                f"'{path}' brings credentials for '{entry.label}', which is a program and takes none from requests.",
                param=f"{path}.authorization",
                code="invalid_value",
            )
        command, env = (known.command, *known.args), tuple(sorted(known.env.items()))
        return Server(_key("program", command, env), exempt=True, command=command, env=env)
    mine = dict(known.headers)
    if known.authorization is not None:
        mine["Authorization"] = bearer(known.authorization)
    theirs = {name.lower() for name, _ in entry.headers}
    kept = [(name, value) for name, value in mine.items() if name.lower() not in theirs]
    headers = (*kept, *entry.headers)
    try:
        url, login = _with_login(known.url)
    except BadTarget as wrong:
        raise InvalidRequest(
            f"The configured MCP server of '{path}' has a url that cannot be used: {wrong.reason}.", param=path
        ) from None
    if login is not None and not any(name.lower() == "authorization" for name, _ in headers):
        headers = (*headers, ("Authorization", login))
    return Server(_key("configured", url.url, sorted(headers)), url, headers, exempt=True)


def _with_login(text: str) -> tuple[Target, str | None]:
    """A configured URL, and its user and password as a header."""
    parts = urlsplit(text)
    login, at, host = parts.netloc.rpartition("@")
    whole = target(parts._replace(netloc=host).geturl())
    return whole, f"Basic {base64.b64encode(unquote(login).encode()).decode()}" if at else None


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _query(url: Target | None) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url.url).query) if url is not None else []


def _cleaned(value: Any, secrets: Iterable[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, STARS)
        return value
    if isinstance(value, dict):
        return {_cleaned(key, secrets): _cleaned(each, secrets) for key, each in value.items()}
    return [_cleaned(each, secrets) for each in value] if isinstance(value, list) else value
