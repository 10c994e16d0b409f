"""What a configuration names, looked at from here: does the back end list models, does the database answer."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from antiphon.config import Config, StorageConfig, UpstreamConfig
from antiphon.config.mask import masked_url

if TYPE_CHECKING:
    from antiphon.upstream.door import Transport

#: How long a database may take to answer. Seconds.
DATABASE_SECONDS = 3.0

#: A back end without ``/models`` says so; it may serve well all the same.
_NO_LIST = (404, 405, 501)

_SHOWN = 6


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. ``good`` is None for what was not configured and is only mentioned."""

    good: bool | None
    what: str
    says: str


async def look(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    """All findings, looked for at the same time."""
    found = await asyncio.gather(_upstreams(config, environ), _database(config.storage))
    return [*found[0], found[1]]


async def _upstreams(config: Config, environ: Mapping[str, str]) -> list[Finding]:
    from antiphon.upstream.network import Network

    network = Network()
    try:
        chosen = dict(config.upstreams)
        found: list[Finding] = []
        if not chosen and config.discover:
            chosen, found = await _discovered(config, environ, network)
        found += await asyncio.gather(*(_upstream(name, each, network) for name, each in chosen.items()))
    finally:
        await network.aclose()
    names = {*chosen, *(finding.what.removeprefix("upstream ") for finding in found), "demo"}
    if config.default_upstream is not None and config.default_upstream not in names:
        what = f"upstream {config.default_upstream}"
        found.append(Finding(False, what, "default_upstream names it, and there is no upstream of that name"))
    return [*found, Finding(True, "upstream demo", "built in: demo")]


async def _discovered(
    config: Config, environ: Mapping[str, str], transport: Transport
) -> tuple[dict[str, UpstreamConfig], list[Finding]]:
    """What the server would find by itself. Who set ``OPENAI_BASE_URL`` means it, so it is looked at like a setting."""
    from antiphon.upstream.discovery import discover

    chosen: dict[str, UpstreamConfig] = {}
    found: list[Finding] = []
    for each in await discover(environ, [(config.server.host, config.server.port)], transport):
        if each.name == "openai" and each.config is not None:
            chosen[each.name] = each.config
        else:
            found.append(Finding(None if each.config is None else True, f"upstream {each.name}", each.sentence))
    return chosen, found


async def _upstream(name: str, config: UpstreamConfig, transport: Transport) -> Finding:
    from antiphon.upstream.chat import Upstream

    what = f"upstream {name}"
    if config.url.startswith("demo:"):
        return Finding(True, what, "built in")
    upstream = Upstream(name, config, transport)
    await upstream.listing.get()
    failure, place = upstream.listing.failure, masked_url(config.url)
    if failure is None:
        return Finding(True, what, f"{place} lists {_names(list(upstream.listing.known))}")
    if failure.status in _NO_LIST:
        return Finding(True, what, f"{place} answers, and lists no models; name them in upstreams.{name}.models")
    return Finding(False, what, failure.message)


def _names(models: list[str]) -> str:
    if not models:
        return "no models"
    more = f" and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    return ", ".join(models[:_SHOWN]) + more


async def _database(config: StorageConfig) -> Finding:
    url = config.database_url
    if not url:
        return await asyncio.to_thread(_sqlite, Path(config.data_dir) / "antiphon.db")
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest != "/":
        return await asyncio.to_thread(_sqlite, Path(rest[1:].partition("?")[0]))
    if scheme in ("postgresql", "postgres", "postgresql+asyncpg"):
        return await _postgres(f"postgresql://{rest}")
    return Finding(False, "database", "storage.database_url must be postgresql://... or sqlite:///path")


def _sqlite(path: Path) -> Finding:
    """A file that is there is opened for reading only; one that is not must be possible to make."""
    if not path.exists():
        folder = next((p for p in path.absolute().parents if p.exists()), path.parent)
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return Finding(True, "database", f"{path} will be made at the first start")
        return Finding(False, "database", f"{path} cannot be made: {folder} is not a folder that we may write to")
    if not os.access(path, os.W_OK):
        return Finding(False, "database", f"{path} is not ours to write")
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=DATABASE_SECONDS)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as wrong:
        return Finding(False, "database", f"{path}: {wrong}")
    return Finding(True, "database", f"{path} (SQLite {sqlite3.sqlite_version})")


async def _postgres(url: str) -> Finding:
    import asyncpg

    what, place = "database", masked_url(url, hide_user=False)
    try:
        connection = await asyncpg.connect(url, timeout=DATABASE_SECONDS)
        try:
            version = await connection.fetchval("SHOW server_version", timeout=DATABASE_SECONDS)
        finally:
            await connection.close(timeout=DATABASE_SECONDS)
    except TimeoutError:
        return Finding(False, what, f"{place}: no answer within {DATABASE_SECONDS:g} s")
    except (asyncpg.PostgresError, OSError) as wrong:
        return Finding(False, what, f"{place}: {wrong}")
    except (asyncpg.InterfaceError, ValueError):
        # Its words may repeat a piece of a password that was not escaped.
        return Finding(False, what, f"{place} is no URL that PostgreSQL understands; write %2F for a / in a password")
    return Finding(True, what, f"{place} (PostgreSQL {version})")
