"""What a search provider is: a request made of a question, and results read from its reply. Pure."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from antiphon.tools.web_search.options import Location
from antiphon.upstream.door import Headers, Request

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")

#: The longest question that all providers take.
MAX_QUERY = 380


class Query(msgspec.Struct, frozen=True):
    """What to ask: ``count`` results, with about ``characters`` of text each. ``thorough`` may cost more."""

    text: str
    count: int
    characters: int
    domains: tuple[str, ...] = ()
    location: Location | None = None
    thorough: bool = False

    @property
    def country(self) -> str | None:
        """The user's country, as two capitals."""
        return self.location.country if self.location is not None else None

    def with_sites(self) -> str:
        """The text with the domains as operators that search engines know; without them where it would be too long."""
        if not self.domains:
            return self.text
        sites = " OR ".join(f"site:{domain}" for domain in self.domains)
        full = f"{self.text} ({sites})" if len(self.domains) > 1 else f"{self.text} {sites}"
        return full if len(full) <= MAX_QUERY else self.text


class Result(msgspec.Struct, frozen=True):
    """One page that was found. ``date`` as the provider writes it, or empty."""

    url: str
    title: str
    text: str
    date: str = ""


class Unreadable(Exception):
    """A reply that is not of the provider's form."""


class Provider(msgspec.Struct, frozen=True):
    """One search provider.

    ``base`` is its base URL, empty where everybody has their own. ``keys`` are the environment variables that may hold
    its key; empty where it needs none. ``rows`` are its results as it writes them, and ``result`` reads one.
    ``refusals`` says what a status means, where that is peculiar to it.
    """

    name: str
    title: str
    base: str
    keys: tuple[str, ...]
    request: Callable[[Query, str, str], Request]
    rows: Callable[[Any], list[dict[str, Any]]]
    result: Callable[[dict[str, Any]], Result]
    refusals: Mapping[int, str] = {}


def get(url: str, parameters: Mapping[str, Any], headers: Headers) -> Request:
    """A question in the query of a URL. Empty parameters are left out."""
    given = {key: value for key, value in parameters.items() if value not in (None, "")}
    return Request("GET", f"{url}?{urlencode(given)}", (("Accept", "application/json"), *headers))


def post(url: str, body: Mapping[str, Any], headers: Headers) -> Request:
    """A question as a JSON body. Keys without a value are left out."""
    given = {key: value for key, value in body.items() if value not in (None, "", [])}
    known = (("Accept", "application/json"), ("Content-Type", "application/json"))
    return Request("POST", url, (*known, *headers), json.dumps(given).encode())


def rows_at(*path: str) -> Callable[[Any], list[dict[str, Any]]]:
    """The results in a reply, at this place. No such place is no results; another form is ``Unreadable``."""

    def rows(reply: Any) -> list[dict[str, Any]]:
        found = reply
        for key in path:
            if not isinstance(found, dict):
                raise Unreadable
            found = found.get(key)
            if found is None:
                return []
        if not isinstance(found, list):
            raise Unreadable
        return [row for row in found if isinstance(row, dict)]

    return rows


def text_of(row: Mapping[str, Any], *keys: str) -> str:
    """The first of these that holds text, on one line or several; its tags and entities resolved."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            return html.unescape(_TAG.sub("", value)).strip()
    return ""


def texts_of(row: Mapping[str, Any], key: str) -> list[str]:
    """A list of text."""
    value = row.get(key)
    return [one.strip() for one in value if isinstance(one, str)] if isinstance(value, list) else []
