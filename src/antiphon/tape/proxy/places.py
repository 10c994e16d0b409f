"""Where a request to the proxy goes: pure functions from paths and headers to paths and headers.

``/openai/chat/completions`` goes to the upstream ``openai``, and so does ``/openai/v1/chat/completions`` when its base
URL ends in ``/v1``: whichever base URL a client builds, with or without the version, it arrives. With one upstream its
name may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

import msgspec

from antiphon.tape.model import Headers

#: Headers that belong to one connection (RFC 9110, 7.6.1), beside those that ``Connection`` names.
_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: Of a request, what the next hop makes itself. Compressed answers would be recorded as noise: none is asked for.
_OF_REQUEST = frozenset({"host", "content-length", "expect", "accept-encoding"})
#: Of a reply: its length may change, when a secret in it is replaced or it came compressed.
_OF_REPLY = frozenset({"content-length"})


class Place(msgspec.Struct, frozen=True):
    """An upstream by its name, and the URL at it."""

    name: str
    url: str


class Unplaced(Exception):
    """No upstream is meant by this path; the message names those there are."""


def find(path: str, query: bytes, upstreams: Mapping[str, str]) -> Place:
    """The place that a request path (raw, still quoted, without scope) and its query string mean.

    Raises ``Unplaced``.
    """
    first, _, rest = path.lstrip("/").partition("/")
    if first in upstreams:
        name, tail = first, "/" + rest if rest else ""
    elif len(upstreams) == 1:
        name, tail = next(iter(upstreams)), path
    else:
        known = ", ".join(f"/{each}/" for each in upstreams)
        raise Unplaced(f"'/{first[:60]}' is no upstream of this proxy; paths begin with one of {known}.")
    url = join(upstreams[name], tail)
    return Place(name, f"{url}?{query.decode('latin-1')}" if query else url)


def join(base: str, path: str) -> str:
    """A path below a base URL. The last part of the base (``/v1``) is not repeated when the path begins with it."""
    parts = urlsplit(base)
    below = parts.path.rstrip("/")
    last = below.rpartition("/")[2]
    if last and (path == f"/{last}" or path.startswith(f"/{last}/")):
        path = path[len(last) + 1 :]
    if path and not path.startswith("/"):
        path = "/" + path
    return f"{parts.scheme}://{parts.netloc}{below}{path}"


def upstream_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers of a request that go on; the client's ``Authorization`` among them."""
    headers = tuple(headers)
    drop = _HOP | _OF_REQUEST | _named(headers)
    kept = [(k, v) for k, v in headers if k.lower() not in drop]
    return (*kept, ("accept-encoding", "identity"))


def client_headers(headers: Headers) -> Headers:
    """The headers of a reply that go on to the client."""
    drop = _HOP | _OF_REPLY | _named(headers)
    return tuple((k, v) for k, v in headers if k.lower() not in drop)


def check_upstream(text: str) -> tuple[str, str]:
    """``NAME=URL`` as its two halves. Raises ``ValueError`` with a sentence."""
    name, equals, url = text.partition("=")
    if not equals:
        name, url = "default", text
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"'{url}' is no base URL; write --upstream openai=https://host/v1")
    if not name or quote(name, safe="") != name or name in ("s", "_tape"):
        raise ValueError(f"'{name}' cannot be the name of an upstream: it is a part of a path, and not 's' or '_tape'")
    return name, url.rstrip("/")


def _named(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The headers that ``Connection`` declares its own."""
    listed = ",".join(value for name, value in headers if name.lower() == "connection")
    return frozenset(word.strip().lower() for word in listed.split(",") if word.strip())
