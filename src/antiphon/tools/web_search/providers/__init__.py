"""The search providers, and which of them this server asks."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from antiphon.config import WebSearchConfig
from antiphon.tools.web_search.providers.base import Provider, Query, Result, Unreadable
from antiphon.tools.web_search.providers.brave import BRAVE
from antiphon.tools.web_search.providers.exa import EXA
from antiphon.tools.web_search.providers.searxng import SEARXNG
from antiphon.tools.web_search.providers.serper import SERPER
from antiphon.tools.web_search.providers.tavily import TAVILY

__all__ = ["PROVIDERS", "Chosen", "Provider", "Query", "Result", "Unconfigured", "Unreadable", "choose"]

#: In the order in which the environment is searched for a key.
PROVIDERS: dict[str, Provider] = {one.name: one for one in (TAVILY, BRAVE, EXA, SERPER, SEARXNG)}

#: Address of a SearXNG, in the environment.
_SEARXNG_URL = "SEARXNG_URL"


class Unconfigured(Exception):
    """Nobody can be asked. The text names the setting that is missing."""


class Chosen(msgspec.Struct, frozen=True):
    """Who is asked, where, and with which key (empty: none)."""

    provider: Provider
    base: str
    key: str


def choose(config: WebSearchConfig, environ: Mapping[str, str], *, keyless: bool = False) -> Chosen:
    """The provider of the configuration, else the first that the environment knows. Raises ``Unconfigured``.

    ``keyless``: a key may be missing, because somebody else answers (a recording).
    """
    chosen = _known(PROVIDERS[config.provider], config, environ) if config.provider else _found(environ)
    provider = chosen.provider
    if not _is_base(chosen.base):
        raise Unconfigured(
            f"Set tools.web_search.url to the address of {provider.title}, such as http://127.0.0.1:8888."
        )
    if provider.keys and not chosen.key and not keyless:
        raise Unconfigured(
            f"Set the key of {provider.title}: tools.web_search.key, or the environment variable {provider.keys[0]}."
        )
    return chosen


def _found(environ: Mapping[str, str]) -> Chosen:
    """The first provider whose key, or address, is in the environment."""
    for provider in PROVIDERS.values():
        known = _known(provider, WebSearchConfig(), environ)
        if known.base and (known.key or not provider.keys):
            return known
    variables = ", ".join(provider.keys[0] for provider in PROVIDERS.values() if provider.keys)
    raise Unconfigured(
        "Set tools.web_search.provider and tools.web_search.key, or one of the environment variables "
        f"{variables} and {_SEARXNG_URL}."
    )


def _known(provider: Provider, config: WebSearchConfig, environ: Mapping[str, str]) -> Chosen:
    base = config.url or provider.base or environ.get(_SEARXNG_URL, "")
    key = config.key or next((environ[name] for name in provider.keys if environ.get(name)), "")
    return Chosen(provider, base.strip().rstrip("/"), key.strip())


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
