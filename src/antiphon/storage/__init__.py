"""Where responses are kept: SQLite by default, PostgreSQL when one machine is too small, behind one ``Store``.

``open_store`` is the only way in. It keeps the promise that nothing accepted is lost: a commit returns when it would
survive a power cut, whole.
"""

from __future__ import annotations

from pathlib import Path

from antiphon.config import StorageConfig
from antiphon.storage.database import Database
from antiphon.storage.model import CannotOpen, Store
from antiphon.storage.store import SqlStore
from antiphon.storage.stores import Stores

__all__ = ["CannotOpen", "Store", "Stores", "open_store"]

_FILE = "antiphon.db"


async def open_store(config: StorageConfig) -> Stores:
    """The store that ``database_url`` names, ready for use; without one, a SQLite file in ``data_dir``.

    Raises ``CannotOpen`` with a sentence for a person.
    """
    return SqlStore(await _database(config))


async def _database(config: StorageConfig) -> Database:
    url = config.database_url
    if not url:
        return await _file(Path(config.data_dir) / _FILE)
    scheme, _, rest = url.partition("://")
    match scheme:
        case "postgresql" | "postgres" | "postgresql+asyncpg":
            # asyncpg is 8 MB that an embedded server does not need.
            from antiphon.storage.postgres import open_postgres

            return await open_postgres(f"postgresql://{rest}")
        case "sqlite" if rest.startswith("/") and rest != "/":
            return await _file(Path(rest[1:].partition("?")[0]))
    raise CannotOpen(f"the database URL has the scheme {scheme!r}: it must be sqlite:///path or postgresql://...")


async def _file(path: Path) -> Database:
    from antiphon.storage.sqlite import open_sqlite

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotOpen(f"the folder {path.parent} cannot be made: {error}") from error
    return await open_sqlite(path)
