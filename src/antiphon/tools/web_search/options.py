"""What an entry of ``tools`` of the type ``web_search`` (or one of its older names) asks for. Pure.

Keys that are not known pass, because clients send new ones before servers know them; but not in ``filters``: a filter
that is not applied would let through what the client wanted kept out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.wire.reading import convert, quote

TYPES = frozenset(
    {"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"},
)

Words = Annotated[str, msgspec.Meta(max_length=100)]

_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_MAX_DOMAINS = 100


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where the user is, about. ``country`` is an ISO code of two capitals, ``timezone`` a name of the IANA's list."""

    type: Literal["approximate"] | None = None
    city: Words | None = None
    region: Words | None = None
    country: Words | None = None
    timezone: Words | None = None

    def words(self) -> str:
        """``Austin, Texas, US``; empty where no place is named."""
        return ", ".join(part for part in (self.city, self.region, self.country) if part)


class Size(msgspec.Struct, frozen=True):
    """How much of the web goes before the model: how many results, with how many characters each; of one page how many
    characters, and how many passages with words that were looked for."""

    results: int
    snippet: int
    page: int
    passages: int


SIZES = {
    "low": Size(results=5, snippet=500, page=8_000, passages=5),
    "medium": Size(results=8, snippet=1_000, page=20_000, passages=8),
    "high": Size(results=12, snippet=2_000, page=50_000, passages=15),
}


class Options(msgspec.Struct, frozen=True):
    """An entry, read. No ``domains`` means all. Not ``live``: nothing but the index of a search engine may be asked."""

    size: Size = SIZES["medium"]
    thorough: bool = False
    domains: tuple[str, ...] = ()
    location: Location | None = None
    live: bool = True

    def allows(self, host: str) -> bool:
        """Whether a host is one of the domains, or below one."""
        host = host.lower().rstrip(".")
        return not self.domains or any(host == domain or host.endswith("." + domain) for domain in self.domains)

    def allows_url(self, url: str) -> bool:
        """Whether this is a page of the web, on a host that is allowed."""
        try:
            parts = urlsplit(url)
            return parts.scheme in ("http", "https") and bool(parts.hostname) and self.allows(parts.hostname or "")
        except ValueError:
            return False


class _Filters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allowed_domains: Annotated[list[str], msgspec.Meta(max_length=_MAX_DOMAINS)] | None = None


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    filters: _Filters | None = None
    user_location: Location | None = None
    search_context_size: Literal["low", "medium", "high"] | None = None
    external_web_access: bool | None = None
    search_content_types: list[Literal["text", "image"]] | None = None


def read(entry: Mapping[str, Any], path: str) -> Options:
    """The options of an entry at this JSON path. Raises ``InvalidRequest``."""
    got: _Entry = convert(dict(entry), _Entry, path)
    domains = got.filters.allowed_domains if got.filters is not None else None
    size = got.search_context_size or "medium"
    return Options(
        size=SIZES[size],
        thorough=size == "high",
        domains=tuple(
            dict.fromkeys(_domain(name, f"{path}.filters.allowed_domains[{n}]") for n, name in enumerate(domains or ()))
        ),
        location=_location(got.user_location, f"{path}.user_location"),
        live=got.external_web_access is not False,
    )


def _domain(name: str, path: str) -> str:
    """``Example.com``, also where it is written as the URL of a whole site."""
    bare = re.sub(r"^https?://", "", name.strip().lower()).removesuffix("/").removeprefix("*.")
    if not bare.isascii():
        try:
            bare = bare.encode("idna").decode()
        except UnicodeError:
            bare = ""
    if not _DOMAIN.fullmatch(bare):
        raise _invalid(path, "a domain such as 'example.com'", name)
    return bare


def _location(location: Location | None, path: str) -> Location | None:
    if location is None:
        return None
    for name in ("city", "region", "country", "timezone"):
        text = getattr(location, name)
        if text and not text.isprintable():
            raise _invalid(f"{path}.{name}", "text on one line", text)
    if not location.country:
        return location
    if not _COUNTRY.fullmatch(location.country):
        raise _invalid(f"{path}.country", "an ISO country code of two letters", location.country)
    return msgspec.structs.replace(location, country=location.country.upper())


def _invalid(path: str, expected: str, got: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value for '{path}': expected {expected}, got {quote(got)}.", param=path, code="invalid_value"
    )
