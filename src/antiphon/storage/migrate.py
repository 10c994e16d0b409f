"""Revisions of the schema. Alembic is imported here, inside functions: only a database of another revision needs it.

Alembic writes the SQL and our own driver runs it, in one transaction that also holds the new revision; so a migration
is the same thing on both databases, needs no second driver, and happens whole or not at all. The price: a migration
cannot look into the data from Python, only with SQL.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from antiphon.storage.model import CannotOpen

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).with_name("migrations")

#: Alembic's own bookkeeping, under a name that cannot meet another application's.
VERSION_TABLE = "antiphon_revision"
READ_REVISION = f"SELECT version_num FROM {VERSION_TABLE}"  # noqa: S608 - a constant


def _script() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(MIGRATIONS))


def head_revision() -> str:
    """The newest revision there is a migration to."""
    head = _script().get_current_head()
    if head is None:
        raise ValueError("there is no migration")
    return head


def upgrade_statements(dialect: Literal["sqlite", "postgresql"], current: str | None) -> Sequence[str]:
    """The SQL that brings a database from revision ``current`` (None: an empty one) to the newest.

    Raises ``CannotOpen`` for a revision that no migration here knows, which a newer version has left.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.util import CommandError

    script = _script()
    written = io.StringIO()
    config = Config()
    config.attributes["configure"] = {
        "dialect_name": dialect,
        "output_buffer": written,
        "version_table": VERSION_TABLE,
        # The transaction is ours: it also holds the check that nobody else has migrated meanwhile.
        "transactional_ddl": False,
    }
    try:
        steps = script._upgrade_revs("head", current or "base")  # what `alembic upgrade` itself calls
    except CommandError as error:
        raise CannotOpen(
            f"the database has revision {current}, which this version does not know: it is newer than this program"
        ) from error
    with EnvironmentContext(
        config,
        script,
        fn=lambda _revision, _context: steps,
        as_sql=True,
        starting_rev=current,
        destination_rev="head",
    ):
        script.run_env()
    return split(written.getvalue())


def version_statements(dialect: Literal["sqlite", "postgresql"]) -> Sequence[str]:
    """What stamps a fresh database: the version table and its one row."""
    return [sql for sql in upgrade_statements(dialect, None) if VERSION_TABLE in sql]


def split(script: str) -> list[str]:
    """The single statements of a script, without their semicolons and comment lines."""
    found, current = [], ""
    for line in script.splitlines():
        if not current and (not line.strip() or line.lstrip().startswith("--")):
            continue
        current += line + "\n"
        if sqlite3.complete_statement(current):
            found.append(current.strip().removesuffix(";"))
            current = ""
    if current.strip():
        raise ValueError(f"a migration ends inside a statement: {current!r}")
    return found
